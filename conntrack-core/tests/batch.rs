//! What one packet of a batch changes counts for those behind it, although they were looked up together.

use conntrack_core::{Config, CtInfo, HashKey, Packet, Time, Tracker, Verdict};
use packet::build::FrameBuilder;
use packet::{Protocol, TcpFlags};

const NOW: Time = Time::from_secs(1_000);
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];

/// A control message of PPTP (RFC 2637) of this kind and length, with what follows its header.
fn control(kind: u8, len: u8, what: &[u8]) -> Vec<u8> {
    let mut message = vec![0, len, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, 0, 0];
    message.extend(what);
    message.resize(len.into(), 0);
    message
}

/// A client calls a server: all packets, the last two of which are the answer to the call and the call's first.
fn call() -> Vec<Vec<u8>> {
    let mut next = [1_000, 5_000];
    let mut say = |from: usize, flags: TcpFlags, text: &[u8]| {
        let builder = match from {
            0 => FrameBuilder::new().ipv4(CLIENT, SERVER).tcp(4_000, 1_723),
            _ => FrameBuilder::new().ipv4(SERVER, CLIENT).tcp(1_723, 4_000),
        };
        let packet = builder.flags(flags).seq(next[from]).ack(next[1 - from]);
        let syn = u32::from(flags.contains(TcpFlags::SYN));
        next[from] += text.len() as u32 + syn;
        packet.payload(text).build()
    };
    let syn_ack = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
    let mut packets = vec![
        say(0, TcpFlags::SYN, &[]),
        say(1, syn_ack, &[]),
        say(0, TcpFlags::ACK, &control(1, 156, &[1, 0])),
        say(1, TcpFlags::ACK, &control(2, 156, &[1, 0, 1])),
        say(0, TcpFlags::ACK, &control(7, 168, &[0, 7])),
        say(1, TcpFlags::ACK, &control(8, 32, &[0, 9, 0, 7, 1])),
    ];
    let gre = [0x30, 0x81, 0x88, 0x0b, 0, 4, 0, 9, 0, 0, 0, 1, 1, 2, 3, 4];
    let call = FrameBuilder::new().ipv4(CLIENT, SERVER);
    packets.push(call.protocol(Protocol::GRE).payload(&gre).build());
    packets
}

#[test]
fn a_call_has_its_key_in_the_batch_that_told_it() {
    let packets = call();
    let together = packets.len() - 2;
    let begun = || {
        let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
        let mut entered = tracker.enter(&Packet::whole(&packets[0]), NOW);
        let pptp = tracker.helper_named("pptp", Protocol::TCP);
        assert!(tracker.assign_helper(&mut entered, pptp.expect("a helper of this crate")));
        tracker.leave(entered, NOW);
        for packet in &packets[1..together] {
            tracker.track(&Packet::whole(packet), NOW);
        }
        tracker
    };
    let last: Vec<(Packet<'_>, Time)> = packets[together..]
        .iter()
        .map(|packet| (Packet::whole(packet), NOW))
        .collect();
    let (mut single, mut batched) = (begun(), begun());
    let one_by_one: Vec<Verdict> = last
        .iter()
        .map(|(packet, now)| single.track(packet, *now))
        .collect();
    let mut verdicts = Vec::new();
    batched.track_batch(&last, &mut verdicts);
    assert_eq!(one_by_one, verdicts);
    let call = verdicts[1];
    assert_eq!(call.ctinfo, CtInfo::Related);
}
