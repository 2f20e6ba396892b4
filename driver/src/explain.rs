//! Where a connection is, and why: a reason code for each, at any moment.

use crate::offload::{Life, RefuseCause, RemoveCause};
use conntrack_core::protocol::tcp::TcpState;
use conntrack_core::{Connection, Direction, Status};
use packet::Protocol;

/// Declares the reasons: code, name, meaning.
macro_rules! reasons {
    ($($code:literal $variant:ident $name:literal $meaning:literal)*) => {
        /// Why a connection is in hardware, on its way, or in software.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Why {
            $(#[doc = $meaning] $variant = $code,)*
        }

        impl Why {
            /// All reasons in order of their codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Short name, as in tables.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in a phrase.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

reasons! {
    0 Installed "installed" "all its entries are in hardware"
    1 Half "half" "one of its two entries is in hardware"
    2 Inserting "inserting" "its insertion is on its way"
    3 Removing "removing" "its removal is on its way"
    4 Protocol "protocol" "the card forwards TCP and UDP alone"
    5 TcpState "tcp-state" "TCP, but not ESTABLISHED"
    6 Helper "helper" "a helper reads its payload"
    7 SequenceShift "sequence-shift" "a helper changed lengths: its sequence numbers are shifted"
    8 Dying "dying" "it is about to be deleted"
    9 NotAssured "not-assured" "the policy waits until it is ASSURED"
    10 NoReply "no-reply" "only one side has sent so far"
    11 FewPackets "few-packets" "the policy waits for more packets"
    12 FewBytes "few-bytes" "the policy waits for more bytes"
    13 Slow "slow" "the policy waits for a higher rate"
    14 NotHeavy "not-heavy" "the policy takes heavy hitters alone"
    15 Pressure "pressure" "the policy asks for more packets while ring or table are as full as now"
    16 NoRule "no-rule" "no rule of the policy names it"
    17 Never "never" "the policy offloads nothing"
    18 ZoneLimit "zone-limit" "its zone has as many in hardware as it may"
    19 NoVictim "no-victim" "the table is as full as it may be, and nothing in it may give way"
    20 TableFull "table-full" "the card had no place: waits for its next attempt"
    21 Duplicate "duplicate" "the card had its key already: waits for its next attempt"
    22 RingFull "command-ring-full" "the command ring was full"
    23 Invalid "invalid" "the card called its insertion invalid: waits for its next attempt"
    24 Reset "reset" "the card began afresh: waits for its next attempt"
    25 Displaced "displaced" "it gave way to another: waits for its next attempt"
    26 Recovering "recovering" "the card is being reset, or its table read"
    27 Holding "holding" "a refusal of another stopped all insertion for a while (a mistake that can be switched on)"
    28 Stopped "stopped" "the driver was told to offload nothing"
    29 NoCounter "no-counter" "all counters were in use or at rest: waits for its next attempt"
    30 Unasked "unasked" "no packet came to software since it could be in hardware"
    31 Marked "marked" "it has a mark or labels, rules ask for them, and the card's entries have none"
}

impl From<RefuseCause> for Why {
    fn from(cause: RefuseCause) -> Self {
        match cause {
            RefuseCause::TableFull => Self::TableFull,
            RefuseCause::Duplicate => Self::Duplicate,
            RefuseCause::CommandRingFull => Self::RingFull,
            RefuseCause::Invalid => Self::Invalid,
            RefuseCause::Overtaken => Self::TcpState,
            RefuseCause::Reset => Self::Reset,
            RefuseCause::NoCounter => Self::NoCounter,
        }
    }
}

/// Where a connection is, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// Where it is.
    pub life: Life,
    /// Why.
    pub why: Why,
    /// Why it is taken out, or was taken out last, if it was.
    pub last_removal: Option<RemoveCause>,
    /// How many of its entries are in the card.
    pub entries: u8,
}

/// Why hardware must not forward packets of this connection; `None` if it may: a policy is asked only then.
pub(crate) fn unfit(connection: &Connection) -> Option<Why> {
    let status = connection.status();
    // A helper reads payloads, and numbers that are shifted no card can write.
    if connection.helper().is_some() {
        return Some(Why::Helper);
    }
    if connection.sequence_shifts().is_some() {
        return Some(Why::SequenceShift);
    }
    match connection.tuple(Direction::Original).protocol() {
        Protocol::TCP if connection.tcp_state() != Some(TcpState::Established) => {
            Some(Why::TcpState)
        }
        // Picked up in the middle: what a RST means depends on whether the other side was heard, which no card tells.
        Protocol::TCP => (!status.contains(Status::SEEN_REPLY)).then_some(Why::NoReply),
        Protocol::UDP => status.contains(Status::DYING).then_some(Why::Dying),
        _ => Some(Why::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn reasons_have_unique_names_and_their_codes_are_their_places() {
        let names: BTreeSet<_> = Why::ALL.iter().map(|why| why.name()).collect();
        assert_eq!(names.len(), Why::ALL.len());
        for (code, why) in Why::ALL.iter().enumerate() {
            assert_eq!(*why as usize, code);
            assert!(!why.meaning().is_empty());
        }
    }
}
