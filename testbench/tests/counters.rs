//! Counters of other widths and habits, idle entries that the card takes out by itself or asks about: through the whole path.

use std::path::Path;
use std::process::Command;

fn run(folder: &Path, card: &str) -> (Option<i32>, serde_json::Value) {
    std::fs::write(folder.join("card.toml"), card).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(["run", "web", "--no-wave", "--json", "--nic", "card.toml"])
        .current_dir(folder)
        .output()
        .expect("runs");
    let summary = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code(), summary)
}

fn aged(summary: &serde_json::Value) -> u64 {
    let removed = summary["connections"]["un_offloaded"].as_array();
    let found = removed.and_then(|all| all.iter().find(|count| count["cause"] == "aged"));
    found.and_then(|count| count["count"].as_u64()).unwrap_or(0)
}

/// The monitors hold: what hardware counted is what software was told.
fn holds(folder: &Path, card: &str) -> serde_json::Value {
    let (code, summary) = run(folder, card);
    assert_eq!(code, Some(0), "{card}: {}", summary["monitors"]);
    summary
}

#[test]
fn nothing_counted_is_lost() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    // Counters that wrap several times a second, read often enough.
    holds(
        folder.path(),
        "[counter]\npacket_bits = 8\nbyte_bits = 20\n[firmware]\ncounter_interval_ms = 10\n",
    );
    // Records written before an entry is deleted, read after it.
    holds(folder.path(), "[counter]\nclear_on_read = true\n");
    // Read too seldom: the monitor sees it.
    let (code, summary) = run(
        folder.path(),
        "[counter]\npacket_bits = 6\noverflow = \"saturate\"\n",
    );
    assert_eq!(code, Some(3), "{}", summary["monitors"]);
}

#[test]
fn idle_entries_leave_as_the_card_does_it() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let card = |action: &str, more: &str| {
        let times = "udp_timeout_ms = 200\ntcp_timeout_ms = 200\nscan_period_ms = 50\n";
        format!("[aging]\naction = \"{action}\"\n{times}{more}")
    };
    let reported = holds(folder.path(), &card("report", ""));
    let evicted = holds(folder.path(), &card("evict", ""));
    assert!(aged(&reported) > 10_000 && aged(&evicted) > 10_000);
    // The final counters of one entry are under way while the other is being deleted.
    let two = holds(
        folder.path(),
        &card(
            "evict",
            "[key]\nentries = \"two\"\n[counter]\nclear_on_read = true\n",
        ),
    );
    assert!(aged(&two) > 10_000);
    // TCP stays for five days, UDP for two minutes: nothing that short an idleness ends.
    let asked = holds(folder.path(), &card("ask", ""));
    assert_eq!(aged(&asked), 0);
    assert!(asked["connections"]["in_hardware_at_end"].as_u64() > Some(10_000));
}
