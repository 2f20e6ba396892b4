//! From changes in any order to a sorted, deduplicated file.

use crate::signal::{Design, SignalId};
use crate::sorter::Change;
use crate::writer::Writer;
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

/// Takes changes and writes them. All signals are 0 until their first change.
///
/// Sorting and encoding happen on threads of the recorder's own, in batches that are cut where the calls say,
/// so that the bytes written do not depend on how the threads take turns.
pub struct Recorder {
    writer: Option<Writer>,
    path: PathBuf,
    partial: PathBuf,
    masks: Vec<u64>,
    pending: Vec<Change>,
    watermark_ps: u64,
    last_ps: u64,
    late_changes: u64,
}

impl Recorder {
    /// Begins a file. It is written under a temporary name beside `path` and renamed by [`Recorder::finish`],
    /// so that an interrupted run leaves no half-written wave under that name.
    ///
    /// # Errors
    /// The file cannot be created, or no thread can be started to write it.
    pub fn create(path: &Path, design: &Design, format: Format) -> Result<Self, WaveError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let widths = design.widths();
        let io = |source| WaveError::Io {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::create(&partial).map_err(io)?;
        let sink: Box<dyn Sink> = match format {
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
        let masks = widths
            .iter()
            .map(|width| u64::MAX >> (64 - width))
            .collect();
        Ok(Self {
            writer: Some(Writer::start(sink, widths).map_err(io)?),
            path: path.to_owned(),
            partial,
            masks,
            pending: Vec::new(),
            watermark_ps: 0,
            last_ps: 0,
            late_changes: 0,
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
        self.last_ps = self.last_ps.max(time_ps);
        self.pending.push(Change {
            time_ps,
            value: value & self.masks[signal.0],
            signal: signal.0 as u32,
        });
    }

    /// Changes before `watermark_ps` are final and can be written.
    pub fn advance(&mut self, watermark_ps: u64) {
        /// Sorting few changes often costs more than many changes seldom.
        const WORTH_SORTING: usize = 1 << 16;
        self.watermark_ps = self.watermark_ps.max(watermark_ps);
        if self.pending.len() >= WORTH_SORTING {
            self.send(self.watermark_ps);
        }
    }

    /// Writes everything, up to and including `end_ps`, and gives the file its name.
    ///
    /// # Errors
    /// Something could not be written, now or earlier.
    pub fn finish(mut self, end_ps: u64) -> Result<WaveSummary, WaveError> {
        self.send(u64::MAX);
        let fail = |message: String| WaveError::Fst {
            path: self.path.clone(),
            message,
        };
        let changes = match self.writer.take() {
            None => Err(fail("it was finished before".into())),
            Some(writer) => writer.finish(end_ps.max(self.last_ps)).map_err(fail),
        };
        let io = |source| WaveError::Io {
            path: self.path.clone(),
            source,
        };
        let written = changes.and_then(|changes| {
            let bytes = std::fs::metadata(&self.partial).map_err(io)?.len();
            std::fs::rename(&self.partial, &self.path).map_err(io)?;
            Ok((changes, bytes))
        });
        let (changes, bytes) = written.inspect_err(|_| {
            std::fs::remove_file(&self.partial).ok();
        })?;
        Ok(WaveSummary {
            changes,
            late_changes: self.late_changes,
            bytes,
        })
    }

    fn send(&mut self, limit_ps: u64) {
        if let Some(writer) = &self.writer {
            writer.send(&mut self.pending, limit_ps);
        }
    }
}

impl Drop for Recorder {
    /// A recording that was not finished leaves nothing behind.
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.abandon();
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
