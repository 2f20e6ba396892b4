//! Linux tc's act_ct on a ConnectX card (mlx5).

use super::{Profile, linux_flowtable};
use crate::habits::{AtClose, Counting, Habits};

pub(super) const PROFILE: Profile = Profile {
    name: "act-ct-mlx5",
    about: "Linux tc act_ct on mlx5: cached counters up to a second late, liberal windows, UDP one way until ASSURED",
    policy: "assured-tcp",
    habits: Habits {
        counting: Counting::Push(Some(1_000)),
        heard_when_read: true,
        at_close: AtClose::EntryLater,
        liberal: true,
        udp_one_way: true,
        ..linux_flowtable::PROFILE.habits
    },
    card: &[("trap.tcp_syn", "false"), ("trap.close_latch", "false")],
    traits: &[
        "TCP goes in once ASSURED and ESTABLISHED, UDP with its first packet, one way until ASSURED",
        "windows are liberal in both directions from the offload on",
        "counters are read in bulk once a second; a flow's last use is the reading that saw it change",
        "flows time out after 30 s and the collector looks at each once a second, as in every Linux flow table",
        "after a FIN or RST software takes over at once; the card's entry goes when the collector comes by",
        "one direction that the card accepts is success; one request about a flow at a time",
    ],
};
