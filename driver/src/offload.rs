//! The life of an offloaded connection.
//!
//! ```text
//!   Software --insert queued--> Inserting --completion--> Installed --delete queued--> Removing --completion--> Software
//!      ^                            | refused                                                                      |
//!      +----------------------------+------------------------------------------------------------------------------+
//! ```
//! Each connection index has one record. A record has a generation of its own, which is part of the cookie the hardware
//! knows the entry by: reports about an entry that is gone are told from those about its successor.

use conntrack_core::{Connection, ConnectionId, Direction};
use nic_model::flow_table::FlowKey;
use nic_model::flow_table::entry::{Endpoint, KeyDirection};
use serde::Serialize;

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Default)]
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
}

impl RemoveCause {
    /// All causes in order of their codes.
    pub const ALL: [Self; 7] = [
        Self::TcpSyn,
        Self::TcpFin,
        Self::TcpRst,
        Self::Aged,
        Self::StateChanged,
        Self::Destroyed,
        Self::Evicted,
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
}

impl RefuseCause {
    /// All causes in order of their codes.
    pub const ALL: [Self; 5] = [
        Self::TableFull,
        Self::Duplicate,
        Self::CommandRingFull,
        Self::Invalid,
        Self::Overtaken,
    ];

    /// Short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TableFull => "table-full",
            Self::Duplicate => "duplicate",
            Self::CommandRingFull => "command-ring-full",
            Self::Invalid => "invalid",
            Self::Overtaken => "overtaken",
        }
    }
}

/// Bits of a cookie that hold the connection's index; the rest is the record's generation.
const INDEX_BITS: u32 = 24;

/// The name of an entry: connection index and record generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookie(pub(crate) u32);

impl Cookie {
    pub(crate) const fn index(self) -> u32 {
        self.0 & ((1 << INDEX_BITS) - 1)
    }

    const fn generation(self) -> u8 {
        (self.0 >> INDEX_BITS) as u8
    }
}

/// What is kept of each connection index.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Record {
    /// Counters as last read, by key direction.
    pub(crate) bytes: [u64; 2],
    pub(crate) packets: [u32; 2],
    connection_generation: u32,
    /// Milliseconds since the start before which no new attempt is made.
    pub(crate) retry_at_ms: u32,
    generation: u8,
    pub(crate) life: Life,
    pub(crate) cause: RemoveCause,
    pub(crate) originator_is_lower: bool,
}

impl Record {
    /// The connection's direction that a key direction is.
    pub(crate) fn direction(&self, key_direction: KeyDirection) -> Direction {
        if self.originator_is_lower == (key_direction == KeyDirection::LowerToHigher) {
            Direction::Original
        } else {
            Direction::Reply
        }
    }
}

/// All records, by connection index.
#[derive(Debug, Default)]
pub(crate) struct Records {
    records: Vec<Record>,
    installed: u64,
}

impl Records {
    /// The record of a connection, made if there is none; `None` while the record still belongs to a connection that had
    /// the index before, or if the index does not fit a cookie.
    pub(crate) fn of(&mut self, id: ConnectionId) -> Option<&mut Record> {
        if id.index() >= 1 << INDEX_BITS {
            return None;
        }
        let index = id.index() as usize;
        if index >= self.records.len() {
            /// Grow by steps instead of doubling: the table of records is large and its size is promised.
            const STEP: usize = 1 << 14;
            self.records
                .reserve_exact((index + 1 - self.records.len()).max(STEP));
            self.records.resize(index + 1, Record::default());
        }
        let record = &mut self.records[index];
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
        let record = self.records.get(id.index() as usize)?;
        (record.connection_generation == id.generation()).then_some(record)
    }

    /// The record behind a cookie, if the cookie is of its present generation, and its connection's generation.
    pub(crate) fn by_cookie(&mut self, cookie: Cookie) -> Option<(&mut Record, u32)> {
        let record = self.records.get_mut(cookie.index() as usize)?;
        if record.generation != cookie.generation() || record.life == Life::Software {
            return None;
        }
        let generation = record.connection_generation;
        Some((record, generation))
    }

    /// Moves a record to another life; the cookie of its entry.
    pub(crate) fn enter(&mut self, index: u32, life: Life) -> Cookie {
        let Some(record) = self.records.get_mut(index as usize) else {
            return Cookie(index);
        };
        let was_installed = record.life == Life::Installed;
        if record.life == Life::Software && life == Life::Inserting {
            record.generation = record.generation.wrapping_add(1);
            record.packets = [0; 2];
            record.bytes = [0; 2];
        }
        record.life = life;
        match (was_installed, life == Life::Installed) {
            (false, true) => self.installed += 1,
            (true, false) => self.installed -= 1,
            _ => {}
        }
        Cookie(index & ((1 << INDEX_BITS) - 1) | u32::from(record.generation) << INDEX_BITS)
    }

    /// Connections in hardware.
    pub(crate) const fn installed(&self) -> u64 {
        self.installed
    }
}

/// The flow key of a connection, and whether its originator is the key's lower endpoint.
pub(crate) fn flow_key(connection: &Connection) -> (FlowKey, bool) {
    let tuple = connection.tuple(Direction::Original);
    let source = Endpoint {
        address: tuple.source,
        port: tuple.source_id,
    };
    let destination = Endpoint {
        address: tuple.destination,
        port: tuple.destination_id,
    };
    let (key, direction) = FlowKey::new(
        source,
        destination,
        tuple.protocol,
        tuple.family,
        connection.zone().id,
    );
    (key, direction == KeyDirection::LowerToHigher)
}
