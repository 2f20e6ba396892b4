//! DSCP 1 zone 1; 2 zone 2 in original direction; 3 zone 3 in reply direction; 4 `notrack`; 5 mark 7; 6 mark 8; 7 label 5; 8 label
//! 127; 9 timeouts of [`POLICIES`].

use conntrack_core::{Zone, ZoneScope};
use packet::Protocol;
use std::fmt::Write as _;

/// What the rules say of a packet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Treatment {
    /// Its zone.
    pub zone: Zone,
    /// It is not tracked.
    pub untracked: bool,
    /// The mark its connection gets.
    pub mark: Option<u32>,
    /// The label its connection gets.
    pub label: Option<u8>,
    /// Its connection gets other timeouts, if it is new.
    pub policy: bool,
}

/// A timeout: nft's name of it, its sysctl, seconds.
pub type Timeout = (&'static str, &'static str, u64);

/// Timeouts of connections with a policy.
pub const POLICIES: [(Protocol, &[Timeout]); 2] = [
    (
        Protocol::TCP,
        &[
            ("syn_sent", "tcp_timeout_syn_sent", 111),
            ("syn_recv", "tcp_timeout_syn_recv", 55),
            ("established", "tcp_timeout_established", 999),
            ("fin_wait", "tcp_timeout_fin_wait", 44),
            ("time_wait", "tcp_timeout_time_wait", 33),
            ("close", "tcp_timeout_close", 22),
            ("retrans", "tcp_timeout_max_retrans", 222),
            ("unack", "tcp_timeout_unacknowledged", 333),
        ],
    ),
    (
        Protocol::UDP,
        &[
            ("unreplied", "udp_timeout", 77),
            ("replied", "udp_timeout_stream", 88),
        ],
    ),
];

/// What they say of a packet with this DSCP.
pub const fn treatment(dscp: u8) -> Treatment {
    let (id, scope) = match dscp {
        1 => (1, ZoneScope::Both),
        2 => (2, ZoneScope::Original),
        3 => (3, ZoneScope::Reply),
        _ => (0, ZoneScope::Both),
    };
    Treatment {
        zone: Zone { id, scope },
        untracked: dscp == 4,
        mark: match dscp {
            5 => Some(7),
            6 => Some(8),
            _ => None,
        },
        label: match dscp {
            7 => Some(5),
            8 => Some(127),
            _ => None,
        },
        policy: dscp == 9,
    }
}

/// The chains, in nft's words.
pub(super) fn nft() -> String {
    const BEFORE: [(u8, &str); 4] = [
        (1, "ct zone set 1"),
        (2, "ct original zone set 2"),
        (3, "ct reply zone set 3"),
        (4, "notrack"),
    ];
    const AFTER: [(u8, &str); 6] = [
        (5, "ct mark set 7"),
        (6, "ct mark set 8"),
        (7, "ct label set 5"),
        (8, "ct label set 127"),
        (9, "ct timeout set \"tcp-policy\""),
        (9, "ct timeout set \"udp-policy\""),
    ];
    let mut out = String::new();
    for (protocol, timeouts) in POLICIES {
        let name = protocol.name().unwrap_or_default();
        let timeouts: Vec<String> = timeouts
            .iter()
            .map(|(name, _, seconds)| format!("{name} : {seconds}"))
            .collect();
        let timeouts = timeouts.join(", ");
        // Writing to a String cannot fail.
        writeln!(
            out,
            "  ct timeout {name}-policy {{ protocol {name}; policy = {{ {timeouts} }}; }}"
        )
        .ok();
    }
    for (name, priority, rules) in [("before", -300, &BEFORE[..]), ("after", -150, &AFTER[..])] {
        // Writing to a String cannot fail.
        writeln!(
            out,
            "  chain {name} {{\n    type filter hook prerouting priority {priority};"
        )
        .ok();
        for (dscp, rule) in rules {
            for family in ["ip", "ip6"] {
                writeln!(out, "    {family} dscp {dscp} {rule}").ok();
            }
        }
        out.push_str("  }\n");
    }
    out
}
