//! The tracker: what it holds, and how packets are given to it.

mod attributes;
mod clash;
mod dispatch;
mod help;
mod icmp;
mod nat;
mod path;
mod plain;
mod removal;

use crate::connection::Connection;
use crate::event::Event;
use crate::expectation::Expectations;
use crate::fragment::Reassembly;
use crate::gre_keys::Keys;
use crate::hash::HashKey;
use crate::helper::{self, Helper};
use crate::id::ConnectionId;
use crate::masters::Masters;
use crate::nat::Sources;
use crate::parse::{self, Parsed};
use crate::stats::Stats;
use crate::status::Status;
use crate::store::{Seen, Store};
use crate::sysctl::{Config, SysctlError};
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple, Zone};
use crate::verdict::{CtInfo, Verdict};
use nat::Translation;
use packet::prefetch;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Packets of a batch looked up before the first is tracked.
const AHEAD: usize = 32;

/// What is known of a packet's transport checksum before the tracker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChecksumStatus {
    /// Nothing: verify it, if all bytes are there.
    #[default]
    Unknown,
    /// It was verified and is right.
    Good,
}

/// A packet to be tracked.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// From the IP header on, as captured.
    pub bytes: &'a [u8],
    /// Length on the wire, from the IP header on; more than `bytes` if the packet was cut by a capture.
    pub wire_len: usize,
    /// Zone to track it in.
    pub zone: Zone,
    /// A rule said `notrack`: it belongs to no connection.
    pub untracked: bool,
    /// What is known of its transport checksum.
    pub checksum: ChecksumStatus,
}

impl<'a> Packet<'a> {
    /// A packet that is there in whole, in the default zone.
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            wire_len: bytes.len(),
            zone: Zone::DEFAULT,
            untracked: false,
            checksum: ChecksumStatus::Unknown,
        }
    }
}

/// The connection tracker.
#[derive(Debug)]
pub struct Tracker {
    pub(crate) config: Config,
    pub(crate) store: Store,
    reassembly: Reassembly,
    stats: Stats,
    events: Vec<Event>,
    record_events: bool,
    collect_at: u32,
    /// The connection destroyed last, other than by its age.
    ended: Option<(ConnectionId, Translation)>,
    sources: Sources,
    masters: Masters,
    helpers: Vec<Arc<dyn Helper>>,
    /// Some connection may have a helper.
    helpers_in_use: bool,
    expectations: Expectations,
    keys: Keys,
    networks: Vec<(Ipv4Addr, u8)>,
    /// Something may be expected by a connection that is not in the table yet.
    unconfirmed_master: bool,
    /// The datagram put together last.
    reassembled: Option<Vec<u8>>,
}

/// What a look at a packet before its turn told ([`Tracker::look_ahead`]).
#[derive(Debug, Clone, Copy)]
pub struct Ahead(u32);

/// A packet's connection: one in the table, or a new one that is not yet.
#[derive(Debug)]
pub enum Entered {
    /// The verdict is complete: nothing to confirm.
    Done(Verdict),
    /// A new connection, to be confirmed once all rules have let the packet pass.
    Unconfirmed(Connection, Verdict),
}

impl Entered {
    /// The verdict; that on a new connection's packet does not name the connection yet.
    pub const fn verdict(&self) -> &Verdict {
        match self {
            Self::Done(verdict) | Self::Unconfirmed(_, verdict) => verdict,
        }
    }
}

impl Tracker {
    /// A tracker without connections.
    pub fn new(config: Config, key: HashKey) -> Self {
        Self {
            config,
            store: Store::new(key),
            reassembly: Reassembly::default(),
            stats: Stats::default(),
            events: Vec::new(),
            record_events: false,
            collect_at: 0,
            ended: None,
            sources: Sources::default(),
            masters: Masters::default(),
            helpers: helper::built_in(),
            helpers_in_use: false,
            expectations: Expectations::default(),
            keys: Keys::default(),
            networks: Vec::new(),
            unconfirmed_master: false,
            reassembled: None,
        }
    }

    /// The settings.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Sets one setting by its kernel name; see [`Config::set`].
    ///
    /// # Errors
    /// The name is unknown or the value no number.
    pub fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        self.config.set(name, value)
    }

    /// Counters as `conntrack -S` shows them.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Number of connections, expired ones that were not collected yet included.
    pub const fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there is no connection.
    pub const fn is_empty(&self) -> bool {
        self.store.len() == 0
    }

    /// Datagrams being put together from fragments.
    pub fn fragments_pending(&self) -> usize {
        self.reassembly.len()
    }

    /// The datagram the last packet completed, put together from its fragments; it is what must be rewritten and forwarded.
    pub const fn take_reassembled(&mut self) -> Option<Vec<u8>> {
        self.reassembled.take()
    }

    /// Starts keeping events for [`Tracker::take_events`].
    pub const fn record_events(&mut self, record: bool) {
        self.record_events = record;
    }

    /// Events since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether any event waits.
    pub const fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// A connection.
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.store.get(id)
    }

    /// The original tuple of a connection in the table, or of the one that ended last, other than by
    /// its age: a verdict may name a connection that its packet ended.
    pub fn original_tuple(&self, id: ConnectionId) -> Option<Tuple> {
        let ended = self.ended.filter(|(ended, _)| *ended == id);
        self.connection(id)
            .map(|connection| connection.tuple(Direction::Original))
            .or(ended.map(|(_, translation)| translation.tuples[0]))
    }

    /// Mark and labels of a connection in the table, or of the one that ended last, other than by its age.
    pub fn marking(&self, id: ConnectionId) -> Option<(u32, u128)> {
        let ended = self.ended.filter(|(ended, _)| *ended == id);
        self.connection(id)
            .map(|connection| (connection.mark(), connection.labels()))
            .or(ended.map(|(_, translation)| translation.marking))
    }

    /// All connections in the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        (0..self.store.index_end()).filter_map(|index| self.store.at(index))
    }

    /// The connection one of whose tuples this is, expired or not.
    pub fn find(&self, tuple: &Tuple, zone: Zone) -> Option<(ConnectionId, Direction)> {
        self.store.find(tuple, zone, self.store.hash(tuple, zone))
    }

    /// Tracks a packet as a router that lets every packet pass: [`Tracker::enter`], then [`Tracker::confirm`].
    pub fn track(&mut self, packet: &Packet<'_>, now: Time) -> Verdict {
        if let Some(hash) = self.plain_hash(packet) {
            // All of it at once, not line by line.
            let seen = self.store.prefetch_connection(hash);
            if let Some(verdict) = self.track_plain(packet.bytes, hash, seen, now) {
                return verdict;
            }
        }
        self.track_prepared(None, packet, now)
    }

    /// What a router does that has no rules.
    #[inline]
    fn pass(&mut self, mut entered: Entered, packet: &Packet<'_>, now: Time) -> Verdict {
        if self.helpers_in_use {
            // Nothing is translated here, so there is nothing to replace.
            let mut bytes = self
                .take_reassembled()
                .unwrap_or_else(|| packet.bytes.to_vec());
            if let Err(reason) =
                self.help(&mut entered, &mut bytes, &mut |among| *among.start(), now)
            {
                return Verdict::bare(CtInfo::Dropped, Some(reason));
            }
        }
        self.leave(entered, now)
    }

    /// The second half of tracking, once all rules have let the packet pass: confirms its connection if it is new, tells
    /// what changed of it if it is not. What a packet changed that did not come so far is told with the next one that does.
    #[inline]
    pub fn leave(&mut self, entered: Entered, now: Time) -> Verdict {
        match entered {
            Entered::Done(verdict) => {
                self.tell(&verdict, now);
                verdict
            }
            Entered::Unconfirmed(connection, verdict) => self.confirm(connection, verdict, now),
        }
    }

    /// Begins to fetch from memory what tracking a packet will need, some packets before its turn: nothing but time changes.
    /// [`Tracker::fetch`] goes on once that has come. `None` if this packet is not one that it helps.
    #[inline]
    pub fn look_ahead(&self, packet: &Packet<'_>) -> Option<Ahead> {
        let hash = self.plain_hash(packet)?;
        self.store.prefetch_table(hash);
        Some(Ahead(hash))
    }

    /// Fetches the connection of a packet that was looked at; its index, as far as a look at the table shows it.
    #[inline]
    pub fn fetch(&self, ahead: Ahead) -> u32 {
        self.store.prefetch_connection(ahead.0).index()
    }

    /// Fetches a connection from memory, by its index.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        self.store.prefetch_index(index);
    }

    /// Tracks packets at their times; the same verdicts as one after the other, but the table and the connections are
    /// fetched ahead for all of them.
    pub fn track_batch(&mut self, packets: &[(Packet<'_>, Time)], verdicts: &mut Vec<Verdict>) {
        let mut hashes = [None; AHEAD];
        let mut seen = [Seen::default(); AHEAD];
        verdicts.reserve(packets.len());
        for group in packets.chunks(AHEAD) {
            for (packet, _) in group {
                if let Some(first) = packet.bytes.first() {
                    prefetch(first);
                }
            }
            let mut others = Vec::new();
            for (slot, (packet, _)) in hashes.iter_mut().zip(group) {
                *slot = self.plain_hash(packet);
                let hash = slot.unwrap_or_else(|| self.prepare(packet, &mut others));
                self.store.prefetch_table(hash);
            }
            let changes = self.store.changes();
            let mut prepared = others.iter();
            for (seen, hash) in seen.iter_mut().zip(&hashes[..group.len()]) {
                let hash = hash.unwrap_or_else(|| prepared.next().map_or(0, |(_, hash)| *hash));
                *seen = self.store.prefetch_connection(hash);
            }
            let mut prepared = others.iter();
            for ((hash, seen), (packet, now)) in hashes.iter().zip(&seen).zip(group) {
                let other = match *hash {
                    Some(hash) => {
                        let fresh = self.store.changes() == changes;
                        let seen = if fresh { *seen } else { Seen::default() };
                        if let Some(verdict) = self.track_plain(packet.bytes, hash, seen, *now) {
                            verdicts.push(verdict);
                            continue;
                        }
                        None
                    }
                    None => prepared.next(),
                };
                verdicts.push(self.track_prepared(other, packet, *now));
            }
        }
    }

    /// Reads a packet that is no plain one; its hash.
    #[inline(never)]
    fn prepare<'a>(&self, packet: &Packet<'a>, others: &mut Vec<(Parsed<'a>, u32)>) -> u32 {
        others.reserve(AHEAD);
        let mut parsed = parse::parse(packet.bytes, packet.wire_len);
        self.add_key(&mut parsed);
        let hash = self.hash_of(&parsed, packet.zone);
        others.push((parsed, hash));
        hash
    }

    /// Tracks a packet that is no plain one; `prepared` is what is known of it.
    #[inline(never)]
    fn track_prepared(
        &mut self,
        prepared: Option<&(Parsed<'_>, u32)>,
        packet: &Packet<'_>,
        now: Time,
    ) -> Verdict {
        let entered = match prepared {
            // The key of GRE may be known only since a packet before it.
            Some((parsed, hash)) if !parsed.is_gre() => {
                self.enter_parsed(packet, parsed, *hash, now)
            }
            _ => self.enter_every(packet, now),
        };
        self.pass(entered, packet, now)
    }
}

impl Verdict {
    /// [`CtInfo::ct_state`] with the NAT flags of the packet's connection.
    pub fn ct_state(&self, tracker: &Tracker) -> String {
        let connection = self.connection.and_then(|id| tracker.connection(id));
        self.ctinfo
            .ct_state(connection.map_or(Status::NONE, |connection| connection.status()))
    }
}
