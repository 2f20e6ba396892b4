//! Translation. The low three bits of a packet's DSCP choose what happens to its destination, the high three bits what
//! happens to its source; 0 is nothing. Rules that name ports are for protocols that have them.

use crate::oracle::case::Side;
use conntrack_core::nat::{Manip, Ports, Random, Range, Target};
use packet::Protocol;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a rule does.
#[derive(Clone, Copy)]
enum Action {
    /// First and last host of [`network`], and whether it is persistent.
    To(u8, u8, bool),
    /// Masquerade or redirect.
    Interface,
    /// Another network, of 8 bits (IPv4) or 32 (IPv6).
    Netmap,
}

/// A rule: what of which packets it translates, how, to which ports. It is for protocols with ports if it names any.
struct Rule {
    manip: Manip,
    selector: u8,
    action: Action,
    ports: Option<(u16, u16)>,
    random: Random,
}

const fn rule(
    manip: Manip,
    selector: u8,
    action: Action,
    ports: Option<(u16, u16)>,
    random: Random,
) -> Rule {
    Rule {
        manip,
        selector,
        action,
        ports,
        random,
    }
}

/// In the order in which they are asked.
const RULES: [Rule; 19] = {
    use Action::{Interface, Netmap, To};
    use Manip::{Destination, Source};
    use Random::{Fully, No, Port};
    [
        rule(Destination, 1, To(10, 10, false), None, No),
        rule(Destination, 2, To(11, 11, false), Some((8_080, 8_080)), No),
        rule(Destination, 2, To(11, 11, false), None, No),
        rule(Destination, 3, To(16, 23, false), None, No),
        rule(Destination, 4, Interface, Some((7_000, 7_000)), No),
        rule(Destination, 4, Interface, None, No),
        rule(Destination, 5, To(16, 23, true), None, No),
        rule(Destination, 6, To(12, 12, false), Some((9_000, 9_003)), No),
        rule(Destination, 6, To(12, 13, false), None, No),
        rule(Destination, 7, Netmap, None, No),
        rule(Source, 1, To(10, 10, false), None, No),
        rule(Source, 2, To(11, 11, false), Some((2_000, 2_001)), No),
        rule(Source, 2, To(11, 11, false), None, Fully),
        rule(Source, 3, To(16, 23, false), None, No),
        rule(Source, 4, Interface, None, No),
        rule(Source, 5, Interface, Some((5_000, 5_010)), Port),
        rule(Source, 5, Interface, None, No),
        rule(Source, 6, To(32, 40, true), None, No),
        rule(Source, 7, Netmap, None, No),
    ]
};

/// Addresses of the router's interfaces.
pub fn interface_address(side: Side, v6: bool) -> IpAddr {
    let host = match side {
        Side::A => 1,
        Side::B => 2,
    };
    network(Manip::Source, host, v6)
}

/// Numbers of the router's interfaces, for us.
pub const fn interface(side: Side) -> u32 {
    match side {
        Side::A => 1,
        Side::B => 2,
    }
}

/// An address that sources or destinations are translated to.
fn network(manip: Manip, host: u8, v6: bool) -> IpAddr {
    match (manip, v6) {
        (Manip::Source, false) => IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)),
        (Manip::Destination, false) => IpAddr::V4(Ipv4Addr::new(198, 51, 100, host)),
        (manip, true) => {
            let subnet = if manip == Manip::Source {
                0xaaaa
            } else {
                0xbbbb
            };
            let last = u16::from(host);
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, subnet, 0, 0, 0, 0, last))
        }
    }
}

/// Networks of [`Action::Netmap`]: from, to, bits.
const fn networks(manip: Manip, v6: bool) -> (&'static str, &'static str, u8) {
    match (manip, v6) {
        (Manip::Source, false) => ("10.0.0.0", "11.0.0.0", 8),
        (Manip::Destination, false) => ("20.0.0.0", "21.0.0.0", 8),
        (Manip::Source, true) => ("2001:db8::", "2001:dba::", 32),
        (Manip::Destination, true) => ("2001:db8::", "2001:dbb::", 32),
    }
}

const fn selector(manip: Manip, dscp: u8) -> u8 {
    match manip {
        Manip::Destination => dscp & 7,
        Manip::Source => dscp >> 3,
    }
}

const fn has_ports(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP
    )
}

/// What happens to packets with this DSCP. `ends` are the addresses by now, `side` is
/// where the packet comes in.
pub fn target(
    manip: Manip,
    dscp: u8,
    protocol: Protocol,
    ends: [IpAddr; 2],
    side: Side,
) -> Option<Target> {
    let [source, destination] = ends;
    let address = match manip {
        Manip::Source => source,
        Manip::Destination => destination,
    };
    let v6 = address.is_ipv6();
    let rule = RULES.iter().find(|rule| {
        rule.manip == manip
            && rule.selector == selector(manip, dscp)
            && (rule.ports.is_none() || has_ports(protocol))
            && (!matches!(rule.action, Action::Netmap) || in_network(manip, address))
    })?;
    let ports = Ports {
        range: rule.ports,
        base: None,
        random: rule.random,
    };
    let leaving = match side {
        Side::A => Side::B,
        Side::B => Side::A,
    };
    Some(match (rule.action, manip) {
        (Action::To(first, last, persistent), _) => Target::To(Range {
            addresses: Some((network(manip, first, v6), network(manip, last, v6))),
            ports,
            persistent,
        }),
        (Action::Interface, Manip::Source) => Target::Masquerade {
            address: preferred(leaving, destination),
            interface: interface(leaving),
            ports,
        },
        (Action::Interface, Manip::Destination) => Target::Redirect {
            address: interface_address(side, v6),
            ports,
        },
        (Action::Netmap, _) => {
            let (_, to, prefix_len) = networks(manip, v6);
            Target::Netmap {
                network: to.parse().ok()?,
                prefix_len,
            }
        }
    })
}

/// The address of the router with which it would send to `destination` by the interface on this side: for IPv6, that
/// destination itself if it is one of its own (RFC 6724, section 5, rule 1).
fn preferred(leaving: Side, destination: IpAddr) -> IpAddr {
    let own = |side| interface_address(side, true) == destination;
    if own(Side::A) || own(Side::B) {
        return destination;
    }
    interface_address(leaving, destination.is_ipv6())
}

fn in_network(manip: Manip, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == if manip == Manip::Source { 10 } else { 20 },
        IpAddr::V6(address) => address.segments()[..2] == [0x2001, 0xdb8],
    }
}

/// The chains, in nft's words.
pub(super) fn nft() -> String {
    let mut out = String::new();
    for (manip, hook) in [
        (Manip::Destination, "prerouting priority -100"),
        (Manip::Source, "postrouting priority 100"),
    ] {
        // Writing to a String cannot fail.
        writeln!(
            out,
            "  chain nat_{} {{\n    type nat hook {hook};",
            &hook[..4]
        )
        .ok();
        for rule in RULES.iter().filter(|rule| rule.manip == manip) {
            for v6 in [false, true] {
                writeln!(out, "    {}", line(rule, v6)).ok();
            }
        }
        out.push_str("  }\n");
    }
    out
}

fn line(rule: &Rule, v6: bool) -> String {
    let family = if v6 { "ip6" } else { "ip" };
    let dscps: Vec<String> = (0..64_u8)
        .filter(|dscp| selector(rule.manip, *dscp) == rule.selector)
        .map(|dscp| dscp.to_string())
        .collect();
    let only = if rule.ports.is_some() {
        " meta l4proto { tcp, udp, udplite, sctp }"
    } else {
        ""
    };
    let ports = match rule.ports {
        None => String::new(),
        Some((first, last)) if first == last => format!(":{first}"),
        Some((first, last)) => format!(":{first}-{last}"),
    };
    let (verb, end) = match rule.manip {
        Manip::Source => ("snat", "saddr"),
        Manip::Destination => ("dnat", "daddr"),
    };
    let action = match rule.action {
        Action::To(first, last, _) => {
            let (first, last) = (
                network(rule.manip, first, v6),
                network(rule.manip, last, v6),
            );
            let hosts = match (first == last, v6 && !ports.is_empty()) {
                (true, false) => first.to_string(),
                (true, true) => format!("[{first}]"),
                (false, _) => format!("{first}-{last}"),
            };
            format!("{verb} {family} to {hosts}{ports}")
        }
        Action::Interface => {
            let verb = if rule.manip == Manip::Source {
                "masquerade"
            } else {
                "redirect"
            };
            let to = if ports.is_empty() { "" } else { " to " };
            format!("{verb}{to}{ports}")
        }
        Action::Netmap => {
            let (from, to, bits) = networks(rule.manip, v6);
            format!(
                "{verb} {family} prefix to {family} {end} map {{ {from}/{bits} : {to}/{bits} }}"
            )
        }
    };
    let mut flags = Vec::new();
    match rule.random {
        Random::No => {}
        Random::Port => flags.push("random"),
        Random::Fully => flags.push("fully-random"),
    }
    if matches!(rule.action, Action::To(_, _, true)) {
        flags.push("persistent");
    }
    format!(
        "meta protocol {family} {family} dscp {{ {} }}{only} {action} {}",
        dscps.join(", "),
        flags.join(",")
    )
}
