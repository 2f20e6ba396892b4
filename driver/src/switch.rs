//! Where packets go: the part an integrator writes.

use crate::translation::Translation;
use conntrack_core::{Connection, Tuple, Verdict};
use nic_model::flow_table::Marking;

/// A packet the hardware left to software.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Port it arrived at.
    pub port: u8,
    /// The frame from the Ethernet header on, as captured.
    pub frame: &'a [u8],
    /// Its length on the wire without FCS, bytes.
    pub wire_bytes: u32,
    /// What connection tracking says; `None` if it is not IP.
    pub verdict: Option<&'a Verdict>,
    /// Mark and labels of its connection.
    pub marking: Marking,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Egress {
    /// Send it by this port.
    Port(u8),
    /// Drop it.
    Drop,
}

/// Mark and labels of a connection.
pub fn marking_of(connection: &Connection) -> Marking {
    Marking {
        mark: connection.mark(),
        labels: connection.labels(),
    }
}

/// Decides where packets go.
///
/// For an offloaded connection the hardware sends packets of a direction where the switch sent the packet on which the
/// connection was offloaded, and packets of the other direction back to where that one came from.
pub trait Switch {
    /// Where this packet goes.
    fn egress(&mut self, packet: &Received<'_>) -> Egress;

    /// Whether new connections are marked. Without such rules no time is spent on it.
    fn marks(&self) -> bool {
        false
    }

    /// Mark and labels of a new connection whose first packet arrived at `port`.
    fn marking(&mut self, connection: &Connection, port: u8) -> Marking {
        let _ = (connection, port);
        Marking::NONE
    }

    /// Whether where packets go depends on marks or labels. Of connections that have any, only a card forwards packets that
    /// carries them in its entries: the rules behind its flow table must say what this switch says.
    fn reads_markings(&self) -> bool {
        false
    }

    /// Whether there are rules that translate addresses. Without them no time is spent on it.
    fn translates(&self) -> bool {
        false
    }

    /// What becomes of the addresses of a new connection whose first packet arrived at `port`. Connections inside tunnels are
    /// not translated.
    fn translation(&mut self, original: &Tuple, port: u8) -> Translation {
        let _ = (original, port);
        Translation::default()
    }
}

/// Two ports, everything goes from one to the other: a bump in the wire.
#[derive(Debug, Clone, Copy, Default)]
pub struct TwoPort;

impl Switch for TwoPort {
    fn egress(&mut self, packet: &Received<'_>) -> Egress {
        Egress::Port(packet.port ^ 1)
    }
}
