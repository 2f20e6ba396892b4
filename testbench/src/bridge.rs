//! What the testbench's host does with packets: from one port to the other, the clients' addresses translated if asked for.

use crate::traffic::translated::Network;
use conntrack_core::Tuple;
use conntrack_core::nat::Target;
use driver::{Egress, Received, Switch, Translation};

/// Port that clients' frames arrive at.
const CLIENTS: u8 = 0;

/// Two ports, and perhaps a network that clients seem to be in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bridge {
    /// Where clients of IPv4 seem to be.
    pub network: Option<Network>,
}

impl Switch for Bridge {
    fn egress(&mut self, packet: &Received<'_>) -> Egress {
        Egress::Port(packet.port ^ 1)
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
