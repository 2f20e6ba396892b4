//! Offload what a rule names.

use super::{Candidate, Policy};
use crate::explain::Why;
use conntrack_core::{Connection, Direction};
use packet::Protocol;
use std::ops::RangeInclusive;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// A protocol and the port its originator sent to.
    Port(Protocol, RangeInclusive<u16>),
    Zone(u16),
    Mark(u32),
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let (kind, value) = text.split_once('/')?;
        match kind {
            "tcp" => Some(Self::Port(Protocol::TCP, ports(value)?)),
            "udp" => Some(Self::Port(Protocol::UDP, ports(value)?)),
            "zone" => Some(Self::Zone(value.parse().ok()?)),
            "mark" => Some(Self::Mark(value.parse().ok()?)),
            _ => None,
        }
    }

    fn names(&self, connection: &Connection) -> bool {
        match self {
            Self::Port(protocol, ports) => {
                let tuple = connection.tuple(Direction::Original);
                tuple.protocol() == *protocol && ports.contains(&tuple.destination_id)
            }
            Self::Zone(zone) => connection.zone().id == *zone,
            Self::Mark(mark) => connection.mark() == *mark,
        }
    }
}

fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = first.parse().ok()?..=last.parse().ok()?;
    (!ports.is_empty()).then_some(ports)
}

/// Connections that one of some rules names: `tcp/443`, `udp/5000-5999`, `zone/7`, `mark/1`, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    text: String,
    rules: Vec<Rule>,
}

impl Selection {
    /// Rules, separated by commas.
    pub fn parse(text: &str) -> Option<Self> {
        let rules: Option<Vec<Rule>> = text.split(',').map(Rule::parse).collect();
        Some(Self {
            text: text.to_owned(),
            rules: rules?,
        })
    }

    /// Whether one of the rules names a connection.
    pub fn names(&self, connection: &Connection) -> bool {
        self.rules.iter().any(|rule| rule.names(connection))
    }
}

impl Policy for Selection {
    fn name(&self) -> String {
        format!("rule:{}", self.text)
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        if self.names(candidate.connection) {
            return Ok(());
        }
        Err(Why::NoRule)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pressure;
    use super::super::tests::{ask, connections};
    use super::*;
    use conntrack_core::Time;

    #[test]
    fn a_connection_is_named_by_protocol_port_and_zone() {
        let (tracker, ids) = connections(1, 53);
        for (rules, named) in [
            ("udp/53", true),
            ("tcp/53", false),
            ("tcp/53,udp/50-60", true),
            ("udp/54-60", false),
            ("zone/0", true),
            ("zone/1,mark/1", false),
            ("mark/0", true),
        ] {
            let mut policy = Selection::parse(rules).expect(rules);
            let said = ask(
                &mut policy,
                (&tracker, ids[0]),
                (Time(0), 100),
                Pressure::default(),
            );
            assert_eq!(said.is_ok(), named, "{rules}");
        }
    }
}
