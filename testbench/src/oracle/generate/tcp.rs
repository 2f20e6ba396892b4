//! TCP conversations. The next segment is made of numbers that matter where the connection is: the tracker's own state
//! tells them, so that deep states and the edges of windows are reached.

use super::dice::Dice;
use super::wire::{ip, mend_transport};
use super::{Hosts, Move};
use crate::oracle::case::Side;
use conntrack_core::protocol::ProtocolState;
use conntrack_core::protocol::tcp::TcpTrack;
use conntrack_core::{Direction, Tracker, Tuple, Zone};
use packet::Protocol;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
const URG: u8 = 32;

/// A segment that opens a conversation: whether it comes from the server, and its flags.
type Opening = (bool, u8);

/// One conversation.
pub(super) struct TcpFlow {
    hosts: Hosts,
    ports: [u16; 2],
    /// What is still to come of the way it begins, last first.
    opening: Vec<Opening>,
    initial: [u32; 2],
}

/// What a segment is made of.
struct Draft {
    reply: bool,
    flags: u8,
    seq: u32,
    ack: u32,
}

impl TcpFlow {
    /// A conversation between `hosts`.
    pub(super) fn new(hosts: Hosts, dice: &mut Dice) -> Self {
        let initial = [0, 1].map(|_| match dice.below(5) {
            0 => u32::MAX - dice.below(3_000) as u32,
            1 => 0x7fff_ff00 + dice.below(512) as u32,
            2 => dice.below(3) as u32,
            _ => dice.number() as u32,
        });
        let mut opening: Vec<Opening> = match dice.below(100) {
            0..65 => vec![(false, SYN), (true, SYN | ACK), (false, ACK)],
            65..75 => vec![
                (false, SYN),
                (true, SYN),
                (true, SYN | ACK),
                (false, SYN | ACK),
            ],
            75..85 => vec![(false, ACK), (true, ACK)],
            _ => Vec::new(),
        };
        opening.reverse();
        let ports = if dice.chance(3) {
            [5, 5]
        } else {
            [hosts.port + dice.below(2) as u16, 80]
        };
        Self {
            hosts,
            ports,
            opening,
            initial,
        }
    }

    fn tuple(&self) -> Tuple {
        Tuple {
            source: self.hosts.client.wide(),
            destination: self.hosts.server.wide(),
            source_id: self.ports[0],
            destination_id: self.ports[1],
            protocol: Protocol::TCP.0,
            family: if self.hosts.client.is_v6() { 6 } else { 4 },
        }
    }

    /// The next segment.
    pub(super) fn next(&mut self, dice: &mut Dice, tracker: &Tracker) -> Move {
        let opening = self.opening.pop();
        let mut draft = Draft {
            reply: dice.chance(50),
            flags: 0,
            seq: 0,
            ack: 0,
        };
        match opening {
            Some((reply, flags)) => (draft.reply, draft.flags) = (reply, flags),
            None => draft.flags = some_flags(dice),
        }
        let plain = if opening.is_some() {
            dice.chance(93)
        } else {
            dice.chance(55)
        };
        self.number(&mut draft, plain, dice, tracker);
        self.write(&draft, dice)
    }

    /// Sequence and acknowledgment numbers: those that come next, or others that matter.
    fn number(&self, draft: &mut Draft, plain: bool, dice: &mut Dice, tracker: &Tracker) {
        let (own, other) = (usize::from(draft.reply), usize::from(!draft.reply));
        let syn = draft.flags & SYN != 0;
        let mut seqs = vec![self.initial[own]];
        let mut acks = vec![self.initial[other].wrapping_add(1)];
        draft.seq = self.initial[own].wrapping_add(u32::from(!syn));
        draft.ack = self.initial[other].wrapping_add(1);
        if let Some((track, direction)) = self.state(tracker, draft.reply) {
            let (sender, receiver) = (track.side(direction), track.side(direction.other()));
            let last = track.last();
            if syn {
                let elsewhere = sender.end.wrapping_add(dice.below(70_000) as u32);
                draft.seq = if dice.chance(60) {
                    self.initial[own]
                } else {
                    elsewhere
                };
            } else if sender.end != 0 || sender.max_window != 0 {
                draft.seq = sender.end;
            }
            if receiver.end != 0 || receiver.max_window != 0 {
                draft.ack = receiver.end;
            }
            let low = sender.end.wrapping_sub(receiver.max_window);
            let beyond = sender.max_end.wrapping_add(receiver.max_window);
            seqs.extend([
                sender.end,
                sender.end,
                sender.max_end,
                sender.max_end,
                low,
                beyond,
                0,
            ]);
            seqs.extend([
                receiver.max_ack,
                receiver.max_ack,
                last.end,
                last.seq,
                last.ack,
            ]);
            let oldest = receiver.end.wrapping_sub(sender.max_window.max(66_000));
            acks.extend([receiver.end, receiver.end, oldest, sender.max_ack, 0]);
            acks.extend([last.end, last.end, last.seq, last.ack]);
        }
        if !plain {
            if dice.chance(55) {
                draft.seq = near(dice.pick(&seqs), dice);
            }
            if dice.chance(45) {
                draft.ack = near(dice.pick(&acks), dice);
            }
            for number in [&mut draft.seq, &mut draft.ack] {
                if dice.chance(2) {
                    *number = dice.number() as u32;
                } else if dice.chance(3) {
                    *number = 0;
                }
            }
        }
        if draft.flags & ACK == 0 && dice.chance(70) {
            draft.ack = 0;
        }
    }

    fn state(&self, tracker: &Tracker, reply: bool) -> Option<(TcpTrack, Direction)> {
        let (id, client) = tracker.find(&self.tuple(), Zone::DEFAULT)?;
        let ProtocolState::Tcp(track) = tracker.connection(id)?.protocol_state() else {
            return None;
        };
        Some((*track, if reply { client.other() } else { client }))
    }

    fn write(&self, draft: &Draft, dice: &mut Dice) -> Move {
        let Hosts { client, server, .. } = self.hosts;
        let [mut from, mut to] = [(client, self.ports[0]), (server, self.ports[1])];
        if draft.reply {
            std::mem::swap(&mut from, &mut to);
        }
        let rare_payload = draft.flags & (SYN | RST) != 0;
        let payload = if rare_payload && !dice.chance(9) || dice.chance(50) {
            0
        } else {
            dice.pick(&[1, 1, 10, 100, 536, 1_460])
        };
        let window: u16 = if dice.chance(8) {
            0
        } else {
            dice.pick(&[1, 100, 1_000, 8_192, 8_192, 29_200, 65_535])
        };
        let mut options = options(dice, draft);
        options.resize(options.len().next_multiple_of(4).min(40), 0);
        let words = (5 + options.len() / 4) as u8;
        let words = if dice.chance(1) {
            dice.byte() & 15
        } else {
            words
        };
        let mut segment = Vec::new();
        segment.extend(from.1.to_be_bytes());
        segment.extend(to.1.to_be_bytes());
        segment.extend(draft.seq.to_be_bytes());
        segment.extend(draft.ack.to_be_bytes());
        segment.extend([words << 4, draft.flags]);
        segment.extend(window.to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(options);
        segment.extend(std::iter::repeat_n(b'x', payload));
        mend_transport(from.0, to.0, Protocol::TCP, &mut segment, 16);
        if dice.chance(1)
            && let Some(last) = segment.last_mut()
        {
            *last ^= 0x55;
        }
        let side = if draft.reply { Side::B } else { Side::A };
        (side, ip(from.0, to.0, Protocol::TCP, &segment))
    }
}

/// Flags of a segment in the middle of things.
fn some_flags(dice: &mut Dice) -> u8 {
    const USUAL: [u8; 12] = [
        ACK,
        ACK,
        ACK,
        ACK | PSH,
        ACK | PSH,
        ACK | URG,
        FIN | ACK,
        FIN | ACK,
        SYN,
        SYN | ACK,
        RST,
        RST | ACK,
    ];
    const ODD: [u8; 11] = [
        0,
        FIN,
        SYN | FIN,
        SYN | RST,
        URG,
        FIN | RST,
        RST | URG,
        RST | ACK | URG,
        SYN | ACK | URG,
        FIN | PSH | URG,
        FIN | ACK | URG | PSH,
    ];
    if dice.chance(2) {
        return dice.byte();
    }
    if dice.chance(1) {
        return dice.pick(&ODD);
    }
    let extra = if dice.chance(4) {
        dice.pick(&[0x40, 0x80, PSH, URG])
    } else {
        0
    };
    dice.pick(&USUAL) | extra
}

/// A number or one beside it.
fn near(number: u32, dice: &mut Dice) -> u32 {
    let step: i32 = dice.pick(&[0, 0, 0, 0, 1, 2, 3, -1, -2, 100, 1_460, -100, -1_460]);
    number.wrapping_add_signed(step)
}

fn options(dice: &mut Dice, draft: &Draft) -> Vec<u8> {
    const TIMESTAMP: [u8; 10] = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    let mut out = Vec::new();
    if dice.chance(4) {
        let length = dice.below(40);
        return (0..length)
            .map(|_| dice.pick(&[0, 1, 1, 2, 3, 4, 5, 8, 10, 18, 26, 255]))
            .collect();
    }
    if draft.flags & SYN != 0 {
        if dice.chance(70) {
            out.extend([2, 4, 5, 0xb4]);
        }
        if dice.chance(60) {
            out.extend([4, 2]);
        }
        if dice.chance(60) {
            out.extend([3, 3, dice.pick(&[0, 1, 2, 7, 14, 15, 200])]);
        }
        if dice.chance(30) {
            out.extend(TIMESTAMP);
        }
    } else {
        if dice.chance(30) {
            out.extend([1, 1]);
            out.extend(TIMESTAMP);
        }
        if dice.chance(25) {
            let blocks = 1 + dice.below(3);
            out.extend([1, 1, 5, 2 + 8 * blocks as u8]);
            for _ in 0..blocks {
                let left = dice
                    .pick(&[draft.seq, draft.ack])
                    .wrapping_add(dice.below(2_000) as u32);
                out.extend(left.to_be_bytes());
                out.extend(left.wrapping_add(dice.below(3_000) as u32).to_be_bytes());
            }
        }
    }
    if dice.chance(2) {
        out.extend([5, 1]);
    }
    out
}
