//! Every order of packets, completions, reports, faults and the host's own work, for two connections, up to a depth: the life of an
//! offloaded connection ends well from every state that can be reached.
//!
//! The card is `PlainBoard`, which does nothing by itself: each `Step` is one thing that happens, and between any two of them any
//! other may. States are told apart by the driver's outline, what is on its way, and what has happened to each connection.
//! From every state the run is brought to an end without further faults, and judged.
//!
//! `CTNIC_EXPLORE_DEPTH` explores deeper than the test does by itself.
#![allow(clippy::print_stderr, reason = "how much was explored is to be seen")]

mod world;

use driver::plain_board::PlainBoard;
use driver::{
    AtClose, CollectorConfig, Counting, DeviceError, Driver, Flaw, Flaws, Habits, Platform,
    device::Layout, policy,
};
use nic_model::config::{Entries, KeyConfig};
use std::collections::{BTreeSet, VecDeque};
use world::Step::*;
use world::{MOST_FAULTS, MOST_IDLE, MOST_TICKS, STEPS, Step, System, World, config, replay};

/// What an exploration came by.
#[derive(Debug, Default)]
struct Explored {
    states: usize,
    transitions: usize,
}

/// All paths up to a depth, states that are alike once; or what goes wrong, and after what.
fn explore(system: System, depth: usize) -> Result<Explored, String> {
    let mut seen = BTreeSet::new();
    let mut explored = Explored::default();
    let mut frontier: VecDeque<Vec<Step>> = VecDeque::from([Vec::new()]);
    while let Some(path) = frontier.pop_front() {
        let world = replay(system, &path);
        let count = |which: fn(&Step) -> bool| path.iter().filter(|step| which(step)).count();
        let faults = count(|step| step.is_fault());
        let ticks = count(|step| *step == Tick);
        let idle = count(|step| matches!(step, Idle(_)));
        for step in STEPS {
            let allowed = world.allows(step)
                && !(step.is_fault() && faults == MOST_FAULTS)
                && !(step == Tick && ticks == MOST_TICKS)
                && !(matches!(step, Idle(_)) && idle == MOST_IDLE);
            if !allowed {
                continue;
            }
            explored.transitions += 1;
            let mut next = path.clone();
            next.push(step);
            let mut world = replay(system, &next);
            if !seen.insert(world.fingerprint()) {
                continue;
            }
            world.settle();
            if let Err(wrong) = world.judge() {
                return Err(format!("{wrong}\nafter {next:?}"));
            }
            if next.len() < depth {
                frontier.push_back(next);
            }
        }
    }
    explored.states = seen.len();
    Ok(explored)
}

/// How deep to explore.
fn depth() -> usize {
    let depth = std::env::var("CTNIC_EXPLORE_DEPTH").ok();
    depth.and_then(|depth| depth.parse().ok()).unwrap_or(6)
}

#[test]
fn the_life_of_two_connections_ends_well_from_every_state() {
    let depth = depth();
    for entries in [Entries::Both, Entries::EachWay] {
        let explored = explore(System::of(entries), depth);
        let explored = explored.unwrap_or_else(|wrong| panic!("{entries:?}: {wrong}"));
        eprintln!("{entries:?}, depth {depth}: {explored:?}");
        assert!(explored.states > 1_000, "{explored:?}");
    }
}

/// The same for drivers that find idle connections themselves and ask for counters, or read the whole table for them.
#[test]
fn other_habits_end_well_too() {
    let collector = CollectorConfig {
        every_ms: 100,
        timeout_ms: 300,
        ask_below_permille: 1_000,
        limit: None,
    };
    let asking = Habits {
        counting: Counting::OnDemand,
        collector: Some(collector),
        at_close: AtClose::Later,
        half_is_enough: true,
        one_request: true,
        ..Habits::default()
    };
    let reading = Habits {
        counting: Counting::Poll(200),
        collector: Some(collector),
        at_close: AtClose::EntryLater,
        ..Habits::default()
    };
    for habits in [asking, reading] {
        for entries in [Entries::Both, Entries::EachWay] {
            let system = System {
                habits,
                ..System::of(entries)
            };
            let explored = explore(system, 6);
            let explored = explored.unwrap_or_else(|wrong| panic!("{system:?}: {wrong}"));
            eprintln!("{:?}, {entries:?}: {explored:?}", habits.counting);
            assert!(explored.states > 500, "{explored:?}");
        }
    }
}

/// Marks change while entries come and go: in the end every entry has that of its connection.
#[test]
fn marks_come_to_the_entries_in_every_order() {
    for entries in [Entries::Both, Entries::EachWay] {
        let system = System {
            markings: true,
            ..System::of(entries)
        };
        let explored = explore(system, depth());
        let explored = explored.unwrap_or_else(|wrong| panic!("{system:?}: {wrong}"));
        eprintln!("marks, {entries:?}, depth {}: {explored:?}", depth());
        assert!(explored.states > 1_000, "{explored:?}");
        let flawed = System {
            flaws: Flaws::default().with(Flaw::MarkingNotFollowed),
            ..system
        };
        explore(flawed, 4).expect_err("an entry has an old mark");
    }
}

/// The exploration can fail: drivers with mistakes do not end well from every state.
#[test]
fn mistakes_are_found() {
    for flaw in [
        Flaw::NeverRetried,
        Flaw::RetryUnmarked,
        Flaw::TableNotRead,
        Flaw::DeletionNotFollowed,
    ] {
        let system = System {
            flaws: Flaws::default().with(flaw),
            ..System::of(Entries::Both)
        };
        let found = explore(system, 6).expect_err(flaw.name());
        eprintln!("{}: {found}", flaw.name());
    }
}

/// The state file holds all that a successor needs, in the middle of an insertion and of a removal too.
#[test]
fn a_successor_takes_over_with_a_state_file() {
    let installed = [Packet(0), Poll, Execute, Complete, Poll];
    let paths: [&[Step]; 4] = [
        &installed[..2],
        &installed[..3],
        &installed,
        &[
            Packet(0),
            Poll,
            Execute,
            Complete,
            Poll,
            Packet(0),
            Delete(0),
            Execute,
        ],
    ];
    for entries in [Entries::Both, Entries::EachWay] {
        for path in paths {
            let mut world = replay(System::of(entries), path);
            let file = serde_json::to_string(&world.driver.state()).expect("JSON");
            let state = serde_json::from_str(&file).expect(&file);
            assert_eq!(world.driver.state(), state);
            let (board, told) = (&mut world.board, &mut world.told);
            let tracker = world.driver.end_process(board, told).expect("it ends");
            board.memory().free_all();
            let policy = policy::by_name("established").expect("a policy");
            world.driver = Driver::take_over(
                board,
                config(System::of(Entries::Both)),
                policy,
                tracker,
                &state,
            )
            .expect("it takes over");
            world.settle();
            world
                .judge()
                .unwrap_or_else(|wrong| panic!("{entries:?} {path:?}: {wrong}"));
        }
    }
}

/// A card of an earlier minor version is driven as it can be, and not as it cannot.
#[test]
fn versions_are_negotiated() {
    let start = |version: u32, habits: Habits| {
        let config = config(System {
            habits,
            ..System::of(Entries::Both)
        });
        let bytes = Layout::memory_bytes(&config.rings, config.buffer_bytes);
        let board = PlainBoard::new(4, &KeyConfig::default(), bytes);
        let policy = policy::by_name("established").expect("a policy");
        Driver::start(&mut board.of_version(version), config, policy).err()
    };
    let asking = Habits {
        counting: Counting::OnDemand,
        ..Habits::default()
    };
    assert_eq!(start(0x0002_0000, Habits::default()), None);
    assert_eq!(start(0x0002_0001, asking), None);
    assert_eq!(start(0x0002_0007, asking), None);
    let lacks = start(0x0002_0000, asking).expect("refused").to_string();
    assert!(
        lacks.contains("2.0") && lacks.contains("needs 2.1"),
        "{lacks}"
    );
    let other = start(0x0003_0000, Habits::default());
    assert_eq!(other, Some(DeviceError::Version { found: 0x0003_0000 }));
}

#[test]
fn a_state_file_of_another_version_is_refused() {
    let mut world = World::new(System::of(Entries::Both));
    let file = serde_json::to_string(&world.driver.state()).expect("JSON");
    let file = file.replace("\"version\":4", "\"version\":9");
    let state = serde_json::from_str(&file).expect(&file);
    let (board, told) = (&mut world.board, &mut world.told);
    let tracker = world.driver.end_process(board, told).expect("it ends");
    let policy = policy::by_name("established").expect("a policy");
    let refused = Driver::take_over(
        board,
        config(System::of(Entries::Both)),
        policy,
        tracker,
        &state,
    );
    assert_eq!(refused.err(), Some(DeviceError::State { found: 9 }));
}
