//! The block format: sections, interfaces with link types and resolutions of their own, packet blocks.

use super::{CapturedFrame, Fault, MAX_FRAME_BYTES};
use pcap_parser::{Block, parse_block_be, parse_block_le};

/// An interface of the present section.
struct Interface {
    link_type: i32,
    units_per_second: u64,
    offset_seconds: i64,
}

pub(super) fn parse(data: &[u8], frames: &mut Vec<CapturedFrame>) -> Result<(), Fault> {
    let mut at = 0;
    let mut big_endian = false;
    let mut interfaces: Vec<Interface> = Vec::new();
    while at < data.len() {
        let rest = &data[at..];
        if !length_possible(rest, big_endian) {
            return Err((at, "a block's type or lengths make no sense".to_owned()));
        }
        let parsed = if big_endian {
            parse_block_be(rest)
        } else {
            parse_block_le(rest)
        };
        let (after, block) = match parsed {
            Ok(parsed) => parsed,
            Err(error) if error.is_incomplete() => {
                return Err((at, "the last block is cut off".to_owned()));
            }
            Err(_) => return Err((at, "a block's type or lengths make no sense".to_owned())),
        };
        // Every slice a block holds lies in `data`.
        let place = |bytes: &[u8]| (bytes.as_ptr() as usize).wrapping_sub(data.as_ptr() as usize);
        match block {
            Block::SectionHeader(section) => {
                big_endian = section.big_endian();
                interfaces.clear();
            }
            Block::InterfaceDescription(interface) => interfaces.push(Interface {
                link_type: interface.linktype.0,
                units_per_second: interface.ts_resolution().unwrap_or(1_000_000).max(1),
                offset_seconds: interface.ts_offset(),
            }),
            Block::EnhancedPacket(packet) => {
                let Some(interface) = interfaces.get(packet.if_id as usize) else {
                    return Err((
                        at,
                        format!(
                            "a packet names interface {}, which was not described",
                            packet.if_id
                        ),
                    ));
                };
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let frame = (place(packet.data), packet.caplen, packet.origlen);
                push(frames, data.len(), frame, packet.if_id, interface, ticks)
                    .map_err(|message| (at, message))?;
            }
            Block::SimplePacket(packet) => {
                let Some(interface) = interfaces.first() else {
                    return Err((at, "a packet before any interface was described".to_owned()));
                };
                let captured = (packet.data.len() as u32).min(packet.origlen);
                let frame = (place(packet.data), captured, packet.origlen);
                push(frames, data.len(), frame, 0, interface, 0)
                    .map_err(|message| (at, message))?;
            }
            _ => {}
        }
        at = data.len() - after.len();
    }
    Ok(())
}

/// Whether a block is at least as long as its type and its two lengths (which the library takes for granted in some types).
/// Section headers, whose byte order is not known yet, are left to it.
fn length_possible(block: &[u8], big_endian: bool) -> bool {
    const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
    const SHORTEST: u32 = 12;
    let Some((kind, [a, b, c, d])) = block
        .split_first_chunk::<4>()
        .and_then(|(kind, rest)| Some((kind, *rest.first_chunk()?)))
    else {
        return true;
    };
    let length = if big_endian {
        u32::from_be_bytes([a, b, c, d])
    } else {
        u32::from_le_bytes([a, b, c, d])
    };
    *kind == SECTION_HEADER || length >= SHORTEST
}

fn push(
    frames: &mut Vec<CapturedFrame>,
    data_len: usize,
    (start, captured, wire_len): (usize, u32, u32),
    interface_number: u32,
    interface: &Interface,
    ticks: u64,
) -> Result<(), String> {
    let end = start.saturating_add(captured as usize);
    if captured > MAX_FRAME_BYTES || end > data_len {
        return Err(format!("a packet claims {captured} captured bytes"));
    }
    let ns = u128::from(ticks) * 1_000_000_000 / u128::from(interface.units_per_second);
    let ns = ns as i128 + i128::from(interface.offset_seconds) * 1_000_000_000;
    frames.push(CapturedFrame {
        number: frames.len() as u64 + 1,
        time_ns: u64::try_from(ns.max(0)).unwrap_or(u64::MAX),
        wire_len: wire_len.clamp(captured, MAX_FRAME_BYTES.max(captured)),
        link_type: interface.link_type,
        interface: interface_number,
        start,
        end,
    });
    Ok(())
}
