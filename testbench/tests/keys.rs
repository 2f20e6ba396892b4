//! Cards that tell flows by other things, or by two entries a connection, through the whole path: the invariants hold.

use std::path::Path;
use std::process::Command;

fn run(folder: &Path, scenario: &str, card: &str) -> serde_json::Value {
    std::fs::write(folder.join("card.toml"), card).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(["run", scenario, "--no-wave", "--json", "--nic", "card.toml"])
        .current_dir(folder)
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

const TWO: &str = "[key]\nentries = \"two\"\ningress_port = true\nvlan = true\n";

#[test]
fn a_connection_has_both_entries_or_none() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let number = |summary: &serde_json::Value, of: &str, what: &str| {
        summary[of][what].as_u64().expect("a number")
    };
    let one = run(folder.path(), "web", "");
    let two = run(folder.path(), "web", TWO);
    let peak = |summary: &serde_json::Value| number(summary, "table", "peak_occupied");
    assert!(
        peak(&two) > peak(&one) * 19 / 10,
        "{} {}",
        peak(&one),
        peak(&two)
    );
    assert_eq!(
        number(&one, "connections", "offloaded"),
        number(&two, "connections", "offloaded")
    );
    // Where tables are full, or entries give way to others, one of two is refused or lost now and then: the other goes too.
    // The monitors judge that, or the exit code would not be 0.
    let small = "[table]\nbuckets = 512\n";
    let lru = "[table]\norganisation = \"set-associative\"\nvictim = \"lru\"\nbuckets = 512\nstash_entries = 0\n";
    for (table, cause) in [(small, "half"), (lru, "evicted")] {
        let summary = run(folder.path(), "web", &format!("{table}{TWO}"));
        assert!(number(&summary, "packets", "hardware") > 0, "{table}");
        let removed = summary["connections"]["un_offloaded"]
            .as_array()
            .expect("a list");
        let found = removed.iter().find(|count| count["cause"] == cause);
        let count = found.and_then(|count| count["count"].as_u64());
        assert!(count > Some(10), "{cause}: {removed:?}");
    }
}
