//! The classic format: one link type, one resolution, records one after the other.

use super::{CapturedFrame, Fault, MAX_FRAME_BYTES};
use pcap_parser::parse_pcap_header;

/// Whether a file that begins with these bytes is a pcap file: micro- or nanoseconds, either byte order.
pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    matches!(
        u32::from_le_bytes(magic),
        0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1
    )
}

pub(super) fn parse(data: &[u8], frames: &mut Vec<CapturedFrame>) -> Result<(), Fault> {
    let Ok((rest, header)) = parse_pcap_header(data) else {
        return Err((0, "the file header is cut off".to_owned()));
    };
    let word: fn([u8; 4]) -> u32 = if header.is_bigendian() {
        u32::from_be_bytes
    } else {
        u32::from_le_bytes
    };
    let unit_ns = if header.is_nanosecond_precision() {
        1
    } else {
        1_000
    };
    let mut at = data.len() - rest.len();
    while at < data.len() {
        let Some(record) = data.get(at..at + 16) else {
            return Err((
                at,
                format!("{} bytes are left, a record header has 16", data.len() - at),
            ));
        };
        let field = |i: usize| word([record[i], record[i + 1], record[i + 2], record[i + 3]]);
        let (captured, wire_len) = (field(8), field(12));
        if captured > MAX_FRAME_BYTES {
            return Err((
                at,
                format!("a record claims {captured} captured bytes, more than {MAX_FRAME_BYTES}"),
            ));
        }
        let (start, end) = (at + 16, at + 16 + captured as usize);
        if end > data.len() {
            let there = data.len() - start;
            return Err((
                at,
                format!("the last record has {there} of its {captured} bytes"),
            ));
        }
        frames.push(CapturedFrame {
            number: frames.len() as u64 + 1,
            time_ns: u64::from(field(0)) * 1_000_000_000 + u64::from(field(4)) * unit_ns,
            wire_len: wire_len.clamp(captured, MAX_FRAME_BYTES.max(captured)),
            link_type: header.network.0,
            interface: 0,
            start,
            end,
        });
        at = end;
    }
    Ok(())
}
