//! Which connections go into hardware. One policy, one file.

mod amount;
mod assured;
mod established;
mod never;

use conntrack_core::{Connection, Status};
use packet::Protocol;

/// Decides whether a connection should be in hardware, each time a packet of it goes through software.
///
/// A policy sees only connections the hardware can hold: TCP in ESTABLISHED and UDP. It must be a function of what it is
/// shown and of its own state; it has no clock.
pub trait Policy: Send {
    /// Its name, as on the command line.
    fn name(&self) -> String;

    /// Whether to offload now.
    fn wants(&mut self, connection: &Connection) -> bool;
}

/// Names of the policies and what each does.
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
        "packets:N",
        "what has sent N packets, both directions together (counted while net.netfilter.nf_conntrack_acct is on)",
    ),
    (
        "bytes:N",
        "what has sent N bytes, both directions together (counted likewise)",
    ),
    ("never", "nothing: the software path alone"),
];

/// The policy of this name.
pub fn by_name(name: &str) -> Option<Box<dyn Policy>> {
    if let Some((kind, amount)) = name.split_once(':') {
        let amount = amount.parse().ok()?;
        return match kind {
            "packets" => Some(Box::new(amount::Packets(amount))),
            "bytes" => Some(Box::new(amount::Bytes(amount))),
            _ => None,
        };
    }
    match name {
        "assured" => Some(Box::new(assured::Assured)),
        "established" => Some(Box::new(established::Established)),
        "never" => Some(Box::new(never::Never)),
        _ => None,
    }
}

/// Whether hardware may forward packets of this connection at all: a policy is asked only then.
pub(crate) fn offloadable(connection: &Connection) -> bool {
    use conntrack_core::protocol::tcp::TcpState;
    let tuple = connection.tuple(conntrack_core::Direction::Original);
    // A helper reads payloads, and numbers that are shifted no card can write.
    if connection.helper().is_some() || connection.sequence_shifts().is_some() {
        return false;
    }
    match tuple.protocol() {
        Protocol::TCP => connection.tcp_state() == Some(TcpState::Established),
        Protocol::UDP => !connection.status().contains(Status::DYING),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_policy_exists_under_its_name() {
        for (name, _) in POLICIES {
            let name = name.replace('N', "10");
            assert_eq!(by_name(&name).map(|policy| policy.name()), Some(name));
        }
        for unknown in ["always", "packets", "packets:", "bytes:many", "flows:3"] {
            assert!(by_name(unknown).is_none(), "{unknown}");
        }
    }
}
