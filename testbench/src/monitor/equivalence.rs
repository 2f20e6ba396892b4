//! Invariant 5: the same traffic through connection tracking in software alone; every packet whose fate differs is counted,
//! classified and shown.
//!
//! The reference sees every frame as it reaches the port, at that time. What the card forwards must be what the reference would
//! have let pass as part of the same connection in the same direction; of what goes to software both trackers must say the
//! same. Some differences are by design, and counted as such; all others are violations.

use super::{Ledger, Reference};
use crate::action::{Action, ActionKind};
use crate::simulation::FrameOutcome;
use crate::summary::{CauseCount, MonitorVerdict};
use conntrack_core::{
    ChecksumStatus, CtInfo, DestroyCause, Direction, EventKind, Packet, Reason, Time, Tracker,
    Tuple, Verdict, Zone,
};
use driver::Switch;
use driver::too_long::Fit;
use driver::translation::{self, Chance};
use nic_model::DropReason;
use nic_model::clock::Picos;
use nic_model::datapath::parser::Parsed;
use nic_model::datapath::rewrite::decrement_ttl;
use nic_model::flow_table::entry::{Endpoint, Marking, Tunnel};
use packet::ethernet::ip_offset;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How often the reference looks for connections that have expired.
const COLLECT_EVERY: Picos = Picos::from_millis(100);
/// Connections it looks at then.
const COLLECT: u32 = 16_384;
/// Connections with losses that are remembered.
const MOST_LOSSY: usize = 1 << 20;

/// What the reference said of a frame.
#[derive(Debug, Clone, Copy)]
struct Expected {
    verdict: Option<Verdict>,
    tuple: Option<Tuple>,
    at: Picos,
    /// Sum over the packet as it should leave in one piece, where addresses are translated; whether it has left otherwise.
    digest: Option<u64>,
    changed: bool,
    /// What becomes of it at the link it would leave by.
    fit: Fit,
    /// A rule about marks drops it.
    refused: bool,
}

/// The reference, and how often the two agreed.
pub struct Equivalence {
    tracker: Tracker,
    setup: Reference,
    chance: Chance,
    packet: Vec<u8>,
    expected: BTreeMap<u64, Expected>,
    /// Connections of which a packet was dropped that the reference has seen: what comes after may differ.
    lossy: BTreeSet<Tuple>,
    /// There were too many of them to remember which.
    all_lossy: bool,
    /// Connections that expired in the reference: the card keeps its entries until its aging engine finds them idle.
    expired: BTreeSet<Tuple>,
    /// When connections expired here.
    expired_here: BTreeMap<Tuple, Picos>,
    collect_at: Picos,
    /// What an administrator does next, once the host's processor comes to it.
    acts: Option<Action>,
    /// When all connections were deleted last.
    deleted_at: Option<Picos>,
    /// When marks changed last.
    marked_at: Option<Picos>,
    /// Connections that began when marks changed: before that here, and in the system after it.
    began_marked: BTreeSet<Tuple>,
    ledger: Ledger,
    by_design: BTreeMap<&'static str, u64>,
}

/// What a comparison says.
enum Difference {
    None,
    ByDesign(&'static str),
    Wrong(&'static str),
}

const fn is_window(reason: Option<Reason>) -> bool {
    matches!(
        reason,
        Some(Reason::TcpSequenceOverUpper | Reason::TcpAckOverUpper)
    )
}

const fn is_established(ctinfo: CtInfo) -> bool {
    matches!(
        ctinfo,
        CtInfo::New | CtInfo::Established | CtInfo::EstablishedReply
    )
}

impl Equivalence {
    /// Nothing seen yet. The tracker is fresh and set up as the driver's.
    pub fn new(mut tracker: Tracker, setup: Reference) -> Self {
        tracker.record_events(true);
        Self {
            tracker,
            setup,
            chance: Chance::new(0),
            packet: Vec::new(),
            expected: BTreeMap::new(),
            lossy: BTreeSet::new(),
            all_lossy: false,
            expired: BTreeSet::new(),
            expired_here: BTreeMap::new(),
            collect_at: COLLECT_EVERY,
            acts: None,
            deleted_at: None,
            marked_at: None,
            began_marked: BTreeSet::new(),
            ledger: Ledger::default(),
            by_design: BTreeMap::new(),
        }
    }

    /// An administrator does something at a time that may be still to come: the host's processor is busy until then.
    pub fn acts(&mut self, action: Action) {
        if deletes(&action) {
            self.deleted_at = Some(action.at);
        }
        if action.mark.is_some() {
            self.marked_at = Some(action.at);
        }
        if let Some(before) = self.acts.replace(action) {
            self.act(&before);
        }
        let waiting: Vec<Expected> = self.expected.values().copied().collect();
        for expected in &waiting {
            self.comes_before_action(expected);
        }
    }

    /// A packet has come that the system has not looked at when an administrator does something: after a deletion it will be part of
    /// a new connection, and one that it begins will not have a new mark.
    fn comes_before_action(&mut self, expected: &Expected) {
        if self.acts.as_ref().is_some_and(deletes) {
            self.remember_loss(expected);
        }
        let begins = expected.verdict.is_some_and(|verdict| verdict.created);
        let marks = self.acts.as_ref().is_some_and(|act| act.mark.is_some());
        if marks && begins && self.began_marked.len() < MOST_LOSSY {
            self.began_marked.extend(expected.tuple);
        }
    }

    fn act(&mut self, action: &Action) {
        let network = &mut self.setup.bridge.network;
        *network = action.network.or(*network);
        let now = if self.setup.frozen {
            0
        } else {
            action.at.as_nanos()
        };
        if deletes(action) {
            self.tracker.flush(Time(now));
        }
        if let Some(rule) = &action.mark {
            rule.apply(&mut self.tracker, Time(now));
        }
    }

    /// Whether a packet was looked at between the change of its connection's mark and the end of that change: in software it had
    /// come before, in hardware the entry was about to change.
    fn is_about_marking(&self, expected: &Expected, outcome: &FrameOutcome) -> bool {
        self.marked_at.is_some_and(|marked| {
            if outcome.has_hit() {
                outcome.remarking
            } else {
                expected.at <= marked
            }
        })
    }

    /// Whether a packet came before all connections were deleted and was looked at after that, or was forwarded by an entry
    /// whose removal was on its way.
    fn is_about_deletion(&self, expected: &Expected, outcome: &FrameOutcome) -> bool {
        self.deleted_at.is_some_and(|deleted| {
            if outcome.has_hit() {
                outcome.leaving
            } else {
                expected.at <= deleted
            }
        })
    }

    /// A frame reaches a port.
    pub fn arrived(
        &mut self,
        (number, port): (u64, u8),
        frame: &[u8],
        wire_len: u32,
        parsed: &Parsed,
        at: Picos,
    ) {
        if let Some(action) = self.acts.take_if(|action| action.at <= at) {
            self.act(&action);
        }
        let now = Time(if self.setup.frozen { 0 } else { at.as_nanos() });
        if at >= self.collect_at {
            self.collect_at = at + COLLECT_EVERY;
            self.tracker.collect(now, COLLECT);
        }
        let verdict = tracked_from(frame, parsed).and_then(|offset| {
            let packet = Packet {
                bytes: frame.get(offset..)?,
                wire_len: (wire_len as usize).saturating_sub(offset),
                zone: Zone::new(parsed.class.zone),
                untracked: false,
                checksum: ChecksumStatus::Unknown,
            };
            let bridge = &mut self.setup.bridge;
            let translates = bridge.translates() && parsed.way.tunnel == Tunnel::None;
            if !translates && !bridge.marks() {
                return Some((self.tracker.track(&packet, now), None));
            }
            let (tracker, arrived) = (&mut self.tracker, (&packet, port));
            let chance = &mut self.chance;
            let verdict = translation::track(tracker, arrived, bridge, translates, chance, now);
            if !translates {
                return Some((verdict, None));
            }
            self.packet.clear();
            self.packet.extend_from_slice(packet.bytes);
            translation::rewrite(tracker, &verdict, &mut self.packet, now).ok()?;
            if self.setup.routes.is_some() {
                decrement_ttl(&mut self.packet, 0);
            }
            Some((verdict, Some(digest(&self.packet))))
        });
        self.remember_expired();
        let (verdict, digest) = verdict.unzip();
        let fit = (self.setup.routes).map_or(Fit::Whole, |routes| routes.fit(frame, port));
        let digest = digest.flatten().filter(|_| fit == Fit::Whole);
        let connection = verdict.and_then(|verdict| verdict.connection);
        let tuple = connection.and_then(|id| self.tracker.original_tuple(id));
        let marking = connection.and_then(|id| self.tracker.marking(id));
        let (mark, labels) = marking.unwrap_or_default();
        let expected = Expected {
            verdict,
            tuple,
            at,
            digest,
            changed: false,
            fit,
            refused: self.setup.bridge.refuses(&Marking { mark, labels }),
        };
        self.comes_before_action(&expected);
        self.expected.insert(number, expected);
    }

    /// A frame leaves, by whichever way.
    pub fn sent(&mut self, number: u64, frame: &[u8]) {
        let Some(expected) = self.expected.get_mut(&number) else {
            return;
        };
        let offset = ip_offset(frame).unwrap_or(0);
        let left = digest(frame.get(offset..).unwrap_or(&[]));
        expected.changed = expected.digest.is_some_and(|expected| expected != left);
    }

    /// What became of a frame.
    pub fn judge(&mut self, outcome: &FrameOutcome) {
        let Some(expected) = self.expected.remove(&outcome.number) else {
            return;
        };
        let mut difference = self.compare(&expected, outcome);
        // The new connection has not seen it, or saw it although the old one had.
        let unseen_by_new = self.is_about_deletion(&expected, outcome);
        let dropped_unseen = outcome.dropped.is_some() && !outcome.has_hit();
        if dropped_unseen || unseen_by_new {
            self.remember_loss(&expected);
        } else if matches!(difference, Difference::Wrong(_)) && self.has_lost(&expected, outcome) {
            difference =
                Difference::ByDesign("after packets of its connection were dropped unseen");
        } else if matches!(difference, Difference::Wrong(_)) && self.was_kept(&expected, outcome) {
            difference = Difference::ByDesign("the card kept its connection beyond its timeout");
        }
        if matches!(difference, Difference::Wrong(_))
            && outcome.hardware.is_none()
            && self.maps_otherwise(&expected)
        {
            difference =
                Difference::ByDesign("other mappings were free, after packets were dropped unseen");
            self.remember_loss(&expected);
        }
        if matches!(difference, Difference::Wrong(_)) && self.waited_too_long(&expected, outcome) {
            difference =
                Difference::ByDesign("it waited for the host until its connection had expired");
            self.remember_loss(&expected);
        }
        if matches!(difference, Difference::Wrong(_)) && unseen_by_new {
            difference = Difference::ByDesign("all connections were being deleted");
        }
        if let Difference::ByDesign(why) = difference {
            *self.by_design.entry(why).or_default() += 1;
        }
        let wrong = match difference {
            Difference::Wrong(what) => Some(what),
            _ => None,
        };
        self.ledger.check(wrong.is_none(), || {
            story(outcome, &expected, wrong.unwrap_or(""))
        });
    }

    fn remember_loss(&mut self, expected: &Expected) {
        if self.lossy.len() >= MOST_LOSSY {
            self.all_lossy = true;
        } else {
            self.lossy.extend(expected.tuple);
            let mapped = expected.tuple.and_then(|tuple| self.mapped(tuple));
            self.lossy.extend(mapped);
        }
    }

    /// The tuple with its source as it is translated, or about to be: what the other side's packets are told by.
    fn mapped(&self, mut tuple: Tuple) -> Option<Tuple> {
        let coming = self.acts.as_ref().and_then(|action| action.network);
        let network = coming.or(self.setup.bridge.network)?;
        let IpAddr::V4(source) = tuple.source_ip() else {
            return None;
        };
        tuple.source = Endpoint::wide(IpAddr::V4(network.map(source)));
        Some(tuple)
    }

    /// A connection expired here.
    pub fn expired_here(&mut self, tuple: Tuple, at: Picos) {
        if self.expired_here.len() < MOST_LOSSY {
            self.expired_here.insert(tuple, at);
        }
    }

    /// Whether a packet had come before its connection expired here, and was looked at after that.
    fn waited_too_long(&self, expected: &Expected, outcome: &FrameOutcome) -> bool {
        let finds_none = outcome.verdict.as_ref().is_some_and(has_none);
        let expired = expected
            .tuple
            .and_then(|tuple| self.expired_here.get(&tuple));
        finds_none && expired.is_some_and(|expired| expected.at <= *expired)
    }

    /// Whether a new connection is translated otherwise: which mapping is free depends on which others there are.
    fn maps_otherwise(&self, expected: &Expected) -> bool {
        let others_differ =
            !(self.lossy.is_empty() && self.expired.is_empty()) || self.deleted_at.is_some();
        let is_new = expected
            .verdict
            .is_some_and(|verdict| verdict.ctinfo == CtInfo::New);
        expected.changed && is_new && others_differ
    }

    fn remember_expired(&mut self) {
        if !self.tracker.has_events() {
            return;
        }
        for event in self.tracker.take_events() {
            if let EventKind::Destroy { cause, last } = event.kind
                && cause == DestroyCause::Timeout
                && self.expired.len() < MOST_LOSSY
            {
                self.expired.insert(last.tuple(Direction::Original));
            }
        }
    }

    /// Whether software alone had let the connection expire, and here it went on.
    fn was_kept(&self, expected: &Expected, outcome: &FrameOutcome) -> bool {
        let went_on = outcome.has_hit()
            || outcome
                .verdict
                .is_some_and(|verdict| verdict.connection.is_some() && !verdict.created);
        let tuples = [expected.tuple, outcome.tuple].into_iter().flatten();
        let mut both_ways = tuples.flat_map(|tuple| [Some(tuple), tuple.inverted()]);
        went_on && both_ways.any(|tuple| tuple.is_some_and(|tuple| self.expired.contains(&tuple)))
    }

    fn has_lost(&self, expected: &Expected, outcome: &FrameOutcome) -> bool {
        let tuples = [expected.tuple, outcome.tuple].into_iter().flatten();
        let mut both_ways = tuples.flat_map(|tuple| [Some(tuple), tuple.inverted()]);
        self.all_lossy
            || both_ways.any(|tuple| tuple.is_some_and(|tuple| self.lossy.contains(&tuple)))
    }

    fn compare(&self, expected: &Expected, outcome: &FrameOutcome) -> Difference {
        let is_told = expected.fit == Fit::Answered;
        if is_told && outcome.dropped == Some(DropReason::BeyondMtu) {
            return Difference::Wrong("the card dropped it and its sender does not learn the MTU");
        }
        let stays = outcome.dropped.is_none() || outcome.refused;
        if stays && outcome.refused != expected.refused {
            let began = (expected.tuple).is_some_and(|tuple| self.began_marked.contains(&tuple));
            return if began || self.is_about_marking(expected, outcome) {
                Difference::ByDesign("its connection's mark was being changed")
            } else {
                Difference::Wrong("a rule about marks dropped it in one of them alone")
            };
        }
        if outcome.refused && outcome.dropped.is_some() {
            return Difference::None;
        }
        if outcome.dropped.is_some() {
            return Difference::ByDesign("dropped by the card: a rule, a meter, no room, damaged");
        }
        if expected.changed && !self.has_lost(expected, outcome) {
            return Difference::Wrong("it left with other bytes");
        }
        if expected.fit != Fit::Whole && outcome.hardware.is_some() {
            return Difference::Wrong("the card forwarded what is too long for the next link");
        }
        if outcome.answered.is_some_and(|answered| answered != is_told) {
            return Difference::Wrong("one of them alone told its sender that it is too long");
        }
        match (outcome.hardware, &expected.verdict, &outcome.verdict) {
            (Some(from_originator), Some(reference), _) => {
                self.forwarded(expected, reference, from_originator, outcome)
            }
            (Some(_), None, _) => Difference::Wrong("the card forwarded what is not IP"),
            (None, None, None) => Difference::None,
            (None, Some(reference), Some(verdict)) => self.tracked(reference, verdict),
            (None, _, _) => Difference::Wrong("only one of them tracked it"),
        }
    }

    /// The card forwarded a packet.
    fn forwarded(
        &self,
        expected: &Expected,
        reference: &Verdict,
        from_originator: bool,
        outcome: &FrameOutcome,
    ) -> Difference {
        if reference.ctinfo == CtInfo::Invalid && is_window(reference.reason) {
            if self.setup.checks_windows {
                return Difference::Wrong("the card has a window checker and let it pass");
            }
            return Difference::ByDesign("outside its windows, and the card does not check them");
        }
        if !is_established(reference.ctinfo) {
            return Difference::Wrong("software would not have let it pass with its connection");
        }
        if outcome.tuple.is_some() && outcome.tuple != expected.tuple {
            return Difference::Wrong("the card took it for another connection's");
        }
        let direction = if from_originator {
            Direction::Original
        } else {
            Direction::Reply
        };
        if reference.direction != Some(direction) {
            return Difference::Wrong("the card took it for the other direction");
        }
        Difference::None
    }

    /// Both tracked a packet.
    fn tracked(&self, reference: &Verdict, verdict: &Verdict) -> Difference {
        if (reference.ctinfo, reference.direction) == (verdict.ctinfo, verdict.direction) {
            return Difference::None;
        }
        let outside = reference.ctinfo == CtInfo::Invalid && is_window(reference.reason);
        if outside && is_established(verdict.ctinfo) {
            return Difference::ByDesign("windows were learnt anew after the hardware");
        }
        // Which connections give way depends on the very moment at which somebody looks for some.
        let made_room = self.tracker.stats().early_drop > 0;
        if made_room && (has_none(reference) || has_none(verdict)) {
            return Difference::ByDesign(
                "the connection table was full and made room at another moment",
            );
        }
        match verdict.ctinfo {
            CtInfo::Invalid => {
                Difference::Wrong("a packet that software alone accepts became INVALID")
            }
            CtInfo::New => Difference::Wrong("its connection was lost"),
            _ => Difference::Wrong("connection tracking says something else"),
        }
    }

    /// The verdict so far.
    pub fn verdict(&self) -> MonitorVerdict {
        let mut verdict = self.ledger.verdict(
            5,
            "equivalence",
            "the same traffic through software alone: every packet whose fate differs is counted, classified and shown",
        );
        let counted = self.by_design.iter().map(|(why, count)| CauseCount {
            cause: (*why).to_owned(),
            count: *count,
        });
        verdict.counted = counted.collect();
        verdict
    }
}

/// Whether an action deletes all connections.
const fn deletes(action: &Action) -> bool {
    matches!(action.kind, ActionKind::Flush | ActionKind::Nat)
}

/// A sum over a packet that tells it from others (FNV-1a, 64 bits).
fn digest(packet: &[u8]) -> u64 {
    packet.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Whether a packet found no connection of its own.
fn has_none(verdict: &Verdict) -> bool {
    verdict.ctinfo == CtInfo::New || verdict.reason == Some(Reason::TcpFirstPacket)
}

/// What a person needs to look into a difference.
fn story(outcome: &FrameOutcome, expected: &Expected, wrong: &str) -> String {
    let said = |verdict: &Option<Verdict>| match verdict {
        Some(verdict) => {
            let why = verdict.reason.map(|reason| format!(" ({})", reason.text()));
            format!("{}{}", verdict.ctinfo.name(), why.unwrap_or_default())
        }
        None => "nothing".to_owned(),
    };
    let here = match outcome.hardware {
        Some(_) => "the card forwarded it".to_owned(),
        None => format!("software said {}", said(&outcome.verdict)),
    };
    let alone = if expected.refused {
        "a rule about marks drops it".to_owned()
    } else {
        said(&expected.verdict)
    };
    let here = if outcome.refused {
        "here a rule about marks dropped it".to_owned()
    } else {
        here
    };
    let connection = expected.tuple.or(outcome.tuple);
    let connection = connection.map_or("no connection".to_owned(), |tuple| tuple.to_string());
    let micros = expected.at.as_nanos() as f64 / 1e3;
    format!(
        "frame {} of {connection} at {}: {wrong}; software alone says {}, {here} (look at it with --wave-window {:.0}us..{:.0}us)",
        outcome.number,
        expected.at,
        alone,
        (micros - 20.0).max(0.0),
        micros + 30.0,
    )
}

/// Where the IP packet begins that a connection is told by.
fn tracked_from(frame: &[u8], parsed: &Parsed) -> Option<usize> {
    if parsed.way.tunnel != Tunnel::None {
        return Some(parsed.ip_offset.into());
    }
    ip_offset(frame)
}

#[cfg(test)]
mod tests;
