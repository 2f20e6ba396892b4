//! What a flow is told by.

use super::ConfigError;
use super::field::{names, section};

names! {
    /// How many entries a connection has.
    Entries {
        Both = "one": "One, which serves both directions; two where addresses are translated.",
        EachWay = "two": "Two, one for each direction.",
    }
}

section! {
    /// What the key of an entry holds beside addresses, ports and protocol.
    KeyConfig, "key" {
        /// Entries of a connection.
        entries: Entries = Entries::Both, Names(Entries::NAMES), "", "assumed";
        /// The conntrack zone that a rule of the classifier gave the packet.
        zone: bool = true, Flag, "", "Linux act_ct and Open vSwitch: a connection is told by its zone too";
        /// The port it came in by (only with two entries: the directions come in by different ports).
        ingress_port: bool = false, Flag, "", "assumed";
        /// The identifier of its outermost VLAN tag.
        vlan: bool = false, Flag, "", "assumed";
        /// Kind and identifier of the tunnel it came in.
        tunnel: bool = true, Flag, "", "assumed";
    }
}

impl KeyConfig {
    /// What no single parameter shows.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.ingress_port && self.entries == Entries::Both {
            return Err(ConfigError::OutOfRange {
                key: "key.ingress_port",
                value: "true".to_owned(),
                allowed:
                    "false, or key.entries = \"two\": the two directions come in by different ports"
                        .to_owned(),
            });
        }
        Ok(())
    }
}
