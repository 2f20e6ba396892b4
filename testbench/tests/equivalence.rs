//! The same traffic with and without the card: what differs is by design, and no more than it should be.

use std::process::Command;

fn run(scenario: &str, more: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args([
            "run",
            scenario,
            "--no-wave",
            "--json",
            "--check-equivalence",
        ])
        .args(more)
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{scenario} {more:?}: {errors}"
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn monitor(summary: &serde_json::Value, number: u64) -> &serde_json::Value {
    let all = summary["monitors"].as_array().expect("a list");
    all.iter()
        .find(|monitor| monitor["number"] == number)
        .expect("it is there")
}

#[test]
fn the_card_changes_no_packets_fate() {
    for scenario in ["crr", "syn-flood"] {
        let summary = run(scenario, &[]);
        let checks = monitor(&summary, 5)["checks"].as_u64().expect("a number");
        assert!(checks >= 1_999_000, "{scenario}: {checks}");
    }
    // Two entries a connection, entries that the card evicts by itself, a window checker: all the same.
    let evicting = [
        "--set",
        "aging.action=evict",
        "--set",
        "aging.tcp_timeout_ms=200",
    ];
    run(
        "web",
        &[&["--set", "key.entries=two"], &evicting[..]].concat(),
    );
    run("web", &["--set", "window.check=true"]);
}

#[test]
fn the_card_translates_as_software_does() {
    let offloaded = |summary: &serde_json::Value| {
        let packets = &summary["packets"];
        (packets["hardware"].as_u64(), packets["received"].as_u64())
    };
    let nat = ["--nat", "100.64.0.0/10"];
    // Bytes of every packet that leaves are compared, by either way.
    let (hardware, received) = offloaded(&run("web", &nat));
    assert!(hardware > received.map(|received| received * 9 / 10));
    run("crr", &[&nat[..], &["--set", "key.entries=two"]].concat());
}

#[test]
fn packets_that_overtake_others_are_counted() {
    let overtaken = |summary: &serde_json::Value| {
        let counted = monitor(summary, 6)["counted"].as_array().cloned();
        counted.map_or(0, |counted| counted[0]["count"].as_u64().unwrap_or(0))
    };
    let offloaded = overtaken(&run("mice", &[]));
    let software = overtaken(&run("mice", &["--policy", "never"]));
    assert!(offloaded > 1_000, "{offloaded}");
    assert_eq!(software, 0, "one way keeps the order");
}
