//! The parser: headers within the budget, the flow key, and whether the checksums are right.
//!
//! It looks into one tunnel, if the configuration says so: the key and the counters are then those of the packet inside, TTL
//! and MTU those of the packet outside, which is the one that is routed.
//!
//! What it cannot turn into a key it hands to the host with a reason. It never looks beyond the captured bytes:
//! a frame cut short by a capture (captured below wire length) is parsed as far as it goes, and its checksums,
//! which cannot be checked then, do not count against it.

use super::classifier::Class;
use super::trap::Reason;
use super::window::Segment;
use crate::config::{Entries, KeyConfig, NicConfig, TunnelConfig};
use crate::flow_table::Slot;
use crate::flow_table::entry::{Endpoint, FlowKey, KeyDirection, Tunnel, Way};
use crate::flow_table::hash::Hashes;
use packet::checksum;
use packet::{EtherType, Ethernet, Geneve, Gre, Ipv4, Ipv6, Protocol, Tcp, Udp, Vxlan, ethernet};

/// What the parser found out about a frame.
#[derive(Debug, Clone, Copy)]
pub struct Parsed {
    /// The key; meaningless where `to_host` is set.
    pub key: FlowKey,
    /// Which of the key's endpoints sent the packet.
    pub direction: KeyDirection,
    /// Hashes of the key, filled in by the hash stage.
    pub hashes: Hashes,
    /// Where the entry lay, most likely, when its buckets were fetched ahead.
    pub hint: Option<Slot>,
    /// What the classifier said.
    pub class: Class,
    /// Why there is no key.
    pub to_host: Option<Reason>,
    /// Which way it came.
    pub way: Way,
    /// Length of the IP packet by its own header, bytes; of the one inside a tunnel.
    pub ip_bytes: u32,
    /// Length of the outermost IP packet, bytes.
    pub outer_ip_bytes: u32,
    /// Where the outermost IP header begins, bytes from the start of the frame.
    pub l3_offset: u16,
    /// Where the IP header begins that the key was made of; the same without a tunnel.
    pub ip_offset: u16,
    /// Where the transport header behind it begins; 0 if it was not reached.
    pub l4_offset: u16,
    /// Where the UDP header of the tunnel begins; 0 if there is none.
    pub tunnel_udp_offset: u16,
    /// Bytes of headers the parser walked.
    pub header_bytes: u16,
    /// IPv4 TTL or IPv6 hop limit of the outermost IP packet.
    pub ttl: u8,
    /// The low 8 TCP flag bits; 0 for other protocols.
    pub tcp_flags: u8,
    /// What a window checker needs, on a card that has one.
    pub segment: Segment,
    /// IPv4 options or IPv6 extension headers.
    pub has_options: bool,
    /// All checksums were checked and are right.
    pub checksums_good: bool,
}

impl Default for Parsed {
    fn default() -> Self {
        Self {
            key: FlowKey::default(),
            direction: KeyDirection::LowerToHigher,
            hashes: Hashes::default(),
            hint: None,
            class: Class::default(),
            to_host: None,
            way: Way::default(),
            ip_bytes: 0,
            outer_ip_bytes: 0,
            l3_offset: 0,
            ip_offset: 0,
            l4_offset: 0,
            tunnel_udp_offset: 0,
            header_bytes: 14,
            ttl: 0,
            tcp_flags: 0,
            segment: Segment::default(),
            has_options: false,
            checksums_good: false,
        }
    }
}

/// What the network layer says, for the transport layer to go on with.
struct Network {
    source: [u8; 16],
    destination: [u8; 16],
    version: u8,
    protocol: Protocol,
    /// Where the transport header begins in the frame.
    l4_offset: usize,
    /// Transport bytes by the IP header.
    l4_bytes: usize,
}

/// The parser with its limits.
#[derive(Debug, Clone)]
pub struct Parser {
    header_budget_bytes: usize,
    key: KeyConfig,
    tunnel: TunnelConfig,
    tunnels: bool,
    checks_windows: bool,
    /// Whether plain frames need a closer look.
    looks_deeper: bool,
}

impl Parser {
    /// A parser with the budget, the tunnels and the keys of a configuration.
    pub fn new(config: &NicConfig) -> Self {
        Self {
            header_budget_bytes: config.pipeline.header_budget_bytes as usize,
            key: config.key.clone(),
            tunnels: config.tunnel.any(),
            checks_windows: config.window.check,
            looks_deeper: config.tunnel.any() || config.window.check,
            tunnel: config.tunnel.clone(),
        }
    }

    /// Whether keys hold the zone that the classifier gave.
    #[inline]
    pub const fn wants_zone(&self) -> bool {
        self.key.zone
    }

    /// Parses a frame that came in by `port`, of which `frame` was captured and which was `wire_len` bytes on the wire.
    #[inline]
    pub fn parse(&self, port: u8, frame: &[u8], wire_len: u32) -> Parsed {
        if let Some(parsed) = self.plain(port, frame, wire_len) {
            return parsed;
        }
        self.any(port, frame, wire_len)
    }

    /// What most frames are, in one go: whole, TCP or UDP over IPv4 without options, no tag, no tunnel, nothing wrong with it.
    /// `None`, and nothing is said of the frame, if it is anything else.
    #[inline]
    fn plain(&self, port: u8, frame: &[u8], wire_len: u32) -> Option<Parsed> {
        const L3: usize = ethernet::HEADER_LEN;
        const L4: usize = L3 + 20;
        let headers: &[u8; L4 + 8] = frame.first_chunk()?;
        let half = |at: usize| u16::from_be_bytes([headers[at], headers[at + 1]]);
        let word = |at: usize| {
            [
                headers[at],
                headers[at + 1],
                headers[at + 2],
                headers[at + 3],
            ]
        };
        let native = |at: usize| u64::from(u32::from_ne_bytes(word(at)));
        let end = L3 + usize::from(half(L3 + 2));
        let is_v4 = half(12) == EtherType::IPV4.0 && headers[L3] == 0x45;
        let is_fragment = half(L3 + 6) & 0x3fff != 0;
        if !is_v4
            || is_fragment
            || end > frame.len()
            || end > wire_len as usize
            || self.looks_deeper
        {
            return None;
        }
        let l4 = frame.get(L4..end)?;
        let protocol = headers[L3 + 9];
        let (tcp_flags, header_bytes, covered) = match Protocol(protocol) {
            Protocol::TCP => {
                let (offset, flags) = (*l4.get(12)?, *l4.get(13)?);
                let header_len = usize::from(offset >> 4) * 4;
                if header_len < 20 || header_len > l4.len() {
                    return None;
                }
                (flags, L4 + 20, l4.len())
            }
            // Without a checksum, or shorter than its packet: elsewhere.
            Protocol::UDP
                if l4.len() >= 8 && half(L4 + 6) != 0 && usize::from(half(L4 + 4)) == l4.len() =>
            {
                (0, L4 + 8, l4.len())
            }
            _ => return None,
        };
        let addresses = native(L3 + 12) + native(L3 + 16);
        let header = native(L3) + native(L3 + 4) + native(L3 + 8) + addresses;
        let pseudo = addresses + u64::from(u16::from(protocol).to_be());
        let transport = pseudo + u64::from((covered as u16).to_be());
        let transport = transport + checksum::native_sum(&frame[..end], L4);
        if !(checksum::is_complete(header) & checksum::is_complete(transport)) {
            return None;
        }
        let (key, direction) = FlowKey::of_v4(
            (word(L3 + 12), half(L4)),
            (word(L3 + 16), half(L4 + 2)),
            protocol,
            self.key.entries == Entries::EachWay,
        );
        let ip_bytes = (end - L3) as u32;
        let way = Way {
            ingress_port: port,
            ..Way::default()
        };
        Some(Parsed {
            key: key.by_way_of(way.seen_by(&self.key)),
            direction,
            way,
            ip_bytes,
            outer_ip_bytes: ip_bytes,
            l3_offset: L3 as u16,
            ip_offset: L3 as u16,
            l4_offset: L4 as u16,
            header_bytes: header_bytes as u16,
            ttl: headers[L3 + 8],
            tcp_flags,
            checksums_good: true,
            ..Parsed::default()
        })
    }

    /// Any frame.
    fn any(&self, port: u8, frame: &[u8], wire_len: u32) -> Parsed {
        let mut parsed = Parsed::default();
        parsed.way.ingress_port = port;
        if let Err(reason) = self.walk(frame, wire_len as usize, &mut parsed) {
            parsed.to_host = Some(reason);
        }
        parsed
    }

    #[inline]
    fn walk(&self, frame: &[u8], wire_len: usize, parsed: &mut Parsed) -> Result<(), Reason> {
        let ethernet = Ethernet::new(frame).map_err(|_| Reason::NotIp)?;
        let l3_offset = ethernet.header_len();
        parsed.l3_offset = l3_offset as u16;
        if let Some(tag) = ethernet.vlan_tags().first() {
            parsed.way.vlan = tag.id() | Way::TAGGED;
        }
        let outer = network(ethernet.ethertype(), frame, l3_offset, wire_len, parsed);
        parsed.outer_ip_bytes = parsed.ip_bytes;
        let outer = outer?;
        if self.tunnels
            && let Some(inside) = self.tunnel(frame, &outer, parsed)?
        {
            let inner = self.inner(frame, wire_len, inside, parsed)?;
            return self.transport(frame, &inner, parsed);
        }
        self.transport(frame, &outer, parsed)
    }

    /// Where the packet inside a tunnel begins and what it is, if this is a tunnel that is looked into.
    fn tunnel(
        &self,
        frame: &[u8],
        outer: &Network,
        parsed: &mut Parsed,
    ) -> Result<Option<(usize, EtherType)>, Reason> {
        let end = frame.len().min(outer.l4_offset + outer.l4_bytes);
        let l4 = frame.get(outer.l4_offset..end).ok_or(Reason::Malformed)?;
        let (tunnel, id, header, inside) = match outer.protocol {
            Protocol::UDP => {
                let udp = Udp::new(l4).map_err(|_| Reason::Malformed)?;
                let port = u32::from(udp.destination_port());
                let payload = udp.payload();
                let found = if self.tunnel.vxlan && port == self.tunnel.vxlan_port {
                    let vxlan = Vxlan::new(payload).map_err(|_| Reason::Malformed)?;
                    if !vxlan.has_vni() {
                        return Err(Reason::Malformed);
                    }
                    (Tunnel::Vxlan, vxlan.vni(), 16, EtherType::BRIDGED)
                } else if self.tunnel.geneve && port == self.tunnel.geneve_port {
                    let geneve = Geneve::new(payload).map_err(|_| Reason::Malformed)?;
                    if geneve.version() != 0 || geneve.is_control() || geneve.is_critical() {
                        return Err(Reason::Protocol);
                    }
                    let header = 8 + geneve.header_len();
                    (Tunnel::Geneve, geneve.vni(), header, geneve.protocol())
                } else {
                    return Ok(None);
                };
                if l4.len() == outer.l4_bytes && !transport_checksum_good(outer, l4) {
                    return Err(Reason::BadChecksum);
                }
                parsed.tunnel_udp_offset = outer.l4_offset as u16;
                found
            }
            Protocol::GRE if self.tunnel.gre => {
                let gre = Gre::new(l4).map_err(|_| Reason::Malformed)?;
                if gre.version() != 0 || gre.has_checksum() {
                    return Ok(None);
                }
                let id = gre.key().unwrap_or(0);
                (Tunnel::Gre, id, gre.header_len(), gre.protocol())
            }
            _ => return Ok(None),
        };
        parsed.way.tunnel = tunnel;
        parsed.way.tunnel_id = id;
        Ok(Some((outer.l4_offset + header, inside)))
    }

    /// The network layer of the packet inside a tunnel.
    fn inner(
        &self,
        frame: &[u8],
        wire_len: usize,
        (mut offset, mut inside): (usize, EtherType),
        parsed: &mut Parsed,
    ) -> Result<Network, Reason> {
        if offset > self.header_budget_bytes {
            return Err(Reason::TooDeep);
        }
        if inside == EtherType::BRIDGED {
            let bytes = frame.get(offset..).ok_or(Reason::Malformed)?;
            let ethernet = Ethernet::new(bytes).map_err(|_| Reason::Malformed)?;
            offset += ethernet.header_len();
            inside = ethernet.ethertype();
        }
        // What is outside decides about the life of the packet.
        let outer_ttl = parsed.ttl;
        let inner = network(inside, frame, offset, wire_len, parsed);
        parsed.ttl = outer_ttl;
        inner
    }

    #[inline]
    fn transport(
        &self,
        frame: &[u8],
        network: &Network,
        parsed: &mut Parsed,
    ) -> Result<(), Reason> {
        let l4_end = frame.len().min(network.l4_offset + network.l4_bytes);
        let l4 = frame
            .get(network.l4_offset..l4_end)
            .ok_or(Reason::Malformed)?;
        let (source_port, destination_port, header_len) = match network.protocol {
            Protocol::TCP => {
                let tcp = Tcp::new(l4).map_err(|_| Reason::Malformed)?;
                if tcp.header_len() < 20 || tcp.header_len() > network.l4_bytes {
                    return Err(Reason::Malformed);
                }
                parsed.tcp_flags = tcp.flags().0 as u8;
                if self.checks_windows {
                    parsed.segment = Segment::new(&tcp, network.l4_bytes);
                }
                (tcp.source_port(), tcp.destination_port(), 20)
            }
            Protocol::UDP => {
                let udp = Udp::new(l4).map_err(|_| Reason::Malformed)?;
                let length = usize::from(udp.length());
                if length < 8 || length > network.l4_bytes {
                    return Err(Reason::Malformed);
                }
                (udp.source_port(), udp.destination_port(), 8)
            }
            _ => return Err(Reason::Protocol),
        };
        let header_end = network.l4_offset + header_len;
        if header_end > self.header_budget_bytes {
            return Err(Reason::TooDeep);
        }
        parsed.header_bytes = header_end as u16;
        parsed.l4_offset = network.l4_offset as u16;
        let whole = l4.len() == network.l4_bytes;
        if whole && !transport_checksum_good(network, l4) {
            return Err(Reason::BadChecksum);
        }
        parsed.checksums_good = whole;
        let source = Endpoint {
            address: network.source,
            port: source_port,
        };
        let destination = Endpoint {
            address: network.destination,
            port: destination_port,
        };
        let (protocol, version) = (network.protocol.0, network.version);
        (parsed.key, parsed.direction) = if self.key.entries == Entries::Both {
            FlowKey::new(source, destination, protocol, version, 0)
        } else {
            let key = FlowKey::one_way(source, destination, protocol, version, 0);
            (key, KeyDirection::LowerToHigher)
        };
        parsed.key = parsed.key.by_way_of(parsed.way.seen_by(&self.key));
        Ok(())
    }
}

/// The IP header that begins at `offset`.
#[inline]
fn network(
    ethertype: EtherType,
    frame: &[u8],
    offset: usize,
    wire_len: usize,
    parsed: &mut Parsed,
) -> Result<Network, Reason> {
    let bytes = frame.get(offset..).unwrap_or(&[]);
    let l3_wire_len = wire_len.saturating_sub(offset);
    parsed.ip_offset = offset as u16;
    match ethertype {
        EtherType::IPV4 => parse_ipv4(bytes, offset, l3_wire_len, parsed),
        EtherType::IPV6 => parse_ipv6(bytes, offset, l3_wire_len, parsed),
        _ => Err(Reason::NotIp),
    }
}

#[inline]
fn parse_ipv4(
    bytes: &[u8],
    l3_offset: usize,
    l3_wire_len: usize,
    parsed: &mut Parsed,
) -> Result<Network, Reason> {
    let ip = Ipv4::new(bytes).map_err(|_| Reason::Malformed)?;
    let (header_len, total_len) = (ip.header_len(), usize::from(ip.total_len()));
    if total_len < header_len || total_len > l3_wire_len {
        return Err(Reason::Malformed);
    }
    parsed.header_bytes = (l3_offset + header_len) as u16;
    parsed.ip_bytes = total_len as u32;
    parsed.ttl = ip.ttl();
    parsed.has_options = ip.has_options();
    if !ip.header_checksum_ok() {
        return Err(Reason::BadChecksum);
    }
    if ip.is_fragment() {
        return Err(Reason::Fragment);
    }
    Ok(Network {
        source: Endpoint::wide_v4(ip.source()),
        destination: Endpoint::wide_v4(ip.destination()),
        version: 4,
        protocol: ip.protocol(),
        l4_offset: l3_offset + header_len,
        l4_bytes: total_len - header_len,
    })
}

#[inline]
fn parse_ipv6(
    bytes: &[u8],
    l3_offset: usize,
    l3_wire_len: usize,
    parsed: &mut Parsed,
) -> Result<Network, Reason> {
    let ip = Ipv6::new(bytes).map_err(|_| Reason::Malformed)?;
    let total_len = 40 + usize::from(ip.payload_len());
    if total_len > l3_wire_len {
        return Err(Reason::Malformed);
    }
    parsed.header_bytes = (l3_offset + 40) as u16;
    parsed.ip_bytes = total_len as u32;
    parsed.ttl = ip.hop_limit();
    let upper = ip.upper_layer().map_err(|_| Reason::Malformed)?;
    parsed.has_options = upper.extension_headers > 0;
    if upper.fragment.is_some() {
        return Err(Reason::Fragment);
    }
    if upper.offset > total_len {
        return Err(Reason::Malformed);
    }
    Ok(Network {
        source: ip.source(),
        destination: ip.destination(),
        version: 6,
        protocol: upper.protocol,
        l4_offset: l3_offset + upper.offset,
        l4_bytes: total_len - upper.offset,
    })
}

#[inline]
fn transport_checksum_good(network: &Network, l4: &[u8]) -> bool {
    if network.protocol == Protocol::UDP {
        // A UDP checksum of zero means "none" over IPv4 (RFC 768); Linux accepts it over IPv6 too.
        if l4[6] == 0 && l4[7] == 0 {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([l4[4], l4[5]]));
        return checksum_good(network, &l4[..length.min(l4.len())]);
    }
    checksum_good(network, l4)
}

#[inline]
fn checksum_good(network: &Network, l4: &[u8]) -> bool {
    if network.version == 4 {
        let (source, destination) = (narrow(network.source), narrow(network.destination));
        checksum::l4_ok_v4(source, destination, network.protocol, l4)
    } else {
        checksum::l4_ok_v6(network.source, network.destination, network.protocol, l4)
    }
}

#[inline]
fn narrow(address: [u8; 16]) -> [u8; 4] {
    [address[0], address[1], address[2], address[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::build::FrameBuilder;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_short_way_says_what_the_long_way_says(
            ends in any::<([u8; 4], [u8; 4], u16, u16)>(),
            tcp in any::<bool>(),
            payload in proptest::collection::vec(any::<u8>(), 0..40),
            change in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
            (cut, padding) in (0usize..100, 0usize..12),
            one_way in any::<bool>(),
        ) {
            let mut config = NicConfig::default();
            if one_way {
                config.key.entries = Entries::EachWay;
                config.key.ingress_port = true;
            }
            let parser = Parser::new(&config);
            let (source, destination, from, to) = ends;
            let builder = FrameBuilder::new().ethernet([2; 6], [4; 6]).ipv4(source, destination);
            let builder = if tcp { builder.tcp(from, to) } else { builder.udp(from, to) };
            let mut frame = builder.payload(&payload).build();
            frame.extend(vec![0; padding]);
            if let Some((at, value)) = change {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            let wire_len = frame.len() as u32;
            frame.truncate(frame.len().max(cut) - cut.min(20));
            let long = parser.any(1, &frame, wire_len);
            if let Some(short) = parser.plain(1, &frame, wire_len) {
                prop_assert_eq!(format!("{short:?}"), format!("{long:?}"));
            } else if change.is_none() && cut == 0 {
                prop_assert!(false, "a plain frame is plain");
            }
        }
    }
}
