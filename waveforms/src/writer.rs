//! Two threads in a row: one sorts batches of changes, one encodes them.

use crate::capture::{Captured, Gate};
use crate::sorter::{Change, Sorter};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Batches under way to each thread: what bounds the memory when writing is slower than recording.
const BATCHES_AHEAD: usize = 4;

/// Changes in the order of the calls; those before `limit_ps` are final.
struct Batch {
    changes: Vec<Change>,
    limit_ps: u64,
}

/// The threads, and the way to them.
pub(crate) struct Writer {
    batches: SyncSender<Batch>,
    /// Emptied batches come back to be filled again.
    used: Receiver<Vec<Change>>,
    sorting: JoinHandle<()>,
    encoding: JoinHandle<Encoder>,
    over: Arc<AtomicBool>,
}

impl Writer {
    pub(crate) fn start(mut sorter: Sorter, gate: Gate) -> io::Result<Self> {
        let (batches, to_sort) = sync_channel::<Batch>(BATCHES_AHEAD);
        let (give_back, used) = sync_channel(BATCHES_AHEAD);
        let (sorted, to_encode) = sync_channel::<Vec<Change>>(BATCHES_AHEAD);
        let (give_back_sorted, used_sorted) = sync_channel(BATCHES_AHEAD);
        let over = Arc::new(AtomicBool::new(false));
        let mut encoder = Encoder {
            gate,
            over: Arc::clone(&over),
            error: None,
        };
        let sorting = Builder::new().name("wave-sort".into()).spawn(move || {
            for mut batch in to_sort {
                let mut out: Vec<Change> = used_sorted.try_recv().unwrap_or_default();
                sorter.sort(&mut batch.changes, batch.limit_ps, &mut out);
                // Nobody needs the empty batch if the way back is full or gone.
                give_back.try_send(batch.changes).ok();
                if sorted.send(out).is_err() {
                    return;
                }
            }
        })?;
        let encoding = Builder::new().name("wave-write".into()).spawn(move || {
            for changes in to_encode {
                encoder.encode(&changes);
                give_back_sorted.try_send(changes).ok();
            }
            encoder
        })?;
        Ok(Self {
            batches,
            used,
            sorting,
            encoding,
            over,
        })
    }

    /// Whether the file is known to be complete; it may be so for a while before this is known.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Hands `changes` over and leaves an empty vector in its place; those before `limit_ps` are final.
    pub(crate) fn send(&self, changes: &mut Vec<Change>, limit_ps: u64) {
        let empty = self.used.try_recv().unwrap_or_default();
        let changes = std::mem::replace(changes, empty);
        // A thread that is gone makes `finish` fail.
        self.batches.send(Batch { changes, limit_ps }).ok();
    }

    /// Waits for everything to be written; the number of changes in the file, and the times it covers.
    pub(crate) fn finish(self, end_ps: u64) -> Result<(u64, Vec<Captured>), String> {
        drop(self.batches);
        let sorted = self.sorting.join();
        let encoder = self.encoding.join();
        match (sorted, encoder) {
            (Ok(()), Ok(encoder)) => encoder.finish(end_ps),
            _ => Err("a thread of the recorder failed".into()),
        }
    }

    /// Stops without an end to the file.
    pub(crate) fn abandon(self) {
        drop(self.batches);
        self.sorting.join().ok();
        self.encoding.join().ok();
    }
}

/// Feeds a [`Gate`] until its first error.
struct Encoder {
    gate: Gate,
    over: Arc<AtomicBool>,
    error: Option<String>,
}

impl Encoder {
    fn encode(&mut self, changes: &[Change]) {
        if self.error.is_none() {
            self.error = self.try_encode(changes).err();
        }
        if self.error.is_some() || self.gate.is_over() {
            self.over.store(true, Ordering::Relaxed);
        }
    }

    fn try_encode(&mut self, changes: &[Change]) -> Result<(), String> {
        changes
            .chunk_by(|one, next| one.time_ps == next.time_ps)
            .try_for_each(|changes| self.gate.pass(changes))
    }

    fn finish(self, end_ps: u64) -> Result<(u64, Vec<Captured>), String> {
        match self.error {
            Some(error) => Err(error),
            None => self.gate.finish(end_ps),
        }
    }
}
