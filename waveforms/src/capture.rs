//! What of a recording goes into the file: a window of time, or what happens around a trigger.
//!
//! Nothing is known in the file of the time outside (`x`). What lies in front of a trigger is kept in memory until it is
//! too old, so that a file holds the interesting 50 µs of a run of hours and nothing else.

use crate::Sink;
use crate::sorter::Change;
use crate::trigger::Trigger;
use std::collections::VecDeque;

/// Changes kept of what lies in front of a trigger; older ones are given up beyond that (24 bytes each).
const HISTORY_CHANGES: usize = 4 << 20;

/// What to record. By default everything.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Nothing before this time is recorded.
    pub start_ps: u64,
    /// Nothing after this time is recorded.
    pub end_ps: u64,
    /// Record only around the times when this comes true.
    pub trigger: Option<Trigger>,
    /// How much in front of it.
    pub before_ps: u64,
    /// How much from then on.
    pub after_ps: u64,
    /// How many times; what comes true while a recording goes on begins no other.
    pub times: u32,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            start_ps: 0,
            end_ps: u64::MAX,
            trigger: None,
            before_ps: 10_000_000,
            after_ps: 40_000_000,
            times: 1,
        }
    }
}

/// One stretch of time that is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured {
    /// Where it begins.
    pub start_ps: u64,
    /// Where it ends.
    pub end_ps: u64,
    /// When the trigger came true.
    pub trigger_ps: Option<u64>,
}

/// Takes sorted changes and lets those through that are to be recorded.
pub(crate) struct Gate {
    capture: Capture,
    sink: Box<dyn Sink>,
    /// The value of every signal now.
    values: Vec<u64>,
    /// The value of every signal in front of `history`.
    past: Vec<u64>,
    history: VecDeque<Change>,
    condition: bool,
    recording: bool,
    captured: Vec<Captured>,
    changes: u64,
}

impl Gate {
    /// A gate in front of `sink` for signals that begin with these values.
    pub(crate) fn new(capture: Capture, sink: Box<dyn Sink>, initial: Vec<u64>) -> Self {
        let condition = (capture.trigger.as_ref()).is_some_and(|trigger| trigger.holds(&initial));
        Self {
            capture,
            sink,
            past: initial.clone(),
            values: initial,
            history: VecDeque::new(),
            condition,
            recording: false,
            captured: Vec::new(),
            changes: 0,
        }
    }

    /// Whether nothing more will go into the file.
    pub(crate) fn is_over(&self) -> bool {
        !self.recording && self.captured.len() >= self.wanted()
    }

    fn wanted(&self) -> usize {
        match self.capture.trigger {
            Some(_) => self.capture.times as usize,
            None => 1,
        }
    }

    /// All changes at one time, in order of time.
    pub(crate) fn pass(&mut self, changes: &[Change]) -> Result<(), String> {
        let Some(now) = changes.first().map(|change| change.time_ps) else {
            return Ok(());
        };
        self.close_before(now)?;
        if self.is_over() {
            return Ok(());
        }
        if self.capture.trigger.is_none() && now >= self.capture.start_ps {
            self.open(self.capture.start_ps, self.capture.end_ps, None)?;
        }
        for change in changes {
            self.values[change.signal as usize] = change.value;
        }
        let fired =
            self.fires(changes) && (self.capture.start_ps..=self.capture.end_ps).contains(&now);
        if fired && !self.recording && self.captured.len() < self.wanted() {
            self.open_around(now)?;
        }
        if self.recording {
            self.write(now, changes)
        } else {
            self.remember(now, changes);
            Ok(())
        }
    }

    /// The end of everything.
    pub(crate) fn finish(mut self, end_ps: u64) -> Result<(u64, Vec<Captured>), String> {
        self.close_before(end_ps)?;
        let whole = self.capture.trigger.is_none() && self.captured.is_empty();
        if whole && end_ps >= self.capture.start_ps {
            self.open(self.capture.start_ps, self.capture.end_ps, None)?;
        }
        if let (true, Some(last)) = (self.recording, self.captured.last_mut()) {
            last.end_ps = end_ps;
        }
        let end = self.captured.last().map_or(0, |last| last.end_ps);
        self.sink.finish(end)?;
        Ok((self.changes, self.captured))
    }

    /// Whether the trigger comes true with these changes.
    fn fires(&mut self, changes: &[Change]) -> bool {
        let Some(trigger) = &self.capture.trigger else {
            return false;
        };
        if !changes.iter().any(|change| trigger.looks_at(change.signal)) {
            return false;
        }
        let before = std::mem::replace(&mut self.condition, trigger.holds(&self.values));
        self.condition && !before
    }

    /// Begins a recording at `start_ps` with the values of then, which are in `past`.
    fn open(&mut self, start_ps: u64, end_ps: u64, trigger_ps: Option<u64>) -> Result<(), String> {
        if self.recording {
            return Ok(());
        }
        if self.capture.trigger.is_none() {
            self.past.clone_from(&self.values);
        }
        self.recording = true;
        self.sink.time(start_ps)?;
        for (signal, value) in self.past.iter().enumerate() {
            self.sink.change(signal, *value)?;
        }
        self.captured.push(Captured {
            start_ps,
            end_ps,
            trigger_ps,
        });
        Ok(())
    }

    fn open_around(&mut self, now: u64) -> Result<(), String> {
        let after_last = self.captured.last().map_or(0, |last| last.end_ps + 1);
        let from = now.saturating_sub(self.capture.before_ps);
        let start = from.max(self.capture.start_ps).max(after_last);
        self.forget_before(start);
        // Where too much was to be kept, the recording begins later.
        let start = match self.history.len() {
            HISTORY_CHANGES.. => self.history[0].time_ps,
            _ => start,
        };
        let end = now.saturating_add(self.capture.after_ps);
        self.open(start, end.min(self.capture.end_ps), Some(now))?;
        let history = std::mem::take(&mut self.history);
        let mut history: &[Change] = &Vec::from(history);
        while let Some(first) = history.first() {
            let same = history.partition_point(|change| change.time_ps == first.time_ps);
            self.write(first.time_ps, &history[..same])?;
            history = &history[same..];
        }
        Ok(())
    }

    /// Ends a recording whose time is over at `now`.
    fn close_before(&mut self, now: u64) -> Result<(), String> {
        let Some(last) = self.captured.last().filter(|_| self.recording) else {
            return Ok(());
        };
        if now <= last.end_ps {
            return Ok(());
        }
        let end = last.end_ps;
        self.recording = false;
        self.past.clone_from(&self.values);
        if self.captured.len() < self.wanted() {
            self.sink.time(end + 1)?;
            for signal in 0..self.values.len() {
                self.sink.unknown(signal)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, now: u64, changes: &[Change]) -> Result<(), String> {
        self.sink.time(now)?;
        for change in changes {
            self.sink.change(change.signal as usize, change.value)?;
        }
        self.changes += changes.len() as u64;
        Ok(())
    }

    fn remember(&mut self, now: u64, changes: &[Change]) {
        if self.capture.trigger.is_none() {
            return;
        }
        self.history.extend(changes);
        self.forget_before(now.saturating_sub(self.capture.before_ps));
        while self.history.len() > HISTORY_CHANGES {
            self.forget_one();
        }
    }

    fn forget_before(&mut self, time_ps: u64) {
        while self
            .history
            .front()
            .is_some_and(|change| change.time_ps < time_ps)
        {
            self.forget_one();
        }
    }

    fn forget_one(&mut self) {
        if let Some(change) = self.history.pop_front() {
            self.past[change.signal as usize] = change.value;
        }
    }
}
