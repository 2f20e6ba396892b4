//! DSCP 1 zone 1; 2 zone 2 in original direction; 3 zone 3 in reply direction; 4 `notrack`; 5 mark 7; 6 mark 8.

use conntrack_core::{Zone, ZoneScope};
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
}

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
    const AFTER: [(u8, &str); 2] = [(5, "ct mark set 7"), (6, "ct mark set 8")];
    let mut out = String::new();
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
