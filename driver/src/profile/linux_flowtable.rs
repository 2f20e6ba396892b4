//! The flow table of Linux with hardware offload (`flags offload` of an nft flowtable), as of 6.18.

use super::{Profile, ctnic};
use crate::habits::{AtClose, CollectorConfig, Counting, Habits};

pub(super) const PROFILE: Profile = Profile {
    name: "linux-flowtable",
    about: "Linux nf_flow_table with hardware offload: a collector asks for statistics, one request at a time, and takes out what is idle",
    policy: "assured",
    habits: Habits {
        counting: Counting::OnDemand,
        collector: Some(CollectorConfig {
            every_ms: 1_000,
            timeout_ms: 30_000,
            ask_below_permille: 900,
            limit: None,
        }),
        at_close: AtClose::Later,
        half_is_enough: true,
        one_request: true,
        ..ctnic::PROFILE.habits
    },
    card: &[("trap.tcp_syn", "false"), ("trap.close_latch", "false")],
    traits: &[
        "a flow times out after 30 s without a packet (nf_flowtable_tcp_timeout, nf_flowtable_udp_timeout)",
        "a garbage collector looks at each flow once a second",
        "statistics are asked for, flow by flow, when less than 90 % of the timeout is left",
        "one request about a flow at a time: another is dropped until the collector comes by",
        "one direction that the card accepts is success",
        "FIN and RST miss the card's rule, SYN hits it; after a FIN or RST the flow stays until the collector comes by, then is CLOSE",
    ],
};
