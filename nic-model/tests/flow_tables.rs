//! Every organisation against a plain map: a million operations each, at the loads where tables get into trouble.

use nic_model::clock::Picos;
use nic_model::config::{Insertion, Organisation, TableConfig, Victim};
use nic_model::flow_table::entry::{EntryAction, EntryState, FlowKey};
use nic_model::flow_table::{FlowTable, InsertError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const OPERATIONS: u32 = 1_000_000;

fn key(n: u64) -> FlowKey {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    FlowKey([mixed, n, 0, 0, 6 << 32 | 4 << 40, 0])
}

fn state(cookie: u32) -> EntryState {
    let action = EntryAction {
        cookie,
        ..EntryAction::default()
    };
    EntryState::new(action, Picos::ZERO)
}

/// What became of the operations, so that a run that did nothing of interest is noticed.
#[derive(Debug, Default)]
struct Counts {
    refused: u32,
    evicted: u32,
    hits: u32,
    misses: u32,
}

/// Twice as many keys as slots: insertions and removals alternate around a full table.
fn run(config: &TableConfig) -> (Counts, FlowTable) {
    let mut table = FlowTable::new(config);
    let keys = u64::from(table.capacity()) * 2;
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut map, mut counts) = (BTreeMap::new(), Counts::default());
    for step in 0..OPERATIONS {
        let n = random.random_range(0..keys);
        let k = key(n);
        let found = table.find(&k, table.hash(&k));
        let cookie = found
            .and_then(|slot| table.state(slot))
            .map(|state| state.cookie());
        assert_eq!(cookie, map.get(&n).copied(), "step {step}");
        match random.random_range(0..4) {
            0 | 1 => match table.insert(k, state(step)) {
                Ok(inserted) => {
                    assert!(map.insert(n, step).is_none());
                    if let Some((old, old_state)) = inserted.evicted {
                        counts.evicted += 1;
                        assert_eq!(map.remove(&old.0[1]), Some(old_state.cookie()));
                    }
                }
                Err(InsertError::Duplicate { slot }) => assert_eq!(found, Some(slot)),
                Err(InsertError::Full { .. }) => counts.refused += 1,
            },
            2 => {
                if let Some(slot) = found {
                    let (removed, old) = table.remove(slot).expect("found");
                    assert_eq!((removed, map.remove(&n)), (k, Some(old.cookie())));
                }
            }
            _ if found.is_some() => counts.hits += 1,
            _ => counts.misses += 1,
        }
        assert_eq!(table.occupied() as usize, map.len(), "step {step}");
        if step % 50_000 == 0 {
            // A move must never lose a key that is not being asked for.
            for (n, cookie) in &map {
                let k = key(*n);
                let slot = table.find(&k, table.hash(&k)).expect("present");
                assert_eq!(table.state(slot).map(|state| state.cookie()), Some(*cookie));
            }
        }
    }
    (counts, table)
}

fn table(organisation: Organisation) -> TableConfig {
    TableConfig {
        organisation,
        buckets: 256,
        slots_per_bucket: 4,
        stash_entries: 8,
        search_limit_buckets: 64,
        ..TableConfig::default()
    }
}

#[test]
fn cuckoo_tables_of_every_insertion() {
    for insertion in Insertion::ALL {
        for choices in [2, 4] {
            let config = TableConfig {
                insertion: *insertion,
                choices,
                ..table(Organisation::Cuckoo)
            };
            let (counts, table) = run(&config);
            assert!(
                counts.refused > 0 && counts.hits > 0 && counts.misses > 0,
                "{counts:?}"
            );
            assert!(table.moves() > 1_000, "{} moves", table.moves());
        }
    }
}

#[test]
fn d_left_tables() {
    let (counts, table) = run(&table(Organisation::DLeft));
    assert!(counts.refused > 0 && counts.hits > 0, "{counts:?}");
    assert!(table.occupied() > table.capacity() / 2);
}

#[test]
fn set_associative_tables_of_every_victim() {
    for victim in Victim::ALL {
        let config = TableConfig {
            victim: *victim,
            ..table(Organisation::SetAssociative)
        };
        let (counts, _) = run(&config);
        let gives_way = *victim != Victim::None;
        assert_eq!(counts.evicted > 0, gives_way, "{counts:?}");
        assert_eq!(counts.refused > 0, !gives_way, "{counts:?}");
    }
}

#[test]
fn chained_tables() {
    let config = TableConfig {
        overflow_buckets: 64,
        ..table(Organisation::Chained)
    };
    let (counts, table) = run(&config);
    assert!(counts.refused > 0 && counts.hits > 0, "{counts:?}");
    assert!(table.occupied() > table.capacity() / 2);
}

#[test]
fn a_cam() {
    let config = TableConfig {
        stash_entries: 256,
        ..table(Organisation::Cam)
    };
    let (counts, table) = run(&config);
    assert!(counts.refused > 0 && counts.hits > 0, "{counts:?}");
    assert_eq!(table.capacity(), 256);
}
