//! The blocks of `nic-model/rtl` in Verilator, against the model: every result, and the cycle in which it comes.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::path::Path;
use std::process::{Command, Output};
use testbench::vectors;

/// Whether Verilator can be run; where `CTNIC_REQUIRE_TOOLS` is set it must.
fn possible() -> bool {
    let there = ["verilator", "make", "g++"]
        .into_iter()
        .all(|tool| Command::new(tool).arg("--version").output().is_ok());
    if !there {
        assert!(
            std::env::var_os("CTNIC_REQUIRE_TOOLS").is_none(),
            "verilator, make or g++ is missing"
        );
        eprintln!("SKIPPED: the RTL was not checked, because verilator, make or g++ is missing");
    }
    there
}

fn make(folder: &Path) -> Output {
    let rtl = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nic-model/rtl");
    Command::new("make")
        .arg("-C")
        .arg(rtl)
        .arg(format!("VECTORS={}", folder.display()))
        .arg(format!("BUILD={}", folder.join("build").display()))
        .output()
        .expect("make runs")
}

#[test]
fn rtl_and_model_agree_on_every_result_and_its_cycle() {
    if !possible() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary directory");
    let write = |block: &str, text: &str| {
        std::fs::write(folder.path().join(format!("{block}.txt")), text).expect("written");
    };
    let all = vectors::all(100_000, 7);
    for block in &all {
        assert!(block.operations.len() >= 100_000);
        write(block.block, &block.text());
    }
    let output = make(folder.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{errors}");
    assert_eq!(
        text.matches(" cycles, 0 wrong").count(),
        all.len(),
        "{text}"
    );

    // The check can fail: a cycle too early, or one answer that is another.
    for block in &all {
        let text = block.text();
        let early = text.replacen(
            &format!("latency {}", block.latency_cycles),
            &format!("latency {}", block.latency_cycles - 1),
            1,
        );
        let hit = text
            .lines()
            .find(|line| line.starts_with("L ") && line.contains(" 1 "))
            .expect("a hit");
        let (before, slot) = hit.rsplit_once(' ').expect("a slot");
        let slot: u32 = slot.parse().expect("a number");
        let other = text.replacen(hit, &format!("{before} {}", slot + 1), 1);
        for wrong in [early, other] {
            write(block.block, &wrong);
            let output = make(folder.path());
            assert!(!output.status.success(), "{}", block.block);
        }
        write(block.block, &text);
    }
}
