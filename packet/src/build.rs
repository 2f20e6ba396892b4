//! Builders: a whole packet from Ethernet down to the payload, lengths and checksums right.
//!
//! For tests and tools; the datapath never builds packets. A builder allocates once, when it builds.

use crate::{EtherType, Protocol, TcpFlags, checksum, sctp};

#[derive(Debug, Clone, Copy)]
enum Network {
    V4 {
        source: [u8; 4],
        destination: [u8; 4],
    },
    V6 {
        source: [u8; 16],
        destination: [u8; 16],
    },
}

#[derive(Debug, Clone)]
enum Transport {
    Tcp {
        ports: (u16, u16),
        seq: u32,
        ack: u32,
        flags: TcpFlags,
        window: u16,
        options: Vec<u8>,
    },
    Udp {
        ports: (u16, u16),
    },
    Icmp {
        kind: u8,
        code: u8,
        rest: u32,
    },
    Sctp {
        ports: (u16, u16),
        tag: u32,
    },
    Raw(Protocol),
}

/// Builds one frame, or one IP packet if no Ethernet header was asked for.
#[derive(Debug, Clone)]
pub struct FrameBuilder {
    ethernet: Option<([u8; 6], [u8; 6])>,
    vlan: Vec<(EtherType, u16)>,
    network: Network,
    ttl: u8,
    identification: u16,
    fragment: u16,
    options: Vec<u8>,
    transport: Transport,
    payload: Vec<u8>,
    damage: u16,
}

impl Default for FrameBuilder {
    fn default() -> Self {
        Self {
            ethernet: None,
            vlan: Vec::new(),
            network: Network::V4 {
                source: [192, 0, 2, 1],
                destination: [198, 51, 100, 1],
            },
            ttl: 64,
            identification: 0,
            fragment: 0,
            options: Vec::new(),
            transport: Transport::Raw(Protocol::NO_NEXT_HEADER),
            payload: Vec::new(),
            damage: 0,
        }
    }
}

impl FrameBuilder {
    /// An IPv4 packet between documentation addresses, without transport header or payload.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an Ethernet header in front: source, destination.
    #[must_use]
    pub fn ethernet(mut self, source: [u8; 6], destination: [u8; 6]) -> Self {
        self.ethernet = Some((source, destination));
        self
    }

    /// Adds a VLAN tag, outermost first.
    #[must_use]
    pub fn vlan(mut self, tpid: EtherType, tci: u16) -> Self {
        self.vlan.push((tpid, tci));
        self
    }

    /// IPv4 between these addresses.
    #[must_use]
    pub fn ipv4(mut self, source: [u8; 4], destination: [u8; 4]) -> Self {
        self.network = Network::V4 {
            source,
            destination,
        };
        self
    }

    /// IPv6 between these addresses.
    #[must_use]
    pub fn ipv6(mut self, source: [u8; 16], destination: [u8; 16]) -> Self {
        self.network = Network::V6 {
            source,
            destination,
        };
        self
    }

    /// TTL or hop limit.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// IPv4 options, padded to a multiple of 4 and cut at 40 bytes.
    #[must_use]
    pub fn ipv4_options(mut self, options: &[u8]) -> Self {
        self.options = padded(options);
        self
    }

    /// Makes an IPv4 fragment: what is built as transport and payload is the fragment's part, at `offset_bytes`.
    #[must_use]
    pub fn fragment(mut self, identification: u16, offset_bytes: u16, more: bool) -> Self {
        self.identification = identification;
        self.fragment = (offset_bytes / 8) | if more { 0x2000 } else { 0 };
        self
    }

    /// TCP from port to port.
    #[must_use]
    pub fn tcp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Transport::Tcp {
            ports: (source, destination),
            seq: 0,
            ack: 0,
            flags: TcpFlags::ACK,
            window: 65_535,
            options: Vec::new(),
        };
        self
    }

    /// TCP sequence number.
    #[must_use]
    pub fn seq(mut self, number: u32) -> Self {
        if let Transport::Tcp { seq, .. } = &mut self.transport {
            *seq = number;
        }
        self
    }

    /// TCP acknowledgment number.
    #[must_use]
    pub fn ack(mut self, number: u32) -> Self {
        if let Transport::Tcp { ack, .. } = &mut self.transport {
            *ack = number;
        }
        self
    }

    /// TCP flags.
    #[must_use]
    pub fn flags(mut self, wanted: TcpFlags) -> Self {
        if let Transport::Tcp { flags, .. } = &mut self.transport {
            *flags = wanted;
        }
        self
    }

    /// TCP window as it stands in the header.
    #[must_use]
    pub fn window(mut self, wanted: u16) -> Self {
        if let Transport::Tcp { window, .. } = &mut self.transport {
            *window = wanted;
        }
        self
    }

    /// TCP options, padded to a multiple of 4 and cut at 40 bytes.
    #[must_use]
    pub fn tcp_options(mut self, wanted: &[u8]) -> Self {
        if let Transport::Tcp { options, .. } = &mut self.transport {
            *options = padded(wanted);
        }
        self
    }

    /// UDP from port to port.
    #[must_use]
    pub fn udp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Transport::Udp {
            ports: (source, destination),
        };
        self
    }

    /// ICMP or ICMPv6, by the IP version: type, code, and the 4 bytes after the checksum (identifier and sequence of an echo).
    #[must_use]
    pub fn icmp(mut self, kind: u8, code: u8, rest: u32) -> Self {
        self.transport = Transport::Icmp { kind, code, rest };
        self
    }

    /// SCTP from port to port with this verification tag; the payload is the chunks.
    #[must_use]
    pub fn sctp(mut self, source: u16, destination: u16, tag: u32) -> Self {
        self.transport = Transport::Sctp {
            ports: (source, destination),
            tag,
        };
        self
    }

    /// Any protocol; the payload is all there is of it.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.transport = Transport::Raw(protocol);
        self
    }

    /// What follows the transport header.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Makes the transport checksum wrong.
    #[must_use]
    pub fn bad_checksum(mut self) -> Self {
        self.damage = 0x1111;
        self
    }

    /// The bytes. An IP packet cannot be longer than its 16-bit length says: the payload is cut there.
    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some((source, destination)) = self.ethernet {
            out.extend(destination);
            out.extend(source);
            for (tpid, tci) in &self.vlan {
                out.extend(tpid.0.to_be_bytes());
                out.extend(tci.to_be_bytes());
            }
            let ethertype = match self.network {
                Network::V4 { .. } => EtherType::IPV4,
                Network::V6 { .. } => EtherType::IPV6,
            };
            out.extend(ethertype.0.to_be_bytes());
        }
        let mut l4 = self.transport_bytes();
        l4.truncate(usize::from(u16::MAX) - 60);
        self.checksum(&mut l4);
        self.network_header(&mut out, l4.len());
        out.extend(l4);
        out
    }

    fn protocol_number(&self) -> Protocol {
        match (&self.transport, self.network) {
            (Transport::Tcp { .. }, _) => Protocol::TCP,
            (Transport::Udp { .. }, _) => Protocol::UDP,
            (Transport::Icmp { .. }, Network::V4 { .. }) => Protocol::ICMP,
            (Transport::Icmp { .. }, Network::V6 { .. }) => Protocol::ICMPV6,
            (Transport::Sctp { .. }, _) => Protocol::SCTP,
            (Transport::Raw(protocol), _) => *protocol,
        }
    }

    fn network_header(&self, out: &mut Vec<u8>, l4_len: usize) {
        match self.network {
            Network::V4 {
                source,
                destination,
            } => {
                let start = out.len();
                let header_len = 20 + self.options.len();
                out.extend([0x40 | (header_len / 4) as u8, 0]);
                out.extend(((header_len + l4_len) as u16).to_be_bytes());
                out.extend(self.identification.to_be_bytes());
                out.extend(self.fragment.to_be_bytes());
                out.extend([self.ttl, self.protocol_number().0, 0, 0]);
                out.extend(source);
                out.extend(destination);
                out.extend(&self.options);
                let sum = checksum::checksum(&out[start..]);
                out[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
            }
            Network::V6 {
                source,
                destination,
            } => {
                out.extend([0x60, 0, 0, 0]);
                out.extend((l4_len as u16).to_be_bytes());
                out.extend([self.protocol_number().0, self.ttl]);
                out.extend(source);
                out.extend(destination);
            }
        }
    }

    /// Transport header and payload, the checksum still zero.
    fn transport_bytes(&self) -> Vec<u8> {
        let mut l4 = Vec::new();
        match &self.transport {
            Transport::Tcp {
                ports,
                seq,
                ack,
                flags,
                window,
                options,
            } => {
                l4.extend(ports.0.to_be_bytes());
                l4.extend(ports.1.to_be_bytes());
                l4.extend(seq.to_be_bytes());
                l4.extend(ack.to_be_bytes());
                let offset = ((20 + options.len()) / 4) as u16;
                l4.extend((offset << 12 | flags.0 & 0x1ff).to_be_bytes());
                l4.extend(window.to_be_bytes());
                l4.extend([0; 4]);
                l4.extend(options);
            }
            Transport::Udp { ports } => {
                l4.extend(ports.0.to_be_bytes());
                l4.extend(ports.1.to_be_bytes());
                l4.extend(((8 + self.payload.len()) as u16).to_be_bytes());
                l4.extend([0; 2]);
            }
            Transport::Icmp { kind, code, rest } => {
                l4.extend([*kind, *code, 0, 0]);
                l4.extend(rest.to_be_bytes());
            }
            Transport::Sctp { ports, tag } => {
                l4.extend(ports.0.to_be_bytes());
                l4.extend(ports.1.to_be_bytes());
                l4.extend(tag.to_be_bytes());
                l4.extend([0; 4]);
            }
            Transport::Raw(_) => {}
        }
        l4.extend(&self.payload);
        l4
    }

    fn checksum(&self, l4: &mut [u8]) {
        let at = match self.transport {
            Transport::Tcp { .. } => 16,
            Transport::Udp { .. } => 6,
            Transport::Icmp { .. } => 2,
            Transport::Sctp { .. } => {
                let sum = sctp::packet_checksum(l4).unwrap_or(0) ^ u32::from(self.damage);
                l4[8..12].copy_from_slice(&sum.to_le_bytes());
                return;
            }
            Transport::Raw(_) => return,
        };
        let protocol = self.protocol_number();
        let pseudo = match self.network {
            Network::V4 { .. } if protocol == Protocol::ICMP => 0,
            Network::V4 {
                source,
                destination,
            } => checksum::pseudo_header_v4(source, destination, protocol, l4.len() as u32),
            Network::V6 {
                source,
                destination,
            } => checksum::pseudo_header_v6(source, destination, protocol, l4.len() as u32),
        };
        let folded =
            u32::from(checksum::fold(pseudo)) + u32::from(checksum::fold(checksum::sum(l4)));
        let mut sum = checksum::finish(folded);
        if sum == 0 && protocol == Protocol::UDP {
            sum = 0xffff;
        }
        l4[at..at + 2].copy_from_slice(&(sum ^ self.damage).to_be_bytes());
    }
}

fn padded(options: &[u8]) -> Vec<u8> {
    let mut options = options[..options.len().min(40)].to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ethernet, Icmp, Ipv4, Ipv6, Sctp, Tcp, Udp};

    const A: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const B: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

    #[test]
    fn views_read_what_was_built() {
        let frame = FrameBuilder::new()
            .ethernet([2; 6], [4; 6])
            .vlan(EtherType::QINQ, 7)
            .vlan(EtherType::VLAN, 8)
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
            .ttl(9)
            .ipv4_options(&[1, 1, 1])
            .tcp(1_000, 80)
            .seq(5)
            .ack(6)
            .flags(TcpFlags::SYN | TcpFlags::ACK)
            .tcp_options(&[2, 4, 5, 0xb4])
            .payload(b"hello")
            .build();
        let ethernet = Ethernet::new(&frame).expect("whole");
        assert_eq!(ethernet.vlan_tags().len(), 2);
        let ip = Ipv4::new(ethernet.payload()).expect("whole");
        assert!(ip.header_checksum_ok() && ip.has_options() && ip.is_whole());
        assert!(checksum::l4_ok_v4(
            ip.source(),
            ip.destination(),
            ip.protocol(),
            ip.payload()
        ));
        let tcp = Tcp::new(ip.payload()).expect("whole");
        assert_eq!(
            (tcp.sequence(), tcp.acknowledgment(), tcp.payload()),
            (5, 6, &b"hello"[..])
        );
    }

    #[test]
    fn checksums_are_right_unless_damaged() {
        let v6 = FrameBuilder::new().ipv6(A, B);
        for damaged in [false, true] {
            let damage = |builder: FrameBuilder| {
                if damaged {
                    builder.bad_checksum()
                } else {
                    builder
                }
            };
            let packet = damage(v6.clone().udp(1, 2).payload(&[9; 33])).build();
            let ip = Ipv6::new(&packet).expect("whole");
            let udp = Udp::new(ip.payload()).expect("whole");
            assert_eq!(usize::from(udp.length()), 41);
            assert_ne!(
                checksum::l4_ok_v6(A, B, Protocol::UDP, ip.payload()),
                damaged
            );
            let packet = damage(v6.clone().icmp(128, 0, 1)).build();
            assert_ne!(
                checksum::l4_ok_v6(A, B, Protocol::ICMPV6, &packet[40..]),
                damaged
            );
            let packet = damage(FrameBuilder::new().icmp(8, 0, 1)).build();
            assert_ne!(
                Icmp::new(&packet[20..]).expect("whole").checksum_ok(),
                damaged
            );
            let packet = damage(FrameBuilder::new().sctp(1, 2, 3).payload(&[11, 0, 0, 4])).build();
            assert_ne!(
                Sctp::new(&packet[20..]).expect("whole").checksum_ok(),
                damaged
            );
        }
    }
}
