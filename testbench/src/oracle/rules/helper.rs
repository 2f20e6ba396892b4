//! Helpers by port, and the translation of [`super::nat`].

use conntrack_core::Tuple;
use packet::Protocol;
use std::fmt::Write as _;

/// Port, protocol and name of each helper.
pub static HELPERS: [(u16, Protocol, &str); 11] = [
    (21, Protocol::TCP, "ftp"),
    (69, Protocol::UDP, "tftp"),
    (6_667, Protocol::TCP, "irc"),
    (10_080, Protocol::UDP, "amanda"),
    (6_566, Protocol::TCP, "sane"),
    (1_723, Protocol::TCP, "pptp"),
    (5_060, Protocol::UDP, "sip"),
    (5_060, Protocol::TCP, "sip"),
    (162, Protocol::UDP, "snmp_trap"),
    (1_719, Protocol::UDP, "RAS"),
    (1_720, Protocol::TCP, "Q.931"),
];

/// Where H.323's begin in that list.
pub const H323_FROM: usize = 9;

/// The helper of connections that begin with this tuple.
pub fn helper(tuple: &Tuple) -> Option<(&'static str, Protocol)> {
    let mut found = HELPERS.iter().filter(|(port, protocol, _)| {
        *port == tuple.destination_id && *protocol == tuple.protocol()
    });
    found.next().map(|(_, protocol, name)| (*name, *protocol))
}

/// Helper objects and the chain that assigns them, in nft's words.
pub(super) fn nft() -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for (_, protocol, name) in HELPERS {
        let protocol = protocol.name().unwrap_or_default();
        writeln!(
            out,
            "  ct helper {name}-{protocol} {{\n    type \"{name}\" protocol {protocol};\n  }}"
        )
        .ok();
    }
    out.push_str("  chain helpers {\n    type filter hook prerouting priority -150;\n");
    for (port, protocol, name) in HELPERS {
        let protocol = protocol.name().unwrap_or_default();
        writeln!(
            out,
            "    {protocol} dport {port} ct helper set \"{name}-{protocol}\""
        )
        .ok();
    }
    out.push_str("  }\n");
    out
}
