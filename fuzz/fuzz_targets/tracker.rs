//! Any packets at any times, fragments included: the tracker never panics, and its table stays whole.
#![no_main]

use conntrack_core::nat::{Manip, Ports, Random, Range, Target};
use conntrack_core::{
    ChecksumStatus, Config, Direction, HashKey, Packet, Time, Tracker, Verdict, Zone, ZoneScope,
};
use libfuzzer_sys::fuzz_target;
use packet::Protocol;
use std::net::IpAddr;
use std::ops::RangeInclusive;

fuzz_target!(|data: &[u8]| {
    let config = Config {
        max: 64,
        ..Config::default()
    };
    let mut tracker = Tracker::new(config, HashKey([1, 2]));
    tracker.record_events(true);
    let (mut rest, mut now) = (data, Time::from_secs(1_000));
    // Each packet: time passed (its exponent), zone and length missing from the capture, length, bytes.
    while let Some(([passed, kind, len], after)) = rest.split_first_chunk::<3>() {
        let (bytes, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        now = now + Time(1 << (passed & 0x3f).min(45));
        let mut bytes = bytes.to_vec();
        mend_ipv4(&mut bytes);
        let packet = Packet {
            bytes: &bytes,
            wire_len: bytes.len() + usize::from(kind >> 4),
            zone: zone(kind & 3),
            untracked: kind & 0x80 != 0 && kind & 0x40 != 0,
            checksum: if kind & 2 == 0 {
                ChecksumStatus::Good
            } else {
                ChecksumStatus::Unknown
            },
        };
        let verdict = if passed & 0x80 == 0 {
            tracker.track(&packet, now)
        } else {
            translated(&mut tracker, &packet, *kind, now)
        };
        if let Some(id) = verdict
            .connection
            .filter(|id| tracker.connection(*id).is_some())
        {
            match kind >> 2 & 3 {
                1 => drop(tracker.set_offloaded(id, true)),
                2 => drop(tracker.resume_software(id, now, now)),
                3 => drop(tracker.collect(now, 8)),
                _ => {}
            }
        }
    }
    whole(&tracker);
    tracker.flush(now);
    assert!(tracker.is_empty());
});

/// Tracks a packet that meets rules which translate.
fn translated(tracker: &mut Tracker, packet: &Packet<'_>, kind: u8, now: Time) -> Verdict {
    let target = |host: u8, range, random| {
        let address = if packet.bytes.first().is_some_and(|first| first >> 4 == 6) {
            IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host])
        } else {
            IpAddr::from([203, 0, 113, host])
        };
        let ports = Ports {
            range,
            base: None,
            random,
        };
        match kind >> 4 {
            0..4 => Target::To(Range {
                ports,
                ..Range::address(address)
            }),
            4..8 => Target::Masquerade {
                address,
                interface: 1,
                ports,
            },
            _ => Target::Netmap {
                network: address,
                prefix_len: kind,
            },
        }
    };
    let source = target(1, (kind & 1 == 0).then_some((2_000, 2_001)), Random::Port);
    let destination = target(2, (kind & 2 == 0).then_some((80, 80)), Random::No);
    let mut seed = u16::from(kind);
    let mut random = |_: RangeInclusive<u16>| {
        seed = seed.wrapping_mul(25_173).wrapping_add(13_849);
        seed
    };
    let mut entered = tracker.enter(packet, now);
    const HELPERS: [(&str, Protocol); 8] = [
        ("ftp", Protocol::TCP),
        ("tftp", Protocol::UDP),
        ("irc", Protocol::TCP),
        ("amanda", Protocol::UDP),
        ("sane", Protocol::TCP),
        ("pptp", Protocol::TCP),
        ("sip", Protocol::UDP),
        ("sip", Protocol::TCP),
    ];
    let (name, protocol) = HELPERS[usize::from(kind) % HELPERS.len()];
    if let Some(id) = tracker.helper_named(name, protocol) {
        tracker.assign_helper(&mut entered, id);
    }
    let mut bytes = tracker
        .take_reassembled()
        .unwrap_or_else(|| packet.bytes.to_vec());
    for (manip, target) in [(Manip::Destination, destination), (Manip::Source, source)] {
        tracker.nat(&mut entered, manip, Some(&target), &mut random, now);
        let interface = Some(u32::from(kind & 3));
        if tracker
            .rewrite(&entered, manip, interface, &mut bytes, now)
            .is_err()
        {
            return *entered.verdict();
        }
    }
    if tracker
        .help(&mut entered, &mut bytes, &mut random, now)
        .is_err()
    {
        return *entered.verdict();
    }
    tracker.leave(entered, now)
}

fn zone(kind: u8) -> Zone {
    let scope = match kind {
        0 | 1 => ZoneScope::Both,
        2 => ZoneScope::Original,
        _ => ZoneScope::Reply,
    };
    Zone {
        id: kind.into(),
        scope,
    }
}

/// Bytes that look like IPv4 get a right length and header checksum, or nothing behind those checks would be reached.
fn mend_ipv4(bytes: &mut [u8]) {
    let header_len = usize::from(bytes.first().copied().unwrap_or(0) & 0xf) * 4;
    let total_len = bytes.len() as u16;
    if bytes.first().is_some_and(|first| first >> 4 == 4)
        && header_len >= 20
        && let Some(header) = bytes.get_mut(..header_len)
    {
        header[2..4].copy_from_slice(&total_len.to_be_bytes());
        header[10..12].fill(0);
        let checksum = packet::checksum::checksum(header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

fn whole(tracker: &Tracker) {
    let mut count = 0;
    for (id, connection) in tracker.iter() {
        count += 1;
        for direction in [Direction::Original, Direction::Reply] {
            let tuple = connection.tuple(direction);
            let found = tracker.find(&tuple, connection.zone());
            // Zones for one direction leave room for two connections that both fit.
            if tracker
                .iter()
                .any(|(_, other)| other.zone().scope != ZoneScope::Both)
            {
                assert!(found.is_some(), "{tuple}");
            } else {
                assert_eq!(found.map(|(found, _)| found), Some(id), "{tuple}");
            }
        }
    }
    assert_eq!(count, tracker.len());
    assert!(count <= 64);
}
