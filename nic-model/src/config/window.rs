//! The TCP window checker.

use super::ConfigError;
use super::field::section;
use super::{Entries, KeyConfig};

section! {
    /// The TCP window checker.
    WindowConfig, "window" {
        /// Whether the card has one: segments of an installed flow outside its windows go to the host (only with one entry for
        /// both directions: each tells about the other).
        check: bool = false, Flag, "", "DPDK conntrack objects check windows in hardware, Linux flow tables do not";
    }
}

impl WindowConfig {
    /// What no single parameter shows.
    pub(super) fn check(&self, key: &KeyConfig) -> Result<(), ConfigError> {
        if self.check && key.entries == Entries::EachWay {
            return Err(ConfigError::OutOfRange {
                key: "window.check",
                value: "true".to_owned(),
                allowed: "false, or key.entries = \"one\": each direction tells about the other"
                    .to_owned(),
            });
        }
        Ok(())
    }
}
