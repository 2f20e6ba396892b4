//! Two trackers on two processors, each with half of the connections, beside one tracker with all of them.

use super::tracker::{Arena, BATCH, empty, track};
use super::{TwoCores, source};
use conntrack_core::{HashKey, Tracker};
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// How many times as fast two processors are as one, also in arithmetic; `None` on a machine with one.
///
/// # Errors
/// The traffic cannot be built.
pub(super) fn times_one(connections: u32, seed: u64) -> Result<Option<TwoCores>, String> {
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
    let (mut ratios, mut arithmetic) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.arena.fill(traffic.as_mut(), usize::MAX);
        split(&one.arena, &mut two);
        let alone = at_once(std::slice::from_mut(&mut one), |one| {
            one.track();
        });
        let together = at_once(&mut two, |half| {
            half.track();
        });
        ratios.push(alone.as_secs_f64() / together.as_secs_f64());
        let alone = at_once(&mut [()], |()| compute());
        let together = at_once(&mut [(), ()], |()| compute());
        arithmetic.push(2.0 * alone.as_secs_f64() / together.as_secs_f64());
    }
    let median = |mut ratios: Vec<f64>| {
        ratios.sort_by(f64::total_cmp);
        ratios[ROUNDS / 2]
    };
    Ok(Some(TwoCores {
        times_one: median(ratios),
        arithmetic_times_one: median(arithmetic),
    }))
}

/// Some milliseconds of arithmetic in as many chains as a core can go on with at once.
fn compute() {
    const CHAINS: usize = 8;
    const STEPS: u64 = 1 << 22;
    let mut chains: [u64; CHAINS] = std::array::from_fn(|i| i as u64);
    for step in 0..STEPS {
        for chain in &mut chains {
            *chain = chain.rotate_left(7) ^ chain.wrapping_add(step);
        }
        std::hint::black_box(&mut chains);
    }
}

/// How long it takes to do something with each of these at once. They wait for each other awake: waking a processor that
/// sleeps can take as long as the work.
fn at_once<T: Send>(what: &mut [T], work: impl Fn(&mut T) + Sync) -> Duration {
    let (count, there) = (what.len(), AtomicUsize::new(0));
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let (there, work) = (&there, &work);
        let threads: Vec<_> = what
            .iter_mut()
            .map(|one| {
                scope.spawn(move || {
                    there.fetch_add(1, Ordering::AcqRel);
                    while there.load(Ordering::Acquire) < count {
                        std::hint::spin_loop();
                    }
                    let begun = Instant::now();
                    work(one);
                    (begun, Instant::now())
                })
            })
            .collect();
        // One that failed has told why.
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let begun = times.iter().map(|(begun, _)| *begun).min();
    let ended = times.iter().map(|(_, ended)| *ended).max();
    begun
        .zip(ended)
        .map_or(Duration::ZERO, |(begun, ended)| ended - begun)
}
