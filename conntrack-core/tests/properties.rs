//! What must hold whatever packets come in whatever order: nothing in the table twice, everything in it to be found,
//! sums that are right, nothing that has expired.

use conntrack_core::nat::{Manip, Ports, Range, Target};
use conntrack_core::{
    Config, ConnectionId, CtInfo, Direction, HashKey, Packet, Time, Tracker, Verdict, Zone,
    ZoneScope,
};
use packet::TcpFlags;
use packet::build::FrameBuilder;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Something that happens to a tracker.
#[derive(Debug, Clone)]
enum Step {
    /// A packet between two of a few hosts: source, destination, ports, flags of TCP or none for UDP, zone.
    Packet(u8, u8, [u8; 2], Option<u16>, u8),
    /// Seconds pass.
    Wait(u16),
    /// Some indices are looked at for expiry.
    Collect(u8),
    /// The n-th connection is deleted.
    Delete(u8),
    /// The n-th connection goes into hardware, or comes back.
    Offload(u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![
        Just(None),
        Just(Some(TcpFlags::SYN.0)),
        Just(Some(TcpFlags::SYN.0 | TcpFlags::ACK.0)),
        Just(Some(TcpFlags::ACK.0)),
        Just(Some(TcpFlags::FIN.0 | TcpFlags::ACK.0)),
        Just(Some(TcpFlags::RST.0)),
    ];
    prop_oneof![
        20 => (0u8..3, 0u8..3, [0u8..3, 0u8..3], flags, 0u8..8)
            .prop_map(|(a, b, ports, flags, zone)| Step::Packet(a, b, ports, flags, zone)),
        3 => (0u16..400).prop_map(Step::Wait),
        2 => any::<u8>().prop_map(Step::Collect),
        1 => any::<u8>().prop_map(Step::Delete),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(n, into)| Step::Offload(n, into)),
    ]
}

fn frame(from: u8, to: u8, ports: [u8; 2], flags: Option<u16>) -> Vec<u8> {
    let builder = FrameBuilder::new()
        .ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, from], [10, 0, 0, to]);
    let [source, destination] = ports.map(|port| 1_000 + u16::from(port));
    match flags {
        Some(flags) => builder
            .tcp(source, destination)
            .flags(TcpFlags(flags))
            .build(),
        None => builder.udp(source, destination).build(),
    }
}

const fn zone(number: u8) -> Zone {
    let scope = match number {
        6 => ZoneScope::Original,
        7 => ZoneScope::Reply,
        _ => ZoneScope::Both,
    };
    let id = if number < 5 { 0 } else { number as u16 };
    Zone { id, scope }
}

/// Every tuple in its zone is there once; every connection is found by it; nothing is left over.
fn whole(tracker: &Tracker) {
    let mut tuples = BTreeSet::new();
    let mut count = 0;
    for (id, connection) in tracker.iter() {
        count += 1;
        let [original, reply] =
            [Direction::Original, Direction::Reply].map(|direction| connection.tuple(direction));
        let zones = [Direction::Original, Direction::Reply]
            .map(|direction| connection.zone().effective(direction));
        assert!(
            tuples.insert((original, zones, 0)),
            "{original} is there twice"
        );
        // A tuple that is its own mirror image is both.
        if original != reply {
            assert!(tuples.insert((reply, zones, 1)), "{reply} is there twice");
        }
        let found = tracker.find(&original, connection.zone());
        if connection.zone().scope == ZoneScope::Both && connection.zone().id != 0 {
            // To a host that talks to itself from one port, all packets are replies.
            let direction = Direction::ALL[usize::from(original == reply)];
            assert_eq!(found, Some((id, direction)), "{original}");
        }
        assert!(found.is_some() && tracker.find(&reply, connection.zone()).is_some());
    }
    assert_eq!(count, tracker.len());
}

/// What a packet said it added to its connection.
fn add(sums: &mut BTreeMap<ConnectionId, [(u64, u64); 2]>, verdict: &Verdict) {
    let (Some(id), Some(direction)) = (verdict.connection, verdict.direction) else {
        return;
    };
    if verdict.counted_bytes > 0
        && !matches!(verdict.ctinfo, CtInfo::Related | CtInfo::RelatedReply)
    {
        let (packets, bytes) = &mut sums.entry(id).or_default()[direction.index()];
        *packets += 1;
        *bytes += u64::from(verdict.counted_bytes);
    }
}

/// As many connections of UDP as a table holds before it grows, or none.
fn filler(count: u16) -> Vec<Vec<u8>> {
    let datagram = |n: u16| {
        let [high, low] = n.to_be_bytes();
        let builder = FrameBuilder::new().ipv4([10, 1, high, low], [10, 2, 0, 1]);
        builder.udp(1, 2).build()
    };
    (0..count).map(datagram).collect()
}

proptest! {
    /// Connections come, end, and come again at the same index, and the table grows, between the look-ups of a batch and the
    /// packets they were for.
    #[test]
    fn batches_are_packets_one_after_the_other(
        count in prop_oneof![Just(0u16), 2_840u16..2_870],
        room in prop_oneof![Just(0u64), 3u64..12],
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let config = Config {
            max: if room == 0 { 0 } else { u64::from(count) + room },
            acct: true,
            ..Config::default()
        };
        let [mut single, mut batched] = [(); 2].map(|()| Tracker::new(config.clone(), HashKey([7, 8])));
        let mut frames: Vec<(Vec<u8>, Zone, Time)> = Vec::new();
        for datagram in filler(count) {
            for tracker in [&mut single, &mut batched] {
                tracker.track(&Packet::whole(&datagram), Time::from_secs(1_000));
            }
        }
        let mut now = Time::from_secs(1_000);
        for step in steps {
            match step {
                Step::Packet(from, to, ports, flags, number) => {
                    // Mostly of one zone, and mostly established.
                    let flags = flags.map(|flags| if number % 2 == 0 { TcpFlags::ACK.0 } else { flags });
                    let number = if number < 6 { 0 } else { number };
                    let frame = frame(from, to, ports, flags);
                    frames.push((frame[14..].to_vec(), zone(number), now));
                }
                Step::Wait(seconds) => now = now + Time::from_secs(seconds.into()),
                _ => {}
            }
        }
        let packets: Vec<(Packet<'_>, Time)> = frames
            .iter()
            .map(|(frame, zone, at)| (Packet { zone: *zone, ..Packet::whole(frame) }, *at))
            .collect();
        let one_by_one: Vec<Verdict> = packets.iter().map(|(packet, at)| single.track(packet, *at)).collect();
        let mut together = Vec::new();
        batched.track_batch(&packets, &mut together);
        prop_assert_eq!(one_by_one, together);
        prop_assert_eq!(single.stats(), batched.stats());
        let held = |tracker: &Tracker| -> Vec<String> {
            tracker.iter().map(|(id, connection)| format!("{id:?} {connection:?}")).collect()
        };
        prop_assert_eq!(held(&single), held(&batched));
        whole(&batched);
    }

    #[test]
    fn the_table_stays_whole(steps in proptest::collection::vec(step(), 0..300)) {
        let config = Config { max: 12, acct: true, ..Config::default() };
        let mut tracker = Tracker::new(config, HashKey([7, 8]));
        let (mut now, mut sums) = (Time::from_secs(1_000), BTreeMap::new());
        let nth = |tracker: &Tracker, n: u8| {
            let ids: Vec<ConnectionId> = tracker.iter().map(|(id, _)| id).collect();
            ids.get(usize::from(n) % ids.len().max(1)).copied()
        };
        for step in steps {
            match step {
                Step::Packet(from, to, ports, flags, number) => {
                    let frame = frame(from, to, ports, flags);
                    let packet = Packet { zone: zone(number), ..Packet::whole(&frame[14..]) };
                    let verdict = tracker.track(&packet, now);
                    add(&mut sums, &verdict);
                    if let Some(connection) = verdict.connection.and_then(|id| tracker.connection(id)) {
                        prop_assert!(!connection.is_expired(now), "an expired connection matched");
                    }
                }
                Step::Wait(seconds) => now = now + Time::from_secs(seconds.into()),
                Step::Collect(most) => drop(tracker.collect(now, most.into())),
                Step::Delete(n) => {
                    if let Some(id) = nth(&tracker, n) {
                        prop_assert!(tracker.delete(id, now) && tracker.connection(id).is_none());
                    }
                }
                Step::Offload(n, into) => {
                    if let Some(id) = nth(&tracker, n) {
                        if into {
                            tracker.set_offloaded(id, true);
                        } else {
                            tracker.resume_software(id, now, now);
                        }
                    }
                }
            }
            prop_assert!(tracker.len() <= 12);
            whole(&tracker);
        }
        for (id, connection) in tracker.iter() {
            let expected: [(u64, u64); 2] = sums.get(&id).copied().unwrap_or_default();
            let counted = [Direction::Original, Direction::Reply].map(|direction| {
                let counters = connection.counters(direction);
                (counters.packets, counters.bytes)
            });
            prop_assert_eq!(counted, expected);
        }
        tracker.flush(now);
        prop_assert!(tracker.is_empty());
    }

    #[test]
    fn no_port_is_given_to_two_connections(
        packets in proptest::collection::vec((1u8..5, 0u8..2, 0u8..2, 0usize..3, any::<(bool, u16)>()), 0..120)
    ) {
        let mut tracker = Tracker::new(Config::default(), HashKey([7, 8]));
        let now = Time::from_secs(1_000);
        let address = IpAddr::from([203, 0, 113, 1]);
        let ports = |range| Ports { range, ..Ports::default() };
        let targets = [
            None,
            Some(Target::To(Range { ports: ports(Some((2_000, 2_003))), ..Range::address(address) })),
            Some(Target::Masquerade { address, interface: 1, ports: ports(None) }),
        ];
        for (client, server, port, target, (syn, seed)) in packets {
            let flags = syn.then_some(TcpFlags::SYN.0);
            let frame = frame(client, 200 + server, [port, 0], flags);
            let mut packet = frame[14..].to_vec();
            let mut entered = tracker.enter(&Packet::whole(&frame[14..]), now);
            let mut random = |among: std::ops::RangeInclusive<u16>| {
                let count = u32::from(*among.end() - *among.start()) + 1;
                *among.start() + (u32::from(seed) % count) as u16
            };
            for (manip, target) in [(Manip::Destination, None), (Manip::Source, targets[target])] {
                tracker.nat(&mut entered, manip, target.as_ref(), &mut random, now);
                prop_assert_eq!(tracker.rewrite(&entered, manip, Some(1), &mut packet, now), Ok(()));
            }
            let verdict = tracker.leave(entered, now);
            // What goes out is what the reply tuple answers to; its checksums are right.
            if let Some(connection) = verdict.connection.and_then(|id| tracker.connection(id))
                && verdict.direction == Some(Direction::Original)
            {
                let reply = connection.tuple(Direction::Reply);
                prop_assert_eq!(&packet[12..16], &reply.destination[..4]);
                prop_assert_eq!(&packet[20..22], &reply.destination_id.to_be_bytes());
                prop_assert_eq!(packet::checksum::checksum(&packet[..20]), 0);
            }
            whole(&tracker);
        }
        // Those masqueraded end with their interface, those translated otherwise do not.
        let before = tracker.len();
        let ended = tracker.interface_down(1, now);
        prop_assert_eq!(tracker.len(), before - ended);
        prop_assert_eq!(tracker.address_removed(address, now), 0);
    }
}
