//! Time that passes between packets.
//!
//! The kernel's clock cannot be turned, but the timeouts of its connections can: they become so much shorter. What else goes by
//! the clock cannot be judged so, and no time passes while there is any of it: UDP (whether an answer comes soon after the
//! first packet), fragments, and what is expected. A timeout is told in whole seconds, so that each turn loses up to one;
//! how long a connection lives is compared the less strictly the more often the clock was turned.

use conntrack_core::protocol::ProtocolState;
use conntrack_core::{Connection, Time, Tracker, ZoneScope};

/// No connection's timeout may come as near as this to its end, in seconds: it must be sure what has expired.
pub const MARGIN: u64 = 10;

/// The clock is turned so often in a conversation at most: less than [`MARGIN`] would allow.
pub const MOST: u32 = 6;

/// Seconds that connections have left.
pub fn remaining(tracker: &Tracker, now: Time) -> impl Iterator<Item = u64> + '_ {
    let live = tracker
        .iter()
        .filter(move |(_, there)| !there.is_expired(now));
    live.map(move |(_, connection)| connection.remaining(now).as_secs())
}

/// Whether so many seconds may pass.
pub fn can_pass(tracker: &Tracker, now: Time, seconds: u64) -> bool {
    let steady = |connection: &Connection| {
        !matches!(connection.protocol_state(), ProtocolState::Udp(_))
            && connection.zone().scope == ZoneScope::Both
    };
    tracker.fragments_pending() == 0
        && tracker.expectations().next().is_none()
        && tracker.iter().all(|(_, connection)| steady(connection))
        && remaining(tracker, now).all(|left| left.abs_diff(seconds) > MARGIN)
}
