//! DCCP as Linux tracked it: no kernel of today can be asked, so these are the exchanges of RFC 4340.

use conntrack_core::nat::{Manip, Ports, Random, Range, Target};
use conntrack_core::protocol::ProtocolState;
use conntrack_core::protocol::dccp::DccpStateName;
use conntrack_core::{
    Config, CtInfo, Direction, HashKey, Packet, Reason, Status, Time, Tracker, Verdict, dump,
};
use packet::build::FrameBuilder;
use packet::{Protocol, checksum, dccp};

const NOW: Time = Time::from_secs(1_000);
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];

fn tracker() -> Tracker {
    let config = Config {
        dccp: true,
        ..Config::default()
    };
    Tracker::new(config, HashKey([1, 2]))
}

/// A packet with long sequence numbers.
fn packet(from_client: bool, kind: u8, seq: u64, ack: u64) -> Vec<u8> {
    let (source, destination, ports) = if from_client {
        (CLIENT, SERVER, [4_000_u16, 5_001])
    } else {
        (SERVER, CLIENT, [5_001, 4_000])
    };
    let mut body = Vec::new();
    body.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
    body.extend([6, 0, 0, 0, kind << 1 | 1, 0]);
    body.extend(&seq.to_be_bytes()[2..]);
    body.extend(ack.to_be_bytes());
    let pseudo = checksum::pseudo_header_v4(source, destination, Protocol::DCCP, body.len() as u32);
    let sum = checksum::finish(pseudo + checksum::sum(&body));
    body[6..8].copy_from_slice(&sum.to_be_bytes());
    let builder = FrameBuilder::new().ipv4(source, destination);
    builder.protocol(Protocol::DCCP).payload(&body).build()
}

fn track(tracker: &mut Tracker, from_client: bool, kind: u8, seq: u64, ack: u64) -> Verdict {
    tracker.track(&Packet::whole(&packet(from_client, kind, seq, ack)), NOW)
}

fn state(tracker: &Tracker) -> (DccpStateName, u64, bool) {
    let (_, connection) = tracker.iter().next().expect("a connection");
    let ProtocolState::Dccp(state) = connection.protocol_state() else {
        panic!("not DCCP: {connection:?}");
    };
    let seconds = connection.remaining(NOW).as_secs();
    let assured = connection.status().contains(Status::ASSURED);
    (state.state, seconds, assured)
}

#[test]
fn a_connection_opens_and_closes() {
    let mut tracker = tracker();
    let steps = [
        (true, dccp::REQUEST, 100, 0, DccpStateName::Request, 240),
        (false, dccp::RESPONSE, 900, 100, DccpStateName::Respond, 480),
        (true, dccp::ACK, 101, 900, DccpStateName::PartOpen, 480),
        (false, dccp::DATA_ACK, 901, 101, DccpStateName::Open, 43_200),
        (true, dccp::DATA, 102, 0, DccpStateName::Open, 43_200),
        (
            false,
            dccp::CLOSE_REQUEST,
            902,
            102,
            DccpStateName::CloseRequest,
            64,
        ),
        (true, dccp::CLOSE, 103, 902, DccpStateName::Closing, 64),
        (false, dccp::RESET, 903, 103, DccpStateName::TimeWait, 240),
    ];
    for (number, (from_client, kind, seq, ack, name, seconds)) in steps.into_iter().enumerate() {
        let verdict = track(&mut tracker, from_client, kind, seq, ack);
        assert_eq!(verdict.reason, None, "{number}");
        assert_eq!(state(&tracker), (name, seconds, number >= 2), "{number}");
    }
    let text =
        dump::conntrack_tools::list(&tracker, NOW, dump::conntrack_tools::Options::default());
    assert!(
        text.starts_with(
            "dccp     33 240 TIMEWAIT src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=5001"
        ),
        "{text}"
    );
    // Both ends change places.
    track(&mut tracker, false, dccp::REQUEST, 5, 0);
    assert_eq!(state(&tracker).0, DccpStateName::Request);
    track(&mut tracker, true, dccp::RESPONSE, 7, 5);
    assert_eq!(state(&tracker).0, DccpStateName::Respond);
}

#[test]
fn what_does_not_belong_is_invalid() {
    let mut tracker = tracker();
    let verdict = track(&mut tracker, true, dccp::DATA, 1, 0);
    assert_eq!(verdict.reason, Some(Reason::DccpState));
    track(&mut tracker, true, dccp::REQUEST, 100, 0);
    // Data before an answer; a request to close from a client.
    for kind in [dccp::DATA, dccp::CLOSE_REQUEST, 11] {
        let verdict = track(&mut tracker, true, kind, 101, 0);
        assert_eq!(verdict.ctinfo, CtInfo::Invalid, "{kind}");
    }
    let mut wrong = packet(false, dccp::RESPONSE, 900, 100);
    wrong[40] ^= 1;
    let verdict = tracker.track(&Packet::whole(&wrong), NOW);
    assert_eq!(verdict.reason, Some(Reason::TransportChecksum));
    // Refused.
    track(&mut tracker, false, dccp::RESET, 900, 100);
    assert!(tracker.is_empty());
}

#[test]
fn an_acknowledgment_of_another_answer_assures_nothing() {
    let mut tracker = tracker();
    track(&mut tracker, true, dccp::REQUEST, 100, 0);
    track(&mut tracker, false, dccp::RESPONSE, 900, 100);
    track(&mut tracker, true, dccp::ACK, 101, 899);
    assert_eq!(state(&tracker), (DccpStateName::PartOpen, 480, false));
}

#[test]
fn ports_are_translated() {
    let mut tracker = tracker();
    let mut bytes = packet(true, dccp::REQUEST, 100, 0);
    let mut entered = tracker.enter(&Packet::whole(&bytes), NOW);
    let ports = Ports {
        range: Some((7_000, 7_000)),
        base: None,
        random: Random::No,
    };
    let target = Target::To(Range {
        ports,
        ..Range::address([203, 0, 113, 1].into())
    });
    tracker.nat(&mut entered, Manip::Source, Some(&target), &mut |_| 0, NOW);
    tracker
        .rewrite(&entered, Manip::Source, None, &mut bytes, NOW)
        .expect("a whole packet");
    tracker.leave(entered, NOW);
    let (_, connection) = tracker.iter().next().expect("a connection");
    let reply = connection.tuple(Direction::Reply);
    assert_eq!((reply.source_id, reply.destination_id), (5_001, 7_000));
    // Its checksum is right: another tracker takes it.
    let mut outside = self::tracker();
    assert_eq!(outside.track(&Packet::whole(&bytes), NOW).reason, None);
}

#[test]
fn without_a_tracker_it_is_generic() {
    let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
    track(&mut tracker, true, dccp::DATA, 1, 0);
    let (_, connection) = tracker.iter().next().expect("a connection");
    assert_eq!(connection.remaining(NOW), Time::from_secs(600));
    assert_eq!(connection.tuple(Direction::Original).destination_id, 0);
}
