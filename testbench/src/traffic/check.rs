//! What the tests of all generators ask of traffic: frames are sound, times never fall, flow ids are
//! those of their tuples, and every TCP session is one two hosts could have had.

use super::headers::{MIN_FRAME_BYTES, tests::transport};
use crate::frame::{Burst, FrameMeta, Traffic};
use nic_model::clock::Picos;
use packet::{EtherType, Ethernet, Ipv4, Ipv6, Protocol, Tcp, TcpFlags, TcpOption, Udp};
use std::collections::HashMap;

/// Addresses and ports of a frame, from its sender's view: (sender, its port, receiver, its port).
type Tuple = ([u8; 16], u16, [u8; 16], u16, Protocol);

/// All frames of a source, at most `most`.
pub(super) fn take(source: &mut dyn Traffic, most: usize) -> Vec<(FrameMeta, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut burst = Burst::default();
    while frames.len() < most {
        burst.clear();
        source.fill(&mut burst);
        if burst.is_empty() {
            break;
        }
        for index in 0..burst.len() {
            let (meta, bytes) = burst.frame(index);
            frames.push((*meta, bytes.to_vec()));
        }
    }
    frames.truncate(most);
    frames
}

/// A digest of frames, times and all.
pub(super) fn digest(frames: &[(FrameMeta, Vec<u8>)]) -> u64 {
    let mut digest = 0_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            digest = super::random::mix(digest ^ u64::from(*byte));
        }
    };
    for (meta, bytes) in frames {
        add(&meta.arrival.0.to_le_bytes());
        add(&[meta.port]);
        add(&meta.flow.to_le_bytes());
        add(bytes);
    }
    digest
}

/// How the sessions seen have ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) sessions: u64,
    pub(super) client_fin: u64,
    pub(super) server_fin: u64,
    pub(super) reset: u64,
    pub(super) refused: u64,
    /// Still open when the frames ended.
    pub(super) open: u64,
    /// Asked for and answered or not, but never established.
    pub(super) half_open: u64,
    pub(super) v6: u64,
    /// Payload bytes from clients and from servers.
    pub(super) payload_bytes: [u64; 2],
    pub(super) datagrams: [u64; 2],
    /// Most sessions at once between SYN and their last segment.
    pub(super) peak_alive: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Syn,
    SynAck,
    Established,
    Closed,
}

/// One TCP session as the checker follows it; arrays are indexed by side (0 client, 1 server).
#[derive(Debug, Clone)]
struct Follow {
    state: State,
    next: [u32; 2],
    /// Highest acknowledgment each side has sent.
    acknowledged: [u32; 2],
    window: [u64; 2],
    scale: [u32; 2],
    mss: [u16; 2],
    fin: [bool; 2],
    first_fin: Option<usize>,
    timestamp: [Option<u32>; 2],
    /// When its first segment passed, and its last.
    began: Picos,
    last: Picos,
}

/// Checks frames of one or more generators; panics at the first thing that is wrong.
#[derive(Debug, Default)]
pub(super) struct Checker {
    flows: HashMap<u32, Tuple>,
    sessions: HashMap<Tuple, Follow>,
    last: Picos,
    number: u64,
    alive: u64,
    report: Report,
}

impl Checker {
    /// Follows all `frames` and says how their sessions ended.
    pub(super) fn run(frames: &[(FrameMeta, Vec<u8>)]) -> Report {
        let mut checker = Self::default();
        for (meta, bytes) in frames {
            checker.frame(meta, bytes);
        }
        checker.finish()
    }

    pub(super) fn frame(&mut self, meta: &FrameMeta, bytes: &[u8]) {
        assert!(
            meta.arrival >= self.last,
            "time falls at frame {}",
            meta.number
        );
        self.last = meta.arrival;
        self.number += 1;
        assert_eq!(meta.number, self.number);
        assert_eq!(meta.wire_len as usize, bytes.len());
        assert!(bytes.len() >= MIN_FRAME_BYTES);
        let (protocol, l4) = transport(bytes);
        let ip_len = l4.as_ptr() as usize - bytes.as_ptr() as usize + l4.len();
        assert!(
            bytes[ip_len..].iter().all(|byte| *byte == 0),
            "padding is not zero"
        );
        assert!(
            ip_len == bytes.len() || bytes.len() == MIN_FRAME_BYTES,
            "padded beyond the shortest frame"
        );
        let (source, destination) = addresses(bytes);
        let (from, to) = match protocol {
            Protocol::UDP => {
                let udp = Udp::new(l4).unwrap();
                (udp.source_port(), udp.destination_port())
            }
            _ => {
                let tcp = Tcp::new(l4).unwrap();
                (tcp.source_port(), tcp.destination_port())
            }
        };
        let side = usize::from(meta.port);
        let tuple = match side {
            0 => (source, from, destination, to, protocol),
            _ => (destination, to, source, from, protocol),
        };
        let known = *self.flows.entry(meta.flow).or_insert(tuple);
        assert_eq!(known, tuple, "flow {} has two tuples", meta.flow);
        match protocol {
            Protocol::UDP => self.report.datagrams[side] += 1,
            _ => self.segment(side, tuple, &Tcp::new(l4).unwrap(), l4.len()),
        }
    }

    fn segment(&mut self, side: usize, tuple: Tuple, tcp: &Tcp<'_>, l4_len: usize) {
        let flags = tcp.flags();
        let payload = (l4_len - tcp.header_len()) as u32;
        if flags == TcpFlags::SYN {
            return self.syn(side, tuple, tcp);
        }
        let peer = 1 - side;
        let follow = self
            .sessions
            .get_mut(&tuple)
            .expect("a session begins with a SYN");
        follow.last = self.last;
        assert_ne!(follow.state, State::Closed, "something after the close");
        assert!(flags.contains(TcpFlags::ACK), "without ACK: {flags}");
        assert_eq!(
            flags.contains(TcpFlags::SYN),
            follow.state == State::Syn && side == 1 && !flags.contains(TcpFlags::RST)
        );
        for option in tcp.options() {
            match option {
                TcpOption::Timestamps {
                    value,
                    echo_reply: echo,
                } => {
                    let before = follow.timestamp[side].unwrap_or(value);
                    assert!(
                        value.wrapping_sub(before) < 1 << 31,
                        "the timestamp clock runs backwards"
                    );
                    follow.timestamp[side] = Some(value);
                    let newest = follow.timestamp[peer].expect("the peer uses timestamps");
                    assert!(
                        newest.wrapping_sub(echo) < 1 << 31,
                        "a timestamp is echoed that was not yet sent"
                    );
                }
                TcpOption::WindowScale(scale) => follow.scale[side] = u32::from(scale),
                TcpOption::Mss(mss) => follow.mss[side] = mss,
                _ => {}
            }
        }
        // Acknowledgments: never of what has not been sent, never back.
        let acknowledgment = tcp.acknowledgment();
        assert!(
            follow.next[peer].wrapping_sub(acknowledgment) < 1 << 30,
            "acknowledges what was not sent"
        );
        if follow.state != State::Syn {
            let newly = acknowledgment.wrapping_sub(follow.acknowledged[side]);
            assert!(newly < 1 << 30, "acknowledges less than before");
        }
        follow.acknowledged[side] = acknowledgment;
        if flags.contains(TcpFlags::RST) {
            if follow.state == State::Syn {
                assert_eq!(
                    (tcp.sequence(), side),
                    (0, 1),
                    "a SYN is refused by the server with sequence 0"
                );
                self.report.refused += 1;
            } else {
                assert_eq!(tcp.sequence(), follow.next[side], "a reset out of sequence");
                self.report.reset += 1;
            }
            follow.state = State::Closed;
            self.alive -= 1;
            return;
        }
        if follow.state == State::Syn {
            assert_eq!(acknowledgment, follow.next[0]);
            follow.next[1] = tcp.sequence().wrapping_add(1);
            follow.window[1] = u64::from(tcp.window());
            follow.acknowledged[0] = tcp.sequence();
            follow.state = State::SynAck;
            return;
        }
        if follow.state == State::SynAck {
            assert_eq!(
                (side, acknowledgment),
                (0, follow.next[1]),
                "the handshake ends with the client's acknowledgment"
            );
            follow.state = State::Established;
        }
        assert_eq!(
            tcp.sequence(),
            follow.next[side],
            "a hole or an overlap in the sequence"
        );
        assert!(!follow.fin[side] || payload == 0, "data after FIN");
        assert!(
            payload <= u32::from(follow.mss[peer]),
            "more than the peer's MSS"
        );
        let taken = payload + u32::from(flags.contains(TcpFlags::FIN));
        follow.next[side] = follow.next[side].wrapping_add(taken);
        let in_flight = follow.next[side].wrapping_sub(follow.acknowledged[peer]);
        assert!(
            u64::from(in_flight) <= follow.window[peer] + 1,
            "{in_flight} bytes in flight, window {}",
            follow.window[peer]
        );
        follow.window[side] = u64::from(tcp.window()) << follow.scale[side];
        self.report.payload_bytes[side] += u64::from(payload);
        if flags.contains(TcpFlags::FIN) {
            assert!(!follow.fin[side], "two FINs of one side");
            follow.fin[side] = true;
            if follow
                .first_fin
                .replace(follow.first_fin.unwrap_or(side))
                .is_none()
            {
                match side {
                    0 => self.report.client_fin += 1,
                    _ => self.report.server_fin += 1,
                }
            }
        }
        let all_acknowledged =
            (0..2).all(|side| follow.acknowledged[1 - side] == follow.next[side]);
        if follow.fin == [true; 2] && all_acknowledged {
            follow.state = State::Closed;
            self.alive -= 1;
        }
    }

    fn syn(&mut self, side: usize, tuple: Tuple, tcp: &Tcp<'_>) {
        assert_eq!(side, 0, "the client opens");
        let mut follow = Follow {
            state: State::Syn,
            next: [tcp.sequence().wrapping_add(1), 0],
            acknowledged: [0; 2],
            window: [u64::from(tcp.window()), 0],
            scale: [0; 2],
            mss: [536; 2],
            fin: [false; 2],
            first_fin: None,
            timestamp: [None; 2],
            began: self.last,
            last: self.last,
        };
        for option in tcp.options() {
            match option {
                TcpOption::Timestamps {
                    value,
                    echo_reply: echo,
                } => {
                    assert_eq!(echo, 0);
                    follow.timestamp[0] = Some(value);
                }
                TcpOption::WindowScale(scale) => follow.scale[0] = u32::from(scale),
                TcpOption::Mss(mss) => follow.mss[0] = mss,
                _ => {}
            }
        }
        self.report.sessions += 1;
        self.report.v6 += u64::from(tuple.0[0] == 0x20);
        self.alive += 1;
        self.report.peak_alive = self.report.peak_alive.max(self.alive);
        if let Some(before) = self.sessions.insert(tuple, follow) {
            assert_eq!(
                before.state,
                State::Closed,
                "a tuple is used again while its session is alive"
            );
            // The clock of initial numbers goes round in 275 s: half that after its beginning nothing can be told any more.
            let in_time_wait = self.last.saturating_sub(before.began) < Picos::from_secs(120);
            let further = tcp.sequence().wrapping_sub(before.next[0]);
            assert!(
                !in_time_wait || further < 1 << 31,
                "a tuple used again begins below its old sequence numbers"
            );
        }
    }

    fn finish(mut self) -> Report {
        for follow in self.sessions.values() {
            match follow.state {
                State::Closed => {}
                State::Established => self.report.open += 1,
                State::Syn | State::SynAck => self.report.half_open += 1,
            }
        }
        self.report
    }
}

/// Source and destination, IPv4 in the last four bytes.
fn addresses(frame: &[u8]) -> ([u8; 16], [u8; 16]) {
    let ethernet = Ethernet::new(frame).unwrap();
    if ethernet.ethertype() != EtherType::IPV4 {
        let ip = Ipv6::new(ethernet.payload()).unwrap();
        return (ip.source(), ip.destination());
    }
    let ip = Ipv4::new(ethernet.payload()).unwrap();
    let wide = |address: [u8; 4]| {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&address);
        bytes
    };
    (wide(ip.source()), wide(ip.destination()))
}
