//! The other side of the comparison: `conntrack-core` with the same packets.

use super::case::{Case, Ruleset, Side, Step, dscp, tuple_of};
use super::clock;
use super::kernel::{Entry, Expected, Fate, Happened, Seen, describe_expected, normal};
use super::rules::{by_dscp, helper, nat};
use conntrack_core::nat::Manip;
use conntrack_core::protocol::ProtocolState;
use conntrack_core::{
    Config, Connection, ConnectionId, CtInfo, Direction, Entered, EventKind, HashKey, Packet,
    Reason, SysctlError, Time, TimeoutPolicy, Tracker, Tuple, Verdict, Zone, ZoneScope,
};
use packet::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// When the first packet of a case happens.
pub const START: Time = Time::from_secs(1_000);

/// What 32 bits of jiffies can say, at 250 a second.
const LONGEST: Time = Time::from_secs(i32::MAX as u64 / 250);

/// The reply tuple that belongs to an original one.
pub type Replies<'a> = dyn FnMut(&Tuple, Zone) -> Option<Tuple> + 'a;

/// What the kernel chose where chance decides; nothing by default.
#[derive(Default)]
pub struct Choices<'a> {
    /// The reply tuple it gave to the connection with this original tuple; only its ids matter.
    pub reply: Option<&'a mut Replies<'a>>,
    /// What happened in the kernel.
    pub events: &'a [(Happened, String)],
}

impl Choices<'_> {
    /// The id that was chosen among these for the connection with this original tuple.
    fn id(
        &mut self,
        original: &Tuple,
        zone: Zone,
        among: &RangeInclusive<u16>,
        expected: &[u16],
    ) -> u16 {
        let reply = self.reply.as_mut();
        if let Some(reply) = reply.and_then(|reply| reply(original, zone)) {
            return translated_id(&reply);
        }
        // It was not confirmed, because all ids are taken: what it announced tells which was tried last, so that the next
        // one was tried first.
        let last = self.expected_ports("").next();
        let first = last.and_then(|last| last.checked_add(1));
        // Or it was dropped because what it announces at its port is expected by another one.
        let clashing = expected.iter().copied().find(|port| among.contains(port));
        first
            .filter(|first| among.contains(first))
            .or(clashing)
            .unwrap_or(*among.start())
    }

    /// Ports of connections that had been announced before, and were again.
    fn renewed_ports(&self, only: &str) -> BTreeSet<u16> {
        let mut first = BTreeMap::new();
        for (happened, tuple) in self.events {
            let port = tuple
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok());
            if let Some(port) = port.filter(|_: &u16| tuple.starts_with(only)) {
                first.entry(port).or_insert(*happened);
            }
        }
        let renewed = first
            .into_iter()
            .filter(|(_, happened)| *happened == Happened::Unexpect);
        renewed.map(|(port, _)| port).collect()
    }

    /// Ports of the connections that were announced, in order; only of those whose names begin so.
    fn expected_ports(&self, only: &'static str) -> impl Iterator<Item = u16> + use<'_> {
        let port = |tuple: &str| tuple.rsplit_once(':')?.1.parse().ok();
        self.events
            .iter()
            .filter(move |(happened, tuple)| {
                *happened == Happened::Expect && tuple.starts_with(only)
            })
            .filter_map(move |(_, tuple)| port(tuple))
    }
}

/// A tracker that follows the kernel.
pub struct Ours {
    tracker: Tracker,
    rules: Ruleset,
    policies: Vec<Arc<TimeoutPolicy>>,
    now: Time,
    turns: u32,
    beyond_count: bool,
}

impl Ours {
    /// A tracker with the sysctls of a case.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn new(case: &Case) -> Result<Self, SysctlError> {
        let mut ours = Self::with_sysctls(&case.sysctls)?;
        ours.rules = case.rules;
        Ok(ours)
    }

    /// A tracker with these sysctls.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn with_sysctls(sysctls: &[(String, String)]) -> Result<Self, SysctlError> {
        let mut config = Config::default();
        for (name, value) in sysctls {
            config.set(name, value)?;
        }
        let mut tracker = Tracker::new(config, HashKey([1, 2]));
        tracker.record_events(true);
        Ok(Self {
            tracker,
            rules: Ruleset::Plain,
            policies: policies()?,
            now: START,
            turns: 0,
            beyond_count: false,
        })
    }

    /// The tracker.
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Whether the connection of the last packet lives longer than the kernel's 32 bits can count at 250 jiffies a second: from
    /// then on it goes by a smaller number (listed in `docs/kernel-differences.md`), and nothing more can be compared.
    pub const fn beyond_count(&self) -> bool {
        self.beyond_count
    }

    /// How often time has passed.
    pub const fn turns(&self) -> u32 {
        self.turns
    }

    /// Time passes, if it can. Connections that have expired before are destroyed: those, by their tuples.
    pub fn pass(&mut self, seconds: u32) -> Option<Vec<String>> {
        if seconds == 0 || !clock::can_pass(&self.tracker, self.now, seconds.into()) {
            return None;
        }
        self.tracker.collect(self.now, u32::MAX);
        let mut destroyed: Vec<String> = self.events().into_iter().map(|(_, what)| what).collect();
        destroyed.sort();
        self.now = self.now + Time::from_secs(seconds.into());
        self.turns += 1;
        Some(destroyed)
    }

    /// Removes an expired connection with this original tuple, if there is one, as a collector would.
    pub fn collect(&mut self, tuple: &str) -> bool {
        let is_it = |there: &Connection| {
            there.is_expired(self.now) && there.tuple(Direction::Original).to_string() == tuple
        };
        let expired = self.tracker.iter().find(|(_, there)| is_it(there));
        let Some(id) = expired.map(|(id, _)| id) else {
            return false;
        };
        self.tracker.delete(id, self.now);
        self.tracker.take_events();
        true
    }

    /// Original tuples of all connections, and their zones.
    pub fn tuples(&self) -> Vec<(Tuple, Zone)> {
        let all = self.tracker.iter();
        all.map(|(_, there)| (there.tuple(Direction::Original), there.zone()))
            .collect()
    }

    /// Tracks a packet. What `forwards` says no to does not come as far as confirmation. Where chance decides, `choices` are
    /// ours.
    pub fn step(
        &mut self,
        step: &Step,
        forwards: bool,
        choices: &mut Choices<'_>,
    ) -> (Verdict, Fate) {
        let treatment = match self.rules {
            Ruleset::ByDscp => by_dscp::treatment(dscp(&step.bytes)),
            _ => by_dscp::Treatment::default(),
        };
        let packet = Packet {
            zone: treatment.zone,
            untracked: treatment.untracked,
            ..Packet::whole(&step.bytes)
        };
        let mut entered = self.tracker.enter(&packet, self.now);
        if let Some(mark) = treatment.mark {
            self.tracker.mark(&mut entered, mark);
        }
        if let Some(label) = treatment.label {
            let bit = 1 << label;
            self.tracker.label(&mut entered, bit, bit);
        }
        if treatment.policy {
            for policy in &self.policies {
                self.tracker.set_policy(&mut entered, policy);
            }
        }
        let mut sent = Vec::new();
        let verdict = if self.rules.translates() {
            let whole = self.tracker.take_reassembled();
            let mut bytes = whole.unwrap_or_else(|| step.bytes.clone());
            if self.rules == Ruleset::Helper {
                self.assign_helper(&mut entered);
            }
            let translated = self
                .translate(&mut entered, step, &mut bytes, forwards, choices)
                .and_then(|()| self.help(&mut entered, &mut bytes, forwards, choices));
            sent = normal(bytes);
            match translated {
                Ok(()) => self.leave(entered, forwards),
                Err(reason) => Verdict {
                    ctinfo: CtInfo::Dropped,
                    connection: None,
                    reason: Some(reason),
                    ..*entered.verdict()
                },
            }
        } else {
            self.leave(entered, forwards)
        };
        self.beyond_count = verdict
            .connection
            .and_then(|id| self.tracker.connection(id))
            .is_some_and(|connection| connection.remaining(self.now) > LONGEST);
        let fate = Fate {
            seen: seen(verdict.ctinfo),
            events: self.events(),
            sent: if seen(verdict.ctinfo).is_some() {
                sent
            } else {
                Vec::new()
            },
        };
        (verdict, fate)
    }

    fn assign_helper(&mut self, entered: &mut Entered) {
        if let Entered::Unconfirmed(connection, _) = entered
            && let Some((name, protocol)) = helper::helper(&connection.tuple(Direction::Original))
            && let Some(id) = self.tracker.helper_named(name, protocol)
        {
            self.tracker.assign_helper(entered, id);
        }
    }

    fn help(
        &mut self,
        entered: &mut Entered,
        bytes: &mut Vec<u8>,
        forwards: bool,
        choices: &Choices<'_>,
    ) -> Result<(), Reason> {
        if !forwards || self.rules != Ruleset::Helper {
            return Ok(());
        }
        // Of what H.323 announces, only TCP's ports are chosen by chance.
        let helper = match entered {
            Entered::Unconfirmed(connection, _) => connection.helper(),
            Entered::Done(verdict) => verdict
                .connection
                .and_then(|id| self.tracker.connection(id)?.helper()),
        };
        let in_binary = matches!(helper, Some("RAS" | "Q.931" | "H.245"));
        let only = if in_binary { "tcp" } else { "" };
        // Ports that stay as they were named are not chosen.
        let named = bytes.clone();
        let is_named = |port: &u16| {
            let digits = port.to_string().into_bytes();
            named.windows(digits.len()).any(|text| text == digits)
                || in_binary && follows_an_address(&named, *port)
        };
        // Those of media come in pairs.
        let of_media: Vec<u16> = match helper {
            Some("sip") => choices.expected_ports("udp").collect(),
            _ => Vec::new(),
        };
        // One that is announced again is not chosen again.
        let mut seen = choices.renewed_ports(only);
        let ports = choices.expected_ports(only);
        let mut ports: Vec<u16> = ports
            .filter(|port| !is_named(port) && !of_media.contains(&(port ^ 1)) && seen.insert(*port))
            .collect();
        let mut random = |among: RangeInclusive<u16>| {
            let admissible = ports.iter().position(|port| among.contains(port));
            admissible.map_or(*among.start(), |at| ports.remove(at))
        };
        self.tracker.help(entered, bytes, &mut random, self.now)
    }

    /// What is expected, in the kernel's terms.
    pub fn expectations(&self) -> Vec<Expected> {
        let describe = |expected: &conntrack_core::expectation::Expected| {
            let expectation = &expected.expectation;
            let helper = self.tracker.helper(expected.master_helper);
            let flags = u32::from(expectation.permanent) | u32::from(expectation.inactive) << 1;
            Expected {
                what: describe_expected(
                    &expectation.tuple,
                    (expectation.mask.address, expectation.mask.id),
                    &expected.master_tuple,
                    (
                        expectation.class as u32,
                        flags,
                        helper.map_or("", |helper| helper.name()),
                    ),
                    expectation
                        .follow
                        .filter(|follow| follow.id != 0 || follow.address.is_some())
                        .map(|follow| {
                            let address = follow.address.unwrap_or_default();
                            (follow.direction as u32, address, follow.id)
                        }),
                ),
                timeout_s: expected.remaining(self.now).as_secs() as u32,
            }
        };
        let mut all: Vec<Expected> = self
            .tracker
            .expectations()
            .map(|(_, expected)| describe(expected))
            .collect();
        all.sort();
        all
    }

    fn leave(&mut self, entered: Entered, forwards: bool) -> Verdict {
        if forwards {
            self.tracker.leave(entered, self.now)
        } else {
            *entered.verdict()
        }
    }

    fn translate(
        &mut self,
        entered: &mut Entered,
        step: &Step,
        bytes: &mut [u8],
        forwards: bool,
        choices: &mut Choices<'_>,
    ) -> Result<(), Reason> {
        let leaves_by = match step.side {
            Side::A => nat::interface(Side::B),
            Side::B => nat::interface(Side::A),
        };
        let expected = self.tracker.expectations();
        let expected: Vec<u16> = expected
            .map(|(_, there)| there.expectation.tuple.destination_id)
            .collect();
        for manip in [Manip::Destination, Manip::Source] {
            if manip == Manip::Source && !forwards {
                break;
            }
            if let Entered::Unconfirmed(connection, _) = entered {
                let (original, zone) = (connection.tuple(Direction::Original), connection.zone());
                let reply = connection.tuple(Direction::Reply);
                let ends = [reply.destination_ip(), reply.source_ip()];
                let protocol = original.protocol();
                let rule = nat::target(manip, dscp(&step.bytes), protocol, ends, step.side);
                let mut random =
                    |among: RangeInclusive<u16>| choices.id(&original, zone, &among, &expected);
                let target = rule.as_ref();
                self.tracker
                    .nat(entered, manip, target, &mut random, self.now);
            }
            self.tracker
                .rewrite(entered, manip, Some(leaves_by), bytes, self.now)?;
        }
        Ok(())
    }

    fn events(&mut self) -> Vec<(Happened, String)> {
        let events = self.tracker.take_events();
        let tuple = |id| {
            self.tracker
                .original_tuple(id)
                .map_or_else(String::new, |tuple| tuple.to_string())
        };
        let told = events.iter().map(|event| match &event.kind {
            EventKind::New => (Happened::New, tuple(event.connection)),
            EventKind::Update(_) => (Happened::Update, tuple(event.connection)),
            EventKind::Expect(expected) => {
                (Happened::Expect, expected.expectation.tuple.to_string())
            }
            EventKind::Unexpect(expected) => {
                (Happened::Unexpect, expected.expectation.tuple.to_string())
            }
            EventKind::Destroy { last, .. } => (
                Happened::Destroy,
                last.tuple(Direction::Original).to_string(),
            ),
        });
        told.collect()
    }

    /// A connection in the kernel's terms, and the tuple to ask the kernel by.
    pub fn entry(&self, id: ConnectionId) -> Option<(Tuple, Zone, Entry)> {
        let connection = self.tracker.connection(id)?;
        Some((
            connection.tuple(Direction::Original),
            connection.zone(),
            entry(connection, self.now),
        ))
    }

    /// Protocol state and direction of the connection a TCP, UDP or SCTP packet without options would find, and the flags
    /// of a TCP segment.
    pub fn looked_up(&self, packet: &[u8]) -> Option<(Vec<u32>, Direction, u8)> {
        let tuple = tuple_of(packet).filter(|tuple| {
            matches!(
                tuple.protocol(),
                Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP
            )
        })?;
        let (id, direction) = self.tracker.find(&tuple, Zone::DEFAULT)?;
        let state = entry(self.tracker.connection(id)?, self.now)
            .protocol
            .first()
            .copied();
        let flags = packet
            .get(if tuple.family == 4 { 33 } else { 53 })
            .copied()
            .filter(|_| tuple.protocol() == Protocol::TCP);
        Some((state.into_iter().collect(), direction, flags.unwrap_or(0)))
    }

    /// Counters as `conntrack -S` shows them, those that are compared.
    pub fn stats(&self) -> BTreeMap<&'static str, u64> {
        let stats = self.tracker.stats();
        BTreeMap::from([
            ("invalid", stats.invalid),
            ("insert_failed", stats.insert_failed),
            ("drop", stats.drop),
            ("early_drop", stats.early_drop),
            ("error", stats.error),
        ])
    }
}

/// The timeouts of [`by_dscp::POLICIES`].
fn policies() -> Result<Vec<Arc<TimeoutPolicy>>, SysctlError> {
    let policy = |(protocol, timeouts): &(Protocol, &[by_dscp::Timeout])| {
        let timeouts: Vec<(&str, u64)> = timeouts
            .iter()
            .map(|(_, name, seconds)| (*name, *seconds))
            .collect();
        TimeoutPolicy::new(*protocol, &timeouts).map(Arc::new)
    };
    by_dscp::POLICIES.iter().map(policy).collect()
}

/// The source id a connection's packets got, as their replies show it: no other is chosen by chance.
const fn translated_id(reply: &Tuple) -> u16 {
    match Protocol(reply.protocol) {
        Protocol::ICMP | Protocol::ICMPV6 => reply.source_id,
        _ => reply.destination_id,
    }
}

const fn seen(ctinfo: CtInfo) -> Option<Seen> {
    Some(match ctinfo {
        CtInfo::New => Seen::New,
        CtInfo::Established => Seen::Established,
        CtInfo::EstablishedReply => Seen::EstablishedReply,
        CtInfo::Related => Seen::Related,
        CtInfo::RelatedReply => Seen::RelatedReply,
        CtInfo::Invalid => Seen::Invalid,
        CtInfo::Untracked => Seen::Untracked,
        CtInfo::Fragment | CtInfo::Dropped => return None,
    })
}

fn entry(connection: &Connection, now: Time) -> Entry {
    let protocol = match connection.protocol_state() {
        ProtocolState::Tcp(tcp) => {
            let [a, b] = Direction::ALL.map(|direction| tcp.side(direction));
            let numbers = [a.scale, b.scale, a.flags, b.flags].map(u32::from);
            [&[tcp.state as u32], &numbers[..]].concat()
        }
        ProtocolState::Sctp(sctp) => {
            let [a, b] = Direction::ALL.map(|direction| sctp.tag(direction));
            vec![sctp.state as u32, a, b]
        }
        _ => Vec::new(),
    };
    Entry {
        tuples: Direction::ALL.map(|direction| connection.tuple(direction).to_string()),
        status: connection.status().0,
        timeout_s: (!connection.is_offloaded()).then(|| connection.remaining(now).as_secs() as u32),
        counters: Direction::ALL.map(|direction| {
            let counters = connection.counters(direction);
            (counters.packets, counters.bytes)
        }),
        mark: connection.mark(),
        zone: connection.zone().effective(Direction::Original)
            * u16::from(connection.zone().scope == ZoneScope::Both),
        zones: directional(connection.zone()),
        labels: connection.labels().to_le_bytes(),
        helper: connection.helper().map(str::to_owned),
        master: connection.master().map(|(_, tuple)| tuple.to_string()),
        shifts: connection.sequence_shifts(),
        protocol,
    }
}

/// The zone of each direction, if it is a zone for one of them.
fn directional(zone: Zone) -> [u16; 2] {
    match zone.scope {
        ZoneScope::Both => [0; 2],
        _ => Direction::ALL.map(|direction| zone.effective(direction)),
    }
}

/// Whether a message has this port behind an address of those that generated conversations have: two octets alone would be
/// there by chance once in three hundred messages.
fn follows_an_address(message: &[u8], port: u16) -> bool {
    const V4: [u8; 6] = [10, 20, 21, 127, 198, 203];
    let v4 = message
        .windows(6)
        .any(|bytes| V4.contains(&bytes[0]) && bytes[4..] == port.to_be_bytes());
    let v6 = message
        .windows(18)
        .any(|bytes| bytes[..2] == [0x20, 0x01] && bytes[16..] == port.to_be_bytes());
    v4 || v6
}
