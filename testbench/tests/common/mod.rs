//! Built-in scenarios, shortened, through the `ctnic` command.
#![allow(dead_code, reason = "every test uses some of it")]

use serde_json::Value;
use std::process::Command;

/// Frames of a shortened scenario.
pub(crate) const PACKETS: u64 = 600_000;

/// Runs a built-in scenario with this card; exit code and summary.
pub(crate) fn run(scenario: &str, card: &str, more: &[&str]) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let known = testbench::scenario::BUILTIN.iter();
    let text = known.clone().find(|(name, _)| *name == scenario);
    let (_, text) = text.expect("a built-in scenario");
    let short = text.replace("packets = 2_000_000", &format!("packets = {PACKETS}"));
    assert_ne!(&short, text, "{scenario} has a number of packets");
    for (name, text) in [("scenario.toml", &*short), ("card.toml", card)] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args([
            "run",
            "scenario.toml",
            "--no-wave",
            "--json",
            "--nic",
            "card.toml",
        ])
        .args(more)
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    let summary = serde_json::from_slice(&output.stdout);
    (
        output.status.code(),
        summary.unwrap_or_else(|error| panic!("{error}: {errors}")),
    )
}

/// The same, and every invariant must hold.
pub(crate) fn holds(scenario: &str, card: &str, more: &[&str]) -> Value {
    let (code, summary) = run(scenario, card, more);
    assert_eq!(
        code,
        Some(0),
        "{scenario} {card} {more:?}: {:?}",
        summary["monitors"]
    );
    summary
}

/// Runs a scenario, whose every invariant must hold.
pub(crate) fn holds_as(scenario: &str) -> Value {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("run.toml"), scenario).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(["run", "run.toml", "--json", "--no-wave"])
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).expect("a summary")
}

/// A number of the summary, such as `("packets", "hardware")`.
pub(crate) fn number(summary: &Value, section: &str, name: &str) -> u64 {
    let value = summary[section][name].as_u64();
    value.unwrap_or_else(|| panic!("{section}.{name} is a number"))
}

/// How many packets came to the host, or were dropped, for a reason.
pub(crate) fn packets(summary: &Value, list: &str, reason: &str) -> u64 {
    in_list(&summary[list], "reason", reason, "packets")
}

/// How many connections left the hardware for a cause.
pub(crate) fn removed(summary: &Value, cause: &str) -> u64 {
    in_list(
        &summary["connections"]["un_offloaded"],
        "cause",
        cause,
        "count",
    )
}

fn in_list(list: &Value, key: &str, name: &str, value: &str) -> u64 {
    let all = list.as_array().expect("a list");
    let found = all.iter().find(|entry| entry[key] == name);
    found.and_then(|entry| entry[value].as_u64()).unwrap_or(0)
}

/// The verdict of a monitor.
pub(crate) fn monitor(summary: &Value, number: u64) -> &Value {
    let all = summary["monitors"].as_array().expect("a list");
    let found = all.iter().find(|monitor| monitor["number"] == number);
    found.expect("it is there")
}
