//! Two ends that talk through a helper, with translation or without, and say whatever the fuzzer wants.

use conntrack_core::nat::{Manip, Ports, Random, Range, Target};
use conntrack_core::{
    ChecksumStatus, Config, Direction, Entered, HashKey, Packet, Reason, Time, Tracker, Tuple,
};
use packet::build::FrameBuilder;
use packet::{Protocol, TcpFlags};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;

const NOW: Time = Time::from_secs(1_000);
const ETHERNET: usize = 14;
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [20, 0, 0, 1];
const OUTSIDE: [u8; 4] = [203, 0, 113, 7];

/// An address of either version.
const fn wide([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}

fn ip_of(address: [u8; 4], v6: bool) -> IpAddr {
    if v6 {
        Ipv6Addr::from(wide(address)).into()
    } else {
        address.into()
    }
}

/// One conversation.
struct Talk {
    tracker: Tracker,
    /// Sees what leaves: whether lengths and checksums are right.
    outside: Tracker,
    helper: &'static str,
    tcp: bool,
    v6: bool,
    /// How it is translated: not, source, destination, both.
    nat: u8,
    ports: [u16; 2],
    next: [u32; 2],
    seed: u16,
}

/// The first byte of `data` says IP version and translation; then each message: direction and what else happens, length,
/// text.
pub fn converse(helper: &'static str, tcp: bool, port: u16, data: &[u8]) {
    let Some((kind, mut rest)) = data.split_first() else {
        return;
    };
    let mut talk = Talk {
        tracker: Tracker::new(Config::default(), HashKey([1, 2])),
        outside: Tracker::new(Config::default(), HashKey([3, 4])),
        helper,
        tcp,
        v6: kind & 1 != 0,
        nat: kind >> 1 & 3,
        ports: [4_000, port],
        next: [u32::MAX - 100, 1_000],
        seed: u16::from(*kind),
    };
    talk.tracker.record_events(true);
    if tcp {
        talk.say(0, TcpFlags::SYN, &[]);
        talk.say(1, TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0), &[]);
        talk.say(0, TcpFlags::ACK, &[]);
    }
    while let Some(([what, length], after)) = rest.split_first_chunk::<2>() {
        let (text, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        match what >> 1 & 7 {
            0 => talk.announced(*what),
            1 => talk.say(
                usize::from(what & 1),
                TcpFlags(TcpFlags::FIN.0 | TcpFlags::ACK.0),
                text,
            ),
            _ => talk.say(usize::from(what & 1), TcpFlags::ACK, text),
        }
        talk.check();
    }
    let tracker = &mut talk.tracker;
    tracker.flush(NOW);
    assert!(tracker.is_empty());
    assert_eq!(
        tracker.expectations().count(),
        0,
        "nobody is left who expects"
    );
}

impl Talk {
    /// One end says something: to whom it believes to talk.
    fn say(&mut self, from: usize, flags: TcpFlags, text: &[u8]) {
        let client = if self.nat & 1 != 0 && from == 1 {
            OUTSIDE
        } else {
            CLIENT
        };
        let server = if self.nat & 2 != 0 && from == 0 {
            OUTSIDE
        } else {
            SERVER
        };
        let addresses = if from == 0 {
            [client, server]
        } else {
            [server, client]
        };
        let ports = [self.ports[from], self.ports[1 - from]];
        let packet = self.packet(
            addresses,
            ports,
            flags,
            (self.next[from], self.next[1 - from]),
            text,
        );
        let marks = u32::from(flags.0 & (TcpFlags::SYN.0 | TcpFlags::FIN.0) != 0);
        self.next[from] = self.next[from].wrapping_add(text.len() as u32 + marks);
        self.through(packet);
    }

    fn packet(
        &self,
        [from, to]: [[u8; 4]; 2],
        ports: [u16; 2],
        flags: TcpFlags,
        (seq, ack): (u32, u32),
        text: &[u8],
    ) -> Vec<u8> {
        let builder = FrameBuilder::new().ethernet([2; 6], [2; 6]);
        let builder = if self.v6 {
            builder.ipv6(wide(from), wide(to))
        } else {
            builder.ipv4(from, to)
        };
        let builder = if self.tcp {
            builder
                .tcp(ports[0], ports[1])
                .flags(flags)
                .seq(seq)
                .ack(ack)
        } else {
            builder.udp(ports[0], ports[1])
        };
        builder.payload(text).build()[ETHERNET..].to_vec()
    }

    /// Somebody does what was announced.
    fn announced(&mut self, what: u8) {
        let all: Vec<Tuple> = self
            .tracker
            .expectations()
            .map(|(_, expected)| expected.expectation.tuple)
            .collect();
        let Some(tuple) = all.get(usize::from(what >> 4) % all.len().max(1)) else {
            return;
        };
        let narrow = |address: &[u8; 16]| [address[0], address[1], address[2], address[3]];
        let builder = FrameBuilder::new().ethernet([2; 6], [2; 6]);
        let builder = if tuple.family == 4 {
            builder.ipv4(narrow(&tuple.source), narrow(&tuple.destination))
        } else {
            builder.ipv6(tuple.source, tuple.destination)
        };
        let source = tuple.source_id.max(1);
        let builder = match tuple.protocol() {
            Protocol::TCP => builder
                .tcp(source, tuple.destination_id)
                .flags(TcpFlags::SYN),
            Protocol::UDP => builder.udp(source, tuple.destination_id),
            other => builder
                .protocol(other)
                .payload(&[0x30, 1, 0x88, 0xb, 0, 0, 0, 0, 0, 0, 0, 0]),
        };
        self.through(builder.build()[ETHERNET..].to_vec());
    }

    fn through(&mut self, mut packet: Vec<u8>) {
        let protocol = if self.tcp {
            Protocol::TCP
        } else {
            Protocol::UDP
        };
        let tracker = &mut self.tracker;
        let mut entered = tracker.enter(&Packet::whole(&packet), NOW);
        if let Entered::Unconfirmed(connection, _) = &entered
            && connection.tuple(Direction::Original).destination_id == self.ports[1]
            && let Some(id) = tracker.helper_named(self.helper, protocol)
        {
            tracker.assign_helper(&mut entered, id);
        }
        let seed = &mut self.seed;
        let mut random = |_: RangeInclusive<u16>| {
            *seed = seed.wrapping_mul(25_173).wrapping_add(13_849);
            *seed
        };
        let target = |to| {
            let ports = Ports {
                range: None,
                base: None,
                random: Random::No,
            };
            Target::To(Range {
                ports,
                ..Range::address(ip_of(to, self.v6))
            })
        };
        for (manip, bit, to) in [(Manip::Destination, 2, SERVER), (Manip::Source, 1, OUTSIDE)] {
            let target = (self.nat & bit != 0).then(|| target(to));
            tracker.nat(&mut entered, manip, target.as_ref(), &mut random, NOW);
            if tracker
                .rewrite(&entered, manip, None, &mut packet, NOW)
                .is_err()
            {
                return;
            }
        }
        if tracker
            .help(&mut entered, &mut packet, &mut random, NOW)
            .is_err()
        {
            return;
        }
        tracker.leave(entered, NOW);
        let sent = Packet {
            checksum: ChecksumStatus::Unknown,
            ..Packet::whole(&packet)
        };
        let reason = self.outside.track(&sent, NOW).reason;
        let broken = matches!(
            reason,
            Some(
                Reason::IpHeaderChecksum
                    | Reason::IpTotalLength
                    | Reason::TransportTruncated
                    | Reason::TransportLength
                    | Reason::TransportChecksum
            )
        );
        assert!(!broken, "{reason:?}: {packet:02x?}");
    }

    fn check(&self) {
        let tracker = &self.tracker;
        assert!(tracker.expectations().count() <= 64);
        for (id, connection) in tracker.iter() {
            for direction in Direction::ALL {
                let found = tracker.find(&connection.tuple(direction), connection.zone());
                assert_eq!(found.map(|(found, _)| found), Some(id));
            }
        }
    }
}
