//! IP protocol numbers (the IANA registry "Assigned Internet Protocol Numbers").

use std::fmt;

/// An IP protocol number: IPv4 `protocol`, IPv6 `next header`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// Internet group management.
    pub const IGMP: Self = Self(2);
    /// IPv4 in IP.
    pub const IPIP: Self = Self(4);
    /// Transmission control.
    pub const TCP: Self = Self(6);
    /// User datagram.
    pub const UDP: Self = Self(17);
    /// Datagram congestion control.
    pub const DCCP: Self = Self(33);
    /// IPv6 in IP.
    pub const IPV6: Self = Self(41);
    /// IPv6 routing header.
    pub const IPV6_ROUTING: Self = Self(43);
    /// IPv6 fragment header.
    pub const IPV6_FRAGMENT: Self = Self(44);
    /// Generic routing encapsulation.
    pub const GRE: Self = Self(47);
    /// IPsec encapsulating security payload.
    pub const ESP: Self = Self(50);
    /// IPsec authentication header.
    pub const AH: Self = Self(51);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// IPv6: nothing follows.
    pub const NO_NEXT_HEADER: Self = Self(59);
    /// IPv6 destination options.
    pub const DESTINATION_OPTIONS: Self = Self(60);
    /// Open shortest path first.
    pub const OSPF: Self = Self(89);
    /// Virtual router redundancy.
    pub const VRRP: Self = Self(112);
    /// Stream control transmission.
    pub const SCTP: Self = Self(132);
    /// UDP with partial checksum coverage.
    pub const UDPLITE: Self = Self(136);

    /// The protocol's name in lower case, for those with a constant here.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::HOP_BY_HOP => "hopopt",
            Self::ICMP => "icmp",
            Self::IGMP => "igmp",
            Self::IPIP => "ipip",
            Self::TCP => "tcp",
            Self::UDP => "udp",
            Self::DCCP => "dccp",
            Self::IPV6 => "ipv6",
            Self::IPV6_ROUTING => "ipv6-route",
            Self::IPV6_FRAGMENT => "ipv6-frag",
            Self::GRE => "gre",
            Self::ESP => "esp",
            Self::AH => "ah",
            Self::ICMPV6 => "icmpv6",
            Self::NO_NEXT_HEADER => "ipv6-nonxt",
            Self::DESTINATION_OPTIONS => "ipv6-opts",
            Self::OSPF => "ospf",
            Self::VRRP => "vrrp",
            Self::SCTP => "sctp",
            Self::UDPLITE => "udplite",
            Self(_) => return None,
        })
    }
}

impl fmt::Display for Protocol {
    /// The name, or the number where there is none.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.pad(name),
            None => fmt::Display::fmt(&self.0, formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(Protocol::TCP.to_string(), "tcp");
        assert_eq!(Protocol(250).to_string(), "250");
        assert_eq!(format!("{:<8}|", Protocol::UDPLITE), "udplite |");
    }
}
