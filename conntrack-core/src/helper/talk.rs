//! What a helper sees and may do.

use super::{Helper, HelperId, Memory};
use crate::event::{Event, EventKind};
use crate::expectation::{ExpectError, Expectation, ExpectationId, Expectations, Expected, Follow};
use crate::gre_keys::Keys;
use crate::id::ConnectionId;
use crate::nat::sequence::Shifts;
use crate::nat::{Chance, Manip, mangle};
use crate::reason::Reason;
use crate::status::Status;
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple, Zone, widen};
use crate::verdict::CtInfo;
use packet::{Protocol, Tcp};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;

/// A packet of a connection, and what its helper may do about it.
pub struct Talk<'a> {
    pub(crate) packet: &'a mut Vec<u8>,
    pub(crate) transport_at: usize,
    pub(crate) payload_at: usize,
    pub(crate) ctinfo: CtInfo,
    pub(crate) direction: Direction,
    pub(crate) tuples: [Tuple; 2],
    pub(crate) status: Status,
    pub(crate) zone: Zone,
    pub(crate) master: ConnectionId,
    pub(crate) helper: (HelperId, &'a dyn Helper),
    pub(crate) helpers: &'a [Arc<dyn Helper>],
    pub(crate) memory: Memory,
    pub(crate) shifts: Option<Shifts>,
    pub(crate) refresh: Option<Time>,
    /// The host's own addresses, and the lengths of their networks' prefixes.
    pub(crate) networks: &'a [(Ipv4Addr, u8)],
    pub(crate) keys: &'a mut Keys,
    /// Something was replaced.
    pub(crate) mangled: bool,
    pub(crate) siblings_end: bool,
    pub(crate) expectations: &'a mut Expectations,
    pub(crate) most_expectations: usize,
    pub(crate) events: Option<&'a mut Vec<Event>>,
    pub(crate) random: &'a mut Chance<'a>,
    pub(crate) now: Time,
}

impl std::fmt::Debug for Talk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk")
            .field("tuples", &self.tuples)
            .field("direction", &self.direction)
            .field("payload", &self.payload())
            .finish_non_exhaustive()
    }
}

impl Talk<'_> {
    /// Direction of the packet in its connection.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// How the packet relates to its connection.
    pub const fn ctinfo(&self) -> CtInfo {
        self.ctinfo
    }

    /// Whether there was traffic both ways, and this is part of it.
    pub const fn is_established(&self) -> bool {
        matches!(self.ctinfo, CtInfo::Established | CtInfo::EstablishedReply)
    }

    /// The tuple of packets in this direction.
    pub const fn tuple(&self, direction: Direction) -> &Tuple {
        &self.tuples[direction.index()]
    }

    /// Whether the connection's addresses or ports are translated.
    pub const fn is_translated(&self) -> bool {
        self.status.0 & (Status::SRC_NAT.0 | Status::DST_NAT.0) != 0
    }

    /// The connection's status bits.
    pub const fn status(&self) -> Status {
        self.status.without(Status::PRIVATE)
    }

    /// The helper itself, for connections that it announces and goes on to help.
    pub const fn helper_id(&self) -> HelperId {
        self.helper.0
    }

    /// Another helper, for connections that go on in another protocol.
    pub fn helper_named(&self, name: &str, protocol: Protocol) -> Option<HelperId> {
        super::named(self.helpers, name, protocol)
    }

    /// What is behind the transport header, as it will be sent.
    pub fn payload(&self) -> &[u8] {
        self.packet.get(self.payload_at..).unwrap_or(&[])
    }

    /// Whether UDP says that the datagram ends where the packet does.
    pub fn is_whole_datagram(&self) -> bool {
        let datagram = self.packet.get(self.transport_at..).unwrap_or(&[]);
        let len = datagram.get(4..6).and_then(<[u8]>::first_chunk);
        len.is_some_and(|len| usize::from(u16::from_be_bytes(*len)) == datagram.len())
    }

    /// TCP sequence number of the first byte of the payload, as its sender counts.
    pub fn sequence(&self) -> u32 {
        let segment = self.packet.get(self.transport_at..).unwrap_or(&[]);
        Tcp::new(segment).map_or(0, |tcp| tcp.sequence())
    }

    /// What the helper remembers of this connection; zeros at first.
    pub const fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// The mask of a network of the host's own, if this is a question of the host's to everybody in it.
    pub fn broadcast_mask(&self) -> Option<[u8; 16]> {
        let original = &self.tuples[0];
        if self.direction != Direction::Original || original.family != 4 {
            return None;
        }
        let number = |address: &[u8; 16]| {
            u32::from_be_bytes([address[0], address[1], address[2], address[3]])
        };
        let (source, destination) = (number(&original.source), number(&original.destination));
        let mask = |prefix: u8| {
            u32::MAX
                .checked_shl(32 - u32::from(prefix.min(32)))
                .unwrap_or(0)
        };
        let asked = self.networks.iter().find(|(address, prefix)| {
            u32::from(*address) == source && source | !mask(*prefix) == destination
        });
        asked.map(|(_, prefix)| widen(mask(*prefix).to_be_bytes()))
    }

    /// The connection lives this long from now on.
    pub const fn refresh(&mut self, span: Time) {
        self.refresh = Some(span);
    }

    /// Announces a connection.
    ///
    /// # Errors
    /// It would be mistaken for another one that is expected, or there are too many.
    pub fn expect(&mut self, expectation: Expectation) -> Result<(), ExpectError> {
        self.expect_unless(expectation, false)
    }

    /// The same, but what another connection announced in the same words, or this one in another class, is the same.
    ///
    /// # Errors
    /// As before, and [`ExpectError::Already`].
    pub fn expect_once(&mut self, expectation: Expectation) -> Result<(), ExpectError> {
        self.expect_unless(expectation, true)
    }

    fn expect_unless(
        &mut self,
        expectation: Expectation,
        anywhere: bool,
    ) -> Result<(), ExpectError> {
        let rival = self
            .expectations
            .rival(&expectation, self.master, self.zone, anywhere)?;
        if let Some(rival) = rival {
            self.forget(rival);
        }
        let (id, helper) = self.helper;
        let policies = helper.policies();
        let Some(policy) = policies.get(expectation.class) else {
            return Err(ExpectError::Full);
        };
        let same_class = |expectations: &Expectations| {
            let mut own = expectations.of(self.master);
            own.retain(|id| {
                expectations
                    .get(*id)
                    .is_some_and(|there| there.expectation.class == expectation.class)
            });
            own
        };
        let own = same_class(self.expectations);
        if policy.most != 0
            && own.len() >= policy.most
            && let Some(oldest) = own.last()
        {
            self.forget(*oldest);
        }
        if self.expectations.len() >= self.most_expectations {
            return Err(ExpectError::Full);
        }
        let expected = Expected {
            expectation,
            master: self.master,
            master_tuple: self.tuples[0],
            zone: self.zone,
            master_helper: id,
            timeout: self.now + policy.span,
        };
        self.tell(EventKind::Expect(Box::new(expected.clone())));
        self.expectations.insert(expected);
        Ok(())
    }

    /// Announces a connection that will be translated as this one is: to the port it names, or if that is not free to one
    /// that is. `direction` is the one of this connection that the new one's original direction is. Gives the port.
    ///
    /// # Errors
    /// No port is free, or there are too many.
    pub fn expect_translated(
        &mut self,
        mut expectation: Expectation,
        direction: Direction,
    ) -> Result<u16, ExpectError> {
        let port = expectation.tuple.destination_id;
        expectation.follow = Some(Follow::master(direction, port, Manip::Destination));
        self.expect_at_free_port(expectation)
    }

    /// Announces a connection to the port it names, or if that is not free to one that is. Gives the port.
    ///
    /// # Errors
    /// No port is free, or there are too many.
    pub fn expect_at_free_port(
        &mut self,
        mut expectation: Expectation,
    ) -> Result<u16, ExpectError> {
        const MOST_ATTEMPTS: u16 = 128;
        let first = expectation.tuple.destination_id;
        let mut attempts = (u16::MAX - first).min(MOST_ATTEMPTS);
        loop {
            match self.expect(expectation.clone()) {
                // It stays expected, but it cannot be written.
                Ok(()) if expectation.tuple.destination_id == 0 => return Err(ExpectError::NoPort),
                Ok(()) => return Ok(expectation.tuple.destination_id),
                Err(ExpectError::Clash) if attempts > 0 => attempts -= 1,
                Err(error) => return Err(error),
            }
            let last = u16::MAX.saturating_sub(1).max(first);
            let port = (self.random)(first..=last);
            expectation.tuple.destination_id = port.clamp(first, last);
        }
    }

    /// Announces a call of PPTP: two GRE connections of which one will come, and what their packets' keys belong to. Nothing
    /// if either cannot be expected.
    pub(crate) fn expect_call(&mut self, there: Expectation, back: Expectation) {
        let tuples = [there.tuple, back.tuple];
        if self.expect(there).is_err() {
            return;
        }
        let both = self.expect(back).is_ok();
        if !both || !self.keys.insert(self.master, tuples) {
            for tuple in tuples.into_iter().rev() {
                self.unexpect(|there| there.tuple == tuple);
            }
        }
    }

    /// The connections that belong to this one ([`Helper::siblings`]) end.
    pub const fn end_siblings(&mut self) {
        self.siblings_end = true;
    }

    /// Takes back what this connection announced and `which` is satisfied with.
    pub fn unexpect(&mut self, which: impl Fn(&Expectation) -> bool) {
        for id in self.expectations.of(self.master) {
            let there = self.expectations.get(id);
            if there.is_some_and(|there| which(&there.expectation)) {
                self.forget(id);
            }
        }
    }

    /// What a connection with this tuple would meet, whoever announced it.
    pub fn expected(&self, tuple: &Tuple) -> Option<&Expected> {
        let id = self.expectations.find(tuple, self.zone)?;
        self.expectations.get(id)
    }

    /// Whether this connection announced it.
    pub fn is_own(&self, expected: &Expected) -> bool {
        expected.master == self.master
    }

    /// Whether this helper announced it.
    pub fn is_of_helper(&self, expected: &Expected) -> bool {
        expected.master_helper == self.helper.0
    }

    /// The youngest that this connection announced and `which` is satisfied with becomes active, and is given up after
    /// `span`; whether there is one.
    pub fn renew(&mut self, which: impl Fn(&Expectation) -> bool, span: Time) -> bool {
        let timeout = self.now + span;
        for id in self.expectations.of(self.master) {
            if let Some(there) = self.expectations.get_mut(id)
                && which(&there.expectation)
            {
                there.expectation.inactive = false;
                self.expectations.set_timeout(id, timeout);
                return true;
            }
        }
        false
    }

    fn forget(&mut self, id: ExpectationId) {
        if let Some(expected) = self.expectations.remove(id) {
            self.tell(EventKind::Unexpect(Box::new(expected)));
        }
    }

    fn tell(&mut self, kind: EventKind) {
        if let Some(events) = &mut self.events {
            events.push(Event {
                at: self.now,
                connection: self.master,
                kind,
            });
        }
    }

    /// Replaces a part of the payload. What TCP sends after it is shifted from then on, if the length changes.
    ///
    /// # Errors
    /// The packet would be too long, or the part is not in it.
    pub fn replace(&mut self, part: Range<usize>, with: &[u8]) -> Result<(), Reason> {
        let change = with.len() as i32 - part.len() as i32;
        self.replace_unshifted(part, with)?;
        self.shift(change);
        Ok(())
    }

    /// The same without the shift: one that changes a packet at several places does it once at the end.
    ///
    /// # Errors
    /// The packet would be too long, or the part is not in it.
    pub fn replace_unshifted(&mut self, part: Range<usize>, with: &[u8]) -> Result<(), Reason> {
        let range = part.start + self.payload_at..part.end + self.payload_at;
        self.mangled = true;
        mangle::replace(self.packet, self.transport_at, range, with)
    }

    /// What TCP sends after this packet is shifted, because this one has become so many bytes longer.
    pub fn shift(&mut self, by: i32) {
        if by != 0 && self.tuples[0].protocol() == Protocol::TCP {
            let sequence = self.sequence();
            self.status = self.status.with(Status::SEQ_ADJUST);
            let shifts = self.shifts.get_or_insert_default();
            shifts.0[self.direction.index()].change(sequence, by);
        }
    }

    /// Sends a UDP packet to another port of the same host.
    ///
    /// # Errors
    /// The packet is too short.
    pub fn redirect(&mut self, port: u16) -> Result<(), Reason> {
        let at = self.transport_at + 2;
        let field = self.packet.get_mut(at..at + 2);
        field
            .ok_or(Reason::TransportTruncated)?
            .copy_from_slice(&port.to_be_bytes());
        self.replace_unshifted(0..0, &[])
    }
}
