//! The path of every packet, top to bottom.

use crate::connection::{Connection, ConnectionId, Counters, Status};
use crate::event::{DestroyCause, Event, EventKind};
use crate::fragment::{Reassembled, Reassembly};
use crate::parse::{self, Network, Parsed};
use crate::protocol::{Context, Outcome, ProtocolState, gre, icmp, icmpv6, sctp, tcp, udp};
use crate::stats::Stats;
use crate::store::Store;
use crate::sysctl::{Config, SysctlError};
use crate::table::HashKey;
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple, Zone};
use crate::verdict::{CtInfo, Reason, Verdict};
use packet::{Icmp, Icmpv6, Protocol, Sctp, Udp, UdpLite};

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
    /// What is known of its transport checksum.
    pub checksum: ChecksumStatus,
}

impl<'a> Packet<'a> {
    /// A packet that is there in whole, in the default zone.
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            wire_len: bytes.len(),
            zone: Zone(0),
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
}

/// A packet's connection: one in the table, or a new one that is not yet.
#[derive(Debug)]
pub enum Entered {
    /// The verdict is complete: nothing to confirm.
    Done(Verdict),
    /// A new connection, to be confirmed once all rules have let the packet pass.
    Unconfirmed(Box<Connection>, Verdict),
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
        match self.enter(packet, now) {
            Entered::Done(verdict) => verdict,
            Entered::Unconfirmed(connection, verdict) => self.confirm(*connection, verdict, now),
        }
    }

    /// Tracks packets at their times; the same verdicts as one after the other, but the table and the connections are
    /// fetched ahead for all of them.
    pub fn track_batch(&mut self, packets: &[(Packet<'_>, Time)], verdicts: &mut Vec<Verdict>) {
        let mut touched = 0;
        let mut nodes = [None; 32];
        for group in packets.chunks(nodes.len()) {
            for (node, (packet, _)) in nodes.iter_mut().zip(group) {
                *node = match parse::parse(packet.bytes, packet.wire_len) {
                    Parsed::Whole(network) => network.tuple().ok().and_then(|tuple| {
                        self.store.touch_table(self.store.hash(&tuple, packet.zone))
                    }),
                    _ => None,
                };
            }
            for node in nodes.iter().take(group.len()).flatten() {
                touched ^= self.store.touch_connection(*node);
            }
            for (packet, now) in group {
                verdicts.push(self.track(packet, *now));
            }
        }
        std::hint::black_box(touched);
    }

    /// The first half of tracking: everything but making a new connection visible.
    pub fn enter(&mut self, packet: &Packet<'_>, now: Time) -> Entered {
        let reassembled = match parse::parse(packet.bytes, packet.wire_len) {
            Parsed::Whole(network) => {
                return self.enter_whole(&network, packet.zone, packet.checksum, now);
            }
            Parsed::Invalid(reason) => return Entered::Done(self.invalid(reason)),
            Parsed::Dropped(reason) => {
                return Entered::Done(Verdict::bare(CtInfo::Dropped, Some(reason)));
            }
            Parsed::FragmentV4(ip) => {
                self.reassembly
                    .ipv4(&ip, packet.bytes, packet.zone, now, &self.config)
            }
            Parsed::FragmentV6(ip, upper) => {
                self.reassembly
                    .ipv6(&ip, &upper, packet.bytes, packet.zone, now, &self.config)
            }
        };
        match reassembled {
            Reassembled::Held => Entered::Done(Verdict::bare(CtInfo::Fragment, None)),
            Reassembled::Dropped(reason) => {
                Entered::Done(Verdict::bare(CtInfo::Dropped, Some(reason)))
            }
            Reassembled::Whole {
                packet: whole,
                complete_capture,
            } => {
                let checksum = if complete_capture {
                    packet.checksum
                } else {
                    ChecksumStatus::Good
                };
                match parse::parse(&whole, whole.len()) {
                    Parsed::Whole(network) => {
                        self.enter_whole(&network, packet.zone, checksum, now)
                    }
                    Parsed::Dropped(reason) => {
                        Entered::Done(Verdict::bare(CtInfo::Dropped, Some(reason)))
                    }
                    Parsed::Invalid(reason) => Entered::Done(self.invalid(reason)),
                    Parsed::FragmentV4(_) | Parsed::FragmentV6(..) => {
                        Entered::Done(self.invalid(Reason::FragmentInvalid))
                    }
                }
            }
        }
    }

    fn enter_whole(
        &mut self,
        network: &Network<'_>,
        zone: Zone,
        checksum: ChecksumStatus,
        now: Time,
    ) -> Entered {
        let verify =
            self.config.checksum && checksum == ChecksumStatus::Unknown && network.is_whole();
        if let Some(verdict) = self.icmp_first(network, zone, verify, now) {
            return Entered::Done(verdict);
        }
        let tuple = match network.tuple() {
            Ok(tuple) => tuple,
            Err(reason) => return Entered::Done(self.invalid(reason)),
        };
        let hash = self.store.hash(&tuple, zone);
        // The kernel repeats the look-up after a connection made way for a new one; once is enough, because the
        // second look-up cannot find the same connection again. A mirror-image one may be there: twice then.
        for _ in 0..3 {
            let found = self.find_live(&tuple, zone, hash, now);
            let Some((id, direction)) = found else {
                return self.begin(network, &tuple, zone, hash, verify, now);
            };
            if let Some(verdict) = self.go_on(network, id, direction, verify, now) {
                return Entered::Done(verdict);
            }
        }
        Entered::Done(self.invalid(Reason::TcpState))
    }

    /// The connection of a tuple; an expired one is destroyed on the way.
    fn find_live(
        &mut self,
        tuple: &Tuple,
        zone: Zone,
        hash: u32,
        now: Time,
    ) -> Option<(ConnectionId, Direction)> {
        let (id, direction) = self.store.find(tuple, zone, hash)?;
        if self.store.get(id)?.is_expired(now) {
            self.destroy(id, DestroyCause::Timeout, now);
            return None;
        }
        Some((id, direction))
    }

    /// A packet of a connection in the table; `None` if the connection made way and the look-up must be repeated.
    fn go_on(
        &mut self,
        network: &Network<'_>,
        id: ConnectionId,
        direction: Direction,
        verify: bool,
        now: Time,
    ) -> Option<Verdict> {
        let context = Context {
            config: &self.config,
            direction,
            now,
            first: false,
        };
        let connection = self.store.get_mut(id)?;
        let ctinfo = info(connection.status, direction);
        let mut changed = false;
        let outcome = protocol_packet(connection, network, verify, &context, &mut changed);
        let mut verdict = Verdict {
            ctinfo,
            connection: Some(id),
            direction: Some(direction),
            created: false,
            counted_bytes: 0,
            reason: None,
        };
        match outcome {
            Outcome::Invalid(reason) => return Some(self.invalid(reason)),
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
        if direction == Direction::Reply && !connection.status.contains(Status::SEEN_REPLY) {
            connection.status = connection.status.with(Status::SEEN_REPLY);
            changed = true;
        }
        if outcome == Outcome::AcceptAndKill {
            self.destroy(id, DestroyCause::Reset, now);
        } else if changed {
            self.event(id, EventKind::Update, now);
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
        let Some(reply) = tuple.inverted() else {
            return Entered::Done(self.invalid(Reason::NoInverse));
        };
        let max = self.config.max;
        if max != 0 && self.store.len() as u64 >= max && !self.early_drop(hash, now) {
            self.stats.drop += 1;
            return Entered::Done(Verdict::bare(CtInfo::Dropped, Some(Reason::TableFull)));
        }
        let protocol = match first_state(network, tuple, verify, &self.config, now) {
            Ok(protocol) => protocol,
            Err(reason) => return Entered::Done(self.invalid(reason)),
        };
        let mut connection = Connection {
            tuples: [*tuple, reply],
            zone,
            status: Status::NONE,
            mark: 0,
            timeout: Time(0),
            counters: [Counters::default(); 2],
            protocol,
        };
        let context = Context {
            config: &self.config,
            direction: Direction::Original,
            now,
            first: true,
        };
        let outcome = protocol_packet(&mut connection, network, false, &context, &mut false);
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
            ctinfo: CtInfo::New,
            connection: None,
            direction: Some(Direction::Original),
            created: true,
            counted_bytes,
            reason: None,
        };
        Entered::Unconfirmed(Box::new(connection), verdict)
    }

    /// Makes a new connection visible; the verdict now names it. Its tuples may have been taken in the meantime: then
    /// the packet is dropped, as the kernel drops it for protocols that do not allow a clash to be resolved.
    pub fn confirm(
        &mut self,
        mut connection: Connection,
        mut verdict: Verdict,
        now: Time,
    ) -> Verdict {
        let taken = connection.tuples.iter().any(|tuple| {
            let hash = self.store.hash(tuple, connection.zone);
            self.find_live(tuple, connection.zone, hash, now).is_some()
        });
        if taken {
            self.stats.insert_failed += 1;
            self.stats.drop += 1;
            return Verdict::bare(CtInfo::Dropped, Some(Reason::TableFull));
        }
        connection.timeout = now + connection.timeout;
        connection.status = connection.status.with(Status::CONFIRMED);
        let id = self.store.insert(connection);
        self.event(id, EventKind::New, now);
        verdict.connection = Some(id);
        verdict
    }

    /// ICMP and ICMPv6 before look-up: errors, what is not tracked, what is not known.
    fn icmp_first(
        &mut self,
        network: &Network<'_>,
        zone: Zone,
        verify: bool,
        now: Time,
    ) -> Option<Verdict> {
        let v6 = match (network.family, network.protocol) {
            (4, Protocol::ICMP) => false,
            (6, Protocol::ICMPV6) => true,
            _ => return None,
        };
        let whole_header = if v6 {
            Icmpv6::new(network.l4).is_ok()
        } else {
            Icmp::new(network.l4).is_ok()
        };
        if !whole_header {
            return Some(self.icmp_error(Reason::TransportTruncated));
        }
        let icmp_type = network.l4[0];
        let good = || {
            if v6 {
                network.checksum_ok(Protocol::ICMPV6, network.l4)
            } else {
                packet::checksum::finish(packet::checksum::sum(network.l4)) == 0
            }
        };
        if verify && !good() {
            return Some(self.icmp_error(Reason::TransportChecksum));
        }
        if v6 && icmpv6::is_untracked(icmp_type) {
            return Some(Verdict::bare(CtInfo::Untracked, None));
        }
        if !v6 && icmp_type > icmp::MAX_TYPE {
            return Some(self.icmp_error(Reason::IcmpType));
        }
        if !network.is_icmp_error() {
            return None;
        }
        Some(match self.related_to(network, zone, now) {
            Ok((id, direction)) => Verdict {
                ctinfo: match direction {
                    Direction::Original => CtInfo::Related,
                    Direction::Reply => CtInfo::RelatedReply,
                },
                connection: Some(id),
                direction: Some(direction),
                ..Verdict::bare(CtInfo::Related, None)
            },
            Err(reason) => self.icmp_error(reason),
        })
    }

    /// The connection an ICMP error is about, and the direction the error travels in.
    fn related_to(
        &mut self,
        network: &Network<'_>,
        zone: Zone,
        now: Time,
    ) -> Result<(ConnectionId, Direction), Reason> {
        let quoted = network.l4.get(8..).ok_or(Reason::IcmpInner)?;
        let inner = parse::parse_quoted(quoted, network.family).ok_or(Reason::IcmpInner)?;
        let tuple = inner.tuple().map_err(|_| Reason::IcmpInner)?;
        let inverted = tuple.inverted().ok_or(Reason::IcmpInner)?;
        let hash = self.store.hash(&inverted, zone);
        let (id, direction) = self
            .find_live(&inverted, zone, hash, now)
            .ok_or(Reason::IcmpUnknown)?;
        let connection = self.store.get(id).ok_or(Reason::IcmpUnknown)?;
        if connection.tuple(direction).destination != network.destination {
            return Err(Reason::IcmpMismatch);
        }
        Ok((id, direction))
    }

    fn invalid(&mut self, reason: Reason) -> Verdict {
        self.stats.invalid += 1;
        Verdict::bare(CtInfo::Invalid, Some(reason))
    }

    fn icmp_error(&mut self, reason: Reason) -> Verdict {
        self.stats.error += 1;
        Verdict::bare(CtInfo::Invalid, Some(reason))
    }

    /// Makes room near where a new connection would lie; whether it did.
    fn early_drop(&mut self, hash: u32, now: Time) -> bool {
        let mut dropped = 0;
        for id in self.store.neighbours(hash) {
            let Some(connection) = self.store.get(id) else {
                continue;
            };
            if connection.is_expired(now) {
                self.destroy(id, DestroyCause::Timeout, now);
                dropped += 1;
            } else if !connection.status.contains(Status::ASSURED) && !connection.is_offloaded() {
                self.destroy(id, DestroyCause::EarlyDrop, now);
                self.stats.early_drop += 1;
                dropped += 1;
            }
        }
        dropped > 0
    }

    /// Deletes a connection; whether it was there.
    pub fn delete(&mut self, id: ConnectionId, now: Time) -> bool {
        self.destroy(id, DestroyCause::Deleted, now)
    }

    /// Deletes all connections.
    pub fn flush(&mut self, now: Time) {
        for index in 0..self.store.index_end() {
            if let Some(id) = self.store.at(index).map(|(id, _)| id) {
                self.destroy(id, DestroyCause::Deleted, now);
            }
        }
    }

    /// Looks at the next `most` indices, round and round, and destroys what has expired; how many were.
    pub fn collect(&mut self, now: Time, most: u32) -> usize {
        self.reassembly.expire(now, &self.config);
        let end = self.store.index_end();
        let mut destroyed = 0;
        for _ in 0..most.min(end) {
            let index = self.collect_at % end;
            self.collect_at = index + 1;
            let expired = self
                .store
                .at(index)
                .filter(|(_, connection)| connection.is_expired(now));
            if let Some(id) = expired.map(|(id, _)| id) {
                destroyed += usize::from(self.destroy(id, DestroyCause::Timeout, now));
            }
        }
        destroyed
    }

    fn destroy(&mut self, id: ConnectionId, cause: DestroyCause, now: Time) -> bool {
        let Some(mut last) = self.store.remove(id) else {
            return false;
        };
        last.status = last.status.with(Status::DYING);
        self.event(
            id,
            EventKind::Destroy {
                cause,
                last: Box::new(last),
            },
            now,
        );
        true
    }

    fn event(&mut self, connection: ConnectionId, kind: EventKind, at: Time) {
        if self.record_events {
            self.events.push(Event {
                at,
                connection,
                kind,
            });
        }
    }
}

fn info(status: Status, direction: Direction) -> CtInfo {
    match direction {
        Direction::Reply => CtInfo::EstablishedReply,
        Direction::Original if status.contains(Status::SEEN_REPLY) => CtInfo::Established,
        Direction::Original if status.contains(Status::EXPECTED) => CtInfo::Related,
        Direction::Original => CtInfo::New,
    }
}

fn account(connection: &mut Connection, direction: Direction, bytes: usize, enabled: bool) -> u32 {
    if enabled {
        let counters = &mut connection.counters[direction.index()];
        counters.packets += 1;
        counters.bytes += bytes as u64;
    }
    bytes as u32
}

/// The protocol state of a connection that begins with this packet.
fn first_state(
    network: &Network<'_>,
    tuple: &Tuple,
    verify: bool,
    config: &Config,
    now: Time,
) -> Result<ProtocolState, Reason> {
    Ok(match network.protocol {
        Protocol::TCP => {
            let segment = tcp_segment(network, verify)?;
            ProtocolState::Tcp(tcp::TcpTrack::begin(&segment, config)?)
        }
        Protocol::UDP => {
            check_udp(network, verify)?;
            ProtocolState::Udp(udp::UdpState::new(false, now))
        }
        Protocol::UDPLITE => {
            check_udplite(network, verify)?;
            ProtocolState::Udp(udp::UdpState::new(true, now))
        }
        Protocol::SCTP => {
            let sctp = check_sctp(network, verify)?;
            ProtocolState::Sctp(sctp::SctpState::begin(&sctp, network.l4_len)?)
        }
        Protocol::GRE => ProtocolState::Gre,
        Protocol::ICMP | Protocol::ICMPV6 => {
            let [icmp_type, _] = tuple.destination_id.to_be_bytes();
            let v4 = network.protocol == Protocol::ICMP;
            let request = if v4 {
                icmp::is_request(icmp_type)
            } else {
                icmpv6::is_request(icmp_type)
            };
            if !request {
                return Err(Reason::IcmpNotRequest);
            }
            if v4 {
                ProtocolState::Icmp
            } else {
                ProtocolState::Icmpv6
            }
        }
        _ => ProtocolState::Generic,
    })
}

/// What the protocol thinks of a packet of this connection.
fn protocol_packet(
    connection: &mut Connection,
    network: &Network<'_>,
    verify: bool,
    context: &Context<'_>,
    changed: &mut bool,
) -> Outcome {
    let status = &mut connection.status;
    let checked = match &mut connection.protocol {
        ProtocolState::Tcp(track) => tcp_segment(network, verify).map(|segment| {
            let mut shrink_to = None;
            let left = connection.timeout - context.now;
            let outcome = track.packet(&segment, status, left, &mut shrink_to, context, changed);
            if let Some(span) = shrink_to {
                connection.timeout = context.now + span;
            }
            outcome
        }),
        ProtocolState::Udp(state) if state.lite => {
            check_udplite(network, verify).map(|()| state.packet(status, context, changed))
        }
        ProtocolState::Udp(state) => {
            check_udp(network, verify).map(|()| state.packet(status, context, changed))
        }
        ProtocolState::Sctp(state) => check_sctp(network, verify)
            .map(|sctp| state.packet(&sctp, network.l4_len, status, context, changed)),
        ProtocolState::Gre => Ok(gre::packet(status, context, changed)),
        ProtocolState::Icmp => Ok(Outcome::Accept(context.config.icmp_timeout)),
        ProtocolState::Icmpv6 => Ok(Outcome::Accept(context.config.icmpv6_timeout)),
        ProtocolState::Generic => Ok(Outcome::Accept(context.config.generic_timeout)),
    };
    checked.unwrap_or_else(Outcome::Invalid)
}

fn tcp_segment<'a>(network: &Network<'a>, verify: bool) -> Result<tcp::Segment<'a>, Reason> {
    let segment = tcp::Segment::parse(network.l4, network.l4_len);
    // The kernel looks at lengths, then the checksum, then the flags.
    if matches!(segment, Err(reason) if reason != Reason::TcpFlags) {
        return segment;
    }
    if verify && !network.checksum_ok(Protocol::TCP, network.l4) {
        return Err(Reason::TransportChecksum);
    }
    segment
}

fn check_udp(network: &Network<'_>, verify: bool) -> Result<(), Reason> {
    let udp = Udp::new(network.l4).map_err(|_| Reason::TransportTruncated)?;
    let length = usize::from(udp.length());
    if length < 8 || length > network.l4_len {
        return Err(Reason::TransportLength);
    }
    let covered = network.l4.get(..length).unwrap_or(network.l4);
    if verify && udp.checksum() != 0 && !network.checksum_ok(Protocol::UDP, covered) {
        return Err(Reason::TransportChecksum);
    }
    Ok(())
}

fn check_udplite(network: &Network<'_>, verify: bool) -> Result<(), Reason> {
    let udp = UdpLite::new(network.l4).map_err(|_| Reason::TransportTruncated)?;
    let coverage = match usize::from(udp.checksum_coverage()) {
        0 => network.l4_len,
        coverage => coverage,
    };
    if coverage < 8 || coverage > network.l4_len {
        return Err(Reason::UdpLiteCoverage);
    }
    if udp.checksum() == 0 {
        return Err(Reason::TransportChecksum);
    }
    // Linux sums UDP-Lite with the pseudo header of UDP; coverage short of the packet changes the sum's length field
    // back to the packet's.
    if verify {
        let covered = network.l4.get(..coverage).unwrap_or(network.l4);
        if coverage == network.l4_len && !network.checksum_ok(Protocol::UDP, covered) {
            return Err(Reason::TransportChecksum);
        }
    }
    Ok(())
}

fn check_sctp<'a>(network: &Network<'a>, verify: bool) -> Result<Sctp<'a>, Reason> {
    let sctp = Sctp::new(network.l4).map_err(|_| Reason::TransportTruncated)?;
    if verify && !sctp.checksum_ok() {
        return Err(Reason::TransportChecksum);
    }
    Ok(sctp)
}
