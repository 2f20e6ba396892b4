//! A short campaign: random traffic, cards and faults, every monitor on. The long ones are run by hand (`docs/claims.md`).

use serde_json::Value;
use std::process::Command;

fn soak(runs: &str, first: &str) -> Value {
    let out = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args([
            "soak", "--seed", "11", "--json", "--runs", runs, "--first", first, "--out",
        ])
        .arg(out.path())
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

#[test]
fn whatever_fails_is_survived() {
    let tally = soak("150", "0");
    let failures = tally["failures"].as_array().expect("a list");
    assert!(failures.is_empty(), "{failures:#?}");
    let faults = tally["faults"].as_object().expect("kinds and counts");
    assert_eq!(
        faults.len(),
        testbench::fault::FaultKind::ALL.len(),
        "every kind of fault struck"
    );
    let recovery = tally["checks"]["7 recovery"].as_u64();
    assert!(recovery > Some(100), "{recovery:?}");
}

#[test]
fn a_campaign_is_the_same_every_time() {
    assert_eq!(soak("8", "40"), soak("8", "40"));
}
