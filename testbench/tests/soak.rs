//! A short campaign: random traffic, cards and faults, every monitor on. The long ones are run by hand (`docs/claims.md`).

mod common;

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

/// A card that asks about idle entries in step with the driver's timer: commands that keep them are always on their way, and the
/// driver must come to read the table all the same (found by a campaign).
#[test]
fn a_card_that_always_asks_does_not_hold_up_a_repair() {
    let scenario = r#"
name = "always-asks"
description = "a report comes late, and entries are asked about every 20 ms"
seed = 127099091
[stop]
packets = 225
duration_ms = 339
[driver]
policy = "established"
[[fault]]
kind = "full-reset"
at_ms = 195
[[fault]]
kind = "reorder-event"
nth = 104
[nic]
preset = "cam-switch"
[nic.aging]
action = "ask"
scan_period_ms = 20
udp_timeout_ms = 80
[nic.firmware]
clock_khz = 5000
[nic.key]
entries = "two"
[[traffic]]
kind = "udp-queries"
clients = 2
servers = 1
ipv6_share = 1.0
queries_per_second = 200
"#;
    common::holds_as(scenario);
}

#[test]
fn a_campaign_is_the_same_every_time() {
    assert_eq!(soak("8", "40"), soak("8", "40"));
}
