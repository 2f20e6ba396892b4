//! The path of every packet, top to bottom.

use super::{ChecksumStatus, Entered, Packet, Tracker, dispatch};
use crate::changes::Changes;
use crate::connection::Connection;
use crate::event::{DestroyCause, EventKind};
use crate::fragment::Reassembled;
use crate::id::ConnectionId;
use crate::parse::{self, Network, Parsed};
use crate::protocol::{Context, Outcome};
use crate::reason::Reason;
use crate::status::Status;
use crate::store::Seen;
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple, Zone};
use crate::verdict::{CtInfo, Verdict};

impl Tracker {
    /// The first half of tracking: everything but making a new connection visible and telling what changed.
    pub fn enter(&mut self, packet: &Packet<'_>, now: Time) -> Entered {
        if let Some(hash) = self.plain_hash(packet)
            && let Some(verdict) = self.track_plain(packet.bytes, hash, Seen::default(), now)
        {
            self.reassembled = None;
            return Entered::Done(verdict);
        }
        self.enter_every(packet, now)
    }

    /// The path of every packet.
    pub(super) fn enter_every(&mut self, packet: &Packet<'_>, now: Time) -> Entered {
        let mut parsed = parse::parse(packet.bytes, packet.wire_len);
        self.add_key(&mut parsed);
        let hash = self.hash_of(&parsed, packet.zone);
        self.enter_parsed(packet, &parsed, hash, now)
    }

    /// Completes the tuple of PPTP's GRE, of which packets show one end alone, and that of DCCP, if it is tracked.
    #[inline]
    pub(super) fn add_key(&self, parsed: &mut Parsed<'_>) {
        if !self.keys.is_empty()
            && let Parsed::Whole(network) = parsed
        {
            network.add_source_key(|tuple| self.keys.source_key(tuple));
        }
        if self.config.dccp
            && let Parsed::Whole(network) = parsed
        {
            network.add_dccp_ports();
        }
    }

    /// The hash a packet will be looked up by; 0 if it will not.
    #[inline]
    pub(super) fn hash_of(&self, parsed: &Parsed<'_>, zone: Zone) -> u32 {
        match parsed {
            Parsed::Whole(network) => network
                .tuple()
                .map_or(0, |tuple| self.store.hash(tuple, zone)),
            _ => 0,
        }
    }

    #[inline]
    pub(super) fn enter_parsed(
        &mut self,
        packet: &Packet<'_>,
        parsed: &Parsed<'_>,
        hash: u32,
        now: Time,
    ) -> Entered {
        self.reassembled = None;
        if !self.expectations.is_empty() {
            self.expire_expectations(now);
        }
        match parsed {
            Parsed::Whole(_) | Parsed::Invalid(_) if packet.untracked => {
                Entered::Done(Verdict::bare(CtInfo::Untracked, None))
            }
            Parsed::Whole(network) => {
                self.enter_whole(network, hash, packet.zone, packet.checksum, now)
            }
            Parsed::Invalid(reason) => Entered::Done(self.invalid(*reason)),
            Parsed::Dropped(reason) => Entered::Done(Verdict::bare(CtInfo::Dropped, Some(*reason))),
            Parsed::FragmentV4(_) | Parsed::FragmentV6(..) => {
                self.enter_fragment(packet, parsed, now)
            }
        }
    }

    fn enter_fragment(&mut self, packet: &Packet<'_>, parsed: &Parsed<'_>, now: Time) -> Entered {
        let (bytes, zone) = (packet.bytes, packet.zone);
        let reassembled = match parsed {
            Parsed::FragmentV4(ip) => self.reassembly.ipv4(ip, bytes, zone, now, &self.config),
            Parsed::FragmentV6(ip, upper) => {
                let config = &self.config;
                self.reassembly.ipv6(ip, upper, bytes, zone, now, config)
            }
            _ => return Entered::Done(self.invalid(Reason::FragmentInvalid)),
        };
        let (bytes, complete_capture) = match reassembled {
            Reassembled::Passed => {
                let Parsed::FragmentV6(ip, upper) = parsed else {
                    return Entered::Done(self.invalid(Reason::FragmentInvalid));
                };
                let mut parsed = parse::parse_passed(ip, upper, bytes);
                self.add_key(&mut parsed);
                let hash = self.hash_of(&parsed, zone);
                return self.enter_parsed(packet, &parsed, hash, now);
            }
            Reassembled::Held => return Entered::Done(Verdict::bare(CtInfo::Fragment, None)),
            Reassembled::Dropped(reason) => {
                return Entered::Done(Verdict::bare(CtInfo::Dropped, Some(reason)));
            }
            Reassembled::Whole {
                packet,
                complete_capture,
            } => (packet, complete_capture),
        };
        let mut parsed = match parse::parse(&bytes, bytes.len()) {
            // A fragment header within what was cut into fragments: once is enough.
            Parsed::FragmentV6(ip, upper) => parse::parse_passed(&ip, &upper, &bytes),
            // Nor is one looked at that is cut off.
            Parsed::Dropped(Reason::FragmentInvalid) => Parsed::Invalid(Reason::ExtensionHeaders),
            Parsed::FragmentV4(_) => return Entered::Done(self.invalid(Reason::FragmentInvalid)),
            parsed => parsed,
        };
        let checksum = if complete_capture {
            packet.checksum
        } else {
            ChecksumStatus::Good
        };
        let whole = Packet {
            bytes: &bytes,
            wire_len: bytes.len(),
            checksum,
            ..*packet
        };
        self.add_key(&mut parsed);
        let hash = self.hash_of(&parsed, zone);
        let entered = self.enter_parsed(&whole, &parsed, hash, now);
        self.reassembled = Some(bytes);
        entered
    }

    fn enter_whole(
        &mut self,
        network: &Network<'_>,
        hash: u32,
        zone: Zone,
        checksum: ChecksumStatus,
        now: Time,
    ) -> Entered {
        let verify =
            self.config.checksum && checksum == ChecksumStatus::Unknown && network.is_whole();
        if network.is_icmp()
            && let Some(verdict) = self.icmp_first(network, zone, verify, now)
        {
            return Entered::Done(verdict);
        }
        let tuple = match network.tuple() {
            Ok(tuple) => tuple,
            Err(reason) => return Entered::Done(self.invalid(reason)),
        };
        // The kernel repeats the look-up after a connection made way for a new one; once is enough, because the
        // second look-up cannot find the same connection again. A mirror-image one may be there: twice then.
        for _ in 0..3 {
            let Some((id, direction)) = self.store.find(tuple, zone, hash) else {
                return self.begin(network, tuple, zone, hash, verify, now);
            };
            if let Some(verdict) = self.go_on(network, id, direction, verify, now) {
                return Entered::Done(verdict);
            }
        }
        Entered::Done(self.invalid(Reason::TcpState))
    }

    /// The connection of a tuple; an expired one is destroyed on the way.
    pub(super) fn find_live(
        &mut self,
        tuple: &Tuple,
        zone: Zone,
        hash: u32,
        now: Time,
    ) -> Option<(ConnectionId, Direction)> {
        let (id, direction) = self.store.find(tuple, zone, hash)?;
        (!self.destroy_expired(id, now)).then_some((id, direction))
    }

    /// Destroys a connection if it has expired; whether it had.
    pub(super) fn destroy_expired(&mut self, id: ConnectionId, now: Time) -> bool {
        let expired = self
            .store
            .get(id)
            .is_some_and(|connection| connection.is_expired(now));
        expired && self.destroy(id, DestroyCause::Timeout, now)
    }

    /// A packet of a connection in the table; `None` if the connection has expired or made way, and the look-up must be
    /// repeated.
    fn go_on(
        &mut self,
        network: &Network<'_>,
        id: ConnectionId,
        direction: Direction,
        verify: bool,
        now: Time,
    ) -> Option<Verdict> {
        let connection = self.store.get_mut(id)?;
        if connection.is_expired(now) {
            self.destroy(id, DestroyCause::Timeout, now);
            return None;
        }
        let policy = connection.policy().map(|policy| policy.over(&self.config));
        let context = Context {
            config: policy.as_ref().unwrap_or(&self.config),
            direction,
            now,
            first: false,
        };
        let ctinfo = info(connection.status, direction);
        let mut changed = Changes::NONE;
        let outcome = dispatch::packet(connection, network, verify, &context, &mut changed);
        // Nobody will be told if nobody listens.
        let listened = self.record_events;
        let untold = |changed| {
            if listened {
                Status::untold(changed)
            } else {
                Status::NONE
            }
        };
        let mut verdict = Verdict {
            ctinfo,
            connection: Some(id),
            direction: Some(direction),
            created: false,
            counted_bytes: 0,
            reason: None,
        };
        match outcome {
            Outcome::Invalid(reason) => {
                connection.status = connection.status.with(untold(changed));
                return Some(self.invalid(reason));
            }
            Outcome::Repeat => {
                self.destroy(id, DestroyCause::Reopened, now);
                return None;
            }
            Outcome::Ignore => {}
            Outcome::Accept(span) => {
                connection.refresh(span, now);
                verdict.counted_bytes =
                    account(connection, direction, network.total_len, self.config.acct);
            }
            Outcome::AcceptAndKill => {
                verdict.counted_bytes =
                    account(connection, direction, network.total_len, self.config.acct);
            }
        }
        // One test of both, because the direction alone is a matter of chance.
        let unseen = !connection.status.contains(Status::SEEN_REPLY);
        if usize::from(unseen) & direction.index() != 0 {
            connection.status = connection.status.with(Status::SEEN_REPLY);
            changed.note(Changes::REPLY, true);
        }
        connection.status = connection.status.with(untold(changed));
        if outcome == Outcome::AcceptAndKill {
            self.destroy(id, DestroyCause::Reset, now);
        }
        Some(verdict)
    }

    /// A packet without a connection: may it begin one?
    fn begin(
        &mut self,
        network: &Network<'_>,
        tuple: &Tuple,
        zone: Zone,
        hash: u32,
        verify: bool,
        now: Time,
    ) -> Entered {
        if tuple.inverted().is_none() {
            return Entered::Done(self.invalid(Reason::NoInverse));
        }
        let max = self.config.max;
        if max != 0 && self.store.len() as u64 >= max && !self.early_drop(hash, now) {
            self.stats.drop += 1;
            return Entered::Done(Verdict::bare(CtInfo::Dropped, Some(Reason::TableFull)));
        }
        let announced = if self.expectations.is_empty() {
            None
        } else {
            self.take_expected(tuple, zone, now)
        };
        let protocol = match dispatch::begin(network, tuple, verify, &self.config, now) {
            Ok(protocol) => protocol,
            Err(reason) => return Entered::Done(self.invalid(reason)),
        };
        let mut connection = Connection::new(tuple, zone, protocol);
        if let Some(announced) = announced {
            self.announce(&mut connection, &announced);
        }
        let context = Context {
            config: &self.config,
            direction: Direction::Original,
            now,
            first: true,
        };
        let outcome = dispatch::packet(
            &mut connection,
            network,
            false,
            &context,
            &mut Changes::default(),
        );
        let Outcome::Accept(span) = outcome else {
            let reason = if let Outcome::Invalid(reason) = outcome {
                reason
            } else {
                Reason::TcpState
            };
            return Entered::Done(self.invalid(reason));
        };
        connection.refresh(span, now);
        let counted_bytes = account(
            &mut connection,
            Direction::Original,
            network.total_len,
            self.config.acct,
        );
        let verdict = Verdict {
            ctinfo: info(connection.status, Direction::Original),
            connection: None,
            direction: Some(Direction::Original),
            created: true,
            counted_bytes,
            reason: None,
        };
        Entered::Unconfirmed(connection, verdict)
    }

    /// Makes a new connection visible; the verdict now names it. Its tuples may have been taken in the meantime: then the
    /// packet goes to the other connection if both mean the same flow, and is dropped if not.
    pub fn confirm(&mut self, mut connection: Connection, verdict: Verdict, now: Time) -> Verdict {
        // A tuple and its mirror image lie in the same place: one look is enough to see that neither is taken.
        let hash = self.store.symmetric_hash(&connection);
        let free = hash.is_some_and(|hash| self.store.is_free(&connection, hash));
        if !free && let Some(clash) = self.clash(&connection) {
            return self.resolve(connection, clash, verdict, now);
        }
        connection.timeout = now + connection.timeout;
        if self.config.timestamp {
            connection.extend().started = Some(now);
        }
        self.insert(connection, hash, verdict, now)
    }

    pub(super) fn insert(
        &mut self,
        connection: Connection,
        hash: Option<u32>,
        mut verdict: Verdict,
        now: Time,
    ) -> Verdict {
        let reply_only = connection.status.contains(Status::NAT_CLASH);
        let Some(id) = self.store.insert(connection, hash) else {
            return self.insert_failed(Reason::TableFull, now);
        };
        if let Some(connection) = self.store.get(id) {
            if connection.status.contains(Status::SRC_NAT) {
                self.sources.insert(connection, id);
            }
            self.masters.came(connection);
        }
        if !reply_only {
            self.event(id, EventKind::New, now);
        }
        self.confirm_master(id);
        verdict.connection = Some(id);
        verdict
    }

    pub(super) fn insert_failed(&mut self, reason: Reason, now: Time) -> Verdict {
        self.forget_unconfirmed(now);
        self.stats.insert_failed += 1;
        self.stats.drop += 1;
        Verdict::bare(CtInfo::Dropped, Some(reason))
    }

    pub(super) const fn count_found(&mut self) {
        self.stats.found += 1;
    }

    pub(super) fn invalid(&mut self, reason: Reason) -> Verdict {
        self.stats.invalid += 1;
        Verdict::bare(CtInfo::Invalid, Some(reason))
    }
}

#[inline]
fn info(status: Status, direction: Direction) -> CtInfo {
    if status.contains(Status::SEEN_REPLY) {
        return [CtInfo::Established, CtInfo::EstablishedReply][direction.index()];
    }
    match direction {
        Direction::Reply => CtInfo::EstablishedReply,
        Direction::Original if status.contains(Status::EXPECTED) => CtInfo::Related,
        Direction::Original => CtInfo::New,
    }
}

#[inline]
fn account(connection: &mut Connection, direction: Direction, bytes: usize, enabled: bool) -> u32 {
    if enabled {
        let counters = &mut connection.counters[direction.index()];
        counters.packets += 1;
        counters.bytes += bytes as u64;
    }
    bytes as u32
}
