//! A segment reduced to what tracking needs.

use super::{Class, Side, after, side_flag};
use crate::reason::Reason;
use packet::{Tcp, TcpFlags, TcpOption};

/// A TCP segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) class: Class,
    pub(crate) flags: TcpFlags,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// `seq` plus payload, plus one for SYN and one for FIN.
    pub(crate) end: u32,
    /// As in the header, not scaled.
    pub(crate) window: u16,
    /// What its acknowledgment is ahead of what its receiver has sent, because text was replaced on the way.
    pub(crate) ack_shift: u32,
    tcp: Tcp<'a>,
}

/// A segment with nothing but ACK set, and no SACK block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// Sequence number after it.
    pub(crate) end: u32,
    /// Not scaled.
    pub(crate) window: u16,
}

impl<'a> Segment<'a> {
    /// Reads a segment of which `bytes` were captured and which is `wire_len` bytes by its IP header.
    pub(crate) fn parse(bytes: &'a [u8], wire_len: usize) -> Result<Self, Reason> {
        let tcp = Tcp::new(bytes).map_err(|_| Reason::TransportTruncated)?;
        let header_len = tcp.header_len();
        if header_len < 20 || header_len > wire_len {
            return Err(Reason::TransportLength);
        }
        let flags = tcp.flags();
        if !flags_valid(flags) {
            return Err(Reason::TcpFlags);
        }
        let seq = tcp.sequence();
        let length = (wire_len - header_len) as u32
            + u32::from(flags.contains(TcpFlags::SYN))
            + u32::from(flags.contains(TcpFlags::FIN));
        Ok(Self {
            class: class(flags),
            flags,
            seq,
            ack: tcp.acknowledgment(),
            end: seq.wrapping_add(length),
            window: tcp.window(),
            ack_shift: 0,
            tcp,
        })
    }

    pub(crate) fn has(&self, flag: TcpFlags) -> bool {
        self.flags.contains(flag)
    }

    /// Takes window scale and SACK permission from a SYN's options into `side`; keeps only its liberal flag. A SYN
    /// without any option changes nothing.
    pub(crate) fn learn_options(&self, side: &mut Side) {
        if self.tcp.option_bytes().is_empty() {
            return;
        }
        side.scale = 0;
        side.flags &= side_flag::LIBERAL;
        for option in self.tcp.options() {
            match option {
                TcpOption::WindowScale(shift) => {
                    side.scale = shift.min(14);
                    side.flags |= side_flag::WINDOW_SCALE;
                }
                TcpOption::SackPermitted => side.flags |= side_flag::SACK_PERM,
                _ => {}
            }
        }
    }

    /// The highest right edge of the SACK blocks, at least the acknowledgment.
    pub(crate) fn sack(&self) -> u32 {
        let mut highest = self.ack;
        for option in self.tcp.options() {
            if let TcpOption::Sack(blocks) = option {
                if blocks.is_empty() || blocks.len() % 8 != 0 {
                    continue;
                }
                for block in blocks.chunks_exact(8) {
                    let right = u32::from_be_bytes([block[4], block[5], block[6], block[7]]);
                    if after(right, highest) {
                        highest = right;
                    }
                }
                return highest;
            }
        }
        highest
    }
}

fn class(flags: TcpFlags) -> Class {
    if flags.contains(TcpFlags::RST) {
        Class::Rst
    } else if flags.contains(TcpFlags::SYN) {
        if flags.contains(TcpFlags::ACK) {
            Class::SynAck
        } else {
            Class::Syn
        }
    } else if flags.contains(TcpFlags::FIN) {
        Class::Fin
    } else if flags.contains(TcpFlags::ACK) {
        Class::Ack
    } else {
        Class::None
    }
}

/// Without PSH, ECE, CWR and the reserved bits, only nine combinations make sense.
fn flags_valid(flags: TcpFlags) -> bool {
    const FIN: u16 = TcpFlags::FIN.0;
    const SYN: u16 = TcpFlags::SYN.0;
    const RST: u16 = TcpFlags::RST.0;
    const ACK: u16 = TcpFlags::ACK.0;
    const URG: u16 = TcpFlags::URG.0;
    const SYN_URG: u16 = SYN | URG;
    const SYN_ACK: u16 = SYN | ACK;
    const RST_ACK: u16 = RST | ACK;
    const FIN_ACK: u16 = FIN | ACK;
    const FIN_ACK_URG: u16 = FIN | ACK | URG;
    const ACK_URG: u16 = ACK | URG;
    matches!(
        flags.0 & (FIN | SYN | RST | ACK | URG),
        SYN | SYN_URG | SYN_ACK | RST | RST_ACK | FIN_ACK | FIN_ACK_URG | ACK | ACK_URG
    )
}
