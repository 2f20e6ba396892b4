//! The same traffic with and without the card: what differs is by design, and no more than it should be.

mod common;

use common::{PACKETS, holds, monitor, number, packets};

fn compare(scenario: &str, card: &str, more: &[&str]) -> serde_json::Value {
    let more = [&["--check-equivalence"], more].concat();
    let summary = holds(scenario, card, &more);
    let checks = monitor(&summary, 5)["checks"].as_u64();
    assert!(checks > Some(PACKETS - 1_000), "{scenario}: {checks:?}");
    summary
}

#[test]
fn the_card_changes_no_packets_fate() {
    for scenario in ["crr", "syn-flood"] {
        compare(scenario, "", &[]);
    }
    // Two entries a connection, entries that the card evicts by itself, a window checker: all the same.
    let evicting = "[aging]\naction = \"evict\"\ntcp_timeout_ms = 100\n[key]\nentries = \"two\"\n";
    compare("web", evicting, &[]);
    compare("web", "[window]\ncheck = true\n", &[]);
}

#[test]
fn the_card_translates_as_software_does() {
    // Bytes of every packet that leaves are compared, by either way.
    let nat = ["--nat", "100.64.0.0/10"];
    let one = compare("web", "", &nat);
    assert!(number(&one, "packets", "hardware") > PACKETS * 8 / 10);
    compare("crr", "[key]\nentries = \"two\"\n", &nat);
}

#[test]
fn packets_that_overtake_others_are_counted() {
    let overtaken = |summary: &serde_json::Value| {
        let counted = monitor(summary, 6)["counted"].as_array().cloned();
        counted.map_or(0, |counted| counted[0]["count"].as_u64().unwrap_or(0))
    };
    let offloaded = overtaken(&compare("mice", "", &[]));
    let software = overtaken(&compare("mice", "", &["--policy", "never"]));
    assert!(offloaded > 1_000, "{offloaded}");
    let none = compare("web", "", &[]);
    let barred = compare("web", "", &["--barrier", "10000"]);
    assert!(overtaken(&none) > 100 && packets(&barred, "to_host", "barrier") > 0);
    assert_eq!(
        overtaken(&barred),
        0,
        "an entry waits until nothing is in the host"
    );
    let hit_rate = |summary: &serde_json::Value| summary["packets"]["hit_rate_packets"].as_f64();
    let lost = hit_rate(&none).expect("a share") - hit_rate(&barred).expect("a share");
    assert!(lost < 0.02, "{lost}");
    assert_eq!(software, 0, "one way keeps the order");
}
