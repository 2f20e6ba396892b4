//! Rules that both have: nft text for the kernel, and what the same rules mean for `conntrack-core`. A packet's DSCP says
//! which rules it meets. One set of rules, one file.

pub mod by_dscp;
pub mod helper;
pub mod nat;

use serde::{Deserialize, Serialize};

/// Rules that tell connection tracking how to treat a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruleset {
    /// None.
    #[default]
    Plain,
    /// Zones, `notrack` and marks: [`by_dscp`].
    ByDscp,
    /// Translation: [`nat`].
    Nat,
    /// Helpers, and translation: [`helper`].
    Helper,
}

impl Ruleset {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Whether packets are translated.
    pub const fn translates(self) -> bool {
        matches!(self, Self::Nat | Self::Helper)
    }

    /// The chains, in nft's words.
    pub fn nft(self) -> String {
        match self {
            Self::Plain => String::new(),
            Self::ByDscp => by_dscp::nft(),
            Self::Nat => nat::nft(),
            Self::Helper => helper::nft() + &nat::nft(),
        }
    }
}
