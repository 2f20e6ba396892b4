//! Invariant 2: for every connection, software + hardware counts = packets forwarded.
//!
//! What was forwarded is known from outside: the frames the hardware forwarded, by flow, and the packets connection tracking
//! said it counted. What was counted is what the software entries hold in the end, or held when they went.

use super::Ledger;
use crate::frame::FrameMeta;
use crate::summary::{CauseCount, MonitorVerdict};
use conntrack_core::{Connection, ConnectionId, Direction};
use nic_model::clock::Picos;
use packet::prefetch;
use std::collections::{BTreeMap, BTreeSet};

/// Packets and bytes that should be, minus those that were, counted. Packets wrap around: half the memory, and
/// four thousand million packets of one flow that nobody counted would still show in the bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Balance {
    bytes: [i64; 2],
    packets: [i32; 2],
}

impl Balance {
    fn add(&mut self, direction: usize, packets: i64, bytes: i64) {
        self.packets[direction] = self.packets[direction].wrapping_add(packets as i32);
        self.bytes[direction] += bytes;
    }
}

/// Keeps one balance per flow.
#[derive(Debug, Default)]
pub struct AccountConservation {
    balances: Vec<Balance>,
    /// Flow of each connection index.
    flows: Vec<u32>,
    /// Connections, by index, that began with a fragment: what came first showed no ports.
    in_pieces: BTreeSet<u32>,
    /// Flows whose frames belong to the same connection: a translation that was not free was given to the one, and the other's
    /// replies come to it. They are judged together.
    mixed: BTreeMap<u32, u32>,
    /// Flows of connections that went in software while the hardware still had entries of theirs.
    owed: BTreeMap<ConnectionId, u32>,
    /// What the hardware forwarded of each flow and nobody has read yet; kept where losses are to be expected.
    unread: Option<BTreeMap<u32, Balance>>,
    written_off: [u64; 2],
    ledger: Ledger,
}

impl AccountConservation {
    fn balance(&mut self, flow: u32) -> Option<&mut Balance> {
        if flow == FrameMeta::NO_FLOW {
            return None;
        }
        let index = flow as usize;
        if index >= self.balances.len() {
            const STEP: usize = 1 << 14;
            self.balances
                .reserve_exact((index + 1 - self.balances.len()).max(STEP));
            self.balances.resize(index + 1, Balance::default());
        }
        self.balances.get_mut(index)
    }

    /// Asks for a flow's balance, so that it is at hand when its packet comes.
    #[inline]
    pub fn prefetch(&self, flow: u32) {
        if let Some(balance) = self.balances.get(flow as usize) {
            prefetch(balance);
        }
    }

    /// The hardware forwarded (or at least counted) a packet of `bytes` IP bytes.
    #[inline]
    pub fn forwarded(&mut self, flow: u32, from_originator: bool, bytes: u32) {
        let direction = usize::from(!from_originator);
        if let Some(balance) = self.balance(flow) {
            balance.add(direction, 1, i64::from(bytes));
        }
        if let Some(unread) = &mut self.unread {
            let unread = unread.entry(flow).or_default();
            unread.add(direction, 1, i64::from(bytes));
        }
    }

    /// The hardware will lose counts: keeps what is needed to tell how many.
    pub fn expect_losses(&mut self) {
        self.unread = Some(BTreeMap::new());
    }

    /// A connection is gone in software while the hardware still had entries of it: their counts are to come.
    pub fn owed(&mut self, id: ConnectionId) {
        if let Some(flow) = self.flow_of(id) {
            self.owed.insert(id, flow);
        }
    }

    /// The flow of a connection that is or was in hardware.
    pub fn flow_in_hardware(&self, id: ConnectionId) -> Option<u32> {
        self.owed.get(&id).copied().or_else(|| self.flow_of(id))
    }

    /// Counts were read from the hardware, and added to the connection in software if it was `found` there.
    pub fn read_from_hardware(
        &mut self,
        id: ConnectionId,
        direction: Direction,
        (packets, bytes): (u64, u64),
        found: bool,
    ) {
        let Some(flow) = self.flow_in_hardware(id) else {
            return;
        };
        let (packets, bytes) = ((packets as i64).wrapping_neg(), -(bytes as i64));
        if let Some(unread) = &mut self.unread {
            let unread = unread.entry(flow).or_default();
            unread.add(direction.index(), packets, bytes);
        }
        if !found && let Some(balance) = self.balance(flow) {
            balance.add(direction.index(), packets, bytes);
        }
    }

    /// The driver says that the hardware has lost the last counts of a connection. That is possible only where something went
    /// wrong, and never more than what the hardware forwarded since they were read.
    pub fn write_off(&mut self, id: ConnectionId, connection: Option<&Connection>, now: Picos) {
        let name = || match connection {
            Some(connection) => connection.tuple(Direction::Original).to_string(),
            None => format!("connection {}", id.index()),
        };
        let flow = self.flow_in_hardware(id);
        let Some(unread) = &mut self.unread else {
            return self.ledger.check(false, || {
                format!(
                    "at {now} the driver gave up counts of {}, but nothing had gone wrong",
                    name()
                )
            });
        };
        let Some(flow) = flow else {
            return;
        };
        let lost = unread.remove(&flow).unwrap_or_default();
        let possible = lost.bytes.iter().all(|bytes| *bytes >= 0);
        self.ledger.check(possible, || {
            format!(
                "{}: more was read from the hardware than it forwarded: {lost:?} at {now}",
                name()
            )
        });
        if let Some(balance) = self.balance(flow) {
            for direction in 0..2 {
                let (packets, bytes) = (lost.packets[direction], lost.bytes[direction]);
                balance.add(direction, i64::from(packets).wrapping_neg(), -bytes);
            }
        }
        for direction in 0..2 {
            self.written_off[0] += u64::from(lost.packets[direction].unsigned_abs());
            self.written_off[1] += lost.bytes[direction].unsigned_abs();
        }
    }

    /// No entry of a connection is in the hardware any more.
    pub fn left_hardware(&mut self, id: ConnectionId) {
        self.owed.remove(&id);
    }

    /// Connection tracking counted a packet of `bytes` IP bytes that arrived as a frame of `flow`.
    pub fn tracked(
        &mut self,
        flow: u32,
        id: ConnectionId,
        created: bool,
        whole: bool,
        direction: Direction,
        bytes: u32,
    ) {
        let index = id.index() as usize;
        if index >= self.flows.len() {
            self.flows.resize(index + 1, FrameMeta::NO_FLOW);
        }
        if created {
            self.flows[index] = flow;
            if whole {
                self.in_pieces.remove(&id.index());
            } else {
                self.in_pieces.insert(id.index());
            }
        }
        let known = self.flows[index];
        if known != flow && whole && !self.in_pieces.contains(&id.index()) {
            let (first, second) = (self.root(known), self.root(flow));
            if first != second && known != FrameMeta::NO_FLOW && flow != FrameMeta::NO_FLOW {
                self.mixed.insert(first.max(second), first.min(second));
            }
        } else if known != flow && whole {
            // The connection began with a fragmented datagram, whose fragments show no ports: now its flow is known.
            let earlier = self.balance(known).map(std::mem::take).unwrap_or_default();
            if let Some(balance) = self.balance(flow) {
                for i in 0..2 {
                    balance.add(i, earlier.packets[i].into(), earlier.bytes[i]);
                }
            }
            self.flows[index] = flow;
        }
        let flow = self.flows[index];
        if let Some(balance) = self.balance(flow) {
            balance.add(direction.index(), 1, i64::from(bytes));
        }
    }

    /// The flow that stands for all that are mixed with this one.
    fn root(&self, mut flow: u32) -> u32 {
        while let Some(other) = self.mixed.get(&flow) {
            flow = *other;
        }
        flow
    }

    /// The flow a connection belongs to.
    pub fn flow_of(&self, id: ConnectionId) -> Option<u32> {
        self.flows
            .get(id.index() as usize)
            .copied()
            .filter(|flow| *flow != FrameMeta::NO_FLOW)
    }

    /// A connection is gone, or the run is over: what it counted.
    pub fn settled(&mut self, id: ConnectionId, connection: &Connection) {
        let Some(flow) = self.flow_of(id) else {
            return;
        };
        for direction in [Direction::Original, Direction::Reply] {
            let counters = connection.counters(direction);
            if let Some(balance) = self.balance(flow) {
                let (packets, bytes) = (counters.packets as i64, counters.bytes as i64);
                balance.add(direction.index(), packets.wrapping_neg(), -bytes);
            }
        }
    }

    /// The run is over; `live` are the connections there still are.
    pub fn finish<'a>(
        &mut self,
        live: impl Iterator<Item = (ConnectionId, &'a Connection)>,
        now: Picos,
    ) {
        let mut names = vec![None; self.balances.len()];
        for (id, connection) in live {
            self.settled(id, connection);
            if let Some(name) = self
                .flow_of(id)
                .and_then(|flow| names.get_mut(flow as usize))
            {
                *name = Some(connection.tuple(Direction::Original));
            }
        }
        for flow in self.mixed.keys().copied().collect::<Vec<u32>>() {
            let root = self.root(flow);
            let moved = self.balance(flow).map(std::mem::take).unwrap_or_default();
            if let Some(balance) = self.balance(root) {
                for i in 0..2 {
                    balance.add(i, moved.packets[i].into(), moved.bytes[i]);
                }
            }
        }
        for (flow, balance) in self.balances.iter().enumerate() {
            let even = balance.packets == [0; 2] && balance.bytes == [0; 2];
            self.ledger.check(even, || {
                let name = names[flow].map_or_else(|| format!("flow {flow}"), |tuple| tuple.to_string());
                format!(
                    "{name}: {} packets and {} bytes forwarded from the originator, {} and {} to it, are not in its \
                     counters at {now} (negative: counted twice)",
                    balance.packets[0], balance.bytes[0], balance.packets[1], balance.bytes[1]
                )
            });
        }
    }

    /// The verdict so far.
    pub fn verdict(&self) -> MonitorVerdict {
        let mut verdict = self.ledger.verdict(
            2,
            "account conservation",
            "for every connection, software + hardware counts = packets forwarded",
        );
        if self.written_off[0] > 0 {
            let counted = |cause: &str, count: u64| CauseCount {
                cause: cause.to_owned(),
                count,
            };
            verdict.counted = vec![
                counted("packets lost with what the card lost", self.written_off[0]),
                counted("bytes lost with what the card lost", self.written_off[1]),
            ];
        }
        verdict
    }
}
