//! Window tracking: may this segment have been sent, as far as both sides' windows tell?
//!
//! After Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001), with window scaling, SACK and the
//! allowances Linux makes.

use super::{Class, Last, Plain, Segment, Side, TcpState, TcpTrack, after, before, side_flag};
use crate::reason::Reason;
use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::Direction;
use packet::TcpFlags;

/// What the window says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowVerdict {
    Accept,
    Ignore,
    Invalid(Reason),
}

/// An acknowledgment may lie this far back even if the window is smaller.
const MAX_ACK_WINDOW: u32 = 66_000;

impl TcpTrack {
    pub(super) fn in_window(
        &mut self,
        segment: &Segment<'_>,
        direction: Direction,
        config: &Config,
    ) -> WindowVerdict {
        let (mut seq, mut ack, mut end) = (segment.seq, segment.ack, segment.end);
        let (s, r) = (direction.index(), direction.other().index());
        let mut sack = ack;
        if self.flags[r] & side_flag::SACK_PERM != 0 {
            sack = segment.sack();
        }
        ack = ack.wrapping_sub(segment.ack_shift);
        sack = sack.wrapping_sub(segment.ack_shift);
        let has_ack = segment.has(TcpFlags::ACK);
        if self.flags[s] & side_flag::RESUMED != 0 {
            if self.bounds[r].max_window == 0 {
                self.believe(segment, direction, sack);
                return WindowVerdict::Accept;
            }
            self.flags[s] &= !side_flag::RESUMED;
        }
        if self.meet_sender(segment, direction, sack) {
            return WindowVerdict::Accept;
        }
        let (sender, receiver) = (self.side_at(s), self.side_at(r));
        if !has_ack || (segment.class == Class::Rst && ack == 0) {
            ack = receiver.end;
            sack = ack;
        }
        if segment.class == Class::Rst && segment.seq == 0 && self.state == TcpState::SynSent {
            seq = sender.end;
            end = seq;
        }
        let verdict = judge(&sender, &receiver, seq, end, sack);
        if verdict != WindowVerdict::Accept {
            if verdict == WindowVerdict::Ignore && !before(seq, sender.max_end.wrapping_add(1)) {
                self.bounds[s].end = end;
                self.flags[s] |= side_flag::DATA_UNACKNOWLEDGED;
            }
            let liberal = sender.flags & side_flag::LIBERAL != 0 || config.tcp_be_liberal;
            return if liberal {
                WindowVerdict::Accept
            } else {
                verdict
            };
        }
        self.advance_windows(segment, direction, ack, sack, end);
        self.count_retransmission(segment, direction, seq, ack, end);
        WindowVerdict::Accept
    }

    /// A plain segment of an established connection: how long the connection lives from now on. `None`, and nothing has
    /// changed, if it is not in the window, or a side is not known yet.
    #[inline(always)]
    pub(crate) fn established(
        &mut self,
        segment: &Plain,
        direction: Direction,
        config: &Config,
    ) -> Option<Time> {
        let Plain {
            seq,
            ack,
            end,
            window,
        } = *segment;
        let (s, r) = (direction.index(), direction.other().index());
        let (sender, receiver) = (self.side_at(s), self.side_at(r));
        let known = (sender.max_window != 0) & (receiver.max_window != 0);
        if !known || judge(&sender, &receiver, seq, end, ack) != WindowVerdict::Accept {
            return None;
        }
        let scaled = u32::from(window) << sender.scale;
        self.advance(s, scaled, true, ack, ack, end);
        self.count_again(window, direction, seq, ack, end);
        Some(self.shortened(config.tcp_timeout_established, Class::Ack, config))
    }

    /// Packets have passed unseen, and of the other side none was seen since: this one's numbers cannot be held against any.
    fn believe(&mut self, segment: &Segment<'_>, direction: Direction, sack: u32) {
        let (s, r) = (direction.index(), direction.other().index());
        let mut sender = self.side_at(s);
        let first = sender.max_window == 0;
        let window = (u32::from(segment.window) << sender.scale).max(1);
        if first || after(segment.end, sender.end) {
            sender.end = segment.end;
        }
        sender.max_window = sender.max_window.max(window);
        sender.max_end = sender.end.wrapping_add(sender.max_window);
        self.set_side(s, sender);
        let receiver = &mut self.bounds[r];
        let has_ack = segment.has(TcpFlags::ACK);
        if has_ack && (first || after(sack, receiver.end)) {
            receiver.end = sack;
            receiver.max_end = sack;
        }
    }

    /// Learns a side that is not known yet, or begins it anew; whether that settles the matter.
    fn meet_sender(&mut self, segment: &Segment<'_>, direction: Direction, sack: u32) -> bool {
        let (s, r) = (direction.index(), direction.other().index());
        let syn = segment.has(TcpFlags::SYN);
        let has_ack = segment.has(TcpFlags::ACK);
        let mut sender = self.side_at(s);
        if sender.max_window == 0 {
            if syn {
                self.begin_side(segment, direction);
                return !has_ack;
            }
            sender.end = segment.end;
            sender.max_window = (u32::from(segment.window) << sender.scale).max(1);
            sender.max_end = segment.end.wrapping_add(sender.max_window);
            self.set_side(s, sender);
            let receiver = &mut self.bounds[r];
            if receiver.max_window == 0 {
                receiver.end = sack;
                receiver.max_end = sack;
            } else if sack == receiver.end.wrapping_add(1) {
                // The answer to a keep-alive we did not see.
                receiver.end = receiver.end.wrapping_add(1);
            }
        } else if syn
            && after(segment.end, sender.end)
            && matches!(self.state, TcpState::SynSent | TcpState::SynReceived)
        {
            self.begin_side(segment, direction);
            return direction == Direction::Reply && !has_ack;
        }
        false
    }

    fn begin_side(&mut self, segment: &Segment<'_>, direction: Direction) {
        let mut side = self.side_at(direction.index());
        side.end = segment.end;
        side.max_end = segment.end;
        side.max_window = u32::from(segment.window).max(1);
        segment.learn_options(&mut side);
        self.set_side(direction.index(), side);
        let both = self.flags[0] & self.flags[1];
        if direction == Direction::Reply && both & side_flag::WINDOW_SCALE == 0 {
            self.scales = 0;
        }
    }

    fn advance_windows(
        &mut self,
        segment: &Segment<'_>,
        direction: Direction,
        ack: u32,
        sack: u32,
        end: u32,
    ) {
        let s = direction.index();
        let mut window = u32::from(segment.window);
        if !segment.has(TcpFlags::SYN) {
            window <<= self.side_at(s).scale;
        }
        self.advance(s, window, segment.has(TcpFlags::ACK), ack, sack, end);
    }

    /// The same for a window that is scaled already; `s` is the sender's index.
    #[inline]
    fn advance(&mut self, s: usize, window: u32, has_ack: bool, ack: u32, sack: u32, end: u32) {
        let r = 1 - s;
        // Which of these hold is a matter of chance on a busy connection: values are chosen, not branched for.
        let (sender, flags) = (&mut self.bounds[s], &mut self.flags[s]);
        let reach = window.wrapping_add(sack.wrapping_sub(ack));
        sender.max_window = sender.max_window.max(reach);
        let news = after(end, sender.end);
        sender.end = choose(news, end, sender.end);
        *flags |= side_flag::DATA_UNACKNOWLEDGED * u8::from(news);
        if has_ack {
            let newer = (*flags & side_flag::MAXACK_SET == 0) | after(ack, sender.max_ack);
            sender.max_ack = choose(newer, ack, sender.max_ack);
            *flags |= side_flag::MAXACK_SET;
        }
        let sender_max_end = sender.max_end;
        let receiver = &mut self.bounds[r];
        if receiver.max_window != 0 && after(end, sender_max_end) {
            receiver.max_window = receiver
                .max_window
                .wrapping_add(end.wrapping_sub(sender_max_end));
        }
        let right_edge = sack.wrapping_add(window);
        let opens = after(right_edge, receiver.max_end.wrapping_sub(1));
        let right_edge = right_edge.wrapping_add(u32::from(window == 0));
        receiver.max_end = choose(opens, right_edge, receiver.max_end);
        self.flags[r] &= !(side_flag::DATA_UNACKNOWLEDGED * u8::from(ack == receiver.end));
    }

    fn count_retransmission(
        &mut self,
        segment: &Segment<'_>,
        direction: Direction,
        seq: u32,
        ack: u32,
        end: u32,
    ) {
        if segment.class == Class::Ack {
            self.count_again(segment.window, direction, seq, ack, end);
        }
    }

    #[inline]
    fn count_again(&mut self, window: u16, direction: Direction, seq: u32, ack: u32, end: u32) {
        let before = (self.last_seq, self.last_ack, self.last_len);
        let (window_before, direction_before) = (self.last_window, self.last.direction());
        self.last = Last::new(Class::Ack, direction);
        self.remember_numbers(seq, end, window);
        self.last_ack = ack;
        let differences = (before.0 ^ seq)
            | (before.1 ^ ack)
            | u32::from(before.2 ^ self.last_len)
            | u32::from(window_before ^ window)
            | (direction_before as u32 ^ direction as u32);
        // A busy connection sees both: no branch on it.
        let again = u8::from(differences == 0);
        self.retransmissions = self.retransmissions.saturating_add(1) * again;
    }
}

#[inline]
const fn choose(first: bool, a: u32, b: u32) -> u32 {
    if first { a } else { b }
}

/// The four bounds.
#[inline]
fn judge(sender: &Side, receiver: &Side, seq: u32, end: u32, sack: u32) -> WindowVerdict {
    let ack_window = sender.max_window.max(MAX_ACK_WINDOW);
    let in_receive_window = (receiver.max_window == 0)
        | after(
            end,
            sender.end.wrapping_sub(receiver.max_window).wrapping_sub(1),
        );
    let ack_not_too_old = after(sack, receiver.end.wrapping_sub(ack_window).wrapping_sub(1));
    let ack_not_too_new = before(sack, receiver.end.wrapping_add(1));
    let in_sender_window = before(seq, sender.max_end.wrapping_add(1));
    if in_sender_window & in_receive_window & ack_not_too_old & ack_not_too_new {
        return WindowVerdict::Accept;
    }
    if !in_sender_window {
        let overshot = end.wrapping_sub(sender.max_end).wrapping_add(1);
        let tolerable = receiver.max_window != 0
            && in_receive_window
            && ack_not_too_old
            && overshot <= receiver.max_window
            && ack_not_too_new;
        return if tolerable {
            WindowVerdict::Ignore
        } else {
            WindowVerdict::Invalid(Reason::TcpSequenceOverUpper)
        };
    }
    if !ack_not_too_new {
        return WindowVerdict::Invalid(Reason::TcpAckOverUpper);
    }
    WindowVerdict::Ignore
}
