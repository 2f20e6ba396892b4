//! Frames out of numbers: Ethernet, IPv4 or IPv6, TCP or UDP, with right checksums and no allocation.
//!
//! Payload is all zero, which is why a checksum here costs the same for 1 byte and for 9,000: zeros add
//! nothing to it. For frames of any other kind there is [`packet::build`].

use super::address::Address;
use packet::checksum::{checksum, finish, pseudo_header_v4, pseudo_header_v6, sum, udp_nonzero};
use packet::{Protocol, TcpFlags};

/// Shortest Ethernet frame without FCS.
pub const MIN_FRAME_BYTES: usize = 60;
/// Length of the Ethernet header.
pub const ETHERNET_BYTES: usize = 14;
/// Largest MTU a generator may be given.
pub const MAX_MTU_BYTES: u16 = 9_000;

/// Destination and source MAC of frames from the client's side and from the server's: two routers, `02:..:c1` and `02:..:5e`.
const MACS: [[u8; 12]; 2] = [
    [0x02, 0, 0, 0, 0, 0x5e, 0x02, 0, 0, 0, 0, 0xc1],
    [0x02, 0, 0, 0, 0, 0xc1, 0x02, 0, 0, 0, 0, 0x5e],
];
const TTL: u8 = 64;
/// Longest header chain written here: Ethernet, IPv6, TCP with 20 bytes of options.
const MAX_HEADERS: usize = ETHERNET_BYTES + 40 + 20 + 20;

/// Which of the two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that opens the connection, at port 0 of the NIC.
    Client,
    /// The end that is connected to, at port 1.
    Server,
}

impl Side {
    /// The port of the NIC its frames arrive at, and its place in arrays of two.
    #[inline]
    pub const fn port(self) -> u8 {
        self as u8
    }

    /// The same as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Destination and source MAC of its frames.
    #[inline]
    pub(super) const fn macs(self) -> &'static [u8; 12] {
        &MACS[self.index()]
    }

    /// The other end.
    #[inline]
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The two ends of a flow: address and port of the client, then of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Client's address.
    pub client: Address,
    /// Server's address, of the same family.
    pub server: Address,
    /// Client's port.
    pub client_port: u16,
    /// Server's port.
    pub server_port: u16,
}

/// TCP options of a segment, laid out as Linux does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Options {
    /// None.
    None,
    /// Timestamps: (value, echo).
    Timestamps(u32, u32),
    /// Those of a SYN or SYN-ACK: MSS, SACK permitted, window scale, and timestamps if both ends use them.
    Syn {
        /// Maximum segment size.
        mss: u16,
        /// Window scale shift.
        window_scale: u8,
        /// (value, echo).
        timestamps: Option<(u32, u32)>,
    },
}

/// One TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its sender.
    pub side: Side,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window field, not scaled.
    pub window: u16,
    /// Options.
    pub options: Options,
    /// Bytes of payload.
    pub payload_bytes: u16,
}

/// A buffer in which frames are made one after the other.
#[derive(Debug, Clone)]
pub struct FrameWriter {
    /// Zero from the end of the last frame's headers on.
    buffer: Box<[u8]>,
    identification: u16,
}

impl Default for FrameWriter {
    fn default() -> Self {
        Self {
            buffer: vec![0; ETHERNET_BYTES + usize::from(MAX_MTU_BYTES) + MAX_HEADERS].into(),
            identification: 0,
        }
    }
}

impl FrameWriter {
    /// A frame with the TCP segment.
    #[inline]
    pub fn tcp(&mut self, ends: &Ends, segment: &Segment) -> &[u8] {
        let (options, options_len) = option_bytes(segment.options);
        let header_len = 20 + options_len;
        let l4_len = header_len + usize::from(segment.payload_bytes);
        let at = self.network(ends, segment.side, Protocol::TCP, l4_len);
        let (from, to) = match segment.side {
            Side::Client => (ends.client_port, ends.server_port),
            Side::Server => (ends.server_port, ends.client_port),
        };
        let mut header = [0_u8; 40];
        header[0..2].copy_from_slice(&from.to_be_bytes());
        header[2..4].copy_from_slice(&to.to_be_bytes());
        header[4..8].copy_from_slice(&segment.sequence.to_be_bytes());
        header[8..12].copy_from_slice(&segment.acknowledgment.to_be_bytes());
        let offset_and_flags = ((header_len as u16 / 4) << 12) | (segment.flags.0 & 0x0fff);
        header[12..14].copy_from_slice(&offset_and_flags.to_be_bytes());
        header[14..16].copy_from_slice(&segment.window.to_be_bytes());
        header[20..40].copy_from_slice(&options);
        let sum = pseudo_header(ends, Protocol::TCP, l4_len) + sum(&header);
        header[16..18].copy_from_slice(&finish(sum).to_be_bytes());
        self.buffer[at..at + header_len].copy_from_slice(&header[..header_len]);
        self.finished(at + header_len, at + l4_len)
    }

    /// A frame with a UDP datagram.
    #[inline]
    pub fn udp(&mut self, ends: &Ends, side: Side, payload_bytes: u16) -> &[u8] {
        let l4_len = 8 + usize::from(payload_bytes);
        let at = self.network(ends, side, Protocol::UDP, l4_len);
        let (from, to) = match side {
            Side::Client => (ends.client_port, ends.server_port),
            Side::Server => (ends.server_port, ends.client_port),
        };
        let mut header = [0_u8; 8];
        header[0..2].copy_from_slice(&from.to_be_bytes());
        header[2..4].copy_from_slice(&to.to_be_bytes());
        header[4..6].copy_from_slice(&(l4_len as u16).to_be_bytes());
        let sum = pseudo_header(ends, Protocol::UDP, l4_len) + sum(&header);
        header[6..8].copy_from_slice(&udp_nonzero(finish(sum)).to_be_bytes());
        self.buffer[at..at + 8].copy_from_slice(&header);
        self.finished(at + 8, at + l4_len)
    }

    /// Writes Ethernet and IP headers; returns where the transport header begins.
    #[inline]
    fn network(&mut self, ends: &Ends, side: Side, protocol: Protocol, l4_len: usize) -> usize {
        let (source, destination) = match side {
            Side::Client => (ends.client, ends.server),
            Side::Server => (ends.server, ends.client),
        };
        self.buffer[0..12].copy_from_slice(side.macs());
        match (source, destination) {
            (Address::V4(source), Address::V4(destination)) => {
                self.identification = self.identification.wrapping_add(1);
                let mut header = [0_u8; 20];
                header[0] = 0x45;
                header[2..4].copy_from_slice(&(20 + l4_len as u16).to_be_bytes());
                header[4..6].copy_from_slice(&self.identification.to_be_bytes());
                header[6] = 0x40; // don't fragment
                header[8] = TTL;
                header[9] = protocol.0;
                header[12..16].copy_from_slice(&source);
                header[16..20].copy_from_slice(&destination);
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                self.buffer[12..14].copy_from_slice(&[0x08, 0x00]);
                self.buffer[14..34].copy_from_slice(&header);
                34
            }
            (source, destination) => {
                let mut header = [0_u8; 40];
                header[0] = 0x60;
                header[4..6].copy_from_slice(&(l4_len as u16).to_be_bytes());
                header[6] = protocol.0;
                header[7] = TTL;
                header[8..24].copy_from_slice(&as_v6(source));
                header[24..40].copy_from_slice(&as_v6(destination));
                self.buffer[12..14].copy_from_slice(&[0x86, 0xdd]);
                self.buffer[14..54].copy_from_slice(&header);
                54
            }
        }
    }

    /// Clears what a longer header before left behind and returns the frame, padded to the shortest there is.
    #[inline]
    fn finished(&mut self, headers_end: usize, end: usize) -> &[u8] {
        self.buffer[headers_end..MAX_HEADERS].fill(0);
        &self.buffer[..end.max(MIN_FRAME_BYTES)]
    }
}

/// An address in 16 bytes, IPv4 in the mapped form (only ever used if the ends were of two families).
#[inline]
fn as_v6(address: Address) -> [u8; 16] {
    match address {
        Address::V6(bytes) => bytes,
        Address::V4([a, b, c, d]) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d],
    }
}

/// Partial sum of the pseudo header; the same in both directions, for addition does not care about order.
#[inline]
pub(super) fn pseudo_header(ends: &Ends, protocol: Protocol, l4_len: usize) -> u32 {
    match (ends.client, ends.server) {
        (Address::V4(client), Address::V4(server)) => {
            pseudo_header_v4(client, server, protocol, l4_len as u32)
        }
        (client, server) => pseudo_header_v6(as_v6(client), as_v6(server), protocol, l4_len as u32),
    }
}

#[inline]
fn option_bytes(options: Options) -> ([u8; 20], usize) {
    const NOP: u8 = 1;
    let mut bytes = [0_u8; 20];
    let mut timestamps = |at: usize, (value, echo): (u32, u32)| {
        bytes[at..at + 2].copy_from_slice(&[8, 10]);
        bytes[at + 2..at + 6].copy_from_slice(&value.to_be_bytes());
        bytes[at + 6..at + 10].copy_from_slice(&echo.to_be_bytes());
    };
    let len = match options {
        Options::None => 0,
        Options::Timestamps(value, echo) => {
            timestamps(2, (value, echo));
            bytes[0..2].fill(NOP);
            12
        }
        Options::Syn {
            mss,
            window_scale,
            timestamps: Some(stamps),
        } => {
            timestamps(6, stamps);
            bytes[0..2].copy_from_slice(&[2, 4]);
            bytes[2..4].copy_from_slice(&mss.to_be_bytes());
            bytes[4..6].copy_from_slice(&[4, 2]);
            bytes[16..20].copy_from_slice(&[NOP, 3, 3, window_scale]);
            20
        }
        Options::Syn {
            mss,
            window_scale,
            timestamps: None,
        } => {
            bytes[0..2].copy_from_slice(&[2, 4]);
            bytes[2..4].copy_from_slice(&mss.to_be_bytes());
            bytes[4..12].copy_from_slice(&[NOP, NOP, 4, 2, NOP, 3, 3, window_scale]);
            12
        }
    };
    (bytes, len)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::address;
    use super::*;
    use packet::{Ethernet, Ipv4, Ipv6, Tcp, TcpOption, Udp};
    use proptest::prelude::*;

    fn ends(v6: bool) -> Ends {
        Ends {
            client: address::client(7, v6),
            server: address::server(1, 3, v6),
            client_port: 40_000,
            server_port: 443,
        }
    }

    /// The transport bytes of a frame, its checksum checked, and the IP addresses as text.
    pub(crate) fn transport(frame: &[u8]) -> (Protocol, &[u8]) {
        let ethernet = Ethernet::new(frame).unwrap();
        let (protocol, l4, ok) = if ethernet.ethertype() == packet::EtherType::IPV4 {
            let ip = Ipv4::new(ethernet.payload()).unwrap();
            assert!(ip.header_checksum_ok());
            let l4 = ip.payload();
            let ok = packet::checksum::l4_ok_v4(ip.source(), ip.destination(), ip.protocol(), l4);
            (ip.protocol(), l4, ok)
        } else {
            let ip = Ipv6::new(ethernet.payload()).unwrap();
            let l4 = &ethernet.payload()[40..40 + usize::from(ip.payload_len())];
            let ok =
                packet::checksum::l4_ok_v6(ip.source(), ip.destination(), ip.next_header(), l4);
            (ip.next_header(), l4, ok)
        };
        assert!(ok, "wrong checksum in {frame:02x?}");
        (protocol, l4)
    }

    #[test]
    fn a_syn_carries_what_linux_sends() {
        let mut writer = FrameWriter::default();
        let syn = Segment {
            side: Side::Client,
            sequence: 1,
            acknowledgment: 0,
            flags: TcpFlags::SYN,
            window: 64_240,
            options: Options::Syn {
                mss: 1_460,
                window_scale: 7,
                timestamps: Some((9, 0)),
            },
            payload_bytes: 0,
        };
        let frame = writer.tcp(&ends(false), &syn).to_vec();
        assert_eq!(frame.len(), 74);
        let tcp = Tcp::new(transport(&frame).1).unwrap();
        let options: Vec<TcpOption<'_>> = tcp.options().collect();
        assert!(
            options.contains(&TcpOption::Mss(1_460))
                && options.contains(&TcpOption::WindowScale(7))
        );
        assert!(options.contains(&TcpOption::SackPermitted));
        assert_eq!(tcp.header_len(), 40);
    }

    #[test]
    fn short_frames_are_padded_with_zeros_also_after_a_long_one() {
        let mut writer = FrameWriter::default();
        let mut segment = Segment {
            side: Side::Server,
            sequence: u32::MAX,
            acknowledgment: u32::MAX,
            flags: TcpFlags::ACK,
            window: u16::MAX,
            options: Options::Syn {
                mss: u16::MAX,
                window_scale: 14,
                timestamps: Some((u32::MAX, u32::MAX)),
            },
            payload_bytes: 0,
        };
        writer.tcp(&ends(true), &segment);
        segment.options = Options::None;
        let frame = writer.tcp(&ends(false), &segment);
        assert_eq!((frame.len(), &frame[54..]), (60, &[0_u8; 6][..]));
    }

    proptest! {
        #[test]
        fn every_frame_is_right(
            v6: bool,
            from_server: bool,
            numbers: (u32, u32, u16, u32, u32),
            options in 0_usize..4,
            payload_bytes in 0_u16..=8_900,
        ) {
            let (sequence, acknowledgment, window, value, echo) = numbers;
            let side = if from_server { Side::Server } else { Side::Client };
            let options = match options {
                0 => Options::None,
                1 => Options::Timestamps(value, echo),
                2 => Options::Syn { mss: window, window_scale: 7, timestamps: None },
                _ => Options::Syn { mss: window, window_scale: 7, timestamps: Some((value, echo)) },
            };
            let segment = Segment { side, sequence, acknowledgment, flags: TcpFlags::ACK, window, options, payload_bytes };
            let mut writer = FrameWriter::default();
            let frame = writer.tcp(&ends(v6), &segment).to_vec();
            let (protocol, l4) = transport(&frame);
            prop_assert_eq!(protocol, Protocol::TCP);
            let tcp = Tcp::new(l4).unwrap();
            prop_assert_eq!((tcp.sequence(), tcp.acknowledgment(), tcp.window()), (sequence, acknowledgment, window));
            prop_assert_eq!(l4.len() - tcp.header_len(), usize::from(payload_bytes));
            prop_assert_eq!(tcp.source_port() == 443, from_server);

            let frame = writer.udp(&ends(v6), side, payload_bytes).to_vec();
            let (protocol, l4) = transport(&frame);
            prop_assert_eq!(protocol, Protocol::UDP);
            let udp = Udp::new(l4).unwrap();
            prop_assert_eq!((usize::from(udp.length()), udp.checksum() != 0), (l4.len(), true));
        }
    }
}
