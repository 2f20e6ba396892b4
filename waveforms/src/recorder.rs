//! From changes in any order to a sorted, deduplicated file.

use crate::capture::{Capture, Captured, Gate};
use crate::signal::{Design, SignalId};
use crate::sorter::{Change, Kind, Sorter, shown};
use crate::writer::Writer;
use crate::{Format, Sink, WaveError, fst, vcd};
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveSummary {
    /// Value changes in the file, initial values aside.
    pub changes: u64,
    /// Changes that came after their time had been written; they were recorded at the watermark.
    pub late_changes: u64,
    /// Size of the file, bytes; 0 if there is none because nothing was captured.
    pub bytes: u64,
    /// The stretches of time that are in the file.
    pub captured: Vec<Captured>,
}

/// Takes changes and writes them. All signals have their first value until their first change.
///
/// Sorting and encoding happen on threads of the recorder's own, in batches that are cut where the calls say,
/// so that the bytes written do not depend on how the threads take turns.
pub struct Recorder {
    state: State,
    path: PathBuf,
    partial: PathBuf,
    masks: Vec<u64>,
    pending: Vec<Change>,
    watermark_ps: u64,
    last_ps: u64,
    end_ps: u64,
    late_changes: u64,
}

enum State {
    /// The window has not begun: all that counts is what each signal will be then.
    Waiting(Box<Waiting>),
    Writing(Writer),
    Over,
}

struct Waiting {
    start_ps: u64,
    capture: Capture,
    sink: Box<dyn Sink>,
    /// The last change of each signal before the window, and when it was.
    values: Vec<u64>,
    since_ps: Vec<u64>,
    levels: Vec<i64>,
}

impl Waiting {
    fn note(&mut self, change: &Change, mask: u64) {
        let at = change.signal as usize;
        if change.kind == Kind::Add {
            self.levels[at] = self.levels[at].wrapping_add(change.value as i64);
            self.values[at] = shown(self.levels[at], mask);
            return;
        }
        let since = &mut self.since_ps[at];
        let newer = change.time_ps > *since;
        if newer || change.time_ps == *since && change.kind == Kind::Set {
            *since = change.time_ps;
            self.values[at] = change.value;
        }
    }
}

impl Recorder {
    /// Begins a file. It is written under a temporary name beside `path` and renamed by [`Recorder::finish`],
    /// so that an interrupted run leaves no half-written wave under that name.
    ///
    /// # Errors
    /// The file cannot be created, or no thread can be started to write it.
    pub fn create(path: &Path, design: &Design, capture: Capture) -> Result<Self, WaveError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let io = |source| WaveError::Io {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::create(&partial).map_err(io)?;
        let sink: Box<dyn Sink> = match Format::from_path(path) {
            Format::Fst => {
                Box::new(
                    fst::FstSink::new(file, design).map_err(|message| WaveError::Fst {
                        path: path.to_owned(),
                        message,
                    })?,
                )
            }
            Format::Vcd => Box::new(vcd::VcdSink::new(file, design).map_err(io)?),
        };
        let widths = design.widths();
        let mut recorder = Self {
            end_ps: capture.end_ps,
            path: path.to_owned(),
            partial,
            masks: widths.iter().map(|w| u64::MAX >> (64 - w)).collect(),
            pending: Vec::new(),
            watermark_ps: 0,
            last_ps: 0,
            late_changes: 0,
            state: State::Waiting(Box::new(Waiting {
                start_ps: capture.start_ps,
                capture,
                sink,
                values: design.initial(),
                since_ps: vec![0; widths.len()],
                levels: vec![0; widths.len()],
            })),
        };
        recorder.begin_at(0)?;
        Ok(recorder)
    }

    /// Begins to write if the window begins at `watermark_ps` or before.
    fn begin_at(&mut self, watermark_ps: u64) -> Result<(), WaveError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Waiting(waiting) if waiting.start_ps <= watermark_ps => {
                let gate = Gate::new(waiting.capture, waiting.sink, waiting.values.clone());
                let sorter = Sorter::new(self.masks.clone(), waiting.values, waiting.levels);
                let writer = Writer::start(sorter, gate).map_err(|source| WaveError::Io {
                    path: self.path.clone(),
                    source,
                })?;
                self.state = State::Writing(writer);
            }
            other => self.state = other,
        }
        Ok(())
    }

    /// `signal` takes the low bits of `value` at `time_ps`.
    #[inline]
    pub fn change(&mut self, signal: SignalId, time_ps: u64, value: u64) {
        self.push(signal, time_ps, value & self.masks[signal.0], Kind::Set);
    }

    /// `signal` takes the low bits of `value` at `time_ps`, unless [`Recorder::change`] says otherwise for that time.
    #[inline]
    pub fn rest(&mut self, signal: SignalId, time_ps: u64, value: u64) {
        self.push(signal, time_ps, value & self.masks[signal.0], Kind::Rest);
    }

    /// The level that `signal` shows rises by `by` at `time_ps`. Levels begin at 0; a signal of one bit shows whether its
    /// level is above 0. The times of several calls may be in any order, like those of [`Recorder::change`].
    #[inline]
    pub fn add(&mut self, signal: SignalId, time_ps: u64, by: i64) {
        self.push(signal, time_ps, by as u64, Kind::Add);
    }

    #[inline]
    fn push(&mut self, signal: SignalId, time_ps: u64, value: u64, kind: Kind) {
        let mut time_ps = time_ps;
        if time_ps < self.watermark_ps {
            self.late_changes += 1;
            time_ps = self.watermark_ps;
        }
        if time_ps > self.end_ps {
            return;
        }
        self.last_ps = self.last_ps.max(time_ps);
        let change = Change {
            time_ps,
            value,
            signal: signal.0 as u32,
            kind,
        };
        match &mut self.state {
            State::Waiting(waiting) if time_ps < waiting.start_ps => {
                waiting.note(&change, self.masks[signal.0]);
            }
            State::Waiting(_) | State::Writing(_) => self.pending.push(change),
            State::Over => {}
        }
    }

    /// Whether nothing that is still to come will be in the file.
    pub fn is_over(&self) -> bool {
        match &self.state {
            State::Waiting(_) => false,
            State::Writing(writer) => self.watermark_ps > self.end_ps || writer.is_over(),
            State::Over => true,
        }
    }

    /// Changes before `watermark_ps` are final and can be written.
    pub fn advance(&mut self, watermark_ps: u64) {
        /// Sorting few changes often costs more than many changes seldom.
        const WORTH_SORTING: usize = 1 << 16;
        self.watermark_ps = self.watermark_ps.max(watermark_ps);
        // A thread that cannot be started makes `finish` fail.
        self.begin_at(watermark_ps).ok();
        if self.pending.len() >= WORTH_SORTING {
            self.send(self.watermark_ps);
        }
    }

    /// Writes everything, up to and including `end_ps`, and gives the file its name. If nothing was to be captured there is
    /// no file.
    ///
    /// # Errors
    /// Something could not be written, now or earlier.
    pub fn finish(mut self, end_ps: u64) -> Result<WaveSummary, WaveError> {
        self.begin_at(u64::MAX)?;
        self.send(u64::MAX);
        let fail = |message: String| WaveError::Fst {
            path: self.path.clone(),
            message,
        };
        let written = match std::mem::replace(&mut self.state, State::Over) {
            State::Writing(writer) => writer.finish(end_ps.max(self.last_ps)).map_err(fail),
            _ => Err(fail("its threads could not be started".into())),
        };
        let io = |source| WaveError::Io {
            path: self.path.clone(),
            source,
        };
        let named = written.and_then(|(changes, captured)| {
            if captured.is_empty() {
                std::fs::remove_file(&self.partial).map_err(io)?;
                return Ok((changes, captured, 0));
            }
            let bytes = std::fs::metadata(&self.partial).map_err(io)?.len();
            std::fs::rename(&self.partial, &self.path).map_err(io)?;
            Ok((changes, captured, bytes))
        });
        let (changes, captured, bytes) = named.inspect_err(|_| {
            std::fs::remove_file(&self.partial).ok();
        })?;
        Ok(WaveSummary {
            changes,
            late_changes: self.late_changes,
            bytes,
            captured,
        })
    }

    fn send(&mut self, limit_ps: u64) {
        if let State::Writing(writer) = &self.state {
            writer.send(&mut self.pending, limit_ps);
        }
    }
}

impl Drop for Recorder {
    /// A recording that was not finished leaves nothing behind.
    fn drop(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Writing(writer) => writer.abandon(),
            State::Waiting(_) => {}
            State::Over => return,
        }
        std::fs::remove_file(&self.partial).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::vcd::{Command, Parser};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn read_back(path: &Path) -> Vec<(u64, String, u64)> {
        let file = std::fs::File::open(path).expect("written");
        let mut parser = Parser::new(std::io::BufReader::new(file));
        let header = parser.parse_header().expect("a header");
        let mut names = BTreeMap::new();
        for name in ["a", "b", "c"] {
            let var = header.find_var(&["top", "unit", name]).expect("declared");
            names.insert(var.code, name);
        }
        let (mut time, mut out, mut dumping) = (0, Vec::new(), false);
        for command in parser {
            match command.expect("well-formed") {
                Command::Timestamp(at) => time = at,
                Command::Begin(_) => dumping = true,
                Command::End(_) => dumping = false,
                // Unknown: outside of what was captured.
                Command::ChangeVector(_, value) if value.to_string().contains('x') => {}
                Command::ChangeScalar(_, ::vcd::Value::X) => {}
                Command::ChangeVector(code, value) if !dumping => {
                    let text = value.to_string();
                    out.push((
                        time,
                        names[&code].to_owned(),
                        u64::from_str_radix(&text, 2).expect("binary"),
                    ));
                }
                Command::ChangeScalar(code, value) if !dumping => {
                    out.push((
                        time,
                        names[&code].to_owned(),
                        u64::from(value == ::vcd::Value::V1),
                    ));
                }
                _ => {}
            }
        }
        if out.first().is_some_and(|first| first.0 == 0) {
            // What the signals are from the start.
            out.drain(..3);
        }
        out
    }

    fn design() -> (Design, [SignalId; 3]) {
        let mut design = Design::new();
        let scope = design.scope("top.unit");
        let ids =
            [("a", 1), ("b", 8), ("c", 64)].map(|(name, width)| design.signal(scope, name, width));
        (design, ids)
    }

    #[test]
    fn the_last_call_at_one_time_wins_and_equal_values_are_dropped() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("w.vcd");
        let (design, [a, b, _]) = design();
        let mut recorder = Recorder::create(&path, &design, Capture::default()).expect("created");
        recorder.change(a, 10, 0);
        recorder.change(a, 10, 1);
        recorder.change(b, 5, 0);
        recorder.change(b, 20, 0x1ff);
        recorder.change(b, 30, 0xff);
        let summary = recorder.finish(40).expect("finished");
        assert_eq!(
            read_back(&path),
            [(10, "a".into(), 1), (20, "b".into(), 0xff)]
        );
        assert_eq!(summary.changes, 2);
    }

    #[test]
    fn an_unfinished_recording_leaves_no_file() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("w.fst");
        let (design, [a, ..]) = design();
        let mut recorder = Recorder::create(&path, &design, Capture::default()).expect("created");
        recorder.change(a, 10, 1);
        drop(recorder);
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_created_is_an_error_that_names_it() {
        let (design, _) = design();
        let error = Recorder::create(Path::new("/nonexistent/w.fst"), &design, Capture::default())
            .err()
            .expect("refused");
        assert!(error.to_string().contains("/nonexistent/w.fst"), "{error}");
    }

    fn record(
        capture: Capture,
        changes: &[(usize, u64, u64)],
        end: u64,
    ) -> (WaveSummary, Vec<(u64, String, u64)>) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("w.vcd");
        let (design, ids) = design();
        let mut recorder = Recorder::create(&path, &design, capture).expect("created");
        for (signal, time, value) in changes {
            recorder.advance(time.saturating_sub(30));
            recorder.change(ids[*signal], *time, *value);
        }
        let summary = recorder.finish(end).expect("finished");
        let read = if path.exists() {
            read_back(&path)
        } else {
            Vec::new()
        };
        (summary, read)
    }

    fn span(start_ps: u64, end_ps: u64, trigger_ps: Option<u64>) -> Captured {
        Captured {
            start_ps,
            end_ps,
            trigger_ps,
        }
    }

    #[test]
    fn a_window_begins_with_the_values_of_then_and_holds_nothing_outside() {
        let capture = Capture {
            start_ps: 100,
            end_ps: 200,
            ..Capture::default()
        };
        let changes = [
            (1, 90, 8),
            (1, 60, 7),
            (0, 99, 1),
            (2, 100, 9),
            (1, 150, 3),
            (1, 201, 4),
        ];
        let (summary, read) = record(capture, &changes, 1_000);
        let at_start =
            [("a", 1), ("b", 8), ("c", 0)].map(|(name, value)| (100, name.to_owned(), value));
        assert_eq!(read[..3], at_start);
        assert_eq!(read[3..], [(100, "c".into(), 9), (150, "b".into(), 3)]);
        assert_eq!(summary.captured, [span(100, 200, None)]);
        assert_eq!(summary.late_changes, 0);
    }

    #[test]
    fn a_trigger_keeps_what_lies_in_front_of_it() {
        let (design, _) = design();
        let capture = Capture {
            trigger: Some(crate::Trigger::parse("b == 5", &design).expect("a trigger")),
            before_ps: 20,
            after_ps: 30,
            times: 2,
            ..Capture::default()
        };
        let changes: Vec<_> = (0..40)
            .map(|n| (1, n * 10, n % 15))
            .chain([(2, 305, 1)])
            .collect();
        let (summary, read) = record(capture, &changes, 1_000);
        // It is 5 at 50, at 200 and at 350; the third is one too many.
        assert_eq!(
            summary.captured,
            [span(30, 80, Some(50)), span(180, 230, Some(200))]
        );
        let b: Vec<_> = read
            .iter()
            .filter(|change| change.1 == "b")
            .map(|change| (change.0, change.2))
            .collect();
        let first = [
            (30, 2),
            (30, 3),
            (40, 4),
            (50, 5),
            (60, 6),
            (70, 7),
            (80, 8),
        ];
        let second = [
            (180, 2),
            (180, 3),
            (190, 4),
            (200, 5),
            (210, 6),
            (220, 7),
            (230, 8),
        ];
        assert_eq!(b, [first, second].concat());
    }

    #[test]
    fn a_trigger_that_never_comes_true_leaves_no_file() {
        let (design, _) = design();
        let capture = Capture {
            trigger: Some(crate::Trigger::parse("c", &design).expect("a trigger")),
            ..Capture::default()
        };
        let (summary, read) = record(capture, &[(0, 10, 1)], 100);
        assert!(summary.captured.is_empty() && read.is_empty());
    }

    #[test]
    fn levels_count_whatever_the_order_and_a_rest_gives_way() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("w.vcd");
        let (design, [a, b, c]) = design();
        let mut recorder = Recorder::create(&path, &design, Capture::default()).expect("created");
        for (start, end) in [(10, 30), (20, 50)] {
            recorder.add(b, end, -1);
            recorder.add(b, start, 1);
            recorder.add(a, start, 1);
            recorder.add(a, end, -1);
        }
        recorder.change(c, 10, 7);
        recorder.rest(c, 20, 0);
        recorder.change(c, 40, 9);
        recorder.rest(c, 40, 0);
        recorder.finish(100).expect("finished");
        let read = read_back(&path);
        let of = |name: &str| -> Vec<_> {
            let own = read.iter().filter(|change| change.1 == name);
            own.map(|change| (change.0, change.2)).collect()
        };
        assert_eq!(of("a"), [(10, 1), (50, 0)]);
        assert_eq!(of("b"), [(10, 1), (20, 2), (30, 1), (50, 0)]);
        assert_eq!(of("c"), [(10, 7), (20, 0), (40, 9)]);
    }

    proptest! {
        #[test]
        fn whatever_the_order_of_calls_the_file_is_sorted(
            changes in proptest::collection::vec((0usize..3, 0u64..50, any::<u64>()), 0..200),
            watermarks in proptest::collection::vec(0usize..200, 0..5),
        ) {
            let dir = tempfile::tempdir().expect("temporary directory");
            let path = dir.path().join("w.vcd");
            let (design, ids) = design();
            let masks = [1, 0xff, u64::MAX];
            let mut recorder = Recorder::create(&path, &design, Capture::default()).expect("created");
            // Each call's effective time: its own, or the watermark's if that is later.
            let mut expected: BTreeMap<(u64, usize), u64> = BTreeMap::new();
            let mut watermark = 0;
            for (i, (signal, time, value)) in changes.iter().enumerate() {
                if watermarks.contains(&i) {
                    watermark = watermark.max(time / 2);
                    recorder.advance(watermark);
                    recorder.send(watermark);
                }
                recorder.change(ids[*signal], *time, *value);
                expected.insert(((*time).max(watermark), *signal), value & masks[*signal]);
            }
            recorder.finish(100).expect("finished");
            let mut last = [0; 3];
            let mut want = Vec::new();
            for ((time, signal), value) in expected {
                if last[signal] != value {
                    want.push((time, ["a", "b", "c"][signal].to_owned(), value));
                    last[signal] = value;
                }
            }
            let mut got = read_back(&path);
            got.sort();
            want.sort();
            prop_assert_eq!(got, want);
        }
    }
}
