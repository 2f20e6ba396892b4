//! Which cells of the TCP table packets reached: state, class of segment, direction.

use super::case::Step;
use conntrack_core::protocol::tcp::{Class, TcpState};
use conntrack_core::{Direction, Tracker, Tuple, Zone};
use packet::{Ipv4, Ipv6, Protocol, Tcp, TcpFlags};
use std::collections::BTreeMap;

/// A cell.
pub type Cell = (TcpState, Class, Direction);

/// How often each cell was reached.
#[derive(Debug, Default)]
pub struct Coverage(BTreeMap<Cell, u64>);

impl Coverage {
    /// Counts the cell a packet will reach.
    pub fn note(&mut self, tracker: &Tracker, step: &Step) {
        if let Some(cell) = cell(tracker, &step.bytes) {
            *self.0.entry(cell).or_default() += 1;
        }
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (cell, count) in &other.0 {
            *self.0.entry(*cell).or_default() += count;
        }
    }

    /// Cells reached.
    pub fn reached(&self) -> usize {
        self.0.len()
    }

    /// Cells that can be reached, and were not.
    pub fn missing(&self) -> Vec<Cell> {
        all().filter(|cell| !self.0.contains_key(cell)).collect()
    }
}

/// All cells that there are: a connection without a packet (`NONE`) has only an original direction.
fn all() -> impl Iterator<Item = Cell> {
    const CLASSES: [Class; 6] = [
        Class::Syn,
        Class::SynAck,
        Class::Fin,
        Class::Ack,
        Class::Rst,
        Class::None,
    ];
    TcpState::ALL.into_iter().flat_map(move |state| {
        CLASSES.into_iter().flat_map(move |class| {
            Direction::ALL
                .into_iter()
                .filter(move |direction| {
                    state != TcpState::None || *direction == Direction::Original
                })
                .map(move |direction| (state, class, direction))
        })
    })
}

fn cell(tracker: &Tracker, packet: &[u8]) -> Option<Cell> {
    let (source, destination, family, segment) = match packet.first()? >> 4 {
        4 => {
            let ip = Ipv4::new(packet)
                .ok()
                .filter(|ip| ip.protocol() == Protocol::TCP && !ip.is_fragment())?;
            (widen(ip.source()), widen(ip.destination()), 4, ip.payload())
        }
        _ => {
            let ip = Ipv6::new(packet)
                .ok()
                .filter(|ip| ip.next_header() == Protocol::TCP)?;
            (ip.source(), ip.destination(), 6, ip.payload())
        }
    };
    let tcp = Tcp::new(segment).ok()?;
    let tuple = Tuple {
        source,
        destination,
        source_id: tcp.source_port(),
        destination_id: tcp.destination_port(),
        protocol: Protocol::TCP.0,
        family,
    };
    let known = tracker.find(&tuple, Zone::DEFAULT);
    let state = known
        .and_then(|(id, _)| tracker.connection(id)?.tcp_state())
        .unwrap_or(TcpState::None);
    let direction = known.map_or(Direction::Original, |(_, direction)| direction);
    Some((state, class(tcp.flags()), direction))
}

fn widen([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn class(flags: TcpFlags) -> Class {
    let has = |flag| flags.contains(flag);
    match () {
        () if has(TcpFlags::RST) => Class::Rst,
        () if has(TcpFlags::SYN) && has(TcpFlags::ACK) => Class::SynAck,
        () if has(TcpFlags::SYN) => Class::Syn,
        () if has(TcpFlags::FIN) => Class::Fin,
        () if has(TcpFlags::ACK) => Class::Ack,
        () => Class::None,
    }
}
