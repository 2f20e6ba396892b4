//! Translation of the tracker's connections: deciding it, and rewriting packets.

use super::{Entered, Tracker};
use crate::connection::{Connection, Following};
use crate::event::DestroyCause;
use crate::id::ConnectionId;
use crate::nat::rewrite::{error_at, error_checksum_ok, rewrite, rewrite_error};
use crate::nat::{Bounds, Candidates, Chance, Manip, Target, choose};
use crate::protocol::ProtocolState;
use crate::protocol::tcp::TcpState;
use crate::reason::Reason;
use crate::status::Status;
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple};
use crate::verdict::{CtInfo, Verdict};

/// What rewriting needs of a connection, also of one that its packet has just ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Translation {
    pub(super) tuples: [Tuple; 2],
    pub(super) status: Status,
    pub(super) marking: (u32, u128),
    pub(super) interface: Option<u32>,
}

impl Translation {
    pub(super) fn of(connection: &Connection) -> Self {
        Self {
            tuples: Direction::ALL.map(|direction| connection.tuple(direction)),
            status: connection.status,
            marking: (connection.mark(), connection.labels()),
            interface: connection
                .extension
                .as_ref()
                .and_then(|extension| extension.interface),
        }
    }
}

impl Tracker {
    /// Decides how the source or the destination of a new connection is translated; without a target, it stays as it is
    /// if it can. Nothing happens for connections in the table and for those decided already: the first target counts.
    ///
    /// `random` is a random generator, which chooses ports.
    pub fn nat(
        &mut self,
        entered: &mut Entered,
        manip: Manip,
        target: Option<&Target>,
        random: &mut Chance<'_>,
        now: Time,
    ) {
        let Entered::Unconfirmed(connection, _) = entered else {
            return;
        };
        if connection.status.contains(manip.done()) {
            return;
        }
        if let Some(follow) = connection
            .extension
            .as_mut()
            .and_then(|own| own.follow.take())
        {
            return self.follow(connection, follow, random, now);
        }
        let Some(tuple) = connection.tuple(Direction::Reply).inverted() else {
            return;
        };
        let target = target.filter(|target| target.fits(tuple.family));
        let bounds = match target {
            Some(target) => target.bounds(&tuple, manip),
            None => Bounds::null(&tuple, manip),
        };
        self.translate(connection, manip, &tuple, &bounds, random, now);
        if let Some(interface) = target.and_then(Target::interface) {
            connection.extend().interface = Some(interface);
        }
    }

    /// The translation of a connection that was announced.
    fn follow(
        &mut self,
        connection: &mut Connection,
        follow: Following,
        random: &mut Chance<'_>,
        now: Time,
    ) {
        for (manip, address, id) in follow.into_iter().flatten() {
            let bounds = Bounds::only(address, id.map(|id| (id, id)));
            if let Some(tuple) = connection.tuple(Direction::Reply).inverted() {
                self.translate(connection, manip, &tuple, &bounds, random, now);
            }
        }
    }

    fn translate(
        &mut self,
        connection: &mut Connection,
        manip: Manip,
        tuple: &Tuple,
        bounds: &Bounds,
        random: &mut Chance<'_>,
        now: Time,
    ) {
        let zone = connection.zone();
        let has_master = connection.status.contains(Status::EXPECTED);
        let mut there = There {
            tracker: self,
            connection,
            now,
        };
        let chosen = choose(tuple, manip, bounds, zone, has_master, &mut there, random);
        connection.status = connection.status.with(manip.done());
        if chosen != *tuple
            && let Some(reply) = chosen.inverted()
        {
            connection.set_reply(reply);
            connection.status = connection.status.with(manip.changed());
        }
    }

    /// Rewrites a packet's source (when it leaves, by the interface of this number) or destination (when it comes in) if
    /// that of its connection is translated. `packet` begins with the IP header and is whole: a datagram put together from
    /// fragments is the one [`Tracker::take_reassembled`] gave.
    ///
    /// # Errors
    /// The packet must be dropped: it is cut off, or leaves by another interface than its masqueraded connection (which is
    /// deleted then).
    pub fn rewrite(
        &mut self,
        entered: &Entered,
        manip: Manip,
        leaves_by: Option<u32>,
        packet: &mut [u8],
        now: Time,
    ) -> Result<(), Reason> {
        let verdict = *entered.verdict();
        let Some(direction) = verdict.direction else {
            return Ok(());
        };
        let translation = match entered {
            Entered::Unconfirmed(connection, _) => Translation::of(connection),
            Entered::Done(_) => match verdict.connection.and_then(|id| self.translation(id)) {
                Some(translation) => translation,
                None => return Ok(()),
            },
        };
        let packet = trimmed(packet);
        let tuple = &translation.tuples[0];
        let about = matches!(verdict.ctinfo, CtInfo::Related | CtInfo::RelatedReply);
        if about && let Some(at) = error_at(packet, tuple.family) {
            return error(packet, at, manip, direction, &translation);
        }
        let bound = translation
            .interface
            .filter(|_| manip == Manip::Source && direction == Direction::Original);
        if let Some(interface) = bound
            && leaves_by != Some(interface)
        {
            self.end_of_masquerade(&verdict, packet.len(), now);
            return Err(Reason::NatInterface);
        }
        if !manip.applies(translation.status, direction) {
            return Ok(());
        }
        let target = translation.tuples[direction.other().index()].inverted();
        target.map_or(Ok(()), |target| rewrite(packet, 0, manip, &target))
    }

    fn translation(&self, id: ConnectionId) -> Option<Translation> {
        let ended = self.ended.filter(|(ended, _)| *ended == id);
        self.store
            .get(id)
            .map(Translation::of)
            .or(ended.map(|(_, translation)| translation))
    }

    /// The last packet is accounted.
    fn end_of_masquerade(&mut self, verdict: &Verdict, bytes: usize, now: Time) {
        let Some(id) = verdict.connection else {
            return;
        };
        if let Some(connection) = self.store.get_mut(id)
            && self.config.acct
        {
            connection.counters[0].packets += 1;
            connection.counters[0].bytes += bytes as u64;
        }
        self.destroy(id, DestroyCause::Deleted, now);
    }

    /// An interface went down: connections masqueraded behind it end. How many there were.
    pub fn interface_down(&mut self, interface: u32, now: Time) -> usize {
        self.delete_where(now, |connection| {
            let extension = connection.extension.as_ref();
            extension.is_some_and(|extension| extension.interface == Some(interface))
        })
    }

    /// An interface lost an address: connections masqueraded behind it end. How many there were.
    pub fn address_removed(&mut self, address: std::net::IpAddr, now: Time) -> usize {
        self.delete_where(now, |connection| {
            let extension = connection.extension.as_ref();
            let masqueraded = extension.is_some_and(|extension| extension.interface.is_some());
            masqueraded && connection.tuple(Direction::Reply).destination_ip() == address
        })
    }

    fn delete_where(&mut self, now: Time, which: impl Fn(&Connection) -> bool) -> usize {
        let chosen = self.iter().filter(|(_, connection)| which(connection));
        let ids: Vec<ConnectionId> = chosen.map(|(id, _)| id).collect();
        for id in &ids {
            self.delete(*id, now);
        }
        ids.len()
    }
}

/// An ICMP error about a connection: nothing to do unless this end of it is translated.
fn error(
    packet: &mut [u8],
    at: usize,
    manip: Manip,
    direction: Direction,
    translation: &Translation,
) -> Result<(), Reason> {
    const REDIRECT: u8 = 5;
    let (v4, status) = (translation.tuples[0].family == 4, translation.status);
    if !error_checksum_ok(packet, at, translation.tuples[0].family) {
        return Err(Reason::TransportChecksum);
    }
    let decided = Manip::Source.done().with(Manip::Destination.done());
    let translated = Status::SRC_NAT.0 | Status::DST_NAT.0;
    if v4 && packet[at] == REDIRECT && (!status.contains(decided) || status.0 & translated != 0) {
        return Err(Reason::NatRedirect);
    }
    if !manip.applies(status, direction) {
        return Ok(());
    }
    let quoted = translation.tuples[direction.other().index()];
    let target = quoted.inverted().ok_or(Reason::NoInverse)?;
    rewrite_error(packet, at, manip, &quoted, &target)
}

/// Without what a link appended.
fn trimmed(packet: &mut [u8]) -> &mut [u8] {
    let length = |at: usize| match packet.get(at..at + 2) {
        Some(bytes) => usize::from(u16::from_be_bytes([bytes[0], bytes[1]])),
        None => packet.len(),
    };
    let total = match packet.first().map(|first| first >> 4) {
        Some(4) => length(2),
        Some(6) if length(4) > 0 => length(4) + 40,
        _ => packet.len(),
    };
    let end = total.min(packet.len());
    &mut packet[..end]
}

/// The tracker's connections, as the choice of a tuple asks for them.
struct There<'a> {
    tracker: &'a mut Tracker,
    connection: &'a Connection,
    now: Time,
}

impl Candidates for There<'_> {
    fn is_taken(&mut self, tuple: &Tuple) -> bool {
        let Some(reply) = tuple.inverted() else {
            return false;
        };
        let ours = self.connection.original();
        while let Some((id, _)) = self.tracker.store.holder_but(
            &reply,
            Direction::Reply,
            self.connection.zone(),
            // The same flow once more: who confirms first will have it.
            |connection| connection.original() != ours,
        ) {
            if !self.tracker.destroy_expired(id, self.now) {
                self.tracker.count_found();
                return true;
            }
        }
        false
    }

    fn is_taken_still(&mut self, tuple: &Tuple, left: u32) -> bool {
        /// Attempts before the last of them destroy something.
        const DESTRUCTIVE: u32 = 32;
        let ProtocolState::Tcp(new) = &self.connection.protocol else {
            return self.is_taken(tuple);
        };
        if left > DESTRUCTIVE || new.state != TcpState::SynSent {
            return self.is_taken(tuple);
        }
        let Some(reply) = tuple.inverted() else {
            return false;
        };
        let (zone, end) = (self.connection.zone(), new.side(Direction::Original).end);
        let hash = self.tracker.store.hash(&reply, zone);
        let Some((id, direction)) = self.tracker.find_live(&reply, zone, hash, self.now) else {
            return false;
        };
        let Some(holder) = self.tracker.store.get(id) else {
            return false;
        };
        if direction == Direction::Original || !is_over(holder, end) {
            return true;
        }
        let offloaded = holder.is_offloaded();
        self.tracker.destroy(id, DestroyCause::Reopened, self.now);
        offloaded
    }

    fn mapped_source(&self, tuple: &Tuple, accepts: &dyn Fn(&Tuple) -> bool) -> Option<Tuple> {
        let zone = self.connection.zone();
        self.tracker
            .sources
            .of(tuple, zone)
            .find(|mapped| accepts(mapped))
    }
}

/// Whether a TCP connection is over, and what it sent lies before a new connection's `end`: then its port may be used again.
fn is_over(connection: &Connection, end: u32) -> bool {
    let ProtocolState::Tcp(old) = &connection.protocol else {
        return false;
    };
    let status = connection.status;
    let advanced = old.side(Direction::Original).end.wrapping_sub(end) as i32;
    status.contains(Status::SRC_NAT)
        && !status.contains(Status::FIXED_TIMEOUT)
        && old.state as u8 >= TcpState::TimeWait as u8
        && advanced < 0
}
