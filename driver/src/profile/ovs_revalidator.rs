//! Open vSwitch with hardware offload: revalidator threads read all flows and decide which stay.

use super::{Profile, ctnic};
use crate::habits::{CollectorConfig, Counting, FlowLimit, Habits};

pub(super) const PROFILE: Profile = Profile {
    name: "ovs-revalidator",
    about: "Open vSwitch revalidators: every half second all flows are read; the time that takes limits how many there may be",
    policy: "established",
    habits: Habits {
        counting: Counting::Poll(500),
        collector: Some(CollectorConfig {
            every_ms: 500,
            timeout_ms: 10_000,
            ask_below_permille: 0,
            limit: Some(FlowLimit {
                first: 10_000,
                least: 1_000,
                most: 200_000,
            }),
        }),
        ..ctnic::PROFILE.habits
    },
    card: &[],
    traits: &[
        "all flows are read every 500 ms (ovs-vswitchd.conf.db: max-revalidator)",
        "a flow of which nothing was heard for 10 s goes (max-idle)",
        "there may be 10,000 flows at first, 1,000 more after each reading within a second, three quarters when it took more than 1.3 s, \
         divided by its seconds when more than 2 s; 1,000 to 200,000 (flow-limit)",
        "above the limit, flows idle for a tenth of a second go; above twice the limit, all go",
    ],
};
