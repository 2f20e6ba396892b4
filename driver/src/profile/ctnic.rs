//! ctnic's own.

use super::Profile;
use crate::habits::{AtClose, Counting, Habits};

pub(super) const PROFILE: Profile = Profile {
    name: "ctnic",
    about: "ctnic's own: the card reports what is idle and streams counters; both directions or neither; a close is seen at once",
    policy: "assured",
    habits: Habits {
        counting: Counting::Push(None),
        collector: None,
        heard_when_read: false,
        at_close: AtClose::Now,
        half_is_enough: false,
        one_request: false,
        liberal: false,
        udp_one_way: false,
        barrier_us: 0,
        counter_pool: None,
    },
    card: &[],
    traits: &[],
};
