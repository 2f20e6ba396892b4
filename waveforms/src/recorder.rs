//! From changes in any order to a sorted, deduplicated file.

use crate::signal::{Design, SignalId};
use crate::{Format, Sink, WaveError, fst, vcd};
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaveSummary {
    /// Value changes in the file, initial values aside.
    pub changes: u64,
    /// Changes that came after their time had been written; they were recorded at the watermark.
    pub late_changes: u64,
    /// Size of the file, bytes.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    time_ps: u64,
    value: u64,
    /// Order of the call and signal: `sequence << 12 | signal`.
    order: u64,
}

/// Signals beyond this number cannot be told apart in [`Change::order`].
const MAX_SIGNALS: usize = 1 << 12;

/// Takes changes and writes them. All signals are 0 until their first change.
pub struct Recorder {
    sink: Option<Box<dyn Sink>>,
    error: Option<String>,
    path: PathBuf,
    partial: PathBuf,
    widths: Vec<u32>,
    masks: Vec<u64>,
    written: Vec<u64>,
    staged: Vec<Option<u64>>,
    touched: Vec<u32>,
    pending: Vec<Change>,
    sequence: u64,
    watermark_ps: u64,
    late_changes: u64,
    changes: u64,
}

impl Recorder {
    /// Begins a file. It is written under a temporary name beside `path` and renamed by [`Recorder::finish`],
    /// so that an interrupted run leaves no half-written wave under that name.
    ///
    /// # Errors
    /// The file cannot be created, or the design has more than 4096 signals.
    pub fn create(path: &Path, design: &Design, format: Format) -> Result<Self, WaveError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let widths = design.widths();
        let fail = |message: String| WaveError::Fst {
            path: path.to_owned(),
            message,
        };
        if widths.len() > MAX_SIGNALS {
            return Err(fail(format!(
                "{} signals are more than {MAX_SIGNALS}",
                widths.len()
            )));
        }
        let io = |source| WaveError::Io {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::create(&partial).map_err(io)?;
        let sink: Box<dyn Sink> = match format {
            Format::Fst => Box::new(fst::FstSink::new(file, design).map_err(fail)?),
            Format::Vcd => Box::new(vcd::VcdSink::new(file, design).map_err(io)?),
        };
        Ok(Self {
            sink: Some(sink),
            error: None,
            path: path.to_owned(),
            partial,
            masks: widths
                .iter()
                .map(|width| u64::MAX >> (64 - width))
                .collect(),
            written: vec![0; widths.len()],
            staged: vec![None; widths.len()],
            touched: Vec::new(),
            widths,
            pending: Vec::new(),
            sequence: 0,
            watermark_ps: 0,
            late_changes: 0,
            changes: 0,
        })
    }

    /// `signal` takes the low bits of `value` at `time_ps`.
    #[inline]
    pub fn change(&mut self, signal: SignalId, time_ps: u64, value: u64) {
        let mut time_ps = time_ps;
        if time_ps < self.watermark_ps {
            self.late_changes += 1;
            time_ps = self.watermark_ps;
        }
        self.sequence += 1;
        self.pending.push(Change {
            time_ps,
            value: value & self.masks[signal.0],
            order: self.sequence << 12 | signal.0 as u64,
        });
    }

    /// Changes before `watermark_ps` are final and can be written.
    pub fn advance(&mut self, watermark_ps: u64) {
        /// Sorting few changes often costs more than many changes seldom.
        const WORTH_SORTING: usize = 1 << 16;
        self.watermark_ps = self.watermark_ps.max(watermark_ps);
        if self.pending.len() >= WORTH_SORTING {
            self.write_before(self.watermark_ps);
        }
    }

    /// Writes everything, up to and including `end_ps`, and gives the file its name.
    ///
    /// # Errors
    /// Something could not be written, now or earlier.
    pub fn finish(mut self, end_ps: u64) -> Result<WaveSummary, WaveError> {
        let last = self
            .pending
            .iter()
            .map(|change| change.time_ps)
            .max()
            .unwrap_or(0);
        let end_ps = end_ps.max(last);
        self.write_before(u64::MAX);
        if let (None, Some(sink)) = (&self.error, self.sink.take()) {
            self.error = sink.finish(end_ps).err();
        }
        if let Some(message) = self.error.take() {
            return Err(WaveError::Fst {
                path: self.path.clone(),
                message,
            });
        }
        let io = |source| WaveError::Io {
            path: self.path.clone(),
            source,
        };
        let bytes = std::fs::metadata(&self.partial).map_err(io)?.len();
        std::fs::rename(&self.partial, &self.path).map_err(io)?;
        Ok(WaveSummary {
            changes: self.changes,
            late_changes: self.late_changes,
            bytes,
        })
    }

    fn write_before(&mut self, limit_ps: u64) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_unstable_by_key(|change| (change.time_ps, change.order));
        let final_until = pending.partition_point(|change| change.time_ps < limit_ps);
        let mut at = 0;
        while at < final_until {
            let time_ps = pending[at].time_ps;
            while at < final_until && pending[at].time_ps == time_ps {
                self.stage(&pending[at]);
                at += 1;
            }
            if let Err(message) = self.write_staged(time_ps) {
                self.error.get_or_insert(message);
            }
        }
        pending.drain(..final_until);
        self.pending = pending;
    }

    fn stage(&mut self, change: &Change) {
        let signal = (change.order & (MAX_SIGNALS as u64 - 1)) as usize;
        if self.staged[signal].replace(change.value).is_none() {
            self.touched.push(signal as u32);
        }
    }

    fn write_staged(&mut self, time_ps: u64) -> Result<(), String> {
        let mut told_time = false;
        let mut result = Ok(());
        for signal in self.touched.drain(..).map(|signal| signal as usize) {
            let Some(value) = self.staged[signal].take() else {
                continue;
            };
            let Some(sink) = self.sink.as_mut().filter(|_| self.written[signal] != value) else {
                continue;
            };
            if result.is_err() {
                continue;
            }
            if !told_time {
                result = sink.time(time_ps);
                told_time = true;
            }
            self.written[signal] = value;
            self.changes += 1;
            result = result.and_then(|()| sink.change(signal, self.widths[signal], value));
        }
        result
    }
}

impl Drop for Recorder {
    /// A recording that was not finished leaves nothing behind.
    fn drop(&mut self) {
        if self.sink.take().is_some() {
            std::fs::remove_file(&self.partial).ok();
        }
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
        let mut recorder = Recorder::create(&path, &design, Format::Vcd).expect("created");
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
        let mut recorder = Recorder::create(&path, &design, Format::Fst).expect("created");
        recorder.change(a, 10, 1);
        drop(recorder);
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_created_is_an_error_that_names_it() {
        let (design, _) = design();
        let error = Recorder::create(Path::new("/nonexistent/w.fst"), &design, Format::Fst)
            .err()
            .expect("refused");
        assert!(error.to_string().contains("/nonexistent/w.fst"), "{error}");
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
            let mut recorder = Recorder::create(&path, &design, Format::Vcd).expect("created");
            // Each call's effective time: its own, or the watermark's if that is later.
            let mut expected: BTreeMap<(u64, usize), u64> = BTreeMap::new();
            let mut watermark = 0;
            for (i, (signal, time, value)) in changes.iter().enumerate() {
                if watermarks.contains(&i) {
                    watermark = watermark.max(time / 2);
                    recorder.write_before(watermark);
                    recorder.advance(watermark);
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
