//! Connections that other connections have announced.

use crate::id::{ConnectionId, HelperId};
use crate::nat::Manip;
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple, Zone};
use std::collections::BTreeMap;

/// Which bits of a source must be as expected; destinations are always exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceMask {
    /// Bits of the address.
    pub address: [u8; 16],
    /// Bits of the port.
    pub id: u16,
}

impl SourceMask {
    /// This address of an IP version, if given, and this port, if given: all bits, or none.
    pub fn of(family: u8, address: bool, id: bool) -> Self {
        let length = if family == 4 { 4 } else { 16 };
        let mut mask = [0; 16];
        if address {
            mask[..length].fill(0xff);
        }
        Self {
            address: mask,
            id: if id { u16::MAX } else { 0 },
        }
    }

    fn matches(&self, a: &Tuple, b: &Tuple) -> bool {
        let mut bits = a.source.iter().zip(b.source).zip(self.address);
        bits.all(|((a, b), mask)| (a ^ b) & mask == 0)
            && (a.source_id ^ b.source_id) & self.id == 0
            && a.destination == b.destination
            && a.destination_id == b.destination_id
            && a.protocol == b.protocol
            && a.family == b.family
    }

    /// What both ask for.
    fn and(self, other: Self) -> Self {
        Self {
            address: std::array::from_fn(|at| self.address[at] & other.address[at]),
            id: self.id & other.id,
        }
    }
}

/// What becomes of the source of an expected connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowSource {
    /// It becomes what its master's is seen as.
    Master,
    /// The same, but only if it is the master's; otherwise rules decide.
    IfMasters,
    /// A call that was forwarded: where it runs in its master's original direction, the source becomes the address that was
    /// called; otherwise it stays.
    Forwarded,
    /// What others must reach it by, as another expectation of the master says; otherwise as before.
    Paired,
}

/// What translation the expected connection gets: that of its master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow {
    /// Direction of the master that the expected connection's own original direction is (`exp->dir`).
    pub direction: Direction,
    /// The address it is really for; without, where the master's packets of that direction go to.
    pub address: Option<[u8; 16]>,
    /// The port it is really for, or comes from.
    pub id: u16,
    /// Which of both; the other end's stays as it is.
    pub end: Manip,
    /// What becomes of its source.
    pub source: FollowSource,
}

impl Follow {
    /// Both ends as the master's.
    pub const fn master(direction: Direction, id: u16, end: Manip) -> Self {
        Self {
            direction,
            address: None,
            id,
            end,
            source: FollowSource::Master,
        }
    }
}

/// A connection that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Its original tuple.
    pub tuple: Tuple,
    /// Which of its source counts.
    pub mask: SourceMask,
    /// Class of its master's helper.
    pub class: usize,
    /// It is not used up by the first connection that matches (`PERMANENT`).
    pub permanent: bool,
    /// It does not match yet (`INACTIVE`).
    pub inactive: bool,
    /// The helper that the connection gets.
    pub helper: Option<HelperId>,
    /// The translation that it gets.
    pub follow: Option<Follow>,
}

impl Expectation {
    /// A connection from `source` (any without) to a port. Addresses are as tuples hold them.
    pub fn new(
        protocol: packet::Protocol,
        family: u8,
        source: Option<[u8; 16]>,
        destination: [u8; 16],
        destination_port: u16,
    ) -> Self {
        Self {
            tuple: Tuple {
                source: source.unwrap_or_default(),
                destination,
                source_id: 0,
                destination_id: destination_port,
                protocol: protocol.0,
                family,
            },
            mask: SourceMask::of(family, source.is_some(), false),
            class: 0,
            permanent: false,
            inactive: false,
            helper: None,
            follow: None,
        }
    }
}

/// An expectation in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What is expected.
    pub expectation: Expectation,
    /// Who announced it.
    pub master: ConnectionId,
    /// Original tuple of the master.
    pub master_tuple: Tuple,
    /// Its zone.
    pub zone: Zone,
    /// The master's helper.
    pub master_helper: HelperId,
    /// When it is given up.
    pub timeout: Time,
}

impl Expected {
    /// Time left.
    pub fn remaining(&self, now: Time) -> Time {
        self.timeout - now
    }
}

/// Why something cannot be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpectError {
    /// Something that could match the same packets is expected already.
    #[error("another expectation would match the same packets")]
    Clash,
    /// The same is expected already, of another class or by another connection.
    #[error("the same is expected already")]
    Already,
    /// The port is 0.
    #[error("port 0")]
    NoPort,
    /// There are too many.
    #[error("too many expectations")]
    Full,
}

/// A name for an expectation in the table; names are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExpectationId(pub u64);

/// What is expected by whom. Where an order matters, the youngest comes first.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    all: BTreeMap<ExpectationId, Expected>,
    next: u64,
    /// Nothing is given up before this.
    earliest: Option<Time>,
}

impl Expectations {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (ExpectationId, &Expected)> {
        self.all.iter().map(|(id, expected)| (*id, expected))
    }

    pub(crate) fn get(&self, id: ExpectationId) -> Option<&Expected> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ExpectationId) -> Option<&mut Expected> {
        self.all.get_mut(&id)
    }

    /// Those that a connection has announced, youngest first.
    pub(crate) fn of(&self, master: ConnectionId) -> Vec<ExpectationId> {
        let own = self
            .iter()
            .rev()
            .filter(|(_, expected)| expected.master == master);
        own.map(|(id, _)| id).collect()
    }

    /// The youngest that a packet with this tuple would meet.
    pub(crate) fn find(&self, tuple: &Tuple, zone: Zone) -> Option<ExpectationId> {
        let met = self.iter().rev().find(|(_, expected)| {
            let expectation = &expected.expectation;
            !expectation.inactive
                && same_zone(expected.zone, zone)
                && expectation.mask.matches(tuple, &expectation.tuple)
        });
        met.map(|(id, _)| id)
    }

    /// Whether another expectation stands in the way of this one: one that is the same and must go first, or an error.
    /// That of another connection is the same only if it is looked for `anywhere`.
    pub(crate) fn rival(
        &self,
        expectation: &Expectation,
        master: ConnectionId,
        zone: Zone,
        anywhere: bool,
    ) -> Result<Option<ExpectationId>, ExpectError> {
        for (id, there) in self.iter().rev() {
            if !same_zone(there.zone, zone) {
                continue;
            }
            let other = &there.expectation;
            let same = other.tuple == expectation.tuple && other.mask == expectation.mask;
            let own = there.master == master;
            if same && (own || anywhere) {
                let replaced = own && other.class == expectation.class;
                return if replaced {
                    Ok(Some(id))
                } else {
                    Err(ExpectError::Already)
                };
            }
            let both = other.mask.and(expectation.mask);
            if both.matches(&other.tuple, &expectation.tuple) {
                return Err(ExpectError::Clash);
            }
        }
        Ok(None)
    }

    pub(crate) fn insert(&mut self, expected: Expected) -> ExpectationId {
        let id = ExpectationId(self.next);
        self.next += 1;
        self.note(expected.timeout);
        self.all.insert(id, expected);
        id
    }

    pub(crate) fn set_timeout(&mut self, id: ExpectationId, timeout: Time) {
        if let Some(expected) = self.all.get_mut(&id) {
            expected.timeout = timeout;
            self.note(timeout);
        }
    }

    fn note(&mut self, timeout: Time) {
        let earliest = self.earliest.unwrap_or(timeout);
        self.earliest = Some(earliest.min(timeout));
    }

    pub(crate) fn remove(&mut self, id: ExpectationId) -> Option<Expected> {
        self.all.remove(&id)
    }

    /// Those whose time is over.
    pub(crate) fn overdue(&mut self, now: Time) -> Vec<ExpectationId> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let over = |expected: &Expected| expected.timeout <= now;
        let overdue = self.iter().filter(|(_, expected)| over(expected));
        let overdue = overdue.map(|(id, _)| id).collect();
        let rest = self.all.values().filter(|expected| !over(expected));
        self.earliest = rest.map(|expected| expected.timeout).min();
        overdue
    }
}

/// Whether two zones are the same in one direction at least.
fn same_zone(a: Zone, b: Zone) -> bool {
    Direction::ALL
        .iter()
        .any(|direction| a.effective(*direction) == b.effective(*direction))
}
