//! Any fragments in any order at any times: what is put together is a whole packet, and no more memory is held than
//! allowed.
#![no_main]

use conntrack_core::{Config, CtInfo, HashKey, Packet, Time, Tracker};
use libfuzzer_sys::fuzz_target;
use packet::checksum::checksum;

// Each fragment: time passed and identification, offset in units of eight bytes, flags and version, length; then bytes.
fuzz_target!(|data: &[u8]| {
    let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
    let (mut rest, mut now) = (data, Time::from_secs(1_000));
    while let Some(([which, offset, kind, length], after)) = rest.split_first_chunk::<4>() {
        let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        now = now + Time::from_secs(u64::from(which >> 4));
        let offset = u16::from(*offset) << (kind >> 4 & 5);
        let packet = if kind & 1 == 0 {
            ipv4(which & 7, offset, kind & 2 != 0, bytes)
        } else {
            ipv6(which & 7, offset, kind & 2 != 0, bytes)
        };
        let verdict = tracker.track(&Packet::whole(&packet), now);
        if let Some(whole) = tracker.take_reassembled() {
            assert_ne!(verdict.ctinfo, CtInfo::Fragment);
            assert!(whole.len() <= 65_575);
            let length = if whole[0] >> 4 == 4 {
                usize::from(u16::from_be_bytes([whole[2], whole[3]]))
            } else {
                usize::from(u16::from_be_bytes([whole[4], whole[5]])) + 40
            };
            assert_eq!(whole.len(), length);
        }
    }
});

fn ipv4(id: u8, offset: u16, more: bool, bytes: &[u8]) -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 0, 0, id, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    let total = 20 + bytes.len() as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[6..8].copy_from_slice(&(offset & 0x1fff | u16::from(more) << 13).to_be_bytes());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(bytes);
    packet
}

fn ipv6(id: u8, offset: u16, more: bool, bytes: &[u8]) -> Vec<u8> {
    const FRAGMENT: u8 = 44;
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, FRAGMENT, 64];
    packet[4..6].copy_from_slice(&(8 + bytes.len() as u16).to_be_bytes());
    for host in [1, 2] {
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    packet.extend([17, 0]);
    packet.extend((offset << 3 | u16::from(more)).to_be_bytes());
    packet.extend([0, 0, 0, id]);
    packet.extend(bytes);
    packet
}
