//! Rules and meters in front of the host, through the whole path: the invariants hold, and every packet is accounted for.

use std::path::Path;
use std::process::Command;

fn run(folder: &Path, card: &str) -> serde_json::Value {
    let path = folder.join("card.toml");
    std::fs::write(&path, card).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(["run", "web", "--no-wave", "--json", "--nic", "card.toml"])
        .current_dir(folder)
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn count(summary: &serde_json::Value, list: &str, reason: &str) -> u64 {
    let found = summary[list]
        .as_array()
        .and_then(|all| all.iter().find(|count| count["reason"] == reason));
    found
        .and_then(|count| count["packets"].as_u64())
        .unwrap_or(0)
}

#[test]
fn rules_decide_before_the_flow_table() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let plain = run(folder.path(), "");
    let ruled = run(
        folder.path(),
        "[[classifier.rule]]\naction = \"host\"\nprotocol = 17\n\
         [[classifier.rule]]\naction = \"chain\"\nchain_to = 1\nprotocol = 6\n\
         [[classifier.rule]]\naction = \"mirror\"\nmirror_to = 1\nchain = 1\ndestination_port = 443\n",
    );
    assert_eq!(count(&plain, "to_host", "classifier"), 0);
    assert!(count(&ruled, "to_host", "classifier") > 100);
    let received = |summary: &serde_json::Value| summary["packets"]["received"].as_u64();
    assert_eq!(received(&plain), received(&ruled), "the same traffic");
    let searches = ruled["table"]["classifier"]["searches"]
        .as_u64()
        .expect("a number");
    assert!(
        Some(searches) > received(&ruled),
        "a chain is another search"
    );
    assert!(
        ruled["table"]["mirrored"].as_u64() > Some(100),
        "{}",
        ruled["table"]
    );
    let dropped = run(
        folder.path(),
        "[[classifier.rule]]\naction = \"drop\"\nprotocol = 17\n",
    );
    assert!(count(&dropped, "dropped", "classifier") > 50);
}

#[test]
fn a_meter_lets_its_rate_through() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let metered = run(
        folder.path(),
        "[meter]\nmiss_per_s = 20000\nburst_packets = 100\n",
    );
    let passed = count(&metered, "to_host", "miss");
    assert!(
        count(&metered, "dropped", "metered") > 100,
        "{}",
        metered["dropped"]
    );
    let seconds = metered["run"]["simulated_seconds"]
        .as_f64()
        .expect("a number");
    assert!(
        (passed as f64) < 20_000.0 * (seconds + 0.1) + 100.0,
        "{passed} in {seconds} s"
    );
}
