//! Conversations that rules translated, or gave helpers, and what Linux 6.18 made of every packet, recorded with `ctnic oracle --record`:
//! we must say, and send, the same. (Conversations without rules are the tracker's own tests.)
#![cfg(target_os = "linux")]

use std::path::Path;
use testbench::oracle::record::Recorded;

/// How many packets of a file were sent, and what differs.
fn replay(name: &str) -> (usize, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/recorded")
        .join(name);
    let text = std::fs::read_to_string(path).expect("the recorded conversations");
    let (mut sent, mut wrong) = (0, Vec::new());
    for (number, line) in text.lines().enumerate() {
        let recorded: Recorded = serde_json::from_str(line).expect("JSON");
        let answers = recorded.answers.iter();
        sent += answers
            .filter(|answer| !answer.fate.sent.is_empty())
            .count();
        let differences = recorded.differences().expect("known sysctls");
        wrong.extend(
            differences
                .into_iter()
                .map(|what| format!("line {}, {what}", number + 1)),
        );
    }
    (sent, wrong)
}

#[test]
fn packets_are_translated_as_the_kernel_did() {
    let (sent, wrong) = replay("nat.jsonl");
    assert!(sent >= 500, "{sent} packets were sent");
    assert!(
        wrong.is_empty(),
        "{} differ: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(10)]
    );
}

#[test]
fn helpers_announce_as_the_kernels_did() {
    let (sent, wrong) = replay("helper.jsonl");
    assert!(sent >= 500, "{sent} packets were sent");
    assert!(
        wrong.is_empty(),
        "{} differ: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(10)]
    );
}
