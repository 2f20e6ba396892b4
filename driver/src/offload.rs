//! The life of an offloaded connection.
//!
//! ```text
//!   Software --insert queued--> Inserting --completion--> Installed --delete queued--> Removing --completion--> Software
//!      ^                            | refused                                                                      |
//!      +----------------------------+------------------------------------------------------------------------------+
//! ```
//! Each connection index has one record. A record has a generation of its own, which is part of the cookie the hardware
//! knows the entry by: reports about an entry that is gone are told from those about its successor.

use crate::entries::Ways;
use crate::explain::Why;
use crate::flaw::{Flaw, Flaws};
use crate::room::ZoneCounts;
use crate::steps::Steps;
use conntrack_core::{ConnectionId, Direction};
use nic_model::flow_table::entry::{KeyDirection, Tunnel, Way};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[repr(u8)]
pub enum Life {
    /// In software alone.
    #[default]
    Software,
    /// An insert command is on its way.
    Inserting,
    /// In hardware.
    Installed,
    /// A delete command is on its way.
    Removing,
}

/// Why a connection is taken out of hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum RemoveCause {
    /// A SYN on its tuple.
    #[default]
    TcpSyn = 0,
    /// A FIN.
    TcpFin = 1,
    /// A RST.
    TcpRst = 2,
    /// No packet for too long.
    Aged = 3,
    /// Its state in software changed.
    StateChanged = 4,
    /// It is gone in software.
    Destroyed = 5,
    /// It gave way to another in the card's table.
    Evicted = 6,
    /// There was no place for the entry of the other direction.
    Half = 7,
    /// A TCP segment outside its windows.
    Window = 8,
    /// The card does not have its entry any more.
    Lost = 9,
    /// The driver took it out to make room for another.
    Displaced = 10,
    /// Rules changed.
    RulesChanged = 11,
    /// A port went down.
    PortDown = 12,
    /// The driver stops.
    Stopped = 13,
    /// It was in with one direction, and is to go in with both.
    OneWay = 14,
}

impl RemoveCause {
    /// All causes in order of their codes.
    pub const ALL: [Self; 15] = [
        Self::TcpSyn,
        Self::TcpFin,
        Self::TcpRst,
        Self::Aged,
        Self::StateChanged,
        Self::Destroyed,
        Self::Evicted,
        Self::Half,
        Self::Window,
        Self::Lost,
        Self::Displaced,
        Self::RulesChanged,
        Self::PortDown,
        Self::Stopped,
        Self::OneWay,
    ];

    /// Short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TcpSyn => "tcp-syn",
            Self::TcpFin => "tcp-fin",
            Self::TcpRst => "tcp-rst",
            Self::Aged => "aged",
            Self::StateChanged => "state-changed",
            Self::Destroyed => "destroyed",
            Self::Evicted => "evicted",
            Self::Half => "half",
            Self::Window => "window",
            Self::Lost => "lost",
            Self::Displaced => "displaced",
            Self::RulesChanged => "rules-changed",
            Self::PortDown => "port-down",
            Self::Stopped => "stopped",
            Self::OneWay => "one-way",
        }
    }
}

/// Why a connection was not put into hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RefuseCause {
    /// The table had no place for it.
    TableFull = 0,
    /// The table already had its key.
    Duplicate = 1,
    /// The command ring was full.
    CommandRingFull = 2,
    /// The card called the command invalid.
    Invalid = 3,
    /// It ended while it was being inserted.
    Overtaken = 4,
    /// The card began afresh before it had answered.
    Reset = 5,
    /// All counters were in use or at rest.
    NoCounter = 6,
}

impl RefuseCause {
    /// All causes in order of their codes.
    pub const ALL: [Self; 7] = [
        Self::TableFull,
        Self::Duplicate,
        Self::CommandRingFull,
        Self::Invalid,
        Self::Overtaken,
        Self::Reset,
        Self::NoCounter,
    ];

    /// Short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TableFull => "table-full",
            Self::Duplicate => "duplicate",
            Self::CommandRingFull => "command-ring-full",
            Self::Invalid => "invalid",
            Self::Overtaken => "overtaken",
            Self::Reset => "reset",
            Self::NoCounter => "no-counter",
        }
    }
}

/// Bits of a cookie that hold the connection's index; the next one says which of its entries it is, the rest is the record's
/// generation.
const INDEX_BITS: u32 = 24;
const GENERATION_AT: u32 = INDEX_BITS + 1;

/// The name of an entry: connection index, which of its entries, and record generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookie(pub(crate) u32);

impl Cookie {
    pub(crate) const fn index(self) -> u32 {
        self.0 & ((1 << INDEX_BITS) - 1)
    }

    const fn generation(self) -> u8 {
        (self.0 >> GENERATION_AT) as u8
    }

    /// Which entry of the connection: 0 or 1.
    pub(crate) const fn part(self) -> usize {
        (self.0 >> INDEX_BITS & 1) as usize
    }

    /// The cookie of another of its entries.
    pub(crate) const fn of_part(self, part: usize) -> Self {
        Self(self.0 & !(1 << INDEX_BITS) | (part as u32 & 1) << INDEX_BITS)
    }
}

/// A set of entries of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Parts(u8);

impl Parts {
    pub(crate) const fn first(count: usize) -> Self {
        Self(if count > 1 { 3 } else { 1 })
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn len(self) -> u8 {
        self.0.count_ones() as u8
    }

    pub(crate) const fn has(self, part: usize) -> bool {
        self.0 >> part & 1 == 1
    }

    pub(crate) const fn add(&mut self, part: usize) {
        self.0 |= 1 << part;
    }

    pub(crate) const fn take(&mut self, part: usize) {
        self.0 &= !(1 << part);
    }
}

/// What is kept of each connection index: a line of the cache.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(crate) struct Record {
    /// Counters as last read: of a single entry by key direction, of two by entry.
    pub(crate) bytes: [u64; 2],
    pub(crate) packets: [u32; 2],
    connection_generation: u32,
    /// Milliseconds since the start. In software: before this no new attempt is made. In hardware: when it came in, or packets
    /// of it were counted last.
    pub(crate) at_ms: u32,
    generation: u8,
    pub(crate) life: Life,
    /// Why it is taken out, or was taken out last.
    pub(crate) cause: Option<RemoveCause>,
    /// Of a single entry.
    pub(crate) originator_is_lower: bool,
    /// Of two entries, those that serve packets from the key's higher endpoint.
    pub(crate) from_higher: Parts,
    /// Entries the connection needs.
    pub(crate) wanted: Parts,
    /// Entries in the card, as far as the driver knows.
    pub(crate) present: Parts,
    /// Entries that were reported idle and were not seen to be hit since.
    pub(crate) idle: Parts,
    /// Commands on their way.
    pub(crate) waiting: u8,
    /// Why an entry was refused.
    pub(crate) refused: Option<RefuseCause>,
    /// Entries that are out: what the card said of them before may come later.
    pub(crate) gone: Parts,
    /// Entries that the reading of the table has come by.
    pub(crate) seen: Parts,
    /// An entry went without its final counters.
    pub(crate) lost: bool,
    /// Why it is not in hardware, as far as that was asked.
    pub(crate) why: Option<Why>,
    /// Entries of which nobody has heard yet whether they came in.
    pub(crate) unheard: Parts,
    /// How often in a row it found no room or had to make room.
    pub(crate) refusals: u8,
    /// Entries whose counters were asked for.
    pub(crate) asked: Parts,
    /// Why it comes out when the collector comes by.
    pub(crate) closing: Option<RemoveCause>,
    /// One of its entries was refused, and the other is enough.
    pub(crate) half: bool,
    /// Its original direction alone is in hardware until it is ASSURED.
    pub(crate) one_way: bool,
    /// Requests on their way that change its entries' mark and labels.
    pub(crate) marks: u8,
    /// Mark or labels have changed since these were sent.
    pub(crate) marks_again: bool,
}

impl Record {
    /// The connection's direction that a counter of one of its entries is about.
    pub(crate) fn direction(&self, part: usize, key_direction: KeyDirection) -> Direction {
        if self.is_split() {
            Direction::ALL[part]
        } else if self.originator_is_lower == (key_direction == KeyDirection::LowerToHigher) {
            Direction::Original
        } else {
            Direction::Reply
        }
    }

    /// The key direction that one of two entries serves.
    pub(crate) const fn served(&self, part: usize) -> KeyDirection {
        if self.from_higher.has(part) {
            KeyDirection::HigherToLower
        } else {
            KeyDirection::LowerToHigher
        }
    }

    /// The entries it is to have: those it needs, or has if half is enough.
    pub(crate) const fn due(&self) -> Parts {
        if self.half { self.present } else { self.wanted }
    }

    /// The cookie of its first entry; `index` is its connection's.
    pub(crate) const fn cookie(&self, index: u32) -> Cookie {
        Cookie(index & ((1 << INDEX_BITS) - 1) | (self.generation as u32) << GENERATION_AT)
    }

    /// Whether its entries count as taken.
    const fn has_reserved(&self) -> bool {
        matches!(self.life, Life::Inserting | Life::Installed)
    }

    /// All but counts and generations, as text.
    pub(crate) fn outline(&self) -> String {
        format!(
            "{:?} {:?} w{:?} p{:?} u{:?} i{:?} n{} {:?} g{:?} s{:?} {} {:?} r{} a{:?} {:?} {:?} m{:?}",
            self.life,
            self.cause,
            self.wanted,
            self.present,
            self.unheard,
            self.idle,
            self.waiting,
            self.refused,
            self.gone,
            self.seen,
            self.lost,
            self.why,
            self.refusals,
            self.asked,
            self.closing,
            (self.half, self.one_way),
            (self.marks, self.marks_again)
        )
    }

    /// Whether each direction has an entry of its own.
    pub(crate) const fn is_split(&self) -> bool {
        self.wanted.has(1)
    }
}

/// A record as a state file has it: of a connection that is not in software alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedRecord {
    index: u32,
    connection_generation: u32,
    generation: u8,
    life: Life,
    cause: Option<RemoveCause>,
    bytes: [u64; 2],
    packets: [u32; 2],
    originator_is_lower: bool,
    parts: [u8; 5],
    lost: bool,
    half: bool,
    one_way: bool,
    closing: Option<RemoveCause>,
    at_ms: u32,
    /// Ingress port, VLAN, tunnel and its identifier of each direction.
    ways: [(u8, u16, u8, u32); 2],
    zone: Option<u16>,
}

/// All records, by connection index.
#[derive(Debug, Default)]
pub(crate) struct Records {
    flaws: Flaws,
    records: Steps<Record>,
    installed: u64,
    entries: u64,
    /// Entries of connections that are in hardware or on their way there.
    reserved: u64,
    /// Entries that connections needed which are in software alone again, since somebody asked.
    freed: u32,
    /// How many of them each zone has that is limited.
    pub(crate) zones: ZoneCounts,
    /// Which way packets of a connection in hardware come, where that is not nothing.
    ways: BTreeMap<u32, Ways>,
    /// Since when entries have been idle that the card was told to keep, nanoseconds, by their cookies.
    kept: BTreeMap<u32, u64>,
}

impl Records {
    /// No connection is in hardware.
    pub(crate) fn new(flaws: Flaws) -> Self {
        Self {
            flaws,
            ..Self::default()
        }
    }

    /// The record of a connection, made if there is none; `None` while the record still belongs to a connection that had
    /// the index before, or if the index does not fit a cookie.
    pub(crate) fn of(&mut self, id: ConnectionId) -> Option<&mut Record> {
        if id.index() >= 1 << INDEX_BITS {
            return None;
        }
        let record = self.records.ask(id.index());
        if record.connection_generation != id.generation() {
            if record.life != Life::Software {
                return None;
            }
            *record = Record {
                connection_generation: id.generation(),
                generation: record.generation,
                ..Record::default()
            };
        }
        Some(record)
    }

    /// The record of a connection, if it has one.
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Record> {
        let record = self.records.get(id.index())?;
        (record.connection_generation == id.generation()).then_some(record)
    }

    /// The record behind a cookie, if the cookie is of its present generation, and its connection's generation.
    pub(crate) fn by_cookie(&mut self, cookie: Cookie) -> Option<(&mut Record, u32)> {
        let record = self.records.get_mut(cookie.index())?;
        let is_other =
            record.generation != cookie.generation() && !self.flaws.has(Flaw::GenerationIgnored);
        if is_other || record.life == Life::Software {
            return None;
        }
        let generation = record.connection_generation;
        Some((record, generation))
    }

    /// The connection that a packet hit an entry of, however long ago: what came to the host may have waited there.
    pub(crate) fn was_hit(&self, cookie: Cookie) -> Option<ConnectionId> {
        let record = self.records.get(cookie.index())?;
        let age = record.generation.wrapping_sub(cookie.generation()) & (u8::MAX >> 1);
        // Its entry of before, if it is on its way into the card again.
        let is_same = age == 0 || age == 1 && record.life == Life::Inserting;
        let generation = record.connection_generation;
        is_same.then(|| ConnectionId::from_parts(cookie.index(), generation))
    }

    /// Moves a record to another life; the cookie of its entry.
    pub(crate) fn enter(&mut self, index: u32, life: Life) -> Cookie {
        let Some(record) = self.records.get_mut(index) else {
            return Cookie(index);
        };
        let was_installed = record.life == Life::Installed;
        if matches!(life, Life::Software | Life::Removing) && record.has_reserved() {
            self.reserved -= u64::from(record.wanted.len());
        }
        if life == Life::Software {
            if record.life != Life::Software {
                self.freed += u32::from(record.wanted.len());
            }
            record.at_ms = 0;
            self.zones.leave(index);
            self.ways.remove(&index);
            for part in [0, 1] {
                self.kept.remove(&record.cookie(index).of_part(part).0);
            }
        }
        if record.life == Life::Software && life == Life::Inserting {
            record.generation = record.generation.wrapping_add(1) & (u8::MAX >> 1);
            record.packets = [0; 2];
            record.bytes = [0; 2];
            (record.present, record.idle) = (Parts::default(), Parts::default());
            (record.refused, record.lost) = (None, false);
            (record.seen, record.gone) = (Parts::default(), Parts::default());
            (record.wanted, record.asked) = (Parts::default(), Parts::default());
            (record.closing, record.half, record.one_way) = (None, false, false);
            (record.marks, record.marks_again) = (0, false);
        }
        record.life = life;
        match (was_installed, life == Life::Installed) {
            (false, true) => self.installed += 1,
            (true, false) => self.installed -= 1,
            _ => {}
        }
        record.cookie(index)
    }

    /// The records of connections that are not in software alone.
    pub(crate) fn engaged(&self) -> Vec<ConnectionId> {
        let records = self.records.iter();
        let engaged = records.filter(|(_, record)| record.life != Life::Software);
        let ids = engaged
            .map(|(index, record)| ConnectionId::from_parts(index, record.connection_generation));
        ids.collect()
    }

    /// The entries that a connection on its way into hardware needs.
    pub(crate) fn reserve(&mut self, index: u32, wanted: Parts) {
        if let Some(record) = self.records.get_mut(index) {
            (record.wanted, record.unheard) = (wanted, wanted);
            self.reserved += u64::from(wanted.len());
        }
    }

    /// Entries that connections needed which are in software alone again, since this was asked last.
    pub(crate) fn take_freed(&mut self) -> u32 {
        std::mem::take(&mut self.freed)
    }

    /// Entries of all connections that are not in software alone.
    pub(crate) fn needed(&self) -> u32 {
        let records = self.records.iter().map(|(_, record)| record);
        let engaged = records.filter(|record| record.life != Life::Software);
        engaged.map(|record| u32::from(record.wanted.len())).sum()
    }

    /// Entries of connections that are in hardware or on their way there.
    pub(crate) const fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Fetches the record of an index from memory.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        if let Some(record) = self.records.get(index) {
            packet::prefetch(record);
        }
    }

    /// The records of connections that are not in software alone.
    pub(crate) fn save(&self) -> Vec<SavedRecord> {
        let engaged = self.engaged().into_iter();
        let saved = engaged.filter_map(|id| {
            let record = self.get(id)?;
            let parts = [
                record.from_higher,
                record.wanted,
                record.present,
                record.unheard,
                record.gone,
            ];
            let ways = self.ways(id.index());
            Some(SavedRecord {
                index: id.index(),
                connection_generation: id.generation(),
                generation: record.generation,
                life: record.life,
                cause: record.cause,
                bytes: record.bytes,
                packets: record.packets,
                originator_is_lower: record.originator_is_lower,
                parts: parts.map(|parts| parts.0),
                lost: record.lost,
                half: record.half,
                one_way: record.one_way,
                closing: record.closing,
                at_ms: record.at_ms,
                ways: ways.map(|way| (way.ingress_port, way.vlan, way.tunnel as u8, way.tunnel_id)),
                zone: self.zones.zone_of(id.index()),
            })
        });
        saved.collect()
    }

    /// Puts saved records where they were, among none. What makes no sense is left out.
    pub(crate) fn restore(&mut self, saved: &[SavedRecord]) {
        for saved in saved {
            let id = ConnectionId::from_parts(saved.index, saved.connection_generation);
            let Some(record) = self.of(id) else {
                continue;
            };
            let [from_higher, wanted, present, unheard, gone] =
                saved.parts.map(|parts| Parts(parts & 3));
            *record = Record {
                connection_generation: saved.connection_generation,
                generation: saved.generation & (u8::MAX >> 1),
                life: saved.life,
                cause: saved.cause,
                bytes: saved.bytes,
                packets: saved.packets,
                originator_is_lower: saved.originator_is_lower,
                from_higher,
                wanted,
                present,
                unheard,
                gone,
                lost: saved.lost,
                half: saved.half,
                one_way: saved.one_way,
                closing: saved.closing,
                at_ms: saved.at_ms,
                ..Record::default()
            };
            let reserves = record.has_reserved();
            self.installed += u64::from(saved.life == Life::Installed);
            self.entries += u64::from(present.len());
            self.reserved += if reserves { u64::from(wanted.len()) } else { 0 };
            let way = |(ingress_port, vlan, tunnel, tunnel_id): (u8, u16, u8, u32)| Way {
                ingress_port,
                vlan,
                tunnel: Tunnel::ALL
                    .get(usize::from(tunnel))
                    .copied()
                    .unwrap_or_default(),
                tunnel_id,
            };
            self.set_ways(saved.index, saved.ways.map(way));
            if let Some(zone) = saved.zone {
                self.zones.enter(saved.index, zone);
            }
        }
    }

    /// How many records there are.
    pub(crate) const fn len(&self) -> usize {
        self.records.len()
    }

    /// The record of an index, and the connection it is of.
    pub(crate) fn at(&self, index: u32) -> Option<(ConnectionId, &Record)> {
        let record = self.records.get(index)?;
        let id = ConnectionId::from_parts(index, record.connection_generation);
        Some((id, record))
    }

    /// Nothing of the table has been read.
    pub(crate) fn forget_seen(&mut self) {
        for record in self.records.iter_mut() {
            record.seen = Parts::default();
        }
    }

    /// The record of a connection that has one, to change.
    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Record> {
        let record = self.records.get_mut(id.index())?;
        (record.connection_generation == id.generation()).then_some(record)
    }

    /// Connections in hardware.
    pub(crate) const fn installed(&self) -> u64 {
        self.installed
    }

    /// Entries in hardware, as far as the driver knows.
    pub(crate) const fn entries(&self) -> u64 {
        self.entries
    }

    /// An entry of a record came into the card (`there`) or left it.
    pub(crate) fn set_present(&mut self, index: u32, part: usize, there: bool) {
        let Some(record) = self.records.get_mut(index) else {
            return;
        };
        match (record.present.has(part), there) {
            (false, true) => {
                record.present.add(part);
                self.entries += 1;
            }
            (true, false) => {
                record.present.take(part);
                self.entries -= 1;
            }
            _ => {}
        }
    }

    /// An idle entry is to stay in hardware, given a time after which no packet hit it, nanoseconds: since when its connection
    /// has been idle, if all its entries are.
    pub(crate) fn keep(&mut self, cookie: Cookie, last_seen_ns: u64) -> Option<u64> {
        let record = self.by_cookie(cookie)?.0;
        // A reading that came before may be younger than the report.
        let heard_ns = u64::from(record.at_ms) * 1_000_000;
        let wanted = record.wanted;
        let since = last_seen_ns.max(heard_ns);
        self.kept.entry(cookie.0).or_insert(since);
        let parts = [0, 1].into_iter().filter(|part| wanted.has(*part));
        let since = parts.map(|part| self.kept_since(cookie.of_part(part)));
        since.reduce(|a, b| Some(a?.max(b?)))?
    }

    /// Packets hit an entry: it is not idle.
    pub(crate) fn note_hit(&mut self, cookie: Cookie) {
        self.kept.remove(&cookie.0);
    }

    /// Since when an entry has been idle that the card was told to keep, nanoseconds.
    pub(crate) fn kept_since(&self, cookie: Cookie) -> Option<u64> {
        self.kept.get(&cookie.0).copied()
    }

    /// Which way packets of a connection come that is in hardware or on its way there.
    pub(crate) fn ways(&self, index: u32) -> Ways {
        self.ways.get(&index).copied().unwrap_or_default()
    }

    /// Remembers which way packets of a connection come.
    pub(crate) fn set_ways(&mut self, index: u32, ways: Ways) {
        if ways != Ways::default() {
            self.ways.insert(index, ways);
        }
    }
}
