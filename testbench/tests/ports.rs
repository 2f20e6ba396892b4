//! Ports that damage frames or stop their neighbours, through the whole path: the invariants hold.

use std::process::Command;

fn run(settings: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let set = settings.iter().flat_map(|setting| ["--set", setting]);
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(["run", "web", "--no-wave", "--json"])
        .args(set)
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{settings:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn dropped(summary: &serde_json::Value, reason: &str) -> u64 {
    let all = summary["dropped"].as_array().expect("a list");
    let found = all.iter().find(|count| count["reason"] == reason);
    found
        .and_then(|count| count["packets"].as_u64())
        .unwrap_or(0)
}

#[test]
fn damaged_frames_are_dropped_or_sent_on_too_early() {
    let stored = run(&["port.bit_errors_e12=100000"]);
    let cut = run(&["port.bit_errors_e12=100000", "port.store_and_forward=false"]);
    let damaged = dropped(&stored, "bad-fcs");
    // 1 in 10 million bits of 15 thousand million.
    assert!((1_300..1_700).contains(&damaged), "{damaged}");
    let stomped = cut["table"]["stomped"].as_u64().expect("a number");
    assert!(
        stomped > 1_000 && dropped(&cut, "bad-fcs") < 100,
        "{stomped}"
    );
}

#[test]
fn a_neighbour_that_is_stopped_keeps_its_frames() {
    let slow = ["pipeline.clock_khz=20000", "port.receive_fifo_bytes=20000"];
    let lossy = run(&slow);
    let pause = [
        "port.pause=true",
        "port.pause_above_bytes=10000",
        "port.pause_below_bytes=4000",
    ];
    let paused = run(&[&slow[..], &pause[..]].concat());
    assert!(dropped(&lossy, "receive-fifo-full") > 10_000);
    assert_eq!(dropped(&paused, "receive-fifo-full"), 0);
    assert!(paused["table"]["pauses"].as_u64() > Some(100));
}
