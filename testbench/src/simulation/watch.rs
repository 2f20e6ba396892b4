//! Those who watch a run: monitors, metrics, and the record of every frame if somebody wants it.

use super::FrameOutcome;
use super::lingering::Lingering;
use super::summarise::reason_count;
use crate::frame::FrameMeta;
use crate::metrics::{OverTime, Times};
use crate::monitor::{
    AccountConservation, Equivalence, LiveConnection, NoOrphan, Order, PacketConservation, Recovery,
};
use crate::summary::{MonitorVerdict, ReasonCount};
use conntrack_core::{Config, Connection, ConnectionId, CtInfo, DestroyCause, Direction};
use driver::offload::{RefuseCause, RemoveCause};
use driver::{Disposition, Driver, Observer, PacketReport};
use nic_model::chip::DropReason;
use nic_model::clock::Picos;
use nic_model::datapath::parser::Parsed;
use nic_model::datapath::trap::Reason;
use nic_model::flow_table::FlowTable;
use nic_model::host::descriptors::TransmitDescriptor;
use std::collections::{BTreeMap, BTreeSet};

/// A frame on its way through the host.
#[derive(Debug, Clone, Copy)]
struct InHost {
    flow: u32,
    port: u8,
    first_bit: Picos,
    /// What became of it so far, once the driver has reported it.
    outcome: Option<FrameOutcome>,
}

/// Everything that watches.
pub(crate) struct Watch {
    config: Config,
    packets: PacketConservation,
    accounts: AccountConservation,
    live: LiveConnection,
    orphans: NoOrphan,
    order: Order,
    /// The same traffic in software alone, if somebody wants to compare.
    pub(super) equivalence: Option<Equivalence>,
    pub(super) hardware_latency: Times,
    pub(super) host_latency: Times,
    pub(super) insertion_latency: Times,
    pub(super) lingering: Lingering,
    pub(super) over_time: OverTime,
    in_host: BTreeMap<u64, InHost>,
    held: u64,
    start: Picos,
    drops: [u64; 9],
    recovery: Option<Recovery>,
    /// Connections whose entries are about to get another mark or other labels, or to be taken out for that.
    remarking: BTreeSet<ConnectionId>,
    pub(super) record_outcomes: bool,
    pub(super) outcomes: Vec<FrameOutcome>,
}

const SOFTWARE_DROPS: [(&str, &str); 9] = [
    (
        "conntrack",
        "refused by the IP layer or connection tracking",
    ),
    ("switch", "the switch said so"),
    ("transmit-ring-full", "the transmit ring was full"),
    ("fragment", "its datagram was never completed, or spoilt"),
    ("ttl-expired", "no TTL or hop limit left"),
    (
        "port-congested",
        "too many frames waited for the egress port",
    ),
    (
        "card-reset",
        "in the card or its rings when it began afresh",
    ),
    (
        "too-long-answered",
        "longer than the MTU of the next link: its sender was told",
    ),
    (
        "too-long",
        "longer than the MTU of the next link: nobody was told",
    ),
];

impl Watch {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            packets: PacketConservation::default(),
            accounts: AccountConservation::default(),
            live: LiveConnection::default(),
            orphans: NoOrphan::default(),
            order: Order::default(),
            equivalence: None,
            hardware_latency: Times::default(),
            host_latency: Times::default(),
            insertion_latency: Times::default(),
            lingering: Lingering::default(),
            over_time: OverTime::default(),
            in_host: BTreeMap::new(),
            held: 0,
            start: Picos::from_micros(100),
            drops: [0; 9],
            recovery: None,
            remarking: BTreeSet::new(),
            record_outcomes: false,
            outcomes: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn forwarded(
        &mut self,
        meta: &FrameMeta,
        parsed: &Parsed,
        from_originator: bool,
        looked_up: Picos,
        arrival: Picos,
        (departs, latency): (Picos, Picos),
    ) {
        self.packets.ended_in_hardware();
        self.order.left_in_hardware(meta, departs);
        self.counted(meta, parsed, from_originator, looked_up);
        self.hardware_latency.record(latency);
        self.over_time
            .packet(arrival.saturating_sub(self.start), None);
    }

    /// Asks for what is kept of a flow, for all frames of a burst before the first is put through.
    #[inline]
    pub(super) fn prefetch(&self, flow: u32) {
        self.accounts.prefetch(flow);
        self.live.prefetch(flow);
    }

    /// The hardware counted the packet in its entry, whether or not it then left.
    #[inline]
    pub(super) fn counted(
        &mut self,
        meta: &FrameMeta,
        parsed: &Parsed,
        from_originator: bool,
        looked_up: Picos,
    ) {
        self.accounts
            .forwarded(meta.flow, from_originator, parsed.ip_bytes);
        self.live.hit(meta.flow, looked_up);
    }

    pub(super) fn given_to_host(
        &mut self,
        meta: &FrameMeta,
        reason: Reason,
        first_bit: Picos,
        arrival: Picos,
    ) {
        self.packets.to_host(meta.number, first_bit);
        self.order.to_host(meta);
        self.over_time
            .packet(arrival.saturating_sub(self.start), Some(reason));
        self.in_host.insert(
            meta.number,
            InHost {
                flow: meta.flow,
                port: meta.port,
                first_bit,
                outcome: None,
            },
        );
    }

    pub(super) fn dropped_in_hardware(
        &mut self,
        meta: &FrameMeta,
        reason: DropReason,
        now: Picos,
        arrival: Picos,
    ) {
        let outcome = self.wants_outcomes().then(|| nothing_known(meta.number));
        self.dropped_at(outcome, reason, now, arrival);
    }

    /// Whether a connection's entries are about to get another mark or other labels.
    pub(super) fn is_remarking(&self, id: ConnectionId) -> bool {
        self.remarking.contains(&id)
    }

    /// The hardware dropped a frame; what is known of that, if somebody wants to know.
    pub(super) fn dropped_at(
        &mut self,
        outcome: Option<FrameOutcome>,
        reason: DropReason,
        now: Picos,
        arrival: Picos,
    ) {
        self.packets.ended_in_hardware();
        if let Some(outcome) = outcome {
            self.tell(FrameOutcome {
                refused: reason == DropReason::BehindCt,
                dropped: Some(reason),
                latency: now - arrival,
                ..outcome
            });
        }
    }

    /// Whether somebody wants to know of every frame.
    pub(super) const fn wants_outcomes(&self) -> bool {
        self.record_outcomes || self.equivalence.is_some()
    }

    /// What became of a frame.
    pub(super) fn tell(&mut self, outcome: FrameOutcome) {
        if let Some(equivalence) = &mut self.equivalence {
            equivalence.judge(&outcome);
        }
        if self.record_outcomes {
            self.outcomes.push(outcome);
        }
    }

    pub(super) fn host_frame_left(&mut self, tag: u64, at: Picos) {
        if tag == TransmitDescriptor::NO_TAG {
            return self.packets.made_ended(true);
        }
        if let Some(frame) = self.in_host.get(&tag) {
            self.order.ended((frame.flow, frame.port), tag, Some(at));
        }
        if let Some(arrival) = self.end(tag, at, "sent") {
            self.host_latency.record(at - arrival);
        }
    }

    pub(super) fn host_frame_dropped(&mut self, tag: u64, at: Picos) {
        if tag == TransmitDescriptor::NO_TAG {
            return self.packets.made_ended(false);
        }
        self.drops[5] += 1;
        self.end(tag, at, "dropped at the egress port");
    }

    /// A frame was lost in the card on its way to the host.
    pub(super) fn frame_lost(&mut self, tag: u64, at: Picos) {
        self.end(tag, at, "lost in the card");
        self.unseen(tag);
    }

    /// A frame ended without software having looked at it.
    fn unseen(&mut self, number: u64) {
        if self.wants_outcomes() {
            self.tell(FrameOutcome {
                dropped: Some(DropReason::Reset),
                ..nothing_known(number)
            });
        }
    }

    /// There will be faults: keeps what is needed to judge what they cost.
    pub(super) fn expect_faults(&mut self) {
        self.accounts.expect_losses();
        self.recovery = Some(Recovery::default());
    }

    /// Something has gone wrong.
    pub(super) fn struck(&mut self) {
        if let Some(recovery) = &mut self.recovery {
            recovery.struck();
        }
    }

    fn end(&mut self, tag: u64, at: Picos, how: &str) -> Option<Picos> {
        let arrival = self.packets.ended(tag, at, how);
        let frame = self.in_host.remove(&tag);
        if let Some(frame) = frame {
            self.order.ended((frame.flow, frame.port), tag, None);
        }
        if let Some((frame, outcome)) = frame.and_then(|frame| Some((frame, frame.outcome?))) {
            self.tell(FrameOutcome {
                latency: at - frame.first_bit,
                ..outcome
            });
        }
        arrival
    }

    fn drop_of(&mut self, tag: u64, disposition: Disposition, now: Picos) {
        if let Some(frame) = self.in_host.get_mut(&tag)
            && let Some(outcome) = &mut frame.outcome
        {
            outcome.answered = answered(disposition);
            outcome.refused = disposition == Disposition::DroppedBySwitch;
        }
        let cause = match disposition {
            Disposition::Sent(_) | Disposition::Held => return,
            Disposition::DroppedInvalid => 0,
            Disposition::DroppedBySwitch => 1,
            Disposition::DroppedRingFull => 2,
            Disposition::DroppedFragment => 3,
            Disposition::DroppedTtl => 4,
            Disposition::DroppedReset => 6,
            Disposition::Answered => 7,
            Disposition::DroppedTooLong => 8,
        };
        self.drops[cause] += 1;
        self.end(tag, now, "dropped by the host");
    }

    pub(super) fn software_drops(&self) -> impl Iterator<Item = ReasonCount> + '_ {
        SOFTWARE_DROPS
            .iter()
            .zip(self.drops)
            .map(|((name, meaning), count)| reason_count(name, meaning, count, 0))
    }

    /// Frames that the host made (messages, fragments) and that left.
    pub(super) const fn made_by_host(&self) -> u64 {
        self.packets.made_left()
    }

    /// Fragments whose datagram was not complete when the run ended.
    pub(super) const fn still_held(&self) -> u64 {
        self.held
    }

    pub(super) fn finish(&mut self, table: &FlowTable, driver: &mut Driver, now: Picos) {
        let held = driver.gauges(now).fragments;
        self.held = held as u64;
        // Held fragments are the host's: it has consumed them.
        let mut waiting: Vec<u64> = self.in_host.keys().copied().collect();
        waiting.truncate(held);
        for tag in waiting {
            self.end(tag, now, "held as a fragment");
        }
        if self.recovery.is_none() {
            self.packets.host_made(driver.made(), now);
        }
        self.packets.finish(now);
        self.orphans.settled(table, driver, now);
        self.accounts.finish(driver.tracker().iter(), now);
        if let Some(recovery) = &mut self.recovery {
            recovery.finish(driver, now);
        }
    }

    pub(super) fn verdicts(&self) -> Vec<MonitorVerdict> {
        let mut verdicts = vec![
            self.packets.verdict(),
            self.accounts.verdict(),
            self.live.verdict(),
            self.orphans.verdict(),
        ];
        verdicts.extend(self.equivalence.as_ref().map(Equivalence::verdict));
        verdicts.push(self.order.verdict());
        verdicts.extend(self.recovery.as_ref().map(Recovery::verdict));
        verdicts
    }
}

/// A frame of which nothing is known but its number.
const fn nothing_known(number: u64) -> FrameOutcome {
    FrameOutcome {
        number,
        verdict: None,
        hardware: None,
        leaving: false,
        remarking: false,
        refused: false,
        tuple: None,
        reason: None,
        dropped: None,
        answered: None,
        latency: Picos::ZERO,
    }
}

/// Whether a frame's sender was told that it is too long; `None` if it was not asked whether it is.
const fn answered(disposition: Disposition) -> Option<bool> {
    match disposition {
        Disposition::Answered => Some(true),
        Disposition::Sent(_) | Disposition::DroppedTooLong => Some(false),
        _ => None,
    }
}

impl Observer for Watch {
    fn packet(&mut self, report: &PacketReport<'_>, now: Picos) {
        let tag = report.ingress_tag;
        let frame = self.in_host.get(&tag).copied();
        if let (Some(verdict), Some(frame)) = (report.verdict, frame)
            && let (Some(id), Some(direction)) = (verdict.connection, verdict.direction)
        {
            self.lingering.packet(id, report.reason, now);
            let whole = report.reason != Reason::Fragment;
            let related = matches!(verdict.ctinfo, CtInfo::Related | CtInfo::RelatedReply);
            if verdict.counted_bytes > 0 && !related {
                let bytes = verdict.counted_bytes;
                self.accounts
                    .tracked(frame.flow, id, verdict.created, whole, direction, bytes);
            }
        }
        if self.wants_outcomes()
            && let Some(frame) = self.in_host.get_mut(&tag)
        {
            frame.outcome = Some(FrameOutcome {
                verdict: report.verdict.copied(),
                tuple: report.original,
                reason: Some(report.reason),
                ..nothing_known(tag)
            });
        }
        self.drop_of(tag, report.disposition, now);
    }

    fn released(&mut self, ingress_tag: u64, disposition: Disposition, now: Picos) {
        self.drop_of(ingress_tag, disposition, now);
        if disposition == Disposition::DroppedReset {
            self.unseen(ingress_tag);
        }
    }

    fn installed(&mut self, _connection: ConnectionId, since: Picos, now: Picos) {
        self.insertion_latency.record(now - since);
    }

    fn given_up(&mut self, ingress_tag: u64, now: Picos) {
        if ingress_tag == TransmitDescriptor::NO_TAG {
            self.packets.made_ended(false);
        }
        if self.in_host.contains_key(&ingress_tag) {
            self.drops[6] += 1;
            self.end(ingress_tag, now, "lost in the card");
        }
    }

    fn lost(&mut self, id: ConnectionId, connection: Option<&Connection>, now: Picos) {
        self.accounts.write_off(id, connection, now);
    }

    fn recovery(&mut self, step: driver::Recovery, now: Picos) {
        if let Some(recovery) = &mut self.recovery {
            recovery.step(step, now);
        }
    }

    fn synchronised(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        packets: u64,
        bytes: u64,
        found: bool,
    ) {
        let counted = (packets, bytes);
        self.accounts
            .read_from_hardware(connection, direction, counted, found);
    }

    fn removed(&mut self, connection: ConnectionId, cause: RemoveCause, now: Picos) {
        let flow = self.accounts.flow_in_hardware(connection);
        let last_hit = flow.and_then(|flow| self.live.last_hit(flow));
        self.lingering.removed(connection, cause, last_hit, now);
        self.accounts.left_hardware(connection);
        self.remarking.remove(&connection);
    }

    fn destroyed(
        &mut self,
        connection: ConnectionId,
        last: &Connection,
        cause: DestroyCause,
        now: Picos,
    ) {
        if let Some(equivalence) = &mut self.equivalence
            && cause == DestroyCause::Timeout
        {
            equivalence.expired_here(last.tuple(Direction::Original), now);
        }
        let flow = self.accounts.flow_of(connection);
        self.live.destroyed(flow, last, cause, &self.config, now);
        self.accounts.settled(connection, last);
    }

    fn refused(&mut self, id: ConnectionId, _cause: RefuseCause, _now: Picos) {
        self.remarking.remove(&id);
    }

    fn marking(&mut self, id: ConnectionId, on_its_way: bool) {
        if on_its_way {
            self.remarking.insert(id);
        } else {
            self.remarking.remove(&id);
        }
    }

    fn leaving(&mut self, connection: ConnectionId) {
        self.accounts.owed(connection);
    }
}
