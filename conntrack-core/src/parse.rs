//! From bytes to what tracking needs: the checks of the IP layer, the transport header's place, the tuple.

use crate::extension::{self, Broken, Upper};
use crate::protocol::{icmp, icmpv6};
use crate::reason::Reason;
use crate::tuple::{Tuple, widen};
use packet::{Gre, Icmp, Icmpv6, Ipv4, Ipv6, Protocol, checksum, gre};

/// An IP packet whose header has been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network<'a> {
    tuple: Tuple,
    /// Why the tuple's ids are not known.
    no_ids: Option<Reason>,
    /// Captured bytes of the transport layer.
    pub(crate) l4: &'a [u8],
    /// Its length by the IP header.
    pub(crate) l4_len: usize,
    /// Length of the whole packet by the IP header.
    pub(crate) total_len: usize,
}

/// What the IP header turned out to be.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    Whole(Network<'a>),
    FragmentV4(Ipv4<'a>),
    FragmentV6(Ipv6<'a>, Upper),
    /// The IP layer lets it pass, connection tracking cannot read it.
    Invalid(Reason),
    /// The IP layer drops it.
    Dropped(Reason),
}

impl Parsed<'_> {
    pub(crate) fn is_gre(&self) -> bool {
        matches!(self, Self::Whole(network) if network.protocol() == Protocol::GRE)
    }
}

/// Checks the IP header as the kernel's receive functions do (`ip_rcv`, `ipv6_rcv` as documented by their counters
/// InHdrErrors and InTruncatedPkts).
#[inline]
pub(crate) fn parse(bytes: &[u8], wire_len: usize) -> Parsed<'_> {
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) => parse_v4(bytes, wire_len),
        Some(6) => parse_v6(bytes, wire_len),
        Some(_) => Parsed::Dropped(Reason::IpVersion),
        None => Parsed::Dropped(Reason::IpHeaderTruncated),
    }
}

fn parse_v4(bytes: &[u8], wire_len: usize) -> Parsed<'_> {
    let ip = match Ipv4::new(bytes) {
        Ok(ip) => ip,
        Err(packet::Error::BadHeaderLength(_)) => return Parsed::Dropped(Reason::IpHeaderLength),
        Err(_) => return Parsed::Dropped(Reason::IpHeaderTruncated),
    };
    let (header_len, total_len) = (ip.header_len(), usize::from(ip.total_len()));
    if !ip.header_checksum_ok() {
        return Parsed::Dropped(Reason::IpHeaderChecksum);
    }
    if total_len > wire_len || total_len < header_len {
        return Parsed::Dropped(Reason::IpTotalLength);
    }
    if ip.is_fragment() {
        return Parsed::FragmentV4(ip);
    }
    let addresses = [widen(ip.source()), widen(ip.destination())];
    let l4_len = total_len - header_len;
    let network = Network::new(4, addresses, ip.protocol(), ip.payload(), l4_len, total_len);
    Parsed::Whole(network)
}

/// A fragment that is not put together with others, as connection tracking sees it then: a first one like a whole packet.
pub(crate) fn parse_passed<'a>(ip: &Ipv6<'_>, upper: &Upper, bytes: &'a [u8]) -> Parsed<'a> {
    if upper
        .fragment
        .is_some_and(|fragment| fragment.offset_bytes != 0)
    {
        return Parsed::Invalid(Reason::FragmentInvalid);
    }
    if upper.broken {
        return Parsed::Invalid(Reason::ExtensionHeaders);
    }
    let end = bytes.len().min(ip.total_len());
    Parsed::Whole(Network::new(
        6,
        [ip.source(), ip.destination()],
        upper.protocol,
        bytes.get(upper.offset..end).unwrap_or(&[]),
        ip.total_len().saturating_sub(upper.offset),
        ip.total_len(),
    ))
}

fn parse_v6(bytes: &[u8], wire_len: usize) -> Parsed<'_> {
    let Ok(ip) = Ipv6::new(bytes) else {
        return Parsed::Dropped(Reason::IpHeaderTruncated);
    };
    if !addresses_ok(&ip) {
        return Parsed::Dropped(Reason::IpAddress);
    }
    let hop_by_hop = ip.next_header() == Protocol::HOP_BY_HOP;
    // A payload length of 0 before a hop-by-hop header means that an option there would tell it: it is not believed.
    let total_len = if ip.payload_len() == 0 && hop_by_hop {
        wire_len
    } else {
        ip.total_len()
    };
    if total_len > wire_len {
        return Parsed::Dropped(Reason::IpTotalLength);
    }
    let end = bytes.len().min(total_len);
    if hop_by_hop && !extension::hop_by_hop_ok(&bytes[..end]) {
        return Parsed::Dropped(Reason::ExtensionHeaders);
    }
    let upper = match extension::walk(&bytes[..end], ip.next_header()) {
        Ok(upper) => upper,
        // What does not tell its length is not put together.
        Err(Broken::Fragment) if ip.payload_len() == 0 => {
            return Parsed::Invalid(Reason::ExtensionHeaders);
        }
        Err(Broken::Chain) => return Parsed::Invalid(Reason::ExtensionHeaders),
        Err(Broken::Fragment) => return Parsed::Dropped(Reason::FragmentInvalid),
    };
    if upper.fragment.is_some() && ip.payload_len() != 0 {
        return Parsed::FragmentV6(ip, upper);
    }
    if upper.later {
        return Parsed::Invalid(Reason::FragmentInvalid);
    }
    if upper.broken {
        return Parsed::Invalid(Reason::ExtensionHeaders);
    }
    Parsed::Whole(Network::new(
        6,
        [ip.source(), ip.destination()],
        upper.protocol,
        bytes.get(upper.offset..end).unwrap_or(&[]),
        total_len.saturating_sub(upper.offset),
        total_len,
    ))
}

/// Whether a packet with these addresses may come from a wire (RFC 4291, sections 2.5.3 and 2.7): nothing is sent from a
/// multicast address, and neither loopback nor interface-local addresses leave a host.
fn addresses_ok(ip: &Ipv6<'_>) -> bool {
    const LOOPBACK: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let (source, destination) = (ip.source(), ip.destination());
    let local_group = destination[0] == 0xff && destination[1] & 0xf <= 1;
    source[0] != 0xff && source != LOOPBACK && destination != LOOPBACK && !local_group
}

impl<'a> Network<'a> {
    #[inline]
    fn new(
        family: u8,
        [source, destination]: [[u8; 16]; 2],
        protocol: Protocol,
        l4: &'a [u8],
        l4_len: usize,
        total_len: usize,
    ) -> Self {
        let ids = ids(family, protocol, l4);
        let (source_id, destination_id) = ids.unwrap_or((0, 0));
        Self {
            tuple: Tuple {
                source,
                destination,
                source_id,
                destination_id,
                protocol: protocol.0,
                family,
            },
            no_ids: ids.err(),
            l4,
            l4_len,
            total_len,
        }
    }

    /// Takes the ports of DCCP for its ids.
    pub(crate) fn add_dccp_ports(&mut self) {
        if self.tuple.protocol() != Protocol::DCCP {
            return;
        }
        if let Some(&[a, b, c, d]) = self.l4.first_chunk() {
            self.tuple.source_id = u16::from_be_bytes([a, b]);
            self.tuple.destination_id = u16::from_be_bytes([c, d]);
        } else {
            self.no_ids = Some(Reason::TransportTruncated);
        }
    }

    /// Sets the source key of GRE version 1 to what `key` says.
    pub(crate) fn add_source_key(&mut self, key: impl FnOnce(&Tuple) -> u16) {
        let version = self.l4.get(1).map(|flags| flags & 7);
        let named = version == Some(1) && self.l4.len() >= 8 && self.no_ids.is_none();
        if self.protocol() == Protocol::GRE && named {
            self.tuple.source_id = key(&self.tuple);
        }
    }

    /// The tuple; why there is none.
    #[inline]
    pub(crate) const fn tuple(&self) -> Result<&Tuple, Reason> {
        match self.no_ids {
            None => Ok(&self.tuple),
            Some(reason) => Err(reason),
        }
    }

    #[inline]
    pub(crate) const fn protocol(&self) -> Protocol {
        Protocol(self.tuple.protocol)
    }

    #[inline]
    pub(crate) const fn is_icmp(&self) -> bool {
        self.tuple.is_icmp()
    }

    /// 4 or 6.
    #[inline]
    pub(crate) const fn family(&self) -> u8 {
        self.tuple.family
    }

    #[inline]
    pub(crate) const fn destination(&self) -> [u8; 16] {
        self.tuple.destination
    }

    /// Whether the transport checksum is right, taking `protocol` for the pseudo header. It covers what the IP header
    /// says is there, whatever a length field of the transport says.
    #[inline]
    pub(crate) fn checksum_ok(&self, protocol: Protocol) -> bool {
        self.sum_ok(protocol, self.l4_len as u32, self.l4)
    }

    /// The same over the first `covered` bytes alone; the pseudo header has the whole length (RFC 4340, section 9.1).
    pub(crate) fn covered_checksum_ok(&self, covered: usize) -> bool {
        let bytes = self.l4.get(..covered).unwrap_or(self.l4);
        self.sum_ok(Protocol::DCCP, self.l4_len as u32, bytes)
    }

    /// The same over the first `covered` bytes alone, as Linux 6.18 does it for UDP-Lite: with the pseudo header of UDP,
    /// which has the length of the whole payload; in IPv4 only the low byte of that.
    pub(crate) fn partial_checksum_ok(&self, covered: usize) -> bool {
        let length = match self.family() {
            4 => self.l4_len as u32 & 0xff,
            _ => self.l4_len as u32,
        };
        let covered = self.l4.get(..covered).unwrap_or(self.l4);
        self.sum_ok(Protocol::UDP, length, covered)
    }

    #[inline]
    fn sum_ok(&self, protocol: Protocol, length: u32, covered: &[u8]) -> bool {
        let Tuple {
            source,
            destination,
            ..
        } = self.tuple;
        let pseudo = if self.tuple.family == 4 {
            let narrow = |a: [u8; 16]| [a[0], a[1], a[2], a[3]];
            checksum::pseudo_header_v4(narrow(source), narrow(destination), protocol, length)
        } else {
            checksum::pseudo_header_v6(source, destination, protocol, length)
        };
        checksum::finish(pseudo + checksum::sum(covered)) == 0
    }

    /// Whether all transport bytes were captured.
    pub(crate) fn is_whole(&self) -> bool {
        self.l4.len() == self.l4_len
    }

    /// The ICMP type if this is an ICMP error.
    pub(crate) fn is_icmp_error(&self) -> bool {
        let Some(icmp_type) = self.l4.first().copied() else {
            return false;
        };
        match (self.family(), self.protocol()) {
            (4, Protocol::ICMP) => icmp::is_error(icmp_type),
            (6, Protocol::ICMPV6) => icmpv6::is_error(icmp_type),
            _ => false,
        }
    }
}

/// What a tuple's ids are in this protocol.
#[inline]
fn ids(family: u8, protocol: Protocol, l4: &[u8]) -> Result<(u16, u16), Reason> {
    match protocol {
        Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP => {
            let ports: &[u8; 4] = l4.first_chunk().ok_or(Reason::TransportTruncated)?;
            let [a, b, c, d] = *ports;
            Ok((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
        }
        Protocol::ICMP if family == 4 => {
            let icmp = Icmp::new(l4).map_err(|_| Reason::TransportTruncated)?;
            let kind = u16::from_be_bytes([icmp.message_type(), icmp.code()]);
            Ok((icmp.identifier(), kind))
        }
        Protocol::ICMPV6 if family == 6 => {
            let icmp = Icmpv6::new(l4).map_err(|_| Reason::TransportTruncated)?;
            let kind = u16::from_be_bytes([icmp.message_type(), icmp.code()]);
            Ok((icmp.identifier(), kind))
        }
        Protocol::ICMP | Protocol::ICMPV6 => Err(Reason::IcmpType),
        // The key of version 0 is not looked at; neither is a header of version 1 that is cut short.
        Protocol::GRE => match Gre::new(l4) {
            Ok(gre) if gre.version() == 1 && l4.len() >= 8 => {
                if gre.protocol() != gre::PROTOCOL_PPP {
                    return Err(Reason::GreVersion);
                }
                Ok((0, u16::from_be_bytes([l4[6], l4[7]])))
            }
            _ => Ok((0, 0)),
        },
        _ => Ok((0, 0)),
    }
}

/// A tuple of the connection a packet belongs to, or that it quotes if it is an ICMP error.
pub(crate) fn tuple_of_either_direction(packet: &[u8]) -> Option<Tuple> {
    let Parsed::Whole(network) = parse(packet, packet.len()) else {
        return None;
    };
    if network.is_icmp() && network.is_icmp_error() {
        let quoted = parse_quoted(network.l4.get(8..)?, network.family())?;
        return quoted.tuple().ok().copied();
    }
    network.tuple().ok().copied()
}

/// The packet quoted by an ICMP error: as much of it as there is.
pub(crate) fn parse_quoted(bytes: &[u8], family: u8) -> Option<Network<'_>> {
    if family == 4 {
        // Neither version nor checksum of a quoted header are looked at, and its length is believed.
        let header: &[u8; 20] = bytes.first_chunk()?;
        if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
            return None;
        }
        let l4 = bytes.get(usize::from(header[0] & 0xf) * 4..)?;
        let address =
            |at: usize| widen([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let addresses = [address(12), address(16)];
        let protocol = Protocol(header[9]);
        return Some(Network::new(
            4,
            addresses,
            protocol,
            l4,
            l4.len(),
            bytes.len(),
        ));
    }
    let header: &[u8; 40] = bytes.first_chunk()?;
    let upper = extension::walk(bytes, Protocol(header[6])).ok()?;
    if upper.later {
        return None;
    }
    let l4 = bytes.get(upper.offset..).unwrap_or(&[]);
    let (source, destination) = (header[8..24].first_chunk()?, header[24..40].first_chunk()?);
    let addresses = [*source, *destination];
    Some(Network::new(
        6,
        addresses,
        upper.protocol,
        l4,
        l4.len(),
        bytes.len(),
    ))
}
