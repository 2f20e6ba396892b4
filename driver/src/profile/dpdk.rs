//! A DPDK application with conntrack objects (`RTE_FLOW_ACTION_TYPE_CONNTRACK`) on mlx5 with hardware steering.

use super::{Profile, ctnic};
use crate::habits::{CounterPoolConfig, Counting, Habits};

pub(super) const PROFILE: Profile = Profile {
    name: "dpdk",
    about: "DPDK conntrack objects: the card checks TCP windows; counters rest for a reading of all before they are used again",
    policy: "established",
    habits: Habits {
        counting: Counting::Push(Some(500)),
        counter_pool: Some(CounterPoolConfig {
            counters: None,
            cycle_ms: 500,
        }),
        ..ctnic::PROFILE.habits
    },
    card: &[("window.check", "true")],
    traits: &[
        "TCP goes in when SYN and SYN-ACK were seen (rte_flow conntrack action, limitation of mlx5)",
        "the card checks sequence windows; what is outside goes to software",
        "a service thread reads all counters every 500 ms (svc_cycle_time); a counter that was freed rests for a whole cycle",
    ],
};
