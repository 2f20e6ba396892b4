//! What the testbench's host does with packets: from one port to the other, the clients' addresses translated and
//! connections marked if asked for.

use crate::marks::MarkRule;
use crate::traffic::translated::Network;
use conntrack_core::nat::Target;
use conntrack_core::{Connection, Tuple};
use driver::{Egress, Received, Switch, Translation};
use nic_model::flow_table::Marking;

/// Port that clients' frames arrive at.
const CLIENTS: u8 = 0;

/// Two ports, and perhaps a network that clients seem to be in.
#[derive(Debug, Clone, Default)]
pub struct Bridge {
    /// Where clients of IPv4 seem to be.
    pub network: Option<Network>,
    /// What new connections are marked with: the first rule that names one.
    pub marks: Vec<MarkRule>,
    /// Packets of connections with this mark are dropped; the second number is the bits of it that count.
    pub drop_marked: Option<(u32, u32)>,
}

impl Bridge {
    /// Whether packets of connections with these marks and labels are dropped.
    pub fn refuses(&self, marking: &Marking) -> bool {
        (self.drop_marked).is_some_and(|(value, mask)| marking.mark & mask == value & mask)
    }
}

impl Switch for Bridge {
    fn egress(&mut self, packet: &Received<'_>) -> Egress {
        if self.refuses(&packet.marking) {
            return Egress::Drop;
        }
        Egress::Port(packet.port ^ 1)
    }

    fn marks(&self) -> bool {
        !self.marks.is_empty()
    }

    fn marking(&mut self, connection: &Connection, _port: u8) -> Marking {
        let rule = self.marks.iter().find(|rule| rule.which.names(connection));
        rule.map_or(Marking::NONE, |rule| rule.change.of(Marking::NONE))
    }

    fn reads_markings(&self) -> bool {
        self.drop_marked.is_some()
    }

    fn translates(&self) -> bool {
        self.network.is_some()
    }

    fn translation(&mut self, _original: &Tuple, port: u8) -> Translation {
        let source = self.network.filter(|_| port == CLIENTS);
        Translation {
            destination: None,
            source: source.map(|network| Target::Netmap {
                network: network.address.into(),
                prefix_len: network.prefix_len,
            }),
        }
    }
}
