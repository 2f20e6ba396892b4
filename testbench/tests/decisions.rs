//! What goes into hardware, what gives way, and what is said about it: through the whole path.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

const TRAFFIC: &str = r#"
[stop]
duration_ms = 600
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 400
clients = 40
servers = 4
max_concurrent_sessions = 5_000
[nic]
preset = "fpga-small"
"#;

/// Runs a scenario whose monitors must all hold; its summary.
fn run(folder: &Path, head: &str, more: &[&str]) -> Value {
    let text = format!("name = \"x\"\ndescription = \"y\"\n{head}\n{TRAFFIC}");
    std::fs::write(folder.join("run.toml"), text).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(["run", "run.toml", "--no-wave", "--json", "--out", "out"])
        .args(more)
        .current_dir(folder)
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{head}: {errors}");
    serde_json::from_slice(&output.stdout).expect("a summary")
}

fn count(list: &Value, key: &str, name: &str) -> u64 {
    let mut entries = list.as_array().into_iter().flatten();
    let found = entries.find(|entry| entry[key] == name);
    found.and_then(|entry| entry["count"].as_u64()).unwrap_or(0)
}

#[test]
fn every_connection_says_why_it_is_where_it_is() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let summary = run(folder.path(), "", &["--explain"]);
    let connections = &summary["connections"];
    let live = connections["live_at_end"].as_u64().expect("a number");
    let reasons = connections["reasons"].as_array().expect("a list");
    let total: u64 = reasons.iter().filter_map(|r| r["count"].as_u64()).sum();
    assert_eq!(total, live);
    let installed = count(&connections["reasons"], "why", "installed");
    assert_eq!(connections["in_hardware_at_end"].as_u64(), Some(installed));
    let csv = std::fs::read_to_string(folder.path().join("out/explain.csv")).expect("written");
    assert_eq!(csv.lines().count() as u64, live + 1);
}

#[test]
fn a_zone_has_no_more_in_hardware_than_it_may() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let limits = "[driver]\nzone_limits = { 0 = 3 }";
    let summary = run(folder.path(), limits, &["--explain=300"]);
    assert_eq!(summary["table"]["peak_occupied"], 3);
    assert!(count(&summary["connections"]["waits"], "why", "zone-limit") > 0);
    let csv = std::fs::read_to_string(folder.path().join("out/explain.csv")).expect("written");
    assert!(csv.contains(",zone-limit,"), "{csv}");
}

#[test]
fn nothing_is_in_hardware_after_the_driver_stopped() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let stop = "[[action]]\nkind = \"stop\"\nat_ms = 300";
    let summary = run(folder.path(), stop, &[]);
    assert_eq!(summary["table"]["occupied_at_end"], 0);
    let out = &summary["connections"]["un_offloaded"];
    assert!(count(out, "cause", "stopped") > 0);
    assert!(count(&summary["connections"]["reasons"], "why", "stopped") > 0);
}

#[test]
fn who_sends_least_gives_way() {
    let mice = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/field-failures/mice-hold-the-table.toml"
    );
    let folder = tempfile::tempdir().expect("a temporary directory");
    let share = |evict: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
            .args(["run", mice, "--no-wave", "--json", "--evict", evict])
            .current_dir(folder.path())
            .output()
            .expect("runs");
        let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
        summary["packets"]["hit_rate_bytes"]
            .as_f64()
            .expect("a number")
    };
    let [none, lru, least] = ["none", "lru", "least-traffic"].map(share);
    assert!(
        none < 0.1 && lru > 0.5 && least > 0.9,
        "{none} {lru} {least}"
    );
}

/// The second one: bits turn over where nothing guards them, and an entry goes by another's name.
#[test]
fn a_killed_driver_and_a_mistaken_entry_are_survived() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let check = "check_equivalence = true";
    let killed = format!("{check}\n[[fault]]\nkind = \"driver-killed\"\nat_ms = 200\nfor_ms = 30");
    let summary = run(folder.path(), &killed, &[]);
    assert!(summary["connections"]["offloaded"].as_u64() > Some(100));
    let flipped = format!("{check}\n[[fault]]\nkind = \"table-bit-flip\"\nat_ms = 200\ncount = 2");
    let unguarded = ["--set", "memory.protection=none"];
    let summary = run(folder.path(), &flipped, &unguarded);
    let recovery = summary["monitors"].as_array().into_iter().flatten();
    let recovery = recovery.last().expect("monitors");
    assert!(count(&recovery["counted"], "cause", "readings of the table") > 0);
}
