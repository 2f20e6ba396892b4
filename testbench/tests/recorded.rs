//! Conversations that rules translated, or gave helpers, and what Linux 6.18 made of every packet, recorded with `ctnic oracle --record`:
//! we must say, and send, the same. (Conversations without rules are the tracker's own tests.)
#![cfg(target_os = "linux")]

use conntrack_core::{Config, CtInfo, Direction, Entered, HashKey, Packet, Time, Tracker, Verdict};
use std::path::{Path, PathBuf};
use testbench::oracle::record::Recorded;
use testbench::oracle::rules::helper::helper;

const NOW: Time = Time::from_secs(1_000);

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

/// A tracker that has seen the first packet of a conversation and given its connection the helper of its port.
fn begun(recorded: &Recorded) -> Tracker {
    let mut config = Config::default();
    for (name, value) in &recorded.case.sysctls {
        config.set(name, value).expect("a known sysctl");
    }
    let mut tracker = Tracker::new(config, HashKey([1, 2]));
    let Some(first) = recorded.case.steps.first() else {
        return tracker;
    };
    let mut entered = tracker.enter(&Packet::whole(&first.bytes), NOW);
    if let Entered::Unconfirmed(connection, _) = &entered
        && let Some((name, protocol)) = helper(&connection.tuple(Direction::Original))
        && let Some(id) = tracker.helper_named(name, protocol)
    {
        tracker.assign_helper(&mut entered, id);
    }
    tracker.leave(entered, NOW);
    tracker
}

/// What one packet of a batch announces counts for those behind it.
#[test]
fn batches_with_helpers_say_what_single_packets_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/helper.jsonl");
    let text = std::fs::read_to_string(path).expect("readable");
    let (mut packets, mut related) = (0, 0);
    for line in text.lines() {
        let recorded: Recorded = serde_json::from_str(line).expect("JSON");
        let rest: Vec<(Packet<'_>, Time)> = recorded
            .case
            .steps
            .iter()
            .skip(1)
            .map(|step| (Packet::whole(&step.bytes), NOW))
            .collect();
        let [mut single, mut batched] = [begun(&recorded), begun(&recorded)];
        let one_by_one: Vec<Verdict> = rest
            .iter()
            .map(|(packet, now)| single.track(packet, *now))
            .collect();
        let mut together = Vec::new();
        batched.track_batch(&rest, &mut together);
        assert_eq!(one_by_one, together, "{line}");
        packets += rest.len();
        let is_related = |verdict: &&Verdict| verdict.ctinfo == CtInfo::Related;
        related += together.iter().filter(is_related).count();
    }
    assert!(packets > 1_000 && related > 20, "{packets}, {related}");
}
