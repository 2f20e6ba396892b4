//! Timeouts for some connections instead of the usual ones, as `nfct timeout` and nft's `ct timeout` objects set them.

use crate::sysctl::{Config, SysctlError};
use packet::Protocol;

/// Timeouts for connections of one protocol; those that are not set are the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeoutPolicy {
    protocol: Protocol,
    set: Vec<(String, String)>,
}

impl TimeoutPolicy {
    /// A policy for this protocol. Timeouts are sysctl names and seconds: `("udp_timeout_stream", 300)`.
    ///
    /// # Errors
    /// There is no such timeout.
    pub fn new(protocol: Protocol, timeouts: &[(&str, u64)]) -> Result<Self, SysctlError> {
        let mut probe = Config::default();
        let mut set = Vec::new();
        for (name, seconds) in timeouts {
            let seconds = seconds.to_string();
            if !name.contains("timeout") {
                return Err(SysctlError::Unknown {
                    name: (*name).to_owned(),
                    near: Vec::new(),
                });
            }
            probe.set(name, &seconds)?;
            set.push(((*name).to_owned(), seconds));
        }
        Ok(Self { protocol, set })
    }

    /// Whose connections it is for.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The settings with these timeouts.
    pub(crate) fn over(&self, usual: &Config) -> Config {
        let mut config = usual.clone();
        for (name, seconds) in &self.set {
            // Every name was tried before.
            config.set(name, seconds).ok();
        }
        config
    }
}
