//! Helpers of the tracker's connections, and what they announce.

use super::{Entered, Tracker};
use crate::connection::{Connection, Following};
use crate::event::{DestroyCause, EventKind};
use crate::expectation::{Expectation, ExpectationId, Expected, Follow, FollowSource};
use crate::extension;
use crate::helper::{Help, Helper, HelperId, Memory, Talk};
use crate::id::ConnectionId;
use crate::nat::{Chance, Manip};
use crate::reason::Reason;
use crate::status::Status;
use crate::timeout::Time;
use crate::tuple::{Tuple, Zone};
use crate::verdict::CtInfo;
use packet::{Protocol, Tcp};
use std::net::Ipv4Addr;
use std::sync::Arc;

impl Tracker {
    /// Adds a helper to those of this crate. A later one of the same name goes before an earlier one.
    pub fn register_helper(&mut self, helper: Arc<dyn Helper>) -> HelperId {
        self.helpers.push(helper);
        HelperId((self.helpers.len() - 1) as u16)
    }

    /// The helper of this name for connections of this protocol.
    pub fn helper_named(&self, name: &str, protocol: Protocol) -> Option<HelperId> {
        crate::helper::named(&self.helpers, name, protocol)
    }

    /// A registered helper.
    pub fn helper(&self, id: HelperId) -> Option<&dyn Helper> {
        self.helpers.get(usize::from(id.0)).map(|helper| &**helper)
    }

    /// Gives a new connection a helper, as a rule does it; whether it is one for its protocol and IP version. Connections in
    /// the table keep what they have, and those that were announced with one.
    pub fn assign_helper(&mut self, entered: &mut Entered, id: HelperId) -> bool {
        let Entered::Unconfirmed(connection, _) = entered else {
            return false;
        };
        let Some(helper) = self.helper(id) else {
            return false;
        };
        let family = connection.ends().family();
        let fits = helper.protocol() == connection.protocol()
            && helper.family().is_none_or(|only| only == family)
            && connection.helper().is_none();
        if fits {
            connection.status = connection.status.with(Status::HELPER);
            self.give_helper(connection, id);
        }
        fits
    }

    fn give_helper(&mut self, connection: &mut Connection, id: HelperId) {
        let Some(helper) = self.helpers.get(usize::from(id.0)) else {
            return;
        };
        self.helpers_in_use = true;
        connection.extend().help = Some(Help {
            id,
            helper: Arc::clone(helper),
            memory: Memory::default(),
        });
    }

    /// The host's own addresses, and the lengths of their networks' prefixes: what it sends to everybody there may be answered
    /// by anybody ([`helper::broadcast`](crate::helper::broadcast)).
    pub fn set_own_networks(&mut self, networks: Vec<(Ipv4Addr, u8)>) {
        self.networks = networks;
    }

    /// What is expected, oldest first.
    pub fn expectations(&self) -> impl Iterator<Item = (ExpectationId, &Expected)> {
        self.expectations.iter()
    }

    /// Forgets an expectation; whether it was there.
    pub fn unexpect(&mut self, id: ExpectationId, now: Time) -> bool {
        let Some(expected) = self.expectations.remove(id) else {
            return false;
        };
        let master = expected.master;
        self.event(master, EventKind::Unexpect(Box::new(expected)), now);
        true
    }

    /// Gives up what was expected too long, and what was announced by packets that were dropped.
    pub(super) fn expire_expectations(&mut self, now: Time) {
        for id in self.expectations.overdue(now) {
            self.unexpect(id, now);
        }
        self.forget_unconfirmed(now);
    }

    /// Forgets what a connection announced that will not come into the table.
    pub(super) fn forget_unconfirmed(&mut self, now: Time) {
        if std::mem::take(&mut self.unconfirmed_master) {
            self.forget_expectations_of(ConnectionId::UNCONFIRMED, now);
        }
    }

    /// Ends connections that depend on one that ended, or on what it had agreed on; those that have not come are not
    /// expected any longer.
    pub(super) fn end_siblings(&mut self, siblings: &[Tuple], zone: Zone, now: Time) {
        for tuple in siblings {
            let hash = self.store.hash(tuple, zone);
            if let Some((id, _)) = self.find_live(tuple, zone, hash, now) {
                self.destroy(id, DestroyCause::Deleted, now);
            } else if let Some(id) = self.expectations.find(tuple, zone) {
                self.unexpect(id, now);
            }
        }
    }

    pub(super) fn forget_expectations_of(&mut self, master: ConnectionId, now: Time) {
        for id in self.expectations.of(master) {
            self.unexpect(id, now);
        }
    }

    /// The expectation that a new connection meets; it is used up, whatever becomes of the connection.
    pub(super) fn take_expected(
        &mut self,
        tuple: &Tuple,
        zone: Zone,
        now: Time,
    ) -> Option<Box<Expected>> {
        let id = self.expectations.find(tuple, zone)?;
        let expected = Box::new(self.expectations.get(id)?.clone());
        let master = self.store.get(expected.master)?;
        let extension = master.extension.as_ref();
        let rival = extension
            .and_then(|own| own.help.as_ref())
            .and_then(|help| {
                let tuples = crate::Direction::ALL.map(|direction| master.tuple(direction));
                help.helper
                    .rival(&help.memory, &tuples, &expected.expectation)
            });
        if !expected.expectation.permanent {
            self.unexpect(id, now);
        }
        if let Some(rival) = rival
            && let Some(rival) = self.expectations.find(&rival, zone)
        {
            self.unexpect(rival, now);
        }
        Some(expected)
    }

    /// What a new connection has from the one that announced it.
    pub(super) fn announce(&mut self, connection: &mut Connection, expected: &Expected) {
        let Some(master) = self.store.get(expected.master) else {
            return;
        };
        connection.status = connection.status.with(Status::EXPECTED);
        connection.mark = master.mark;
        let follow = expected.expectation.follow;
        let follow = follow.map(|follow| self.following(connection, expected, master, follow));
        let extension = connection.extend();
        extension.master = Some((expected.master, expected.master_tuple));
        extension.follow = follow;
        if let Some(helper) = expected.expectation.helper {
            self.give_helper(connection, helper);
        }
    }

    /// The translation that a connection gets because it was announced.
    fn following(
        &self,
        connection: &Connection,
        expected: &Expected,
        master: &Connection,
        follow: Follow,
    ) -> Following {
        let answers = master.tuple(follow.direction.other());
        let destination = follow.address.unwrap_or(answers.source);
        let id = |end| (follow.end == end).then_some(follow.id);
        let destination = (Manip::Destination, destination, id(Manip::Destination));
        let as_master = (Manip::Source, answers.destination, id(Manip::Source));
        let own = connection.original();
        let is_masters = own.source == master.tuple(follow.direction).source;
        let pair = || {
            let reaches = |there: &Expectation| {
                there.tuple.family == own.family
                    && there.tuple.protocol == own.protocol
                    && there.follow.is_some_and(|follow| {
                        follow.address == Some(own.source) && follow.id == own.source_id
                    })
            };
            let others = self.expectations.of(expected.master).into_iter();
            let tuple = others
                .filter_map(|id| self.expectations.get(id))
                .find(|there| reaches(&there.expectation))
                .map(|there| there.expectation.tuple)?;
            Some((Manip::Source, tuple.destination, Some(tuple.destination_id)))
        };
        let source = match follow.source {
            FollowSource::Master => return [Some(as_master), Some(destination)],
            FollowSource::Forwarded => {
                let source = match follow.direction {
                    crate::Direction::Original => own.destination,
                    crate::Direction::Reply => own.source,
                };
                return [Some((Manip::Source, source, None)), Some(destination)];
            }
            FollowSource::IfMasters => None,
            FollowSource::Paired => pair(),
        };
        [
            Some(destination),
            source.or(is_masters.then_some(as_master)),
        ]
    }

    /// The new connection's expectations are known by its name now.
    pub(super) fn confirm_master(&mut self, id: ConnectionId) {
        if !std::mem::take(&mut self.unconfirmed_master) {
            return;
        }
        for expected in self.expectations.of(ConnectionId::UNCONFIRMED) {
            if let Some(expected) = self.expectations.get_mut(expected) {
                expected.master = id;
            }
        }
    }

    /// Shows a packet to its connection's helper, once all rules have let it pass and it was rewritten. Text in it may be
    /// replaced, and numbers of TCP shifted that follow from earlier replacements.
    ///
    /// # Errors
    /// The packet must be dropped.
    pub fn help(
        &mut self,
        entered: &mut Entered,
        packet: &mut Vec<u8>,
        random: &mut Chance<'_>,
        now: Time,
    ) -> Result<(), Reason> {
        let verdict = *entered.verdict();
        let (Some(direction), false) = (verdict.direction, verdict.ctinfo == CtInfo::RelatedReply)
        else {
            return Ok(());
        };
        let (connection, master) = match entered {
            Entered::Unconfirmed(connection, _) => (connection, ConnectionId::UNCONFIRMED),
            Entered::Done(verdict) => {
                let id = verdict.connection;
                match id.and_then(|id| Some((self.store.get_mut(id)?, id))) {
                    Some(found) => found,
                    None => return Ok(()),
                }
            }
        };
        let Some(extension) = &connection.extension else {
            return Ok(());
        };
        let Some((transport_at, payload_at)) = layout(packet, connection.protocol()) else {
            return Ok(());
        };
        let shifts = extension
            .shifts
            .filter(|_| connection.status.contains(Status::SEQ_ADJUST));
        let mut mangled = false;
        if let Some(help) = extension.help.clone() {
            let mut talk = Talk {
                packet,
                transport_at,
                payload_at,
                ctinfo: verdict.ctinfo,
                direction,
                tuples: crate::Direction::ALL.map(|direction| connection.tuple(direction)),
                status: connection.status,
                zone: connection.zone(),
                master,
                helper: (help.id, &*help.helper),
                helpers: &self.helpers,
                memory: help.memory,
                shifts: extension.shifts,
                refresh: None,
                networks: &self.networks,
                keys: &mut self.keys,
                mangled: false,
                siblings_end: false,
                expectations: &mut self.expectations,
                most_expectations: self.config.expect_max as usize,
                events: self.record_events.then_some(&mut self.events),
                random,
                now,
            };
            let helped = help.helper.help(&mut talk);
            let (memory, shifts, status) = (talk.memory, talk.shifts, talk.status);
            let siblings_end = talk.siblings_end;
            mangled = talk.mangled;
            let (tuples, zone) = (talk.tuples, talk.zone);
            if let Some(span) = talk.refresh {
                connection.refresh(span, now);
            }
            connection.status = status;
            let extension = connection.extend();
            extension.shifts = shifts;
            if let Some(help) = &mut extension.help {
                help.memory = memory;
            }
            self.unconfirmed_master |= master == ConnectionId::UNCONFIRMED;
            if helped.is_err() {
                self.forget_unconfirmed(now);
            }
            helped?;
            if siblings_end {
                self.keys.remove(master);
                self.end_siblings(&help.helper.siblings(&memory, &tuples), zone, now);
            }
        }
        if let Some(shifts) = shifts {
            let segment = packet.get_mut(transport_at..).unwrap_or(&mut []);
            if !shifts.apply(segment, direction) {
                self.stats.drop += 1;
                return Err(Reason::TransportTruncated);
            }
            // That of a packet whose text was replaced is made anew at last, and then never 0.
            if let Some(sum @ [0, 0]) = segment.get_mut(16..18).filter(|_| mangled) {
                sum.fill(0xff);
            }
        }
        Ok(())
    }
}

/// Where the transport header and the payload of a packet begin; none if it is of another protocol, or not whole.
fn layout(packet: &[u8], protocol: Protocol) -> Option<(usize, usize)> {
    let (transport_at, found) = if packet.first()? >> 4 == 4 {
        let header_len = usize::from(packet[0] & 15) * 4;
        (header_len, Protocol(*packet.get(9)?))
    } else {
        let upper = extension::walk(packet, Protocol(*packet.get(6)?)).ok()?;
        let is_later = upper
            .fragment
            .is_some_and(|fragment| fragment.offset_bytes != 0);
        if is_later || upper.broken {
            return None;
        }
        (upper.offset, upper.protocol)
    };
    if found != protocol {
        return None;
    }
    let transport = packet.get(transport_at..)?;
    let header_len = match protocol {
        Protocol::TCP => Tcp::new(transport).ok()?.header_len(),
        Protocol::UDP => 8,
        _ => 0,
    };
    Some((transport_at, transport_at + header_len))
}
