//! Signals of a simulated chip, written as FST (default) or VCD.
//!
//! A model that does not tick reports value changes out of order: a packet's whole way through the pipeline is
//! known before the next packet's begins. [`Recorder`] takes changes in any order, keeps them until a watermark
//! says that nothing earlier can come, and writes them sorted. A change to the value a signal already has is
//! dropped; of several at one time the last call wins. A [`Capture`] says what of all that goes into the file: a window of
//! time, or what happens around a [`Trigger`].
//!
//! ```
//! use waveforms::{Capture, Design, Recorder};
//!
//! let mut design = Design::new();
//! let parser = design.scope("board.parser");
//! let valid = design.signal(parser, "valid", 1);
//! let dir = std::env::temp_dir().join(format!("ctnic-doc-{}", std::process::id()));
//! std::fs::create_dir_all(&dir)?;
//! let path = dir.join("example.vcd");
//! let mut recorder = Recorder::create(&path, &design, Capture::default())?;
//! recorder.change(valid, 4_000, 0); // a pulse of 4 ns, its end reported first
//! recorder.change(valid, 0, 1);
//! recorder.advance(10_000);
//! let summary = recorder.finish(20_000)?;
//! assert_eq!(summary.changes, 2);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod capture;
mod fst;
mod recorder;
mod signal;
mod sorter;
mod trigger;
mod vcd;
pub mod view;
mod writer;

pub use capture::{Capture, Captured};
pub use recorder::{Recorder, WaveSummary};
pub use signal::{Design, ScopeId, SignalId};
pub use trigger::{Trigger, TriggerError};

use std::path::{Path, PathBuf};

/// File formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Fast Signal Trace: compressed; GTKWave and Surfer read it.
    Fst,
    /// Value Change Dump (IEEE 1364): text; everything reads it.
    Vcd,
}

impl Format {
    /// VCD for names that end in `.vcd`, FST for all others.
    pub fn from_path(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("vcd") => Self::Vcd,
            _ => Self::Fst,
        }
    }
}

/// Why a waveform could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WaveError {
    /// The file cannot be created or written.
    #[error("cannot write the waveform {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The FST library refused.
    #[error("cannot write the waveform {}: {message}", path.display())]
    Fst {
        /// Which file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

/// Where sorted changes go.
pub(crate) trait Sink: Send {
    /// Time moves on to `time_ps`; called before the first change at that time.
    fn time(&mut self, time_ps: u64) -> Result<(), String>;
    /// A signal takes a value.
    fn change(&mut self, signal: usize, value: u64) -> Result<(), String>;
    /// Nothing is known of a signal from here on.
    fn unknown(&mut self, signal: usize) -> Result<(), String>;
    /// No more changes; the wave ends at `end_ps`.
    fn finish(self: Box<Self>, end_ps: u64) -> Result<(), String>;
}
