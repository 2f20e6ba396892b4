//! How full a card's table gets before flows cannot be learnt, against a published capacity.

use super::{Bound, Chapter, Effort, Row, random_key};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::stream;
use nic_model::clock::Picos;
use nic_model::config::{HashFunction, Insertion, TableConfig};
use nic_model::flow_table::{EntryAction, EntryState, FlowTable};

pub(super) const NAME: &str = "learning";

/// Records of 64 bytes in 10.5 GB.
const SLOTS_M: f64 = 164.0;
/// Flows that can be learnt, millions.
const CAPACITY_M: f64 = 140.0;
/// Where the published plots end: flows, and the share of insertions that fail there.
const END_M: f64 = 180.0;
const END_FAILING: f64 = 90.0;
/// Buckets an insertion may visit: the first that makes the published capacity.
const TRIES: u32 = 200;
/// Slices of the curve, millions of flows.
const SLICE_M: f64 = 2.0;

/// What happened while flows were learnt.
struct Slice {
    /// Flows offered by its end, millions.
    offered_m: f64,
    failing: f64,
    visited: f64,
}

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let slices = learn(effort);
    let first = slices.iter().find(|slice| slice.failing > 0.1);
    let last = slices.last().map_or(0.0, |slice| slice.failing);
    let early = slices.iter().filter(|slice| slice.offered_m <= 100.0);
    let most_early = early.map(|slice| slice.failing).fold(0.0, f64::max);
    let rows = vec![
        Row::new(
            "flows learnt before one of a thousand fails, millions (parameter)",
            CAPACITY_M,
            first.map_or(END_M, |slice| slice.offered_m - SLICE_M),
            Bound::Relative(0.1),
        ),
        Row::new(
            "insertions failing up to 100 million flows, % (predicted)",
            0.1,
            most_early,
            Bound::AtMost,
        ),
        Row::new(
            "insertions failing at 180 million flows, % (predicted)",
            END_FAILING,
            last,
            Bound::Relative(0.15),
        ),
    ];
    let curve = |of: fn(&Slice) -> f64| {
        let points = slices.iter().map(|slice| (slice.offered_m, of(slice)));
        points.collect::<Vec<_>>()
    };
    let most = slices.iter().map(|slice| slice.visited).fold(1.0, f64::max);
    let tries = curve(|slice| slice.visited).into_iter();
    Chapter {
        name: NAME,
        title: "Learning fails beyond the load that cuckoo hashing carries",
        about: "New flows until all slots would be taken one and a tenth times: a cuckoo table of 2 choices and buckets of 2, a keyed hash, a \
                random walk of bounded length. Expected: Napatech NT200A02, 140 million flows in 10.5 GB of records of 64 bytes, cuckoo \
                hashing with bounded tries; collisions begin above 140 million, tries then grow exponentially, failures climb to the end \
                of the published plot, 90 % at 180 million (docs.napatech.com, \"Flow Table\", 12.10; only the axes and these words can be \
                read, not the points, so 15 % are allowed at the end). Choices and slots are not public: 2 x 2 is what 85 % of the slots \
                suggest. Not claimed: the learning rate in flows per second (3 million at most), for which no price of a try is published.",
        rows,
        chart: Chart {
            title: "Learning by flows offered".to_owned(),
            x: "million flows offered".to_owned(),
            y: "%".to_owned(),
            log_x: false,
            log_y: false,
            series: vec![
                Series::points(
                    "published: capacity, end of the plot",
                    vec![(CAPACITY_M, 0.0), (END_M, END_FAILING)],
                ),
                Series::line("insertions failing, model", curve(|slice| slice.failing)),
                Series::line(
                    "buckets visited, of the most, model",
                    tries
                        .map(|(at, visited)| (at, visited / most * 100.0))
                        .collect(),
                ),
            ],
        },
    }
}

fn learn(effort: &Effort) -> Vec<Slice> {
    let slots = effort.pick(1 << 20, 1 << 15);
    let mut table = FlowTable::new(&TableConfig {
        choices: 2,
        slots_per_bucket: 2,
        buckets: slots / 2,
        stash_entries: 0,
        insertion: Insertion::RandomWalk,
        search_limit_buckets: TRIES,
        hash_1: HashFunction::SipHash,
        hash_2: HashFunction::SipHash,
        ..TableConfig::default()
    });
    let mut rng = stream(effort.seed, 23);
    let in_slice = (f64::from(slots) * SLICE_M / SLOTS_M) as u32;
    let slices = (END_M / SLICE_M) as u32;
    let mut learn_slice = |number: u32| {
        let (mut failed, mut visited) = (0u32, 0u64);
        for _ in 0..in_slice {
            let state = EntryState::new(EntryAction::default(), Picos::ZERO);
            match table.insert(random_key(&mut rng), state) {
                Ok(inserted) => visited += u64::from(inserted.visited_buckets),
                Err(_) => {
                    failed += 1;
                    visited += u64::from(TRIES);
                }
            }
        }
        Slice {
            offered_m: f64::from(number + 1) * SLICE_M,
            failing: f64::from(failed) / f64::from(in_slice) * 100.0,
            visited: visited as f64 / f64::from(in_slice),
        }
    };
    (0..slices).map(&mut learn_slice).collect()
}
