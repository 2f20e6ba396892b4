//! Packets that were sent through Linux 6.18, and what the kernel said of each: the tracker must say the same.
//!
//! `recorded/NAME.json` holds the packets (and sleeps), `recorded/NAME.out.jsonl` the kernel's answer to each: the state a rule
//! saw, and the connection after it. Not here: scenarios that need rules (NAT, helpers, marks, zones,
//! `notrack`): `kernel.rs` and the testbench replay those.

use conntrack_core::{Config, CtInfo, Direction, HashKey, Packet, Status, Time, Tracker, Verdict};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn decode(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .filter_map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok())
        .collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("readable");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// State and direction as the kernel's rule saw them.
fn seen(verdict: &Verdict) -> (Option<&'static str>, Option<&'static str>) {
    let (state, direction) = match verdict.ctinfo {
        CtInfo::New => ("NEW", Some("original")),
        CtInfo::Established => ("ESTABLISHED", Some("original")),
        CtInfo::EstablishedReply => ("ESTABLISHED", Some("reply")),
        CtInfo::Related => ("RELATED", Some("original")),
        CtInfo::RelatedReply => ("RELATED", Some("reply")),
        CtInfo::Invalid => ("INVALID", None),
        CtInfo::Untracked => ("UNTRACKED", None),
        CtInfo::Fragment | CtInfo::Dropped => return (None, None),
    };
    (Some(state), direction)
}

/// What differs between our connection and the kernel's.
fn differences(tracker: &Tracker, verdict: &Verdict, kernel: &Value, now: Time) -> Vec<String> {
    let Some(connection) = verdict.connection.and_then(|id| tracker.connection(id)) else {
        return vec![format!(
            "the kernel has a connection, we have none: {kernel}"
        )];
    };
    let mut out = Vec::new();
    let mut compare = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            out.push(format!("{what}: ours {ours}, the kernel's {theirs}"));
        }
    };
    let has = |name: &str| {
        kernel["status"]
            .as_array()
            .is_some_and(|bits| bits.iter().any(|bit| bit == name))
            .to_string()
    };
    for (name, bit) in [
        ("SEEN_REPLY", Status::SEEN_REPLY),
        ("ASSURED", Status::ASSURED),
    ] {
        compare(
            name,
            connection.status().contains(bit).to_string(),
            has(name),
        );
    }
    if let Some(state) = kernel["tcp"]["state"].as_str() {
        compare(
            "state",
            connection
                .tcp_state()
                .map_or("none", |state| state.name())
                .to_owned(),
            state.to_owned(),
        );
    }
    for (key, direction) in [
        ("cnt_orig", Direction::Original),
        ("cnt_reply", Direction::Reply),
    ] {
        let counters = connection.counters(direction);
        let ours = format!("{} packets {} bytes", counters.packets, counters.bytes);
        let theirs = format!(
            "{} packets {} bytes",
            kernel[key]["packets"], kernel[key]["bytes"]
        );
        compare(key, ours, theirs);
    }
    if let Some(theirs) = kernel["timeout"].as_u64() {
        let ours = connection.remaining(now).as_secs();
        if ours.abs_diff(theirs) > 1 {
            out.push(format!("timeout: ours {ours}, the kernel's {theirs}"));
        }
    }
    out
}

fn replay(path: &Path) -> Vec<String> {
    let scenario: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON");
    let answers: Vec<Value> = lines(&path.with_extension("out.jsonl"))
        .into_iter()
        .filter(|line| line.get("i").is_some())
        .collect();
    let mut config = Config::default();
    if let Some(sysctls) = scenario["config"]["sysctl"].as_object() {
        for (name, value) in sysctls {
            config
                .set(name, &value.to_string())
                .expect("a known sysctl");
        }
    }
    let mut tracker = Tracker::new(config, HashKey([3, 4]));
    let (mut now, mut answers, mut out) = (Time::from_secs(1_000), answers.iter(), Vec::new());
    for step in scenario["steps"].as_array().expect("steps") {
        if let Some(seconds) = step["sleep"].as_f64().or(step["age"].as_f64()) {
            now = now + Time((seconds * 1e9) as u64);
        }
        let Some(hex) = step["hex"].as_str() else {
            continue;
        };
        let answer = answers.next().expect("an answer for every packet");
        let bytes = decode(hex);
        let verdict = tracker.track(&Packet::whole(&bytes), now);
        let place = format!(
            "{} packet {} ({})",
            path.file_stem().unwrap_or_default().to_string_lossy(),
            answer["i"],
            answer["note"]
        );
        let theirs = (answer["state"].as_str(), answer["ctdir"].as_str());
        if seen(&verdict) != theirs {
            out.push(format!(
                "{place}: ours {:?} {:?}, the kernel's {theirs:?}",
                seen(&verdict),
                verdict.reason
            ));
        } else if answer["ct"].is_object() && answer["fate"] != "drop" {
            let found = differences(&tracker, &verdict, &answer["ct"], now);
            out.extend(
                found
                    .into_iter()
                    .map(|difference| format!("{place}: {difference}")),
            );
        }
    }
    out
}

#[test]
fn the_tracker_agrees_with_the_kernel_on_every_recorded_packet() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut scenarios: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    scenarios.sort();
    assert!(scenarios.len() >= 30, "{} scenarios", scenarios.len());
    let differences: Vec<String> = scenarios.iter().flat_map(|path| replay(path)).collect();
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
