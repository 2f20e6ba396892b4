//! How late an idle entry is found.

use super::{Bound, Chapter, Effort, Row, random_key, statistics};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::{stream, unit};
use nic_model::aging::AgingEngine;
use nic_model::clock::Picos;
use nic_model::config::{AgingConfig, AgingMethod, TableConfig};
use nic_model::flow_table::entry::LAST_SEEN_TICK;
use nic_model::flow_table::{EntryAction, EntryState, FlowTable};

pub(super) const NAME: &str = "aging";

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let entries = effort.pick(40_000, 4_000);
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for method in AgingMethod::ALL {
        let (own, points) = engine(*method, entries, effort.seed);
        let (name, from) = (method.name(), beyond_ms(*method));
        rows.extend(own);
        series.push(Series::points(format!("{name}, measured"), points));
        let theory = vec![(from, 0.0), (from + PERIOD_MS, 100.0)];
        series.push(Series::line(format!("{name}, theory"), theory));
    }
    Chapter {
        name: NAME,
        title: "Idle entries are found evenly within one scan period",
        about: "Entries that were hit last at times of their own; the engine looks at 64 slots at a time and at all once a second. An entry \
                is due its timeout after its last hit, and found when the engine next comes to it: evenly distributed over a period, plus \
                the rounding of its last-seen time to ticks of 134 us. A clock of a few bits counts one pass more than fit into the \
                timeout, because the first may come right after the hit: never early, and with a timeout of 5.3 s another 0.7 s late.",
        rows,
        chart: Chart {
            title: "How late idle entries are found".to_owned(),
            x: "ms after an entry is due".to_owned(),
            y: "found by then, %".to_owned(),
            log_x: false,
            log_y: false,
            series,
        },
    }
}

const PERIOD_MS: f64 = 1_000.0;
const TIMEOUT_MS: u32 = 5_300;

/// What the engine waits beyond the timeout at least: a clock can only count whole passes.
fn beyond_ms(method: AgingMethod) -> f64 {
    let timeout = f64::from(TIMEOUT_MS);
    match method {
        AgingMethod::Timestamp => 0.0,
        AgingMethod::Clock => (timeout / PERIOD_MS).ceil() * PERIOD_MS - timeout,
    }
}

/// The rows of one engine, and how many per cent it had found how late.
fn engine(method: AgingMethod, entries: u32, seed: u64) -> (Vec<Row>, Vec<(f64, f64)>) {
    let config = AgingConfig {
        method,
        tcp_timeout_ms: TIMEOUT_MS,
        scan_period_ms: 1_000,
        entries_per_step: 64,
        ..AgingConfig::default()
    };
    let mut late = delays(&config, entries, seed);
    late.sort_by(f64::total_cmp);
    let period = PERIOD_MS;
    let from = beyond_ms(method);
    let of = |what: &str| format!("{}: {what}", method.name());
    let tick = LAST_SEEN_TICK.0 as f64 / 1e9;
    let (mean, error) = statistics::mean(&late);
    let count = late.len() as f64;
    // Largest distance between the distribution and a straight line (Kolmogorov, Smirnov).
    let share = |at: f64| ((at - from - tick / 2.0) / period).clamp(0.0, 1.0);
    let distance = late
        .iter()
        .enumerate()
        .map(|(i, at)| (share(*at) - i as f64 / count).abs());
    let rows = vec![
        Row::new(of("entries found"), f64::from(entries), count, Bound::Exact),
        Row::new(
            of("earliest, ms before its time"),
            -from,
            -late[0],
            Bound::AtMost,
        ),
        Row::new(
            of("latest, ms after its time"),
            from + period + tick,
            late[late.len() - 1],
            Bound::AtMost,
        ),
        Row::new(
            of("mean, ms after its time"),
            from + (period + tick) / 2.0,
            mean,
            Bound::StandardErrors(3.0, error),
        ),
        Row::new(
            of("distance from an even distribution (1 % level)"),
            1.63 / count.sqrt(),
            distance.fold(0.0, f64::max),
            Bound::AtMost,
        ),
    ];
    let curve = |i: usize| (late[i * (late.len() - 1) / 100], i as f64);
    (rows, (0..=100).map(curve).collect())
}

/// For each entry, how many milliseconds after it was due it was found.
fn delays(config: &AgingConfig, entries: u32, seed: u64) -> Vec<f64> {
    // Buckets that are never full: else entries would go to where the engine has just made room, and be found late.
    let mut table = FlowTable::new(&TableConfig {
        buckets: 32_768,
        slots_per_bucket: 16,
        ..TableConfig::default()
    });
    let mut engine = AgingEngine::new(config, table.capacity());
    let mut rng = stream(seed, 8);
    let timeout = Picos::from_millis(config.tcp_timeout_ms.into());
    let mut hits: Vec<Picos> = (0..entries)
        .map(|_| Picos((unit(&mut rng) * 10e12) as u64))
        .collect();
    hits.sort_unstable();
    let (mut next, mut late, mut found) = (None, Vec::new(), Vec::new());
    let mut run = |until: Picos,
                   next: &mut Option<Picos>,
                   engine: &mut AgingEngine,
                   table: &mut FlowTable| {
        while let Some(now) = next.filter(|now| *now <= until) {
            *next = engine.step(now, table, &mut found);
            for slot in found.drain(..) {
                if let Some((_, state)) = table.remove(slot) {
                    let due = hits[state.cookie() as usize] + timeout;
                    late.push((now.0 as f64 - due.0 as f64) / 1e9);
                }
            }
        }
    };
    for (cookie, hit) in hits.iter().enumerate() {
        run(*hit, &mut next, &mut engine, &mut table);
        let action = EntryAction {
            cookie: cookie as u32,
            ..EntryAction::default()
        };
        let state = EntryState::new(action, *hit);
        if let Ok(inserted) = table.insert(random_key(&mut rng), state) {
            next = engine.watch(inserted.slot, 6, *hit).or(next);
            for (_, moved) in table.moved() {
                next = engine.retry(*moved, *hit).or(next);
            }
        }
    }
    run(Picos::NEVER, &mut next, &mut engine, &mut table);
    late
}
