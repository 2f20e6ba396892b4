//! Any packets at any times, fragments included: the tracker never panics, and its table stays whole.
#![no_main]

use conntrack_core::{ChecksumStatus, Config, Direction, HashKey, Packet, Time, Tracker, Zone, ZoneScope};
use libfuzzer_sys::fuzz_target;

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
        let verdict = tracker.track(&packet, now);
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
            assert_eq!(found.map(|(found, _)| found), Some(id), "{tuple}");
        }
    }
    assert_eq!(count, tracker.len());
    assert!(count <= 64);
}
