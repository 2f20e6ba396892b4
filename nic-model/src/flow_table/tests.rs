//! What every organisation must do, whatever its way of doing it.

use super::*;
use crate::clock::Picos;
use crate::config::{HashFunction, Insertion, Victim};
use crate::datapath::counter::CounterFormat;
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(super) fn key(n: u64) -> FlowKey {
    FlowKey([
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        n,
        0,
        0,
        6 << 32 | 4 << 40,
        0,
    ])
}

fn state(cookie: u32) -> EntryState {
    let action = EntryAction {
        cookie,
        ..EntryAction::default()
    };
    EntryState::new(action, Picos::ZERO)
}

fn find(table: &FlowTable, key: &FlowKey) -> Option<Slot> {
    table.find(key, table.hash(key))
}

fn config(organisation: Organisation, buckets: u32, slots_per_bucket: u32) -> TableConfig {
    TableConfig {
        organisation,
        buckets,
        slots_per_bucket,
        stash_entries: 0,
        ..TableConfig::default()
    }
}

/// Inserts until one is refused; how many were not.
fn fill(table: &mut FlowTable) -> u64 {
    (0..)
        .find(|n| table.insert(key(*n), state(*n as u32)).is_err())
        .unwrap_or(0)
}

#[test]
fn two_choices_of_four_slots_fill_to_ninety_five_percent() {
    // The threshold of (2,4) cuckoo hashing is 0.980 (Fountoulakis, Khosla, Panagiotou 2011); a bounded search stays a little
    // below it.
    let mut table = FlowTable::new(&config(Organisation::Cuckoo, 4_096, 4));
    let count = fill(&mut table);
    let load = f64::from(table.occupied()) / f64::from(table.capacity());
    assert!(load > 0.95, "load at the first failure is {load}");
    assert!((0..count).all(|n| find(&table, &key(n)).is_some()));
    assert!(table.moves() > 0);
}

#[test]
fn more_work_fills_a_cuckoo_table_further() {
    let load = |insertion| {
        let mut table = FlowTable::new(&TableConfig {
            insertion,
            ..config(Organisation::Cuckoo, 4_096, 4)
        });
        fill(&mut table) as f64 / f64::from(table.capacity())
    };
    let all = [
        Insertion::OneStep,
        Insertion::RandomWalk,
        Insertion::BreadthFirst,
    ]
    .map(load);
    assert!(all[0] < all[1] && all[0] < all[2], "{all:?}");
    assert!(all[0] > 0.7 && all[1] > 0.9, "{all:?}");
}

#[test]
fn a_d_left_table_never_moves_anything() {
    let mut table = FlowTable::new(&config(Organisation::DLeft, 4_096, 4));
    let count = fill(&mut table);
    assert_eq!(table.moves(), 0);
    assert!(count > 8_192, "{count}");
}

#[test]
fn a_refused_insertion_leaves_the_table_as_it_was() {
    for insertion in Insertion::ALL {
        let mut table = FlowTable::new(&TableConfig {
            insertion: *insertion,
            stash_entries: 1,
            ..config(Organisation::Cuckoo, 2, 1)
        });
        let mut inserted = Vec::new();
        let mut refused = 0;
        for n in 0..20 {
            match table.insert(key(n), state(n as u32)) {
                Ok(_) => inserted.push(n),
                Err(InsertError::Full { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(inserted.len(), table.occupied() as usize);
        assert!(refused > 0 && table.stash_occupied() == 1);
        for n in inserted {
            let slot = find(&table, &key(n)).expect("inserted keys stay");
            assert_eq!(table.state(slot).map(|s| s.cookie()), Some(n as u32));
        }
    }
}

#[test]
fn a_stashed_entry_returns_to_a_freed_slot_with_its_state() {
    let mut table = FlowTable::new(&TableConfig {
        stash_entries: 4,
        ..config(Organisation::Cuckoo, 2, 1)
    });
    for n in 0..6 {
        table.insert(key(n), state(n as u32)).ok();
    }
    let before = table.stash_occupied();
    assert!(before >= 1);
    let main = table
        .slots_in_use()
        .find(|slot| !table.is_stash(*slot))
        .expect("one in the main table");
    table.remove(main);
    let [(old, new)] = table.moved() else {
        panic!("with two buckets of one slot every stashed key fits");
    };
    let (old, new) = (*old, *new);
    assert!(table.is_stash(old) && new == main);
    assert_eq!(table.stash_occupied(), before - 1);
    let key_there = table.key(new).expect("in use");
    assert_eq!(find(&table, &key_there), Some(new));
}

#[test]
fn the_entry_idle_for_longest_gives_way() {
    let mut table = FlowTable::new(&TableConfig {
        victim: Victim::Lru,
        ..config(Organisation::SetAssociative, 1, 4)
    });
    let at = |seconds| EntryState::new(EntryAction::default(), Picos::from_secs(seconds));
    for (n, seconds) in [30, 10, 20, 40].into_iter().enumerate() {
        assert!(table.insert(key(n as u64), at(seconds)).is_ok());
    }
    let evicted = |table: &mut FlowTable, n: u64| {
        let inserted = table.insert(key(n), at(70)).expect("somebody gives way");
        inserted.evicted.expect("the bucket was full").0
    };
    assert_eq!(evicted(&mut table, 10), key(1));
    let slot = find(&table, &key(2)).expect("there");
    let hit = Picos::from_secs(60);
    table.with_state(slot, |state| {
        state.count(
            KeyDirection::LowerToHigher,
            40,
            hit,
            &CounterFormat::default(),
        )
    });
    assert_eq!(evicted(&mut table, 11), key(0));
    assert_eq!(table.occupied(), 4);
}

#[test]
fn chains_become_longer_and_shorter() {
    let mut table = FlowTable::new(&TableConfig {
        overflow_buckets: 3,
        ..config(Organisation::Chained, 1, 2)
    });
    let reads = |table: &FlowTable, n| {
        let (hashes, mut count) = (table.hash(&key(n)), 0);
        table.buckets_read(hashes, table.find(&key(n), hashes), |_| count += 1);
        count
    };
    assert_eq!(fill(&mut table), 8);
    assert_eq!(
        [0, 1, 2, 6, 7, 99].map(|n| reads(&table, n)),
        [1, 1, 2, 4, 4, 4]
    );
    let slot = find(&table, &key(0)).expect("there");
    table.remove(slot);
    assert_eq!(
        reads(&table, 7),
        1,
        "the last takes the place that became free"
    );
    for n in 1..7 {
        let slot = find(&table, &key(n)).expect("there");
        table.remove(slot);
    }
    assert_eq!((reads(&table, 99), table.occupied()), (1, 1));
    assert_eq!(find(&table, &key(7)), Some(Slot(0)));
}

/// A small table of any organisation.
fn any_config() -> impl Strategy<Value = TableConfig> {
    (
        proptest::sample::select(Organisation::ALL),
        proptest::sample::select(Insertion::ALL),
        (1u32..=4, 0u32..3, 1u32..=4),
        (0u32..4, 0u32..4),
        any::<bool>(),
    )
        .prop_map(
            |(organisation, insertion, (choices, bits, slots), (stash, overflow), keyed)| {
                let mut config = TableConfig {
                    organisation,
                    insertion,
                    choices,
                    slots_per_bucket: slots,
                    stash_entries: stash,
                    overflow_buckets: overflow,
                    search_limit_buckets: 12,
                    ..TableConfig::default()
                };
                config.buckets = config.choices_used().max(1) << bits;
                if keyed {
                    config.hash_1 = HashFunction::SipHash;
                }
                config
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_organisation_agrees_with_a_plain_map(
        config in any_config(),
        ops in proptest::collection::vec((0u8..3, 0u64..48), 1..300),
    ) {
        let mut table = FlowTable::new(&config);
        let mut model = BTreeMap::new();
        for (step, (op, n)) in ops.into_iter().enumerate() {
            let k = key(n);
            match op {
                0 => match table.insert(k, state(step as u32)) {
                    Ok(inserted) => {
                        prop_assert!(model.insert(n, step as u32).is_none());
                        prop_assert_eq!(find(&table, &k), Some(inserted.slot));
                        prop_assert!(inserted.evicted.is_none());
                    }
                    Err(InsertError::Duplicate { .. }) => prop_assert!(model.contains_key(&n)),
                    Err(InsertError::Full { .. }) => prop_assert!(!model.contains_key(&n)),
                },
                1 => if let Some(slot) = find(&table, &k) {
                    let (removed, old) = table.remove(slot).expect("found");
                    prop_assert_eq!(removed, k);
                    prop_assert_eq!(model.remove(&n), Some(old.cookie()));
                } else {
                    prop_assert!(!model.contains_key(&n));
                },
                _ => {
                    let cookie = find(&table, &k).and_then(|slot| table.state(slot)).map(|s| s.cookie());
                    prop_assert_eq!(cookie, model.get(&n).copied());
                }
            }
            prop_assert_eq!(table.occupied() as usize, model.len());
            prop_assert_eq!(table.slots_in_use().count(), model.len());
            for (m, cookie) in &model {
                let slot = find(&table, &key(*m));
                prop_assert_eq!(slot.and_then(|s| table.state(s)).map(|s| s.cookie()), Some(*cookie));
            }
        }
        table.clear();
        prop_assert_eq!((table.occupied(), table.slots_in_use().count()), (0, 0));
    }
}
