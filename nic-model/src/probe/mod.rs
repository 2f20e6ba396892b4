//! The signals a waveform shows, named so that the wave reads like the block diagram.
//!
//! Every signal is derived from the timestamps of the time model: with the probe off a packet costs one branch per stage.
//! A stage's `valid` is high while a packet is offered to it and until it has taken it (one cycle), `ready` is low while it
//! could not take another, `occupancy` counts those inside. Results (`hit`, `miss`, `reason`, ...) stand for one cycle, when
//! they are known; the values beside them are those of that packet.

mod connection;
mod signals;

use crate::chip::DropReason;
use crate::clock::Picos;
use crate::config::NicConfig;
use crate::datapath::mac::{MIN_FRAME_BYTES, Reception};
use crate::datapath::parser::Parsed;
use crate::datapath::trap::Reason;
use crate::flow_table::{KeyDirection, Marking, Slot};
use crate::stage::Passage;
use signals::{Dma, Handshake, Signals};
use std::path::Path;
use waveforms::{
    Capture, Design, Recorder, SignalId, Trigger, TriggerError, WaveError, WaveSummary,
};

/// Code on the `trap.reason` signal for "not trapped".
pub const NO_REASON: u64 = 31;

/// Records signals, or does nothing.
pub struct Probe(State);

enum State {
    Off,
    On(Box<Active>),
    /// Everything that was wanted has been recorded.
    Done(Result<WaveSummary, WaveError>),
}

struct Active {
    recorder: Recorder,
    signals: Signals,
    /// One cycle of the pipeline: how long a strobe is.
    cycle: Picos,
    byte_time_ps: u64,
}

/// Counts of descriptors, as software and card know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the paths say it")]
pub enum RingIndex {
    ReceivePosted,
    ReceiveFetched,
    ReceiveCompleted,
    TransmitPosted,
    TransmitFetched,
    TransmitDone,
    CommandPosted,
    CommandFetched,
    CommandCompleted,
    EventProduced,
    EventConsumed,
    CounterProduced,
    CounterConsumed,
}

impl RingIndex {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::ReceivePosted,
        Self::ReceiveFetched,
        Self::ReceiveCompleted,
        Self::TransmitPosted,
        Self::TransmitFetched,
        Self::TransmitDone,
        Self::CommandPosted,
        Self::CommandFetched,
        Self::CommandCompleted,
        Self::EventProduced,
        Self::EventConsumed,
        Self::CounterProduced,
        Self::CounterConsumed,
    ];

    const fn path(self) -> &'static str {
        match self {
            Self::ReceivePosted => "board.host.receive.posted",
            Self::ReceiveFetched => "board.host.receive.fetched",
            Self::ReceiveCompleted => "board.host.receive.completed",
            Self::TransmitPosted => "board.host.transmit.posted",
            Self::TransmitFetched => "board.host.transmit.fetched",
            Self::TransmitDone => "board.host.transmit.done",
            Self::CommandPosted => "board.host.command.posted",
            Self::CommandFetched => "board.host.command.fetched",
            Self::CommandCompleted => "board.host.command.completed",
            Self::EventProduced => "board.host.event.produced",
            Self::EventConsumed => "board.host.event.consumed",
            Self::CounterProduced => "board.host.counter.produced",
            Self::CounterConsumed => "board.host.counter.consumed",
        }
    }
}

// Signals are wide enough for every reason, and no reason looks like none.
const _: () = assert!(Reason::ALL.len() as u64 <= NO_REASON);
const _: () = assert!(DropReason::ALL.len() < 1 << signals::DROP_REASON_BITS);

const SEARCH: u64 = 1;
const MOVE: u64 = 2;

impl Probe {
    /// A probe that records nothing.
    pub const fn off() -> Self {
        Self(State::Off)
    }

    /// The declared signals, for view files.
    pub fn design() -> Design {
        let mut design = Design::new();
        Signals::declare(&mut design);
        design
    }

    /// A condition on the signals; `conn==A:P-B:Q` stands for the connection between two endpoints, `conn==N` for the one
    /// whose entry is called N.
    ///
    /// # Errors
    /// It is not one.
    pub fn trigger(text: &str) -> Result<Trigger, TriggerError> {
        Trigger::parse(&connection::spell_out(text)?, &Self::design())
    }

    /// A probe that records into a file, of a card of this configuration.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn to_file(path: &Path, capture: Capture, config: &NicConfig) -> Result<Self, WaveError> {
        let mut design = Design::new();
        let signals = Signals::declare(&mut design);
        let recorder = Recorder::create(path, &design, capture)?;
        Ok(Self(State::On(Box::new(Active {
            recorder,
            signals,
            cycle: config.pipeline_clock().period(),
            byte_time_ps: 8_000 / u64::from(config.port.rate_gbps.max(1)),
        }))))
    }

    /// Whether anything is recorded.
    pub const fn is_on(&self) -> bool {
        matches!(self.0, State::On(_))
    }

    #[inline]
    fn active(&mut self) -> Option<&mut Active> {
        match &mut self.0 {
            State::On(active) => Some(active),
            State::Off | State::Done(_) => None,
        }
    }

    /// Nothing earlier than `now` will be reported any more.
    #[inline]
    pub fn advance(&mut self, now: Picos) {
        let Some(active) = self.active() else { return };
        active.recorder.advance(now.0);
        if active.recorder.is_over()
            && let State::On(active) = std::mem::replace(&mut self.0, State::Off)
        {
            self.0 = State::Done(active.recorder.finish(now.0));
        }
    }

    /// Ends the recording; `None` if nothing was recorded.
    ///
    /// # Errors
    /// The file could not be written in whole.
    pub fn finish(&mut self, end: Picos) -> Result<Option<WaveSummary>, WaveError> {
        match std::mem::replace(&mut self.0, State::Off) {
            State::Off => Ok(None),
            State::On(active) => active.recorder.finish(end.0).map(Some),
            State::Done(result) => result.map(Some),
        }
    }

    /// A packet walked from the port, which offered it to the parser at `offered`, to the hash stage, where it was at
    /// the end of the classifier.
    #[inline]
    #[expect(
        clippy::too_many_arguments,
        reason = "one call per packet, not one per signal"
    )]
    pub(crate) fn front(
        &mut self,
        port: u8,
        wire_len: u32,
        fifo_bytes: u64,
        reception: &Reception,
        offered: Picos,
        interval: Picos,
        parse: &Passage,
        classifier: &Passage,
        hash: &Passage,
        parsed: &Parsed,
    ) {
        let Some(active) = self.active() else { return };
        let cycle = active.cycle;
        active.stage(|s| s.parser, offered, parse, interval);
        let searches = u64::from(parsed.class.searches);
        if searches > 0 {
            let interval = Picos(cycle.0 * searches);
            active.stage(|s| s.classifier, parse.done, classifier, interval);
        }
        active.stage(|s| s.hash, classifier.done, hash, cycle);
        let (s, r) = (&active.signals, &mut active.recorder);
        let p = &s.ports[usize::from(port) & 1];
        level(r, p.rx_valid, reception.first_bit, reception.last_bit);
        r.change(p.rx_length, reception.first_bit.0, wire_len.into());
        r.change(p.rx_fifo_bytes, parse.start.0, fifo_bytes);
        r.change(s.parser_port, parse.start.0, port.into());
        r.change(s.parser_length, parse.start.0, wire_len.into());
        let header_bytes = parsed.header_bytes.into();
        r.change(s.parser_header_bytes, parse.start.0, header_bytes);
        if searches > 0 {
            r.change(s.classifier_searches, classifier.done.0, searches);
            r.change(
                s.classifier_zone,
                classifier.done.0,
                parsed.class.zone.into(),
            );
        }
        r.change(s.hash_first, hash.start.0, parsed.hashes.0[0].into());
        r.change(s.hash_second, hash.start.0, parsed.hashes.0[1].into());
    }

    /// A look-up begun at `start` found this at `done`; `beyond_chip` if the table lies in a memory of its own, and then whether
    /// the cache missed.
    #[inline]
    pub(crate) fn lookup(
        &mut self,
        start: Picos,
        done: Picos,
        parsed: &Parsed,
        found: Option<(Slot, u32, bool)>,
        beyond_chip: Option<bool>,
    ) {
        let Some(active) = self.active() else { return };
        let cycle = active.cycle;
        let passage = Passage { start, done };
        active.stage(|s| s.lookup, start, &passage, cycle);
        let (s, r) = (&active.signals, &mut active.recorder);
        if let Some(cache_missed) = beyond_chip {
            level(r, s.memory_outstanding, start, done);
            if cache_missed {
                level(r, s.memory_cache_miss, start, start + cycle);
            }
        }
        for (signal, value) in [
            (s.lookup_hit, found.is_some()),
            (s.lookup_miss, found.is_none()),
            (s.lookup_stash, found.is_some_and(|(_, _, stash)| stash)),
        ] {
            r.change(signal, done.0, value.into());
            r.rest(signal, (done + cycle).0, 0);
        }
        let (slot, cookie) = found.map_or((0, 0), |(slot, cookie, _)| (slot.0, cookie));
        r.change(s.lookup_slot, done.0, slot.into());
        r.change(s.lookup_cookie, done.0, cookie.into());
        for (direction, signals) in [
            (
                KeyDirection::LowerToHigher,
                [s.lower_ip, s.lower_ip_high, s.lower_port],
            ),
            (
                KeyDirection::HigherToLower,
                [s.higher_ip, s.higher_ip_high, s.higher_port],
            ),
        ] {
            let end = parsed.key.sender(direction);
            let [low, high] = connection::address_words(&end.address, parsed.key.ip_version());
            let values = [low, high, end.port.into()];
            (signals.into_iter().zip(values))
                .for_each(|(signal, value)| r.change(signal, done.0, value));
        }
        r.change(s.protocol, done.0, parsed.key.protocol().into());
    }

    /// The trap logic decided at `at`: to the host for a reason, or not.
    #[inline]
    pub(crate) fn decided(&mut self, at: Picos, reason: Option<Reason>) {
        let Some(active) = self.active() else { return };
        active.strobe(|s| s.trap_valid, at);
        let (s, r) = (&active.signals, &mut active.recorder);
        let code = reason.map_or(NO_REASON, |reason| reason.code().into());
        r.change(s.trap_reason, at.0, code);
        r.rest(s.trap_reason, (at + active.cycle).0, NO_REASON);
    }

    /// The rules behind the flow table were searched so many times for a packet of a connection with this mark and these labels.
    #[inline]
    pub(crate) fn behind_ct(
        &mut self,
        offered: Picos,
        passage: &Passage,
        searches: u8,
        marking: &Marking,
    ) {
        let Some(active) = self.active() else { return };
        let interval = Picos(active.cycle.0 * u64::from(searches));
        active.stage(|s| s.behind_ct, offered, passage, interval);
        let (s, r) = (&active.signals, &mut active.recorder);
        let [mark, low, high] = marking.words();
        for (signal, value) in [
            (s.behind_ct_searches, searches.into()),
            (s.behind_ct_mark, mark),
            (s.behind_ct_labels, low),
            (s.behind_ct_labels_high, high),
        ] {
            r.change(signal, passage.done.0, value);
        }
    }

    /// A packet that waited for the counters from `from` was counted at `at`.
    #[inline]
    pub(crate) fn counted(&mut self, from: Picos, at: Picos) {
        let Some(active) = self.active() else { return };
        active.strobe(|s| s.counter_valid, at);
        let (s, r) = (&active.signals, &mut active.recorder);
        if at > from {
            level(r, s.counter_wait, from, at);
        }
    }

    /// What an entry writes into a packet from `at` on: a bit each for source, destination, MAC addresses, VLAN tag off and on.
    #[inline]
    pub(crate) fn rewrites(&mut self, at: Picos, fields: u16) {
        let Some(active) = self.active() else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        r.change(s.rewrite_fields, at.0, u64::from(fields & 0x1f));
        r.rest(s.rewrite_fields, (at + active.cycle).0, 0);
    }

    /// A frame leaves a port; `rewritten` by the hardware when it was.
    #[inline]
    pub(crate) fn egress(
        &mut self,
        port: u8,
        departs: Picos,
        wire_len: u32,
        rewritten: Option<Picos>,
    ) {
        let Some(active) = self.active() else { return };
        if let Some(at) = rewritten {
            active.strobe(|s| s.rewrite_valid, at);
        }
        let bytes = u64::from(wire_len).max(MIN_FRAME_BYTES) + 4;
        let (s, r) = (&active.signals, &mut active.recorder);
        let p = &s.ports[usize::from(port) & 1];
        let end = departs + Picos(bytes * active.byte_time_ps);
        level(r, p.tx_valid, departs, end);
        r.change(p.tx_length, departs.0, wire_len.into());
    }

    /// A frame is dropped.
    #[inline]
    pub(crate) fn dropped(&mut self, now: Picos, reason: DropReason) {
        let Some(active) = self.active() else { return };
        active.strobe(|s| s.drop_valid, now);
        let (s, r) = (&active.signals, &mut active.recorder);
        r.change(s.drop_reason, now.0, reason as u64 + 1);
        r.rest(s.drop_reason, (now + active.cycle).0, 0);
    }

    pub(crate) fn host_queue(&mut self, now: Picos, held: u64) {
        let Some(active) = self.active() else { return };
        let signal = active.signals.host_held_frames;
        active.recorder.change(signal, now.0, held);
    }

    /// One of the counts of descriptors moves on.
    pub fn ring(&mut self, now: Picos, index: RingIndex, count: u32) {
        let Some(active) = self.active() else { return };
        let signal = active.signals.rings[index as usize];
        active.recorder.change(signal, now.0, count.into());
    }

    /// The card reads host memory, and has the bytes at `done`.
    pub(crate) fn dma_read(&mut self, now: Picos, bytes: usize, done: Picos) {
        let Some(active) = self.active() else { return };
        active.dma(|s| s.dma_read, now, bytes, done);
    }

    /// The card writes host memory; the bytes are there at `done`.
    pub(crate) fn dma_write(&mut self, now: Picos, bytes: usize, done: Picos) {
        let Some(active) = self.active() else { return };
        active.dma(|s| s.dma_write, now, bytes, done);
    }

    pub(crate) fn doorbell(&mut self, now: Picos, offset: u32, value: u32) {
        let Some(active) = self.active() else { return };
        active.strobe(|s| s.doorbell_write, now);
        let (s, r) = (&active.signals, &mut active.recorder);
        r.change(s.doorbell_offset, now.0, offset.into());
        r.change(s.doorbell_value, now.0, value.into());
    }

    pub(crate) fn interrupt(&mut self, now: Picos) {
        let Some(active) = self.active() else { return };
        active.strobe(|s| s.interrupt, now);
    }

    pub(crate) fn table(&mut self, now: Picos, entries: u32, stash: u32, moves: u64) {
        let Some(active) = self.active() else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        r.change(s.table_entries, now.0, entries.into());
        r.change(s.table_stash, now.0, stash.into());
        r.change(s.table_moves, now.0, moves & 0xffff_ffff);
    }

    /// An insertion looked at `visited` buckets until `searched` and moved `moves` entries until `moved`; `full` if in vain.
    pub fn insertion(
        &mut self,
        now: Picos,
        (visited, searched): (u32, Picos),
        (moves, moved): (u32, Picos),
        full: bool,
    ) {
        let Some(active) = self.active() else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        r.change(s.insertion_visited, now.0, visited.into());
        r.change(s.insertion_moves, now.0, moves.into());
        if searched > now {
            r.change(s.insertion_state, now.0, SEARCH);
        }
        if moved > searched {
            r.change(s.insertion_state, searched.0, MOVE);
        }
        if moved > now {
            r.rest(s.insertion_state, moved.0, 0);
        }
        if full {
            active.strobe(|s| s.insertion_full, now);
        }
    }

    pub(crate) fn aging(&mut self, now: Picos, block: u64, found: usize) {
        let Some(active) = self.active() else { return };
        active.strobe(|s| s.aging_scan, now);
        let (s, r) = (&active.signals, &mut active.recorder);
        r.change(s.aging_block, now.0, block);
        r.change(s.aging_found, now.0, found as u64);
    }

    /// The firmware works on an operation from `start` to `end`, with `queue` more waiting.
    pub fn firmware(&mut self, start: Picos, end: Picos, opcode: u8, queue: usize) {
        let Some(active) = self.active() else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        level(r, s.firmware_busy, start, end);
        r.change(s.firmware_opcode, start.0, opcode.into());
        r.change(s.firmware_queue, start.0, queue as u64);
    }
}

impl Active {
    /// A packet passes a stage: offered, taken after as long as it had to wait, and done.
    #[inline]
    fn stage(
        &mut self,
        which: impl Fn(&Signals) -> Handshake,
        offered: Picos,
        passage: &Passage,
        interval: Picos,
    ) {
        let (stage, r) = (which(&self.signals), &mut self.recorder);
        level(r, stage.valid, offered, passage.start + self.cycle);
        level(r, stage.occupancy, passage.start, passage.done);
        if interval > self.cycle {
            r.change(stage.ready, (passage.start + self.cycle).0, 0);
            r.rest(stage.ready, (passage.start + interval).0, 1);
        }
    }

    #[inline]
    fn strobe(&mut self, which: impl Fn(&Signals) -> SignalId, at: Picos) {
        let signal = which(&self.signals);
        level(&mut self.recorder, signal, at, at + self.cycle);
    }

    fn dma(&mut self, which: impl Fn(&Signals) -> Dma, now: Picos, bytes: usize, done: Picos) {
        let dma = which(&self.signals);
        self.strobe(|_| dma.valid, now);
        self.recorder.change(dma.bytes, now.0, bytes as u64);
        level(&mut self.recorder, dma.outstanding, now, done);
    }
}

/// One more from `start` to `end`.
#[inline]
fn level(recorder: &mut Recorder, signal: SignalId, start: Picos, end: Picos) {
    recorder.add(signal, start.0, 1);
    recorder.add(signal, end.0, -1);
}
