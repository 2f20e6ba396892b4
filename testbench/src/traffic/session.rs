//! One TCP session as a time line: handshake, requests and responses, and one of several ends.
//!
//! What it is: a state machine that says which segment passes the NIC next, and when. Sequence and
//! acknowledgment numbers, windows, delayed acknowledgments and slow start are those of two ordinary
//! hosts, one at each side of the NIC.
//!
//! What it is not: a TCP. The time line is open loop: it follows from the session's round-trip times and
//! pacing alone and does not react to what the NIC does. A late or lost packet changes nothing that
//! comes after it, so latencies inside the NIC do not slow the traffic down. There are no losses and no
//! retransmissions.
//!
//! Times are those at the NIC. The round trip is split there: the client answers `rtt[Client]` after a
//! segment passed towards it, the server `rtt[Server]` after one passed towards it.

use super::headers::{ETHERNET_BYTES, Options, Segment, Side};
use super::random::mix;
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
    /// Largest IP packet.
    pub mtu_bytes: u16,
    /// Whether both ends use timestamps.
    pub timestamps: bool,
    /// Most segments in flight.
    pub max_window_segments: u32,
    /// Rate at which a session sends within a window, in bits per second of wire time.
    pub rate_bps: f64,
}

impl Habits {
    /// Header bytes after the MTU's start.
    fn header_bytes(&self, v6: bool) -> u16 {
        (if v6 { 40 } else { 20 }) + 20 + if self.timestamps { 12 } else { 0 }
    }

    /// Payload bytes of a full segment.
    fn payload_bytes(&self, v6: bool) -> u16 {
        self.mtu_bytes.saturating_sub(self.header_bytes(v6)).max(1)
    }

    /// Time a full segment takes at the session's rate.
    fn gap(&self) -> Picos {
        let bits = (u64::from(self.mtu_bytes) + ETHERNET_BYTES as u64 + WIRE_OVERHEAD_BYTES) * 8;
        Picos(((bits as f64 * 1e12 / self.rate_bps) as u64).max(1))
    }

    /// Window scale and window field that leave room for twice what is ever in flight.
    fn window(&self) -> (u8, u16) {
        let bytes = (self.max_window_segments + 4).saturating_mul(u32::from(self.mtu_bytes)).saturating_mul(2);
        let scale = (7..14).find(|scale| bytes >> scale <= u32::from(u16::MAX)).unwrap_or(14);
        (scale, (bytes >> scale).clamp(502, u32::from(u16::MAX)) as u16)
    }

    /// Segments of the first flight: ten (RFC 6928), fewer where they would not fit the unscaled window of a SYN.
    fn first_window(&self) -> u32 {
        let fit = u32::from(SYN_WINDOW) / u32::from(self.mtu_bytes.max(1));
        even(fit.min(10)).min(even(self.max_window_segments))
    }
}

/// Windows are even, so that the acknowledgment of every second segment also covers a window's last.
fn even(segments: u32) -> u32 {
    (segments & !1).max(2)
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// FIN in both directions, this side first; the other side acknowledges by its own FIN or in a segment before it.
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

/// What the session needs to know for its next request: drawn when it gets there, not before.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// Bytes of the request.
    pub request_bytes: u64,
    /// Bytes of the response.
    pub response_bytes: u64,
    /// How long the server works on the response.
    pub server_time: Picos,
    /// How long the client waits with the next request (or with closing).
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
    exchange: Exchange,
}

impl Session {
    /// A session about to send its SYN.
    pub fn new(plan: &Plan, habits: &Habits) -> Self {
        // Initial sequence numbers grow with time (RFC 6528, a tick of 64 ns as in Linux): a tuple used again begins above its old numbers.
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
            sequence: [ticks.wrapping_add(numbers as u32), ticks.wrapping_add((numbers >> 32) as u32)],
            acknowledged: [0; 2],
            clock_offset: [clocks as u32, (clocks >> 32) as u32],
            timestamp_echo: [0; 2],
            window_segments: [habits.first_window(); 2],
            transfer: Transfer::default(),
            exchange: Exchange {
                request_bytes: 1,
                response_bytes: 1,
                server_time: Picos::ZERO,
                think_time: Picos::ZERO,
            },
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

    /// The next segment. `draw` is asked for every exchange once, when it begins.
    #[inline]
    pub fn next(&mut self, habits: &Habits, draw: &mut dyn FnMut() -> Exchange) -> Segment {
        match self.step {
            Step::Request => self.transfer_step(Side::Client, habits),
            Step::Response => self.transfer_step(Side::Server, habits),
            _ => self.single_step(habits, draw),
        }
    }

    /// All steps of one segment each.
    fn single_step(&mut self, habits: &Habits, draw: &mut dyn FnMut() -> Exchange) -> Segment {
        match self.step {
            Step::Syn => {
                let segment = self.segment(habits, Side::Client, TcpFlags::SYN);
                let refused = self.ending == Ending::Refused;
                self.turn(Side::Server, if refused { Step::Refused } else { Step::SynAck }, 1);
                segment
            }
            Step::SynAck => {
                let segment = self.segment(habits, Side::Server, TcpFlags::SYN | TcpFlags::ACK);
                self.turn(Side::Client, Step::HandshakeAck, 1);
                segment
            }
            Step::HandshakeAck => {
                let segment = self.segment(habits, Side::Client, TcpFlags::ACK);
                self.begin_request(self.at + FIRST_REQUEST, habits, draw);
                segment
            }
            Step::RequestAck => {
                let segment = self.segment(habits, Side::Server, TcpFlags::ACK);
                self.begin_response(habits);
                segment
            }
            Step::Fin(side) => {
                let segment = self.segment(habits, side, TcpFlags::FIN | TcpFlags::ACK);
                let peer = side.peer();
                self.turn(peer, if self.separate_close { Step::FinAck(peer) } else { Step::PeerFin(peer) }, 1);
                segment
            }
            Step::FinAck(side) => {
                let segment = self.segment(habits, side, TcpFlags::ACK);
                (self.step, self.at) = (Step::PeerFin(side), self.at + APPLICATION_CLOSE);
                segment
            }
            Step::PeerFin(side) => {
                let segment = self.segment(habits, side, TcpFlags::FIN | TcpFlags::ACK);
                self.turn(side.peer(), Step::LastAck(side.peer()), 1);
                segment
            }
            Step::Reset(side) => self.over(Segment {
                window: 0,
                options: Options::None,
                ..self.segment(habits, side, TcpFlags::RST | TcpFlags::ACK)
            }),
            Step::Refused => self.over(Segment {
                sequence: 0,
                window: 0,
                options: Options::None,
                ..self.segment(habits, Side::Server, TcpFlags::RST | TcpFlags::ACK)
            }),
            Step::LastAck(side) => {
                let segment = self.segment(habits, side, TcpFlags::ACK);
                self.over(segment)
            }
            // `next` does not come here with the first two; after the end there is nothing to say but an acknowledgment.
            Step::Request | Step::Response | Step::Over => self.segment(habits, Side::Client, TcpFlags::ACK),
        }
        .with_draw(self, habits, draw)
    }

    fn over(&mut self, segment: Segment) -> Segment {
        self.step = Step::Over;
        segment
    }
}
