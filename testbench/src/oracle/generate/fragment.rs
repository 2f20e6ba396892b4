//! Packets cut into fragments, in order and out of it, with pieces twice, overlapping or missing.

use super::dice::Dice;
use super::wire::mend_ipv4;

/// A piece of a packet: where it begins and ends in the payload, and whether more follow.
type Piece = (usize, usize, bool);

/// Cuts a packet without options or extension headers.
pub(super) fn cut(packet: &[u8], dice: &mut Dice) -> Vec<Vec<u8>> {
    let header = if packet.first().is_some_and(|first| first >> 4 == 6) {
        40
    } else {
        20
    };
    let Some(payload) = packet.get(header..) else {
        return vec![packet.to_vec()];
    };
    let mut cuts = vec![0, payload.len()];
    for _ in 0..dice.below(4) {
        if payload.len() > 8 {
            cuts.push(8 * (1 + dice.below((payload.len() - 1) / 8)));
        }
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut pieces: Vec<Piece> = cuts
        .windows(2)
        .map(|pair| (pair[0], pair[1], pair[1] < payload.len()))
        .collect();
    for _ in 0..1 + dice.below(2) {
        spoil(&mut pieces, payload.len(), dice);
    }
    let id = dice.number() as u32;
    pieces
        .into_iter()
        .map(|piece| write(&packet[..header], payload, piece, id))
        .collect()
}

fn spoil(pieces: &mut Vec<Piece>, length: usize, dice: &mut Dice) {
    if pieces.is_empty() {
        return;
    }
    let at = dice.below(pieces.len());
    let (start, end, more) = pieces[at];
    let (_, other_end, other_more) = pieces[dice.below(pieces.len())];
    let anywhere = dice.below(pieces.len() + 1);
    match dice.below(100) {
        0..4 => pieces.insert(anywhere, (start, end, more)),
        4..6 => pieces.insert(anywhere, (start, other_end, other_more)),
        6..9 if start >= 8 => pieces.insert(anywhere, (start - 8, end, more)),
        9..12 if end > 8 => pieces.insert(anywhere, (start, (end - 1) / 8 * 8, true)),
        12..15 => drop(pieces.remove(at)),
        15..18 => pieces[at].2 = !more,
        18..20 => pieces.push((length / 8 * 8, length / 8 * 8, dice.chance(50))),
        20 => pieces.push((65_520, 65_528, false)),
        21..50 => {
            for i in (1..pieces.len()).rev() {
                let j = dice.below(i + 1);
                pieces.swap(i, j);
            }
        }
        50..55 => pieces.reverse(),
        _ => {}
    }
}

fn write(header: &[u8], payload: &[u8], (start, end, more): Piece, id: u32) -> Vec<u8> {
    let body = (start..end.max(start)).map(|at| payload.get(at).copied().unwrap_or(0));
    let mut out = header.to_vec();
    let length = end.saturating_sub(start);
    if header.len() == 40 {
        let next = std::mem::replace(&mut out[6], 44);
        out[4..6].copy_from_slice(&((length + 8) as u16).to_be_bytes());
        out.extend([next, 0]);
        out.extend((start as u16 & 0xfff8 | u16::from(more)).to_be_bytes());
        out.extend(id.to_be_bytes());
    } else {
        out[2..4].copy_from_slice(&((20 + length) as u16).to_be_bytes());
        out[4..6].copy_from_slice(&(id as u16).to_be_bytes());
        let field = (start / 8) as u16 & 0x1fff | u16::from(more) << 13;
        out[6..8].copy_from_slice(&field.to_be_bytes());
        mend_ipv4(&mut out);
    }
    out.extend(body);
    out
}
