//! The other side of the comparison: `conntrack-core` with the same packets.

use super::case::{Case, Ruleset, Side, Step, dscp};
use super::kernel::{Entry, Fate, Happened, Seen, normal};
use super::rules::{by_dscp, nat};
use conntrack_core::nat::Manip;
use conntrack_core::protocol::ProtocolState;
use conntrack_core::{
    Config, Connection, ConnectionId, CtInfo, Direction, Entered, EventKind, HashKey, Packet,
    Reason, SysctlError, Time, Tracker, Tuple, Verdict, Zone, ZoneScope,
};
use packet::Protocol;
use std::collections::BTreeMap;

/// All packets of a case happen now.
pub const NOW: Time = Time::from_secs(1_000);

/// A tracker that follows the kernel.
pub struct Ours {
    tracker: Tracker,
    rules: Ruleset,
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
        })
    }

    /// The tracker.
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Tracks a packet. What `forwards` says no to does not come as far as confirmation. `chosen` tells the reply tuple
    /// that the kernel gave to the connection with an original tuple: where chance decides, its choice is ours.
    pub fn step(
        &mut self,
        step: &Step,
        forwards: bool,
        chosen: &mut dyn FnMut(&Tuple, Zone) -> Option<Tuple>,
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
        let mut entered = self.tracker.enter(&packet, NOW);
        if let Some(mark) = treatment.mark {
            self.tracker.mark(&mut entered, mark);
        }
        let mut sent = Vec::new();
        let verdict = if self.rules == Ruleset::Nat {
            let whole = self.tracker.take_reassembled();
            let mut bytes = whole.unwrap_or_else(|| step.bytes.clone());
            let translated = self.translate(&mut entered, step, &mut bytes, forwards, chosen);
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

    fn leave(&mut self, entered: Entered, forwards: bool) -> Verdict {
        match entered {
            entered if !forwards => *entered.verdict(),
            entered => self.tracker.leave(entered, NOW),
        }
    }

    fn translate(
        &mut self,
        entered: &mut Entered,
        step: &Step,
        bytes: &mut [u8],
        forwards: bool,
        chosen: &mut dyn FnMut(&Tuple, Zone) -> Option<Tuple>,
    ) -> Result<(), Reason> {
        let leaves_by = match step.side {
            Side::A => nat::interface(Side::B),
            Side::B => nat::interface(Side::A),
        };
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
                let first = rule.and_then(|(_, first)| first);
                let mut random = || {
                    let id = chosen(&original, zone).map(|reply| translated_id(&reply, manip));
                    let first = first.unwrap_or_else(|| first_of_class(&original));
                    id.map_or(0, |id| id.wrapping_sub(first))
                };
                let target = rule.as_ref().map(|(target, _)| target);
                self.tracker.nat(entered, manip, target, &mut random, NOW);
            }
            self.tracker
                .rewrite(entered, manip, Some(leaves_by), bytes, NOW)?;
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
            entry(connection),
        ))
    }

    /// Protocol state and direction of the connection a TCP, UDP or SCTP packet without options would find, and the flags
    /// of a TCP segment.
    pub fn looked_up(&self, packet: &[u8]) -> Option<(Vec<u32>, Direction, u8)> {
        let header_len = if packet.first()? >> 4 == 4 { 20 } else { 40 };
        let protocol = *packet.get(if header_len == 20 { 9 } else { 6 })?;
        let [a, b, c, d] = *packet.get(header_len..)?.first_chunk()?;
        let address = |at: usize| {
            let mut wide = [0; 16];
            let length = if header_len == 20 { 4 } else { 16 };
            wide[..length].copy_from_slice(packet.get(at..at + length)?);
            Some(wide)
        };
        let tuple = Tuple {
            source: address(if header_len == 20 { 12 } else { 8 })?,
            destination: address(if header_len == 20 { 16 } else { 24 })?,
            source_id: u16::from_be_bytes([a, b]),
            destination_id: u16::from_be_bytes([c, d]),
            protocol,
            family: if header_len == 20 { 4 } else { 6 },
        };
        let (id, direction) = self.tracker.find(&tuple, Zone::DEFAULT)?;
        let state = entry(self.tracker.connection(id)?)
            .protocol
            .first()
            .copied();
        let flags = packet
            .get(header_len + 13)
            .copied()
            .filter(|_| protocol == 6);
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

/// The id a connection's packets got, as their replies show it.
const fn translated_id(reply: &Tuple, manip: Manip) -> u16 {
    match (manip, Protocol(reply.protocol)) {
        (Manip::Destination, _) | (_, Protocol::ICMP | Protocol::ICMPV6) => reply.source_id,
        (Manip::Source, _) => reply.destination_id,
    }
}

/// The first port of those a source port may be changed to without a rule for ports.
const fn first_of_class(original: &Tuple) -> u16 {
    match (Protocol(original.protocol), original.source_id) {
        (Protocol::ICMP | Protocol::ICMPV6, _) => 0,
        (_, ..512) => 1,
        (_, 512..1024) => 600,
        (_, 1024..) => 1024,
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

fn entry(connection: &Connection) -> Entry {
    let directions = [Direction::Original, Direction::Reply];
    let protocol = match connection.protocol_state() {
        ProtocolState::Tcp(tcp) => {
            let [a, b] = directions.map(|direction| tcp.side(direction));
            let numbers = [a.scale, b.scale, a.flags, b.flags].map(u32::from);
            [&[tcp.state as u32], &numbers[..]].concat()
        }
        ProtocolState::Sctp(sctp) => {
            let [a, b] = directions.map(|direction| sctp.tag(direction));
            vec![sctp.state as u32, a, b]
        }
        _ => Vec::new(),
    };
    Entry {
        tuples: directions.map(|direction| connection.tuple(direction).to_string()),
        status: connection.status().0,
        timeout_s: (!connection.is_offloaded()).then(|| connection.remaining(NOW).as_secs() as u32),
        counters: directions.map(|direction| {
            let counters = connection.counters(direction);
            (counters.packets, counters.bytes)
        }),
        mark: connection.mark(),
        zone: connection.zone().effective(Direction::Original)
            * u16::from(connection.zone().scope == ZoneScope::Both),
        zones: directional(connection.zone()),
        protocol,
    }
}

/// The zone of each direction, if it is a zone for one of them.
fn directional(zone: Zone) -> [u16; 2] {
    match zone.scope {
        ZoneScope::Both => [0; 2],
        _ => [Direction::Original, Direction::Reply].map(|direction| zone.effective(direction)),
    }
}
