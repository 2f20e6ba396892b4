//! Two trackers on two processors, each with half of the connections, beside one tracker with all of them.

use super::source;
use super::tracker::{Arena, BATCH, empty, track};
use conntrack_core::{HashKey, Tracker};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Rounds of which the median is taken: of a ratio that is of two measurements.
const ROUNDS: usize = 9;

/// A tracker and its packets.
struct Half {
    tracker: Tracker,
    arena: Arena,
}

impl Half {
    fn new(seed: u64) -> Self {
        Self {
            tracker: empty(seed),
            arena: Arena::new(),
        }
    }

    fn track(&mut self) -> Duration {
        let mut verdicts = Vec::with_capacity(BATCH);
        let Self { tracker, arena } = self;
        arena.track(BATCH, |batch| track(tracker, batch, &mut verdicts))
    }
}

/// How many times as fast two processors are as one; `None` on a machine with one.
///
/// # Errors
/// The traffic cannot be built.
pub(super) fn times_one(connections: u32, seed: u64) -> Result<Option<f64>, String> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Ok(None);
    }
    let mut traffic = source(connections, seed)?;
    let key = HashKey([!seed, seed]);
    let mut one = Half::new(seed);
    let mut two = [Half::new(seed), Half::new(seed)];
    let split = |one: &Arena, two: &mut [Half; 2]| {
        for (number, half) in two.iter_mut().enumerate() {
            half.arena.take(one, |packet| {
                key.hash_packet(packet).map_or(0, |hash| hash & 1) == number as u32
            });
        }
    };
    let mut left = connections as usize * 4;
    while left > 0 && one.arena.fill(traffic.as_mut(), left) {
        split(&one.arena, &mut two);
        one.track();
        for half in &mut two {
            half.track();
        }
        left = left.saturating_sub(one.arena.len().max(BATCH));
    }
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        one.arena.fill(traffic.as_mut(), usize::MAX);
        split(&one.arena, &mut two);
        let alone = one.track();
        let together = at_once(&mut two);
        ratios.push(alone.as_secs_f64() / together.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    Ok(Some(ratios[ROUNDS / 2]))
}

/// How long both halves take at once.
fn at_once(two: &mut [Half; 2]) -> Duration {
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        let threads: Vec<_> = two
            .iter_mut()
            .map(|half| {
                scope.spawn(|| {
                    start.wait();
                    half.track();
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        for thread in threads {
            // One that failed has told why.
            thread.join().ok();
        }
        begun.elapsed()
    })
}
