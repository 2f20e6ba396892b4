//! Numbers gathered while a run goes on.

use crate::summary::{Distribution, OccupancyPoint, TimeBin};
use hdrhistogram::Histogram;
use nic_model::clock::Picos;
use nic_model::datapath::trap::Reason;

/// Most bins of the view over time; when they are used up, pairs are merged.
const MAX_BINS: usize = 240;

/// A distribution of times: a histogram in picoseconds with three significant digits.
///
/// The histogram is made when the first time comes; a run without any has none.
#[derive(Debug, Default)]
pub struct Times(Option<Histogram<u64>>);

impl Times {
    /// Adds one time.
    #[inline]
    pub fn record(&mut self, span: Picos) {
        /// 1000 s in picoseconds.
        const LONGEST_PS: u64 = 1_000_000_000_000_000;
        if self.0.is_none() {
            self.0 = Histogram::new_with_bounds(1, LONGEST_PS, 3).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(span.0.max(1));
        }
    }

    /// The distribution in nanoseconds.
    pub fn distribution(&self) -> Distribution {
        let Some(h) = &self.0 else {
            return Distribution::default();
        };
        let ns = |ps: u64| ps as f64 / 1_000.0;
        let quantile = |q: f64| ns(h.value_at_quantile(q).min(h.max()));
        let mut cdf = Vec::new();
        let mut below = 0;
        for step in h.iter_recorded() {
            below += step.count_since_last_iteration();
            cdf.push((
                ns(step.value_iterated_to().min(h.max())),
                below as f64 / h.len() as f64,
            ));
        }
        Distribution {
            count: h.len(),
            min_ns: ns(h.min()),
            p50_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p99_ns: quantile(0.99),
            p999_ns: quantile(0.999),
            max_ns: ns(h.max()),
            mean_ns: h.mean() / 1_000.0,
            cdf,
        }
    }
}

/// Packets over time by what became of them.
#[derive(Debug)]
pub struct OverTime {
    bin: Picos,
    bins: Vec<Bin>,
    occupancy: Vec<(Picos, u32, u32)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    hits: u64,
    to_host: [u64; Reason::ALL.len()],
}

impl Default for OverTime {
    fn default() -> Self {
        Self {
            bin: Picos::from_micros(1),
            bins: Vec::new(),
            occupancy: Vec::new(),
        }
    }
}

impl OverTime {
    /// A packet arrived at `at`: forwarded by the hardware, or given to the host for a reason.
    #[inline]
    pub fn packet(&mut self, at: Picos, reason: Option<Reason>) {
        let mut index = (at.0 / self.bin.0) as usize;
        while index >= MAX_BINS {
            self.merge();
            index = (at.0 / self.bin.0) as usize;
        }
        if index >= self.bins.len() {
            self.bins.resize(index + 1, Bin::default());
        }
        match reason {
            None => self.bins[index].hits += 1,
            Some(reason) => self.bins[index].to_host[usize::from(reason.code())] += 1,
        }
    }

    fn merge(&mut self) {
        self.bin = Picos(self.bin.0 * 2);
        self.bins = self
            .bins
            .chunks(2)
            .map(|pair| {
                pair.iter().fold(Bin::default(), |mut sum, bin| {
                    sum.hits += bin.hits;
                    for (total, count) in sum.to_host.iter_mut().zip(bin.to_host) {
                        *total += count;
                    }
                    sum
                })
            })
            .collect();
    }

    /// The table's occupancy at `at`.
    pub fn occupancy(&mut self, at: Picos, entries: u32, stash: u32) {
        const MOST: usize = 2_000;
        if self
            .occupancy
            .last()
            .is_some_and(|(_, e, s)| (*e, *s) == (entries, stash))
        {
            return;
        }
        self.occupancy.push((at, entries, stash));
        if self.occupancy.len() > MOST {
            // Keep every second point; the shape stays.
            let mut keep = false;
            self.occupancy.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// The bins, with the same reasons in every bin: those that occurred at all.
    pub fn bins(&self) -> Vec<TimeBin> {
        let used: Vec<Reason> = Reason::ALL
            .into_iter()
            .filter(|reason| *reason != Reason::Miss)
            .filter(|reason| {
                self.bins
                    .iter()
                    .any(|bin| bin.to_host[usize::from(reason.code())] > 0)
            })
            .collect();
        let length_seconds = self.bin.as_secs_f64();
        self.bins
            .iter()
            .enumerate()
            .map(|(i, bin)| TimeBin {
                start_seconds: i as f64 * length_seconds,
                length_seconds,
                hits: bin.hits,
                misses: bin.to_host[usize::from(Reason::Miss.code())],
                traps: used
                    .iter()
                    .map(|reason| {
                        (
                            reason.name().to_owned(),
                            bin.to_host[usize::from(reason.code())],
                        )
                    })
                    .collect(),
            })
            .collect()
    }

    /// Occupancy over time.
    pub fn occupancy_points(&self) -> Vec<OccupancyPoint> {
        self.occupancy
            .iter()
            .map(|(at, entries, stash)| OccupancyPoint {
                seconds: at.as_secs_f64(),
                entries: u64::from(*entries),
                stash: u64::from(*stash),
            })
            .collect()
    }
}
