//! Batches of changes in any order, made into one sorted stream without repetitions.

/// What happens to a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It takes the value.
    Set,
    /// It takes the value unless it is set at the same time.
    Rest,
    /// Its level rises by the value, or falls (two's complement).
    Add,
}

/// Something happens to a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub time_ps: u64,
    pub value: u64,
    pub signal: u32,
    pub kind: Kind,
}

/// What a signal of this mask shows of a level: the number, at most its largest; of one bit, whether it is above zero.
pub(crate) const fn shown(level: i64, mask: u64) -> u64 {
    let level = if level < 0 { 0 } else { level as u64 };
    if level > mask { mask } else { level }
}

/// Sorts batches and drops what changes nothing.
pub(crate) struct Sorter {
    /// What was given out of each signal.
    written: Vec<u64>,
    levels: Vec<i64>,
    masks: Vec<u64>,
    /// The value each signal takes at the time being put together, and how.
    staged: Vec<Option<(u64, Kind)>>,
    touched: Vec<u32>,
    /// Not final yet, in the order of the calls.
    kept: Vec<Change>,
    keys: Vec<u64>,
}

impl Sorter {
    /// Signals with these masks, which begin with these values and levels.
    pub(crate) fn new(masks: Vec<u64>, initial: Vec<u64>, levels: Vec<i64>) -> Self {
        Self {
            staged: vec![None; masks.len()],
            written: initial,
            levels,
            masks,
            touched: Vec::new(),
            kept: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Puts what is final, of `batch` and of those before it, into `out`: by time, and of each signal only what
    /// changes it. `batch` is left empty.
    pub(crate) fn sort(&mut self, batch: &mut Vec<Change>, limit_ps: u64, out: &mut Vec<Change>) {
        out.clear();
        let mut changes = std::mem::take(&mut self.kept);
        if changes.is_empty() {
            std::mem::swap(&mut changes, batch);
        } else {
            changes.append(batch);
        }
        let (mut first, mut last) = (u64::MAX, 0);
        let mut ready = 0;
        // What is not final moves to `kept`, the rest closes up; both keep the order of the calls.
        for at in 0..changes.len() {
            let change = changes[at];
            if change.time_ps < limit_ps {
                first = first.min(change.time_ps);
                last = last.max(change.time_ps);
                changes[ready] = change;
                ready += 1;
            } else {
                self.kept.push(change);
            }
        }
        changes.truncate(ready);
        self.order(&changes, first, last);
        self.merge(&changes, out);
        changes.clear();
        if batch.capacity() < changes.capacity() {
            *batch = changes;
        }
    }

    /// Leaves in `keys` the places of `changes`, whose times lie in `first..=last`, by time and then by call.
    fn order(&mut self, changes: &[Change], first: u64, last: u64) {
        let keys = &mut self.keys;
        keys.clear();
        let index_bits = usize::BITS - changes.len().leading_zeros();
        if last.saturating_sub(first).leading_zeros() >= index_bits {
            // Time and place in one word: sorting words is several times faster than sorting changes.
            keys.extend(
                (changes.iter().zip(0u64..))
                    .map(|(change, at)| (change.time_ps - first) << index_bits | at),
            );
            keys.sort_unstable();
            let place = (1u64 << index_bits) - 1;
            keys.iter_mut().for_each(|key| *key &= place);
        } else {
            keys.extend((0u64..).take(changes.len()));
            keys.sort_by_key(|at| changes[*at as usize].time_ps);
        }
    }

    /// Of several changes of a signal at one time the last holds, unless it changes nothing.
    fn merge(&mut self, changes: &[Change], out: &mut Vec<Change>) {
        let keys = std::mem::take(&mut self.keys);
        let mut now = 0;
        for at in &keys {
            let change = &changes[*at as usize];
            if change.time_ps != now {
                self.settle(now, out);
                now = change.time_ps;
            }
            self.stage(change);
        }
        self.settle(now, out);
        self.keys = keys;
    }

    fn stage(&mut self, change: &Change) {
        let at = change.signal as usize;
        let value = match change.kind {
            Kind::Set | Kind::Rest => change.value,
            Kind::Add => {
                self.levels[at] = self.levels[at].wrapping_add(change.value as i64);
                shown(self.levels[at], self.masks[at])
            }
        };
        match &mut self.staged[at] {
            Some((_, Kind::Set)) if change.kind == Kind::Rest => {}
            Some(staged) => *staged = (value, change.kind),
            empty => {
                *empty = Some((value, change.kind));
                self.touched.push(change.signal);
            }
        }
    }

    fn settle(&mut self, time_ps: u64, out: &mut Vec<Change>) {
        for signal in self.touched.drain(..) {
            let at = signal as usize;
            if let Some((value, _)) = self.staged[at].take()
                && self.written[at] != value
            {
                self.written[at] = value;
                out.push(Change {
                    time_ps,
                    value,
                    signal,
                    kind: Kind::Set,
                });
            }
        }
    }
}
