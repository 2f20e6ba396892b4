//! Each profile does what is documented of the driver it is named after, and every way of reading counters loses none.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Connections with long pauses, for three quarters of a minute.
const QUIET: &str = r#"
name = "quiet"
description = "short"
[stop]
duration_ms = 46_000
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 40
clients = 400
servers = 8
requests_per_session_mean = 3
think_time_ms_mean = 8_000
endings = { client_fin = 0.5, server_fin = 0.2, reset = 0.1, abandoned = 0.2, refused = 0.0 }
[[traffic]]
kind = "udp-queries"
queries_per_second = 40
clients = 400
servers = 2
"#;

fn ctnic(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    output.stdout
}

/// The summaries of a scenario under profiles.
fn under(text: &str, profiles: &[&str], more: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("run.toml"), text).expect("written");
    let with = profiles.iter().flat_map(|name| ["--with", *name]);
    let arguments: Vec<&str> = ["profiles", "run.toml", "--json"]
        .into_iter()
        .chain(with)
        .chain(more.iter().copied())
        .collect();
    let runs = ctnic(folder.path(), &arguments);
    serde_json::from_slice(&runs).expect("summaries")
}

/// A quantile of a distribution of times, in seconds.
fn seconds(run: &Value, times: &str, which: &str) -> f64 {
    let ns = run[times][which].as_f64();
    ns.unwrap_or_else(|| panic!("{times}.{which}")) / 1e9
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn refused(run: &Value, cause: &str) -> u64 {
    let list = run["connections"]["refused"].as_array().expect("a list");
    let found = list.iter().find(|entry| entry["cause"] == cause);
    found.map_or(0, |entry| number(&entry["count"]))
}

#[test]
fn idle_and_closed_connections_leave_when_each_driver_lets_them() {
    let names = ["ctnic", "linux-flowtable", "act-ct-mlx5", "ovs-revalidator"];
    let runs = under(QUIET, &names, &[]);
    let [ctnic, linux, mlx5, ovs] = runs.as_slice() else {
        panic!("four runs");
    };
    let idle = |run, which| seconds(run, "idle_to_removal", which);
    // ctnic: the card scans once a second. Linux: a look a second, at counters up to a second old, and with mlx5 those are what
    // the last bulk reading saw. Open vSwitch: ten seconds, a look every half.
    let (least, most) = (idle(ctnic, "min_ns"), idle(ctnic, "max_ns"));
    assert!(least > 29.9 && most < 31.1, "{least} {most}");
    assert!((30.0..31.0).contains(&idle(linux, "p50_ns")) && idle(linux, "max_ns") < 31.2);
    assert!((30.5..31.5).contains(&idle(mlx5, "p50_ns")));
    assert!((31.2..32.2).contains(&idle(mlx5, "max_ns")));
    assert!((10.0..10.7).contains(&idle(ovs, "p50_ns")) && idle(ovs, "max_ns") < 11.2);
    let close = |run, which| seconds(run, "close_to_removal", which);
    for at_once in [ctnic, ovs] {
        assert!(close(at_once, "max_ns") < 0.01);
    }
    for later in [linux, mlx5] {
        assert!((0.3..0.7).contains(&close(later, "p50_ns")));
        assert!((0.8..1.2).contains(&close(later, "max_ns")));
    }
    let late = |run: &Value| number(&run["counters"]["peak_lag_ns"]) as f64 / 1e9;
    assert!(late(ctnic) < 0.6 && late(mlx5) < 1.1 && (2.5..4.2).contains(&late(linux)));
    let asked = |run: &Value| number(&run["counters"]["asked"]);
    assert!(asked(linux) > 1_000);
    assert_eq!([ctnic, mlx5, ovs].map(asked), [0; 3]);
    for run in &runs {
        assert_eq!(run["counters"]["reconciled"], true);
    }
}

/// nf_flow_table's statistics were once queued behind insertions: connections that carried traffic aged out.
#[test]
fn statistics_that_come_too_late_cost_live_connections() {
    let busy = r#"
name = "busy"
description = "1,500 connections that all send every few seconds"
[stop]
duration_ms = 70_000
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 300
clients = 1_500
servers = 4
max_concurrent_sessions = 1_500
requests_per_session_mean = 60
think_time_ms_mean = 3_000
request = { distribution = "fixed", bytes = 200 }
response = { distribution = "fixed", bytes = 200 }
"#;
    let slow = ["--set", "firmware.counter_read_cycles=20000000"];
    let runs = under(busy, &["ctnic", "linux-flowtable"], &slow);
    let aged = |run: &Value| {
        let list = run["connections"]["un_offloaded"]
            .as_array()
            .expect("a list");
        let found = list.iter().find(|entry| entry["cause"] == "aged");
        found.map_or(0, |entry| number(&entry["count"]))
    };
    assert!(aged(&runs[0]) < 5, "{}", aged(&runs[0]));
    assert!(aged(&runs[1]) > 100, "{}", aged(&runs[1]));
    // They had been hit just before.
    assert!(seconds(&runs[1], "idle_to_removal", "p50_ns") < 10.0);
}

#[test]
fn half_an_offload_is_success_for_some() {
    let text = QUIET.replace("46_000", "3_000") + "[nic]\npreset = \"fpga-small\"\n";
    let card = [
        "--set",
        "key.entries=two",
        "--set",
        "table.buckets=16",
        "--set",
        "table.organisation=set-associative",
    ];
    let runs = under(&text, &["ctnic", "linux-flowtable"], &card);
    let half = |run: &Value| {
        let list = run["connections"]["reasons"].as_array().expect("a list");
        let found = list.iter().find(|entry| entry["why"] == "half");
        found.map_or(0, |entry| number(&entry["count"]))
    };
    assert!(refused(&runs[0], "table-full") > 0);
    assert_eq!(half(&runs[0]), 0);
    assert!(half(&runs[1]) > 0);
}

#[test]
fn counters_that_rest_are_not_there_for_others() {
    let churn = r#"
name = "churn"
description = "Short connections, one after the other"
[stop]
duration_ms = 3_000
[[traffic]]
kind = "crr"
connections_per_second = 2_000
clients = 100
servers = 4
[nic]
preset = "fpga-small"
"#;
    let runs = under(churn, &["ctnic", "dpdk"], &[]);
    assert_eq!(refused(&runs[0], "no-counter"), 0);
    assert!(refused(&runs[1], "no-counter") > 100);
    let resting = number(&runs[1]["counters"]["peak_resting"]);
    let capacity = number(&runs[1]["table"]["capacity"]);
    assert!(resting > capacity / 2 && resting <= capacity, "{resting}");
}

#[test]
fn every_way_of_reading_counters_loses_none() {
    let text = QUIET.replace("46_000", "4_000").replace("8_000", "300");
    let mut costs = Vec::new();
    for counters in ["push", "push:50", "poll:250", "on-demand"] {
        let runs = under(&text, &["ctnic"], &["--counters", counters]);
        let counted = &runs[0]["counters"];
        assert_eq!(counted["reconciled"], true, "{counters}");
        let broken = runs[0]["monitors"].as_array().expect("a list").iter();
        assert_eq!(broken.filter(|m| m["violations"] != 0).count(), 0);
        costs.push((number(&counted["records"]), number(&counted["asked"])));
    }
    let [push, often, poll, on_demand] = costs[..] else {
        panic!("four ways");
    };
    assert!(often.0 > push.0 && push.1 == 0, "{costs:?}");
    assert!(poll.0 > 0 && poll.1 == 0, "{costs:?}");
    assert!(on_demand.0 == 0 && on_demand.1 > 0, "{costs:?}");
}

#[test]
fn the_profiles_are_listed_and_wrong_names_are_told() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let list = String::from_utf8(ctnic(folder.path(), &["profiles"])).expect("text");
    for profile in driver::PROFILES {
        assert!(list.contains(profile.name) && list.contains(profile.about));
    }
    for arguments in [
        ["run", "quiet", "--profile", "bsd"],
        ["run", "quiet", "--counters", "pull"],
        ["profiles", "quiet", "--with", "bsd"],
        ["profiles", "quiet", "--profile", "dpdk"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
