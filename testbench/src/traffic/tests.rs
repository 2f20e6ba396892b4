//! What all generators owe, on every built-in scenario.

use super::check::{Checker, digest, take};
use crate::scenario::{BUILTIN, Scenario};

fn frames(name: &str, text: &str, seed: u64) -> Vec<(crate::frame::FrameMeta, Vec<u8>)> {
    let scenario = Scenario::parse(name, text).expect(name);
    take(scenario.traffic(seed).expect(name).as_mut(), 60_000)
}

#[test]
fn sessions_of_every_built_in_scenario_are_sound() {
    for (name, text) in BUILTIN {
        let report = Checker::run(&frames(name, text, 1));
        assert!(report.sessions > 0, "{name}: {report:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_frames_and_another_others() {
    for (name, text) in BUILTIN {
        let once = digest(&frames(name, text, 1));
        assert_eq!(once, digest(&frames(name, text, 1)), "{name}");
        assert_ne!(once, digest(&frames(name, text, 2)), "{name}");
    }
}
