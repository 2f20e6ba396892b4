//! One TCP session as a time line: handshake, requests and responses, and one of several ends.
//!
//! What it is: a state machine that says which segment passes the NIC next, and when. Sequence and
//! acknowledgment numbers, windows, delayed acknowledgments and slow start are those of two ordinary
//! hosts, one at each side of the NIC.
//!
//! What it is not: a TCP. The time line is open loop: it follows from the session's round-trip times and
//! pacing alone and does not react to what the NIC does. A late or lost packet changes nothing that
//! comes after it, so latencies inside the NIC do not slow the traffic down. There are no losses and no
//! retransmissions, every response starts at the window the one before reached, and the timestamp echoes
//! of data segments are those of the request they answer.
//!
//! Times are those at the NIC. The round trip is split there: the client answers `rtt[0]` after a segment
//! passed towards it, the server `rtt[1]` after one passed towards it.

use super::headers::{ETHERNET_BYTES, Options, Segment, Side};
use super::random::mix;
use super::transfer::{Pace, Transfer, Turn};
use nic_model::clock::Picos;
use packet::TcpFlags;

/// Linux acknowledges after this long if it has nothing to send.
const DELAYED_ACK: Picos = Picos::from_millis(40);
/// From the acknowledgment that ends the handshake to the first byte of the request.
const FIRST_REQUEST: Picos = Picos::from_micros(5);
/// From the acknowledgment of a FIN to the FIN of the other end, where both are sent.
const APPLICATION_CLOSE: Picos = Picos::from_micros(50);
/// Receive window in a SYN, as Linux has it; not scaled.
const SYN_WINDOW: u16 = 64_240;
/// Preamble, start delimiter, FCS and inter-frame gap of a frame.
const WIRE_OVERHEAD_BYTES: u64 = 24;

const CLIENT: usize = Side::Client.index();
const SERVER: usize = Side::Server.index();

/// What all sessions of a source share.
#[derive(Debug, Clone)]
pub struct Habits {
    mtu_bytes: u16,
    timestamps: bool,
    max_window_segments: u32,
    first_window_segments: u32,
    window_scale: u8,
    window_field: u16,
    gap: Picos,
}

impl Habits {
    /// Habits of hosts with this MTU, with or without timestamps, that have at most so many segments in flight and send
    /// within a window at so many bits per second of wire time.
    pub fn new(mtu_bytes: u16, timestamps: bool, max_window_segments: u32, rate_bps: f64) -> Self {
        let max_window_segments = even(max_window_segments.min(1 << 14));
        // Room for twice what is ever in flight.
        let window_bytes = (max_window_segments + 4) * u32::from(mtu_bytes) * 2;
        let fits = |scale: &u8| window_bytes >> scale <= u32::from(u16::MAX);
        let window_scale = (7..14).find(fits).unwrap_or(14);
        // Ten segments (RFC 6928), fewer where two such windows would not fit the unscaled one of a SYN.
        let first = even((u32::from(SYN_WINDOW / 2) / u32::from(mtu_bytes.max(1))).min(10));
        let bits = (u64::from(mtu_bytes) + ETHERNET_BYTES as u64 + WIRE_OVERHEAD_BYTES) * 8;
        Self {
            mtu_bytes,
            timestamps,
            max_window_segments,
            first_window_segments: first.min(max_window_segments),
            window_scale,
            window_field: (window_bytes >> window_scale).clamp(502, u32::from(u16::MAX)) as u16,
            gap: Picos(((bits as f64 * 1e12 / rate_bps) as u64).max(1)),
        }
    }

    /// Largest payload without options, as announced in the SYN.
    fn mss(&self, v6: bool) -> u16 {
        self.mtu_bytes
            .saturating_sub(if v6 { 60 } else { 40 })
            .max(1)
    }

    /// Payload of a full segment.
    fn payload_bytes(&self, v6: bool) -> u16 {
        self.mss(v6)
            .saturating_sub(if self.timestamps { 12 } else { 0 })
            .max(1)
    }
}

/// Windows are even, so that the acknowledgment of every second segment also covers a window's last.
fn even(segments: u32) -> u32 {
    (segments & !1).max(2)
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// FIN in both directions, this side first.
    Fin(Side),
    /// A reset by this side after the last response.
    Reset(Side),
    /// No end: both hosts fall silent.
    Abandoned,
    /// The server answers the SYN by a reset.
    Refused,
}

/// What is decided about a session before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When the SYN passes the NIC.
    pub start: Picos,
    /// Round trip from the NIC to the client and back, and to the server and back.
    pub rtt: [Picos; 2],
    /// Whether the addresses are IPv6.
    pub v6: bool,
    /// Requests in all, at least one.
    pub exchanges: u32,
    /// How it ends.
    pub ending: Ending,
    /// Whether a FIN is acknowledged before the other side closes (four segments) or by its FIN (three).
    pub separate_close: bool,
    /// Seeds the initial sequence numbers and clocks of the two hosts.
    pub entropy: u64,
}

/// One request and its response.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// Bytes of the request.
    pub request_bytes: u64,
    /// Bytes of the response.
    pub response_bytes: u64,
    /// How long the server works on the response.
    pub server_time: Picos,
    /// How long the client then waits with the next request, or either side with closing.
    pub think_time: Picos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Syn,
    SynAck,
    HandshakeAck,
    Request,
    RequestAck,
    Response,
    Fin(Side),
    FinAck(Side),
    PeerFin(Side),
    LastAck(Side),
    Reset(Side),
    Refused,
    Over,
}

/// One session.
#[derive(Debug, Clone)]
pub struct Session {
    at: Picos,
    step: Step,
    ending: Ending,
    separate_close: bool,
    v6: bool,
    exchanges_left: u32,
    rtt: [Picos; 2],
    /// Next sequence number of each side.
    sequence: [u32; 2],
    /// What each side has acknowledged of the other.
    acknowledged: [u32; 2],
    clock_offset: [u32; 2],
    timestamp_echo: [u32; 2],
    window_segments: [u32; 2],
    transfer: Transfer,
    response_bytes: u64,
    server_time: Picos,
    think_time: Picos,
}

impl Session {
    /// A session about to send its SYN.
    pub fn new(plan: &Plan, habits: &Habits) -> Self {
        // Initial sequence numbers grow with time (RFC 6528; a tick of 64 ns as in Linux), so that a tuple used again begins
        // above its old numbers.
        let ticks = (plan.start.as_nanos() / 64) as u32;
        let (numbers, clocks) = (mix(plan.entropy), mix(plan.entropy ^ 0x7473));
        Self {
            at: plan.start,
            step: Step::Syn,
            ending: plan.ending,
            separate_close: plan.separate_close,
            v6: plan.v6,
            exchanges_left: plan.exchanges.max(1),
            rtt: plan.rtt.map(|rtt| rtt.max(Picos(2))),
            sequence: [
                ticks.wrapping_add(numbers as u32),
                ticks.wrapping_add((numbers >> 32) as u32),
            ],
            acknowledged: [0; 2],
            clock_offset: [clocks as u32, (clocks >> 32) as u32],
            timestamp_echo: [0; 2],
            window_segments: [habits.first_window_segments; 2],
            transfer: Transfer::default(),
            response_bytes: 1,
            server_time: Picos::ZERO,
            think_time: Picos::ZERO,
        }
    }

    /// When the next segment passes the NIC.
    #[inline]
    pub fn at(&self) -> Picos {
        self.at
    }

    /// Whether the last segment has passed.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    /// The next segment. `draw` is asked when an exchange begins.
    #[inline]
    pub fn next(&mut self, habits: &Habits, draw: impl FnOnce() -> Exchange) -> Segment {
        match self.step {
            Step::Request => self.transfer_step(Side::Client, habits, draw),
            Step::Response => self.transfer_step(Side::Server, habits, draw),
            _ => self.single_step(habits, draw),
        }
    }

    /// All steps of one segment each.
    fn single_step(&mut self, habits: &Habits, draw: impl FnOnce() -> Exchange) -> Segment {
        const FIN_ACK: TcpFlags = TcpFlags(TcpFlags::FIN.0 | TcpFlags::ACK.0);
        const SYN_ACK: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
        const RST_ACK: TcpFlags = TcpFlags(TcpFlags::RST.0 | TcpFlags::ACK.0);
        let (side, flags) = match self.step {
            Step::Syn => (Side::Client, TcpFlags::SYN),
            Step::SynAck => (Side::Server, SYN_ACK),
            Step::RequestAck => (Side::Server, TcpFlags::ACK),
            Step::Fin(side) | Step::PeerFin(side) => (side, FIN_ACK),
            Step::FinAck(side) | Step::LastAck(side) => (side, TcpFlags::ACK),
            Step::Reset(side) => (side, RST_ACK),
            Step::Refused => (Side::Server, RST_ACK),
            Step::HandshakeAck | Step::Request | Step::Response | Step::Over => {
                (Side::Client, TcpFlags::ACK)
            }
        };
        let mut segment = self.segment(habits, side, flags);
        let peer = side.peer();
        match self.step {
            Step::Syn if self.ending == Ending::Refused => self.turn(peer, Step::Refused),
            Step::Syn => self.turn(peer, Step::SynAck),
            Step::SynAck => self.turn(peer, Step::HandshakeAck),
            Step::HandshakeAck => self.begin_request(self.at + FIRST_REQUEST, habits, draw()),
            Step::RequestAck => {
                let at = self.at + self.server_time.saturating_sub(DELAYED_ACK);
                self.begin_response(at, habits);
            }
            Step::Fin(_) if self.separate_close => self.turn(peer, Step::FinAck(peer)),
            Step::Fin(_) => self.turn(peer, Step::PeerFin(peer)),
            Step::FinAck(_) => {
                (self.step, self.at) = (Step::PeerFin(side), self.at + APPLICATION_CLOSE)
            }
            Step::PeerFin(_) => self.turn(peer, Step::LastAck(peer)),
            Step::Refused => {
                segment.sequence = 0;
                self.step = Step::Over;
            }
            Step::LastAck(_) | Step::Reset(_) => self.step = Step::Over,
            // The first two do not come here; after the end nothing changes any more.
            Step::Request | Step::Response | Step::Over => {}
        }
        segment
    }

    /// The SYN or FIN just sent takes a sequence number; `to` has it half a round trip later and answers.
    fn turn(&mut self, to: Side, step: Step) {
        let from = to.peer().index();
        self.sequence[from] = self.sequence[from].wrapping_add(1);
        self.has_heard(to, self.at);
        self.at += self.rtt[to.index()];
        self.step = step;
    }

    /// `side` now acknowledges everything its peer has sent, the last of it at `sent`.
    fn has_heard(&mut self, side: Side, sent: Picos) {
        self.acknowledged[side.index()] = self.sequence[side.peer().index()];
        self.timestamp_echo[side.index()] = self.clock(side.peer(), sent);
    }

    /// The timestamp clock of a host: milliseconds from a start of its own.
    fn clock(&self, side: Side, at: Picos) -> u32 {
        self.clock_offset[side.index()].wrapping_add((at.0 / 1_000_000_000) as u32)
    }

    /// A segment without payload at the present numbers.
    #[inline]
    fn segment(&self, habits: &Habits, side: Side, flags: TcpFlags) -> Segment {
        let index = side.index();
        let stamps = (self.clock(side, self.at), self.timestamp_echo[index]);
        let syn = flags.contains(TcpFlags::SYN);
        let reset = flags.contains(TcpFlags::RST);
        Segment {
            side,
            sequence: self.sequence[index],
            acknowledgment: if flags.contains(TcpFlags::ACK) {
                self.acknowledged[index]
            } else {
                0
            },
            flags,
            window: match (syn, reset) {
                (true, _) => SYN_WINDOW,
                (_, true) => 0,
                _ => habits.window_field,
            },
            options: match (syn, habits.timestamps && !reset) {
                (true, stamped) => Options::Syn {
                    mss: habits.mss(self.v6),
                    window_scale: habits.window_scale,
                    timestamps: stamped.then_some(stamps),
                },
                (_, true) => Options::Timestamps(stamps.0, stamps.1),
                _ => Options::None,
            },
            payload_bytes: 0,
        }
    }

    fn begin_request(&mut self, at: Picos, habits: &Habits, exchange: Exchange) {
        self.response_bytes = exchange.response_bytes;
        self.server_time = exchange.server_time;
        self.think_time = exchange.think_time;
        self.begin_transfer(Side::Client, at, exchange.request_bytes, habits);
        self.step = Step::Request;
    }

    fn begin_response(&mut self, at: Picos, habits: &Habits) {
        self.begin_transfer(Side::Server, at, self.response_bytes, habits);
        self.step = Step::Response;
    }

    fn begin_transfer(&mut self, sender: Side, at: Picos, bytes: u64, habits: &Habits) {
        let window = self.window_segments[sender.index()];
        let pace = self.pace(habits);
        // A request's last segment is acknowledged by the response.
        let ack_last = sender == Side::Server;
        self.transfer = Transfer::new(
            at,
            bytes,
            habits.payload_bytes(self.v6),
            window,
            ack_last,
            &pace,
        );
        self.at = at;
    }

    fn pace(&self, habits: &Habits) -> Pace {
        Pace {
            gap: habits.gap,
            rtt: self.rtt[CLIENT] + self.rtt[SERVER],
            max_window_segments: habits.max_window_segments,
        }
    }

    /// One data segment or one acknowledgment of a request (sent by the client) or a response.
    fn transfer_step(
        &mut self,
        sender: Side,
        habits: &Habits,
        draw: impl FnOnce() -> Exchange,
    ) -> Segment {
        let receiver = sender.peer();
        let ack_delay = self.rtt[receiver.index()];
        let turn = self.transfer.turn(ack_delay);
        let segment = match turn {
            Turn::Data {
                payload_bytes,
                last,
            } => {
                let push = if last { TcpFlags::PSH } else { TcpFlags::NONE };
                let mut segment = self.segment(habits, sender, TcpFlags::ACK | push);
                segment.payload_bytes = payload_bytes;
                let sequence = &mut self.sequence[sender.index()];
                *sequence = sequence.wrapping_add(u32::from(payload_bytes));
                segment
            }
            Turn::Ack {
                outstanding_bytes,
                sent,
            } => {
                let upto = self.sequence[sender.index()].wrapping_sub(outstanding_bytes);
                self.acknowledged[receiver.index()] = upto;
                self.timestamp_echo[receiver.index()] = self.clock(sender, sent);
                self.segment(habits, receiver, TcpFlags::ACK)
            }
        };
        self.transfer.advance(turn, &self.pace(habits));
        match self.transfer.next_at(ack_delay) {
            Some(at) => self.at = at,
            None if sender == Side::Client => self.request_done(habits),
            None => self.response_done(habits, draw),
        }
        segment
    }

    fn request_done(&mut self, habits: &Habits) {
        self.window_segments[CLIENT] = self.transfer.window_segments();
        let last = self.transfer.last_data();
        self.has_heard(Side::Server, last);
        let heard = last + self.rtt[SERVER];
        if self.server_time > DELAYED_ACK {
            (self.step, self.at) = (Step::RequestAck, heard + DELAYED_ACK);
        } else {
            self.begin_response(heard + self.server_time, habits);
        }
    }

    fn response_done(&mut self, habits: &Habits, draw: impl FnOnce() -> Exchange) {
        self.window_segments[SERVER] = self.transfer.window_segments();
        self.exchanges_left -= 1;
        let client_at = self.at + self.think_time;
        if self.exchanges_left > 0 {
            return self.begin_request(client_at, habits, draw());
        }
        let (side, step) = match self.ending {
            Ending::Fin(side) => (side, Step::Fin(side)),
            Ending::Reset(side) => (side, Step::Reset(side)),
            Ending::Abandoned | Ending::Refused => (Side::Client, Step::Over),
        };
        // The server has the last acknowledgment half a round trip after it passed.
        let server_delay = if side == Side::Server {
            self.rtt[SERVER]
        } else {
            Picos::ZERO
        };
        (self.step, self.at) = (step, client_at + server_delay);
    }
}
