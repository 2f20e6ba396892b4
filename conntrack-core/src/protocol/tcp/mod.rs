//! TCP: the state machine, and what happens around it. The table is in `state_table`, windows in `window`.

mod segment;
mod state_table;
mod window;

pub(crate) use segment::{Plain, Segment};
pub use state_table::{Class, TcpState};
use state_table::{Transition, transition};
use window::WindowVerdict;

use super::{Context, Outcome, assure};
use crate::changes::Changes;
use crate::parse::Network;
use crate::reason::Reason;
use crate::status::Status;
use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::Direction;
use packet::Protocol;

/// Flags of one side (values as in the kernel's `IP_CT_TCP_FLAG_*`).
pub(crate) mod side_flag {
    pub(crate) const WINDOW_SCALE: u8 = 0x01;
    pub(crate) const SACK_PERM: u8 = 0x02;
    pub(crate) const CLOSE_INIT: u8 = 0x04;
    pub(crate) const BE_LIBERAL: u8 = 0x08;
    pub(crate) const DATA_UNACKNOWLEDGED: u8 = 0x10;
    pub(crate) const MAXACK_SET: u8 = 0x20;
    /// Only in `last_flags`.
    pub(crate) const EXP_CHALLENGE_ACK: u8 = 0x40;
    /// Only of a side: packets passed unseen, and the other side was not heard since (not one of the kernel's).
    pub(crate) const RESUMED: u8 = 0x40;
    /// Only in `last_flags`.
    pub(crate) const SIMULTANEOUS_OPEN: u8 = 0x80;
    /// Only of a side: packets pass unseen now, as liberal as `BE_LIBERAL` (not one of the kernel's).
    pub(crate) const UNSEEN: u8 = 0x80;
    /// Those of a side that the kernel does not have.
    pub(crate) const OURS: u8 = RESUMED | UNSEEN;
    /// Those under which windows are not checked.
    pub(crate) const LIBERAL: u8 = BE_LIBERAL | UNSEEN;
}

/// What one side has sent and may send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Side {
    /// Highest sequence number sent, plus length (`td_end`).
    pub end: u32,
    /// Highest the other side's window allows (`td_maxend`).
    pub max_end: u32,
    /// Largest window advertised, scaled; 0 = unknown (`td_maxwin`).
    pub max_window: u32,
    /// Highest acknowledgment sent (`td_maxack`).
    pub max_ack: u32,
    /// Window scale (`td_scale`).
    pub scale: u8,
    /// `IP_CT_TCP_FLAG_*` bits.
    pub flags: u8,
}

/// What is remembered of the last segment that counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSegment {
    /// Which way it went.
    pub direction: Direction,
    /// What it was.
    pub class: Class,
    /// How often it came again.
    pub retransmissions: u8,
    /// Its sequence number.
    pub seq: u32,
    /// Its acknowledgment.
    pub ack: u32,
    /// The sequence number after it.
    pub end: u32,
    /// Its window, not scaled.
    pub window: u16,
    /// Window scale of an ignored SYN.
    pub scale: u8,
    /// Flags of an ignored SYN, and of the connection as a whole.
    pub flags: u8,
}

/// What is kept of a TCP connection, without gaps: with all else that a connection has it fills two lines of the cache.
#[derive(Debug, Clone, Copy)]
pub struct TcpTrack {
    bounds: [Bounds; 2],
    last_seq: u32,
    last_ack: u32,
    /// Sequence numbers the last segment took.
    last_len: u16,
    last_window: u16,
    /// Scale of the original side in the low half, of the reply side in the high one.
    scales: u8,
    flags: [u8; 2],
    /// The state.
    pub state: TcpState,
    last: Last,
    retransmissions: u8,
    last_scale: u8,
    last_flags: u8,
}

/// The numbers of a [`Side`].
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    end: u32,
    max_end: u32,
    max_window: u32,
    max_ack: u32,
}

/// Direction and class of a segment: twice the class, plus the direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last(u8);

impl Last {
    #[inline]
    const fn new(class: Class, direction: Direction) -> Self {
        Self((class as u8) << 1 | direction as u8)
    }

    #[inline]
    const fn direction(self) -> Direction {
        Direction::from_index(self.0 as usize & 1)
    }

    const fn class(self) -> Class {
        Class::ALL[(self.0 >> 1) as usize % Class::ALL.len()]
    }
}

impl TcpTrack {
    /// What the sender of packets in this direction has sent and may send.
    pub const fn side(&self, direction: Direction) -> Side {
        let side = self.side_at(direction.index());
        let liberal = if side.flags & side_flag::UNSEEN == 0 {
            0
        } else {
            side_flag::BE_LIBERAL
        };
        Side {
            flags: side.flags & !side_flag::OURS | liberal,
            ..side
        }
    }

    const fn side_at(&self, at: usize) -> Side {
        let bounds = self.bounds[at];
        Side {
            end: bounds.end,
            max_end: bounds.max_end,
            max_window: bounds.max_window,
            max_ack: bounds.max_ack,
            scale: self.scales >> (4 * at) & 0xf,
            flags: self.flags[at],
        }
    }

    fn set_side(&mut self, at: usize, side: Side) {
        self.bounds[at] = Bounds {
            end: side.end,
            max_end: side.max_end,
            max_window: side.max_window,
            max_ack: side.max_ack,
        };
        let shift = 4 * at;
        self.scales = self.scales & !(0xf << shift) | (side.scale & 0xf) << shift;
        self.flags[at] = side.flags;
    }

    const fn last_end(&self) -> u32 {
        self.last_seq.wrapping_add(self.last_len as u32)
    }

    /// A segment is less than 64 KiB long.
    #[inline]
    fn remember_numbers(&mut self, seq: u32, end: u32, window: u16) {
        self.last_seq = seq;
        self.last_len = end.wrapping_sub(seq) as u16;
        self.last_window = window;
    }

    /// What is remembered of the last segment.
    pub const fn last(&self) -> LastSegment {
        LastSegment {
            direction: self.last.direction(),
            class: self.last.class(),
            retransmissions: self.retransmissions,
            seq: self.last_seq,
            ack: self.last_ack,
            end: self.last_end(),
            window: self.last_window,
            scale: self.last_scale,
            flags: self.last_flags,
        }
    }

    /// A connection begun by `segment`, or why none can begin with it.
    pub(crate) fn begin(segment: &Segment, config: &Config) -> Result<Self, Reason> {
        let mut track = Self {
            bounds: [Bounds::default(); 2],
            last_seq: 0,
            last_ack: 0,
            last_len: 0,
            last_window: 0,
            scales: 0,
            flags: [0; 2],
            state: TcpState::None,
            last: Last::new(Class::None, Direction::Original),
            retransmissions: 0,
            last_scale: 0,
            last_flags: 0,
        };
        let mut side = Side {
            end: segment.end,
            max_window: u32::from(segment.window).max(1),
            ..Side::default()
        };
        match segment.class {
            Class::Syn => {
                side.max_end = side.end;
                segment.learn_options(&mut side);
            }
            Class::Ack if config.tcp_loose => {
                side.max_end = side.end.wrapping_add(side.max_window);
                side.flags = side_flag::SACK_PERM | side_flag::BE_LIBERAL;
                track.flags[1] = side.flags;
            }
            Class::Ack => return Err(Reason::TcpNotLoose),
            _ => return Err(Reason::TcpFirstPacket),
        }
        track.set_side(0, side);
        Ok(track)
    }

    /// The packet's effect.
    pub(crate) fn packet(
        &mut self,
        segment: &Segment,
        status: &mut Status,
        timeout_left: Time,
        shrink_to: &mut Option<Time>,
        context: &Context<'_>,
        changed: &mut Changes,
    ) -> Outcome {
        let direction = context.direction;
        let mut old = self.state;
        let mut new = match transition(direction, segment.class, old) {
            Transition::To(state) => state,
            Transition::Invalid => return Outcome::Invalid(Reason::TcpState),
            Transition::Ignore => match self.ignore(segment, direction, old) {
                Some((resync_old, resync_new)) => {
                    old = resync_old;
                    resync_new
                }
                None => return Outcome::Ignore,
            },
        };
        let mut in_window = false;
        match new {
            TcpState::SynSent if old >= TcpState::TimeWait => {
                if self.may_reopen(direction) {
                    return Outcome::Repeat;
                }
                self.ignore(segment, direction, old);
                return Outcome::Ignore;
            }
            TcpState::TimeWait if self.is_challenge_ack(segment, direction, old) => {
                self.last_flags &= !side_flag::EXP_CHALLENGE_ACK;
                return Outcome::Ignore;
            }
            TcpState::SynSent2 => self.last_flags |= side_flag::SIMULTANEOUS_OPEN,
            TcpState::SynReceived
                if direction == Direction::Reply
                    && segment.class == Class::Ack
                    && self.last_flags & side_flag::SIMULTANEOUS_OPEN != 0 =>
            {
                new = TcpState::Established;
            }
            TcpState::Close if segment.class == Class::Rst => {
                match self.reset(segment, *status, direction, old, context.config) {
                    ResetVerdict::Invalid => return Outcome::Invalid(Reason::TcpReset),
                    ResetVerdict::InWindow => in_window = true,
                    ResetVerdict::Check => {}
                    ResetVerdict::Stay => new = old,
                }
            }
            _ => {}
        }
        if !in_window {
            match self.in_window(segment, direction, context.config) {
                WindowVerdict::Accept => {}
                WindowVerdict::Ignore => return Outcome::Ignore,
                WindowVerdict::Invalid(reason) => {
                    self.note_invalid(
                        segment,
                        *status,
                        direction,
                        timeout_left,
                        shrink_to,
                        context.config,
                    );
                    return Outcome::Invalid(reason);
                }
            }
        }
        self.accept(segment, status, old, new, context, changed)
    }

    /// The table says "ignore". Either the packet shows that what was ignored before was right (then the states to go
    /// on with), or it is remembered and let pass.
    fn ignore(
        &mut self,
        segment: &Segment,
        direction: Direction,
        old: TcpState,
    ) -> Option<(TcpState, TcpState)> {
        if segment.class == Class::SynAck
            && self.last == Last::new(Class::Syn, direction.other())
            && segment.ack == self.last_end()
        {
            self.resynchronise(direction);
            return Some((TcpState::SynSent, TcpState::SynReceived));
        }
        self.last = Last::new(segment.class, direction);
        self.remember_numbers(segment.seq, segment.end, segment.window);
        if segment.class == Class::Syn && direction == Direction::Original {
            let mut learned = Side::default();
            segment.learn_options(&mut learned);
            self.last_flags = learned.flags;
            self.last_scale = learned.scale;
            if old == TcpState::LastAck {
                self.last_flags |= side_flag::EXP_CHALLENGE_ACK;
            }
        }
        if old == TcpState::SynSent && segment.class == Class::Ack && direction == Direction::Reply
        {
            self.last_ack = segment.ack;
        }
        None
    }

    /// A SYN/ACK answers the SYN that was ignored: both ends agree on a new connection we had not seen begin.
    fn resynchronise(&mut self, direction: Direction) {
        let at = self.last.direction().index();
        let sender = Side {
            end: self.last_end(),
            max_end: self.last_end(),
            max_window: u32::from(self.last_window).max(1),
            scale: self.last_scale,
            flags: self.last_flags & !(side_flag::EXP_CHALLENGE_ACK | side_flag::SIMULTANEOUS_OPEN),
            ..self.side_at(at)
        };
        self.set_side(at, sender);
        let answerer = Side {
            flags: self.flags[direction.index()] & side_flag::LIBERAL,
            ..Side::default()
        };
        self.set_side(direction.index(), answerer);
    }

    fn may_reopen(&self, direction: Direction) -> bool {
        let flags = self.flags[0] | self.flags[1];
        flags & side_flag::CLOSE_INIT != 0 || self.last == Last::new(Class::Rst, direction)
    }

    fn is_challenge_ack(&self, segment: &Segment, direction: Direction, old: TcpState) -> bool {
        old == TcpState::LastAck
            && segment.class == Class::Ack
            && self.last == Last::new(Class::Syn, direction.other())
            && self.last_flags & side_flag::EXP_CHALLENGE_ACK != 0
    }

    /// What a reset that would close the connection deserves (RFC 5961 and the kernel's additions).
    fn reset(
        &self,
        segment: &Segment,
        status: Status,
        direction: Direction,
        old: TcpState,
        config: &Config,
    ) -> ResetVerdict {
        let peer = self.side(direction.other());
        let last_class = self.last.class();
        if matches!(
            self.state,
            TcpState::FinWait
                | TcpState::LastAck
                | TcpState::TimeWait
                | TcpState::Close
                | TcpState::CloseWait
        ) {
            return ResetVerdict::InWindow;
        }
        if peer.flags & side_flag::MAXACK_SET != 0 && last_class != Class::Syn {
            let established =
                self.state == TcpState::Established && status.contains(Status::ASSURED);
            if segment.seq == 0 && !established {
                return ResetVerdict::Check;
            }
            if before(segment.seq, peer.max_ack) && !config.tcp_ignore_invalid_rst {
                return ResetVerdict::Invalid;
            }
            if !established || segment.seq == peer.max_ack {
                return ResetVerdict::Check;
            }
            if self.last == Last::new(Class::Ack, direction) && segment.seq == self.last_end() {
                return ResetVerdict::Check;
            }
            return ResetVerdict::Stay;
        }
        // The answer to a SYN, or to an ACK, that was let through unjudged.
        let answers_syn = status.contains(Status::SEEN_REPLY)
            && self.last == Last::new(Class::Syn, direction.other());
        let answers_ack = !status.contains(Status::ASSURED) && last_class == Class::Ack;
        if (answers_syn || answers_ack) && segment.ack == self.last_end() {
            return ResetVerdict::InWindow;
        }
        if old == TcpState::SynSent
            && self.last == Last::new(Class::Ack, Direction::Reply)
            && segment.seq == self.last_ack
        {
            return ResetVerdict::InWindow;
        }
        ResetVerdict::Check
    }

    /// A FIN or RST outside the window, from both sides: the connection may well be dead, so it need not live for days.
    fn note_invalid(
        &mut self,
        segment: &Segment,
        status: Status,
        direction: Direction,
        timeout_left: Time,
        shrink_to: &mut Option<Time>,
        config: &Config,
    ) {
        let closing = |class| matches!(class, Class::Rst | Class::Fin);
        if !status.contains(Status::ASSURED)
            || status.contains(Status::FIXED_TIMEOUT)
            || !closing(segment.class)
        {
            return;
        }
        if self.last.direction() != direction && closing(self.last.class()) {
            let target = config.tcp_timeout_unacknowledged;
            if timeout_left >= Time::from_secs(120) && timeout_left > target {
                *shrink_to = Some(target);
            }
        } else {
            self.last = Last::new(segment.class, direction);
        }
    }

    /// The packet is good: state, timeout, ASSURED.
    fn accept(
        &mut self,
        segment: &Segment,
        status: &mut Status,
        old: TcpState,
        new: TcpState,
        context: &Context<'_>,
        changed: &mut Changes,
    ) -> Outcome {
        let config = context.config;
        self.last = Last::new(segment.class, context.direction);
        if new == TcpState::FinWait && old != TcpState::FinWait {
            self.flags[context.direction.index()] |= side_flag::CLOSE_INIT;
        }
        // A SYN/ACK that showed an ignored SYN to be right changes the state even if it is the same again.
        changed.note(Changes::PROTOCOL, old != new);
        self.state = new;
        let mut timeout = self.timeout(segment.class, config);
        if !status.contains(Status::SEEN_REPLY) {
            if segment.class == Class::Rst {
                return Outcome::AcceptAndKill;
            }
            if segment.class == Class::Syn && old == TcpState::SynSent {
                return Outcome::Ignore;
            }
            if new == TcpState::Established {
                timeout = timeout.min(config.tcp_timeout_unacknowledged);
            }
        } else if !status.contains(Status::ASSURED)
            && matches!(old, TcpState::SynReceived | TcpState::Established)
            && new == TcpState::Established
        {
            changed.note(Changes::ASSURED, assure(status));
        }
        Outcome::Accept(timeout)
    }

    #[inline]
    fn timeout(&self, class: Class, config: &Config) -> Time {
        self.shortened(self.state.timeout(config), class, config)
    }

    /// The timeout, if it is this one unless something makes it shorter.
    #[inline]
    fn shortened(&self, own: Time, class: Class, config: &Config) -> Time {
        let (retrans, unacknowledged) = (
            config.tcp_timeout_max_retrans,
            config.tcp_timeout_unacknowledged,
        );
        let data_pending = (self.flags[0] | self.flags[1]) & side_flag::DATA_UNACKNOWLEDGED != 0;
        if u64::from(self.retransmissions) >= config.tcp_max_retrans && own > retrans {
            return retrans;
        }
        if class == Class::Rst {
            return config.tcp_timeout_close;
        }
        let pending = data_pending & (own > unacknowledged);
        let closed = (self.last_window == 0) & (own > retrans);
        let shorter = if pending { unacknowledged } else { retrans };
        if pending | closed { shorter } else { own }
    }

    /// Windows are not checked while packets pass unseen (flow table), both ways. A connection that was picked up stays liberal
    /// after that too.
    pub(crate) fn set_unseen(&mut self, unseen: bool) {
        for flags in &mut self.flags {
            if unseen {
                *flags |= side_flag::UNSEEN;
            } else {
                *flags &= !side_flag::UNSEEN;
            }
        }
    }

    /// Windows are not checked, both ways, for good.
    pub(crate) fn set_liberal(&mut self) {
        for flags in &mut self.flags {
            *flags |= side_flag::BE_LIBERAL;
        }
    }

    /// Forgets the windows, which are stale after packets passed unseen: both sides learn anew. What a side says of the other's
    /// packets is believed until one of those has come: they may have passed unseen.
    pub(crate) fn forget_windows(&mut self) {
        for (bounds, flags) in self.bounds.iter_mut().zip(&mut self.flags) {
            bounds.max_window = 0;
            *flags = *flags & !side_flag::MAXACK_SET | side_flag::RESUMED;
        }
    }
}

/// The segment in a packet: lengths, then the checksum, then the flags, as the kernel looks.
pub(crate) fn segment<'a>(network: &Network<'a>, verify: bool) -> Result<Segment<'a>, Reason> {
    let segment = Segment::parse(network.l4, network.l4_len);
    if matches!(segment, Err(reason) if reason != Reason::TcpFlags) {
        return segment;
    }
    if verify && !network.checksum_ok(Protocol::TCP) {
        return Err(Reason::TransportChecksum);
    }
    segment
}

/// What a reset deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResetVerdict {
    /// It is refused.
    Invalid,
    /// It is good without a look at the window.
    InWindow,
    /// The window decides.
    Check,
    /// It may be forged: the connection stays as it is (but its timeout shrinks), and the window decides.
    Stay,
}

/// `a` comes before `b` in sequence space.
pub(crate) const fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// `a` comes after `b` in sequence space.
pub(crate) const fn after(a: u32, b: u32) -> bool {
    before(b, a)
}
