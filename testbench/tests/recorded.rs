//! Conversations that rules translated, or gave helpers, and what Linux 6.18 made of every packet, recorded with `ctnic oracle --record`:
//! we must say, and send, the same. (Conversations without rules are the tracker's own tests.)
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use testbench::oracle::record::Recorded;

/// How many packets of files with such a name were sent, and what differs.
fn replay(family: &str) -> (usize, Vec<String>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let files = std::fs::read_dir(directory).expect("the recorded conversations");
    let mut files: Vec<PathBuf> = files
        .map(|file| file.expect("readable").path())
        .filter(|file| {
            let name = file.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(family)
        })
        .collect();
    files.sort();
    let (mut sent, mut wrong) = (0, Vec::new());
    for file in files {
        let (more, differences) = replay_file(&file);
        sent += more;
        wrong.extend(differences);
    }
    (sent, wrong)
}

fn replay_file(file: &Path) -> (usize, Vec<String>) {
    let text = std::fs::read_to_string(file).expect("readable");
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
                .map(|what| format!("{} line {}, {what}", file.display(), number + 1)),
        );
    }
    (sent, wrong)
}

#[test]
fn packets_are_translated_as_the_kernel_did() {
    let (sent, wrong) = replay("nat");
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
    let (sent, wrong) = replay("helper");
    assert!(sent >= 500, "{sent} packets were sent");
    assert!(
        wrong.is_empty(),
        "{} differ: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(10)]
    );
}
