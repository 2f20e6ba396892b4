//! The chip before mathematics and published measurements: one claim, one file.
//!
//! A claim runs the model's own parts (the table, the cache, the stage, the port, the link, the engine) and holds what comes out
//! against a formula or a published number. Nothing here depends on the machine: the same seed gives the same figures.

mod aging;
mod birthday;
mod cache;
mod context_cache;
mod cuckoo;
mod d_left;
mod dash;
mod document;
mod finite_queue;
mod graph;
mod iommu;
mod learning;
mod line_rate;
mod overflow;
mod pcie;
mod pcie_latency;
mod poster;
mod queue;
mod same_core;
mod stash;
mod statistics;
mod updates;

pub use document::{document, number, section};

use crate::plot::chart::Chart;
use nic_model::flow_table::FlowKey;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;

/// How much work a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// A fraction of the work, with bounds as much wider: for tests.
    pub quick: bool,
    /// Seed of all that is random.
    pub seed: u64,
}

impl Effort {
    /// `full`, or `quick` for tests.
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// How far a measurement may be from what is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// This fraction of what is expected.
    Relative(f64),
    /// This many standard errors of this size.
    StandardErrors(f64, f64),
    /// At most what is expected.
    AtMost,
    /// At least what is expected.
    AtLeast,
    /// Not at all, but for the rounding of floating-point numbers.
    Exact,
}

/// A measurement and what it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// What it should be.
    pub expected: f64,
    /// What it is.
    pub measured: f64,
    /// How far it may be off.
    pub bound: Bound,
}

impl Row {
    fn new(what: impl Into<String>, expected: f64, measured: f64, bound: Bound) -> Self {
        Self {
            what: what.into(),
            expected,
            measured,
            bound,
        }
    }

    /// Whether the measurement is within its bound.
    pub fn holds(&self) -> bool {
        let off = (self.measured - self.expected).abs();
        match self.bound {
            Bound::Relative(share) => off <= share * self.expected.abs(),
            Bound::StandardErrors(times, size) => off <= times * size,
            Bound::AtMost => self.measured <= self.expected,
            Bound::AtLeast => self.measured >= self.expected,
            Bound::Exact => off <= 1e-9 * self.expected.abs(),
        }
    }

    /// How far it is off, for people.
    pub fn error(&self) -> String {
        let off = self.measured - self.expected;
        match self.bound {
            Bound::StandardErrors(_, size) if size > 0.0 => format!("{:+.2} SE", off / size),
            _ if self.expected == 0.0 => format!("{off:+.3}"),
            _ => format!("{:+.2} %", off / self.expected * 100.0),
        }
    }

    /// The bound, for people.
    pub fn allowed(&self) -> String {
        match self.bound {
            Bound::Relative(share) => format!("{} %", share * 100.0),
            Bound::StandardErrors(times, _) => format!("{times} SE"),
            Bound::AtMost => "at most".to_owned(),
            Bound::AtLeast => "at least".to_owned(),
            Bound::Exact => "exact".to_owned(),
        }
    }
}

/// What a claim says and what came of it.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// Its name on the command line, and of its plot's file.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What is compared with what, and where that is from.
    pub about: &'static str,
    /// The figures.
    pub rows: Vec<Row>,
    /// A picture of them.
    pub chart: Chart,
}

impl Chapter {
    /// Whether every figure is within its bound.
    pub fn holds(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Row::holds)
    }
}

type Claim = fn(&Effort) -> Chapter;

/// All claims in the order of the document.
const CLAIMS: &[(&str, Claim)] = &[
    (cuckoo::NAME, cuckoo::chapter),
    (stash::NAME, stash::chapter),
    (d_left::NAME, d_left::chapter),
    (overflow::NAME, overflow::chapter),
    (birthday::NAME, birthday::chapter),
    (cache::NAME, cache::chapter),
    (queue::NAME, queue::chapter),
    (finite_queue::NAME, finite_queue::chapter),
    (line_rate::NAME, line_rate::chapter),
    (pcie::NAME, pcie::chapter),
    (pcie_latency::NAME, pcie_latency::chapter),
    (iommu::NAME, iommu::chapter),
    (context_cache::NAME, context_cache::chapter),
    (updates::NAME, updates::chapter),
    (same_core::NAME, same_core::chapter),
    (learning::NAME, learning::chapter),
    (dash::NAME, dash::chapter),
    (aging::NAME, aging::chapter),
];

/// The names of all claims.
pub fn names() -> Vec<&'static str> {
    CLAIMS.iter().map(|(name, _)| *name).collect()
}

/// Checks the claims of these names, or all if there are none; `done` is called after each, in no particular order.
///
/// # Errors
/// There is no claim of some name.
pub fn validate(
    only: &[String],
    effort: &Effort,
    done: impl Fn(&Chapter) + Sync,
) -> Result<Vec<Chapter>, String> {
    if let Some(unknown) = only.iter().find(|name| !names().contains(&name.as_str())) {
        return Err(format!(
            "there is no claim \"{unknown}\"; there are: {}",
            names().join(", ")
        ));
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|known| known == name);
    let claims: Vec<_> = CLAIMS.iter().filter(|(name, _)| wanted(name)).collect();
    let chapters = claims.into_par_iter().map(|(_, claim)| {
        let chapter = claim(effort);
        done(&chapter);
        chapter
    });
    Ok(chapters.collect())
}

/// A key of an IPv4 connection at random.
fn random_key(rng: &mut ChaCha8Rng) -> FlowKey {
    let address = u64::from(u32::MAX);
    let ports = rng.next_u64() & address;
    FlowKey([
        rng.next_u64() & address,
        0,
        rng.next_u64() & address,
        0,
        ports | 6 << 32 | 4 << 40,
        0,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_holds_with_a_fraction_of_the_work() {
        let effort = Effort {
            quick: true,
            seed: 1,
        };
        let chapters = validate(&[], &effort, |_| ()).expect("all claims");
        assert_eq!(chapters.len(), CLAIMS.len());
        for chapter in chapters {
            assert!(!chapter.rows.is_empty());
            for row in &chapter.rows {
                assert!(row.holds(), "{}: {row:?}", chapter.name);
            }
        }
    }

    #[test]
    fn a_row_beyond_its_bound_does_not_hold() {
        let row = |measured, bound| Row::new("", 100.0, measured, bound).holds();
        assert!(row(100.9, Bound::Relative(0.01)) && !row(101.1, Bound::Relative(0.01)));
        assert!(
            row(94.0, Bound::StandardErrors(3.0, 2.0))
                && !row(93.9, Bound::StandardErrors(3.0, 2.0))
        );
        assert!(row(99.0, Bound::AtMost) && !row(100.1, Bound::AtMost));
        assert!(row(100.0, Bound::Exact) && !row(100.001, Bound::Exact));
    }

    #[test]
    fn an_unknown_claim_names_those_there_are() {
        let effort = Effort {
            quick: true,
            seed: 1,
        };
        let error = validate(&["cukoo".to_owned()], &effort, |_| ()).unwrap_err();
        assert!(error.contains("line-rate"), "{error}");
    }
}
