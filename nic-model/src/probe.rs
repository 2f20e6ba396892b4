//! The signals a waveform shows, named so that the wave reads like the block diagram.
//!
//! Every signal is derived from the timestamps of the time model: with the probe off a packet costs one branch
//! per stage. Pulses named `valid` are high while a stage is busy with a packet; the values beside them are
//! those of that packet.

use crate::clock::Picos;
use crate::datapath::mac::Reception;
use crate::datapath::parser::Parsed;
use crate::datapath::trap::Reason;
use crate::flow_table::Slot;
use crate::stage::Passage;
use std::path::Path;
use waveforms::{Design, Format, Recorder, SignalId, WaveError, WaveSummary};

/// Code on the `trap.reason` signal for "not trapped".
pub const NO_REASON: u64 = 15;

/// Records signals, or does nothing.
pub struct Probe(Option<Box<Active>>);

struct Active {
    recorder: Recorder,
    signals: Signals,
}

/// Per-port signals.
#[derive(Clone, Copy)]
struct PortSignals {
    rx_valid: SignalId,
    rx_length: SignalId,
    rx_fifo_bytes: SignalId,
    tx_valid: SignalId,
    tx_length: SignalId,
}

/// All signals of the board.
struct Signals {
    ports: [PortSignals; 2],
    parser_valid: SignalId,
    parser_port: SignalId,
    parser_length: SignalId,
    parser_header_bytes: SignalId,
    hash_valid: SignalId,
    hash_first: SignalId,
    hash_second: SignalId,
    lookup_valid: SignalId,
    lookup_hit: SignalId,
    lookup_slot: SignalId,
    lookup_cookie: SignalId,
    trap_valid: SignalId,
    trap_reason: SignalId,
    rewrite_valid: SignalId,
    host_held_frames: SignalId,
    doorbell_write: SignalId,
    doorbell_offset: SignalId,
    doorbell_value: SignalId,
    interrupt: SignalId,
    table_entries: SignalId,
    table_stash: SignalId,
    table_moves: SignalId,
    aging_scan: SignalId,
    aging_found: SignalId,
    firmware_busy: SignalId,
    firmware_opcode: SignalId,
    firmware_queue: SignalId,
}

/// Length of a strobe that has no duration of its own.
const STROBE: Picos = Picos(1_000);

impl Signals {
    /// Declares every signal; the design is what view files are made from.
    fn declare(design: &mut Design) -> Self {
        let mut signal = |scope: &str, name: &str, width: u32| {
            let scope = design.scope(scope);
            design.signal(scope, name, width)
        };
        let mut port = |rx: &str, tx: &str| PortSignals {
            rx_valid: signal(rx, "valid", 1),
            rx_length: signal(rx, "length", 18),
            rx_fifo_bytes: signal(rx, "fifo_bytes", 28),
            tx_valid: signal(tx, "valid", 1),
            tx_length: signal(tx, "length", 18),
        };
        let ports = [
            port("board.port0.rx", "board.port0.tx"),
            port("board.port1.rx", "board.port1.tx"),
        ];
        Self {
            ports,
            parser_valid: signal("board.parser", "valid", 1),
            parser_port: signal("board.parser", "port", 1),
            parser_length: signal("board.parser", "length", 18),
            parser_header_bytes: signal("board.parser", "header_bytes", 11),
            hash_valid: signal("board.hash", "valid", 1),
            hash_first: signal("board.hash", "choice_1", 32),
            hash_second: signal("board.hash", "choice_2", 32),
            lookup_valid: signal("board.lookup", "valid", 1),
            lookup_hit: signal("board.lookup", "hit", 1),
            lookup_slot: signal("board.lookup", "slot", 32),
            lookup_cookie: signal("board.lookup", "cookie", 32),
            trap_valid: signal("board.trap", "valid", 1),
            trap_reason: signal("board.trap", "reason", 4),
            rewrite_valid: signal("board.rewrite", "valid", 1),
            host_held_frames: signal("board.host.receive", "held_frames", 17),
            doorbell_write: signal("board.host.registers", "write", 1),
            doorbell_offset: signal("board.host.registers", "offset", 12),
            doorbell_value: signal("board.host.registers", "value", 32),
            interrupt: signal("board.host", "interrupt", 1),
            table_entries: signal("board.table", "entries", 32),
            table_stash: signal("board.table", "stash", 11),
            table_moves: signal("board.table", "moves", 32),
            aging_scan: signal("board.aging", "scan", 1),
            aging_found: signal("board.aging", "found", 16),
            firmware_busy: signal("board.firmware", "busy", 1),
            firmware_opcode: signal("board.firmware", "opcode", 4),
            firmware_queue: signal("board.firmware", "queue", 16),
        }
    }
}

impl Probe {
    /// A probe that records nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// The declared signals, for view files.
    pub fn design() -> Design {
        let mut design = Design::new();
        Signals::declare(&mut design);
        design
    }

    /// A probe that records into a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn to_file(path: &Path) -> Result<Self, WaveError> {
        let mut design = Design::new();
        let signals = Signals::declare(&mut design);
        let recorder = Recorder::create(path, &design, Format::from_path(path))?;
        Ok(Self(Some(Box::new(Active { recorder, signals }))))
    }

    /// Whether anything is recorded.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Nothing earlier than `now` will be reported any more.
    pub fn advance(&mut self, now: Picos) {
        if let Some(active) = &mut self.0 {
            active.recorder.advance(now.0);
        }
    }

    /// Ends the recording; `None` if nothing was recorded.
    ///
    /// # Errors
    /// The file could not be written in whole.
    pub fn finish(&mut self, end: Picos) -> Result<Option<WaveSummary>, WaveError> {
        match self.0.take() {
            Some(active) => active.recorder.finish(end.0).map(Some),
            None => Ok(None),
        }
    }

    /// A packet walked from the port to the hash stage.
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
        parse: &Passage,
        hash: &Passage,
        parsed: &Parsed,
    ) {
        let Some(active) = &mut self.0 else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        let p = &s.ports[usize::from(port) & 1];
        pulse(r, p.rx_valid, reception.first_bit, reception.last_bit);
        r.change(p.rx_length, reception.first_bit.0, wire_len.into());
        r.change(p.rx_fifo_bytes, parse.start.0, fifo_bytes);
        pulse(r, s.parser_valid, parse.start, parse.done);
        r.change(s.parser_port, parse.start.0, port.into());
        r.change(s.parser_length, parse.start.0, wire_len.into());
        r.change(
            s.parser_header_bytes,
            parse.start.0,
            parsed.header_bytes.into(),
        );
        pulse(r, s.hash_valid, hash.start, hash.done);
        r.change(s.hash_first, hash.start.0, parsed.hashes.0[0].into());
        r.change(s.hash_second, hash.start.0, parsed.hashes.0[1].into());
    }

    /// The look-up found an entry that forwards the packet.
    #[inline]
    pub(crate) fn hit(&mut self, start: Picos, done: Picos, slot: Slot, cookie: u32) {
        let Some(active) = &mut self.0 else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        pulse(r, s.lookup_valid, start, done);
        r.change(s.lookup_hit, start.0, 1);
        r.change(s.lookup_slot, start.0, slot.0.into());
        r.change(s.lookup_cookie, start.0, cookie.into());
        pulse(r, s.trap_valid, done, done + STROBE);
        r.change(s.trap_reason, done.0, NO_REASON);
    }

    /// The packet goes to the host for `reason`.
    #[inline]
    pub(crate) fn verdict(
        &mut self,
        start: Picos,
        done: Picos,
        reason: Option<Reason>,
        cookie: Option<u32>,
    ) {
        let Some(active) = &mut self.0 else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        pulse(r, s.lookup_valid, start, done);
        r.change(s.lookup_hit, start.0, cookie.is_some().into());
        r.change(s.lookup_cookie, start.0, cookie.unwrap_or(0).into());
        pulse(r, s.trap_valid, done, done + STROBE);
        let code = reason.map_or(NO_REASON, |reason| reason.code().into());
        r.change(s.trap_reason, done.0, code);
    }

    /// A frame leaves a port.
    #[inline]
    pub(crate) fn egress(&mut self, port: u8, departs: Picos, wire_len: u32, rewritten: Picos) {
        let Some(active) = &mut self.0 else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        let p = &s.ports[usize::from(port) & 1];
        pulse(r, s.rewrite_valid, rewritten, rewritten + STROBE);
        pulse(
            r,
            p.tx_valid,
            departs,
            departs + Picos(u64::from(wire_len) * 80),
        );
        r.change(p.tx_length, departs.0, wire_len.into());
    }

    pub(crate) fn host_queue(&mut self, now: Picos, held: u64) {
        let Some(active) = &mut self.0 else { return };
        active
            .recorder
            .change(active.signals.host_held_frames, now.0, held);
    }

    pub(crate) fn doorbell(&mut self, now: Picos, offset: u32, value: u32) {
        let Some(active) = &mut self.0 else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        pulse(r, s.doorbell_write, now, now + STROBE);
        r.change(s.doorbell_offset, now.0, offset.into());
        r.change(s.doorbell_value, now.0, value.into());
    }

    pub(crate) fn interrupt(&mut self, now: Picos) {
        let Some(active) = &mut self.0 else { return };
        pulse(
            &mut active.recorder,
            active.signals.interrupt,
            now,
            now + STROBE,
        );
    }

    pub(crate) fn table(&mut self, now: Picos, entries: u32, stash: u32, moves: u64) {
        let Some(active) = &mut self.0 else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        r.change(s.table_entries, now.0, entries.into());
        r.change(s.table_stash, now.0, stash.into());
        r.change(s.table_moves, now.0, moves & 0xffff_ffff);
    }

    pub(crate) fn aging(&mut self, now: Picos, found: usize) {
        let Some(active) = &mut self.0 else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        pulse(r, s.aging_scan, now, now + STROBE);
        r.change(s.aging_found, now.0, found as u64);
    }

    /// The firmware works on an operation from `start` to `end`, with `queue` more waiting.
    pub fn firmware(&mut self, start: Picos, end: Picos, opcode: u8, queue: usize) {
        let Some(active) = &mut self.0 else { return };
        let (s, r) = (&active.signals, &mut active.recorder);
        pulse(r, s.firmware_busy, start, end);
        r.change(s.firmware_opcode, start.0, opcode.into());
        r.change(s.firmware_queue, start.0, queue as u64);
    }
}

#[inline]
fn pulse(recorder: &mut Recorder, signal: SignalId, start: Picos, end: Picos) {
    recorder.change(signal, start.0, 1);
    recorder.change(signal, end.0, 0);
}
