//! Which connections go into hardware. One policy, one file.

mod adaptive;
mod all;
mod amount;
mod assured;
mod assured_tcp;
mod established;
mod heavy;
mod never;
mod rate;
mod rule;

pub use never::Never;
pub use rule::Selection;

use crate::explain::Why;
use conntrack_core::{Connection, ConnectionId, Direction, Time};

/// What a policy is shown: a connection the hardware could hold, one of whose packets has just gone through software.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// Its name.
    pub id: ConnectionId,
    /// Time of connection tracking.
    pub now: Time,
    /// Length of the packet on the wire, bytes.
    pub packet_bytes: u32,
    /// How full things are.
    pub pressure: Pressure,
}

/// How full things are, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pressure {
    /// The command ring: commands that were not completed.
    pub commands_permille: u16,
    /// The card's table: entries that are in or on their way.
    pub table_permille: u16,
}

/// Decides whether a connection should be in hardware, each time a packet of it goes through software.
///
/// A policy sees only connections the hardware can hold: TCP in ESTABLISHED and UDP. It must be a function of what it is
/// shown and of its own state, which is bounded; it has no clock of its own.
pub trait Policy: Send {
    /// Its name, as on the command line.
    fn name(&self) -> String;

    /// Whether to offload now.
    ///
    /// # Errors
    /// Not now; the reason says what it waits for.
    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why>;
}

/// Names of the policies and what each does. `A+B` offloads what both want.
pub const POLICIES: &[(&str, &str)] = &[
    (
        "assured",
        "TCP once ASSURED, UDP once both sides have sent (as Linux flow tables do)",
    ),
    (
        "established",
        "TCP as soon as it is ESTABLISHED, UDP from its first packet",
    ),
    (
        "assured-tcp",
        "TCP once ASSURED, UDP from its first packet (as Linux tc's act_ct does)",
    ),
    (
        "packets:N",
        "what has sent N packets, both directions together (counted while net.netfilter.nf_conntrack_acct is on)",
    ),
    (
        "bytes:N",
        "what has sent N bytes, both directions together (counted likewise)",
    ),
    (
        "rate:N",
        "what has sent N bytes within a second, both directions together, as far as software saw them",
    ),
    (
        "heavy:N",
        "the N connections that send most, as a space-saving sketch of N counters sees them",
    ),
    (
        "adaptive",
        "as assured, but the fuller the command ring or the table, the more packets it must have sent (up to 512)",
    ),
    (
        "rule:LIST",
        "what a rule names: tcp/443, udp/5000-5999, zone/7 or mark/1, separated by commas",
    ),
    ("never", "nothing: the software path alone"),
];

/// The policy of this name.
pub fn by_name(name: &str) -> Option<Box<dyn Policy>> {
    if name.contains('+') {
        let parts: Option<Vec<_>> = name.split('+').map(by_name).collect();
        return Some(Box::new(all::All(parts?)));
    }
    if let Some((kind, argument)) = name.split_once(':') {
        if kind == "rule" {
            return Some(Box::new(rule::Selection::parse(argument)?));
        }
        let amount = argument.parse().ok()?;
        return match kind {
            "packets" => Some(Box::new(amount::Packets(amount))),
            "bytes" => Some(Box::new(amount::Bytes(amount))),
            "rate" => Some(Box::new(rate::Rate::new(amount))),
            "heavy" => Some(Box::new(heavy::Heavy::new(amount)?)),
            _ => None,
        };
    }
    match name {
        "assured" => Some(Box::new(assured::Assured)),
        "assured-tcp" => Some(Box::new(assured_tcp::AssuredTcp)),
        "established" => Some(Box::new(established::Established)),
        "adaptive" => Some(Box::new(adaptive::Adaptive::default())),
        "never" => Some(Box::new(never::Never)),
        _ => None,
    }
}

/// Packets of a connection, both directions together, as far as they are counted.
pub fn packets(connection: &Connection) -> u64 {
    let packets = Direction::ALL.map(|direction| connection.counters(direction).packets);
    packets.into_iter().fold(0, u64::saturating_add)
}

/// Its bytes likewise.
pub fn bytes(connection: &Connection) -> u64 {
    let bytes = Direction::ALL.map(|direction| connection.counters(direction).bytes);
    bytes.into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use conntrack_core::{ChecksumStatus, Config, HashKey, Packet, Tracker, Zone};
    use packet::build::FrameBuilder;

    #[test]
    fn every_listed_policy_exists_under_its_name() {
        for (name, _) in POLICIES {
            let name = name.replace("LIST", "tcp/443,zone/7").replace('N', "10");
            assert_eq!(by_name(&name).map(|policy| policy.name()), Some(name));
        }
        let both = "assured+rate:1000+rule:udp/53";
        assert_eq!(
            by_name(both).map(|policy| policy.name()).as_deref(),
            Some(both)
        );
        for unknown in [
            "always",
            "packets",
            "packets:",
            "bytes:many",
            "flows:3",
            "heavy:0",
            "rule:",
            "rule:tcp/70000",
            "rule:tcp/9-2",
            "assured+",
            "assured+flows:3",
        ] {
            assert!(by_name(unknown).is_none(), "{unknown}");
        }
    }

    /// A tracker with UDP connections, each from a port of its own to `port`.
    pub(crate) fn connections(count: u16, port: u16) -> (Tracker, Vec<ConnectionId>) {
        let mut config = Config::default();
        config
            .set("net.netfilter.nf_conntrack_acct", "1")
            .expect("a sysctl");
        let mut tracker = Tracker::new(config, HashKey([1, 2]));
        let ids = (0..count).map(|n| {
            let frame = FrameBuilder::new()
                .ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
                .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
                .udp(1_000 + n, port)
                .build();
            let packet = Packet {
                bytes: &frame[14..],
                wire_len: frame.len() - 14,
                zone: Zone::new(0),
                untracked: false,
                checksum: ChecksumStatus::Good,
            };
            let verdict = tracker.track(&packet, Time(0));
            verdict.connection.expect("a connection")
        });
        let ids = ids.collect();
        (tracker, ids)
    }

    /// What a policy says of a packet.
    pub(crate) fn ask(
        policy: &mut dyn Policy,
        (tracker, id): (&Tracker, ConnectionId),
        (now, packet_bytes): (Time, u32),
        pressure: Pressure,
    ) -> Result<(), Why> {
        policy.wants(&Candidate {
            connection: tracker.connection(id).expect("it lives"),
            id,
            now,
            packet_bytes,
            pressure,
        })
    }
}
