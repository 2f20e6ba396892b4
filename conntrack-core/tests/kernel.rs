//! Short conversations and what Linux 6.18 said of every packet, recorded with `ctnic oracle --record`; and those in which
//! a difference was found once. The tracker must say the same.
//!
//! `kernel/*.jsonl` holds one conversation a line: `sysctls`, `steps` (the side of the router a packet comes from, and
//! its bytes, and seconds that pass before it), `rules` (`by-dscp`: what rules made of the packet's DSCP), `answers` (how a rule saw it, events, and its connection afterwards).

use conntrack_core::protocol::ProtocolState;
use conntrack_core::{
    Config, CtInfo, Direction, Event, EventKind, HashKey, Packet, Time, Tracker, Verdict, Zone,
    ZoneScope,
};
use serde_json::Value;
use std::path::Path;

/// When the first packet happens.
const NOW: Time = Time::from_secs(1_000);

/// Status bits that are compared: all but those that say how far NAT got.
const COMPARED_STATUS: u64 = 0xfe7f;

fn decode(hex: &str) -> Vec<u8> {
    let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("digits");
    (0..hex.len() / 2).map(byte).collect()
}

const fn seen(ctinfo: CtInfo) -> Option<&'static str> {
    Some(match ctinfo {
        CtInfo::New => "new",
        CtInfo::Established => "established",
        CtInfo::EstablishedReply => "established-reply",
        CtInfo::Related => "related",
        CtInfo::RelatedReply => "related-reply",
        CtInfo::Invalid => "invalid",
        CtInfo::Untracked => "untracked",
        CtInfo::Fragment | CtInfo::Dropped => return None,
    })
}

fn events(tracker: &Tracker, events: &[Event]) -> Vec<(String, String)> {
    let name = |event: &Event| {
        let (kind, tuple) = match &event.kind {
            EventKind::New => ("new", tracker.original_tuple(event.connection)),
            EventKind::Update(_) => ("update", tracker.original_tuple(event.connection)),
            EventKind::Expect(_) => ("expect", None),
            EventKind::Unexpect(_) => ("unexpect", None),
            EventKind::Destroy { last, .. } => ("destroy", Some(last.tuple(Direction::Original))),
        };
        (
            kind.to_owned(),
            tuple.map_or_else(String::new, |tuple| tuple.to_string()),
        )
    };
    events.iter().map(name).collect()
}

/// What differs between our connection and the kernel's.
fn entry(
    tracker: &Tracker,
    verdict: &Verdict,
    kernel: &Value,
    (now, turns): (Time, u64),
) -> Vec<String> {
    let Some(connection) = verdict.connection.and_then(|id| tracker.connection(id)) else {
        return vec!["the kernel has a connection, we have none".to_owned()];
    };
    let both = [Direction::Original, Direction::Reply];
    let protocol = match connection.protocol_state() {
        ProtocolState::Tcp(tcp) => {
            let [a, b] = both.map(|direction| tcp.side(direction));
            vec![
                tcp.state as u32,
                a.scale.into(),
                b.scale.into(),
                a.flags.into(),
                b.flags.into(),
            ]
        }
        ProtocolState::Sctp(sctp) => {
            vec![sctp.state as u32, sctp.tag(both[0]), sctp.tag(both[1])]
        }
        _ => Vec::new(),
    };
    let zone = connection.zone();
    let counters = both.map(|direction| connection.counters(direction));
    let ours = serde_json::json!({
        "tuples": both.map(|direction| connection.tuple(direction).to_string()),
        "status": u64::from(connection.status().0) & COMPARED_STATUS,
        "counters": counters.map(|counters| (counters.packets, counters.bytes)),
        "mark": connection.mark(),
        "zone": if zone.scope == ZoneScope::Both { zone.id } else { 0 },
        "protocol": protocol,
    });
    let mut out = Vec::new();
    for (name, value) in ours.as_object().expect("an object") {
        let theirs = match name.as_str() {
            "status" => (kernel["status"].as_u64().expect("a number") & COMPARED_STATUS).into(),
            name => kernel[name].clone(),
        };
        if *value != theirs {
            out.push(format!("{name}: ours {value}, the kernel's {theirs}"));
        }
    }
    let zones = both.map(|direction| match zone.scope {
        ZoneScope::Both => 0,
        _ => zone.effective(direction),
    });
    let theirs = kernel
        .get("zones")
        .cloned()
        .unwrap_or_else(|| serde_json::json!([0, 0]));
    if serde_json::json!(zones) != theirs {
        out.push(format!("zones: ours {zones:?}, the kernel's {theirs}"));
    }
    let left = connection.remaining(now).as_secs();
    // The kernel's clock was turned by whole seconds.
    if left.abs_diff(kernel["timeout_s"].as_u64().expect("a timeout")) > 1 + turns {
        out.push(format!(
            "timeout: ours {left}, the kernel's {}",
            kernel["timeout_s"]
        ));
    }
    out
}

fn dscp(packet: &[u8]) -> u8 {
    let traffic_class = match packet {
        [first, second, ..] if first >> 4 == 4 => *second,
        [first, second, ..] => first << 4 | second >> 4,
        _ => 0,
    };
    traffic_class >> 2
}

/// Tracks a packet under a rule: 1 zone 1; 2 zone 2 in original direction; 3 zone 3 in reply direction; 4 `notrack`; 5
/// mark 7; 6 mark 8.
fn track(tracker: &mut Tracker, bytes: &[u8], rule: u8, now: Time) -> Verdict {
    let (id, scope) = match rule {
        1 => (1, ZoneScope::Both),
        2 => (2, ZoneScope::Original),
        3 => (3, ZoneScope::Reply),
        _ => (0, ZoneScope::Both),
    };
    let packet = Packet {
        zone: Zone { id, scope },
        untracked: rule == 4,
        ..Packet::whole(bytes)
    };
    let mark = match rule {
        5 => Some(7),
        6 => Some(8),
        _ => None,
    };
    let mut entered = tracker.enter(&packet, now);
    if let Some(mark) = mark {
        tracker.mark(&mut entered, mark);
    }
    tracker.leave(entered, now)
}

/// What differs in a conversation, and how many packets it has.
fn replay(conversation: &Value) -> (usize, Vec<String>) {
    let mut config = Config::default();
    for pair in conversation["sysctls"].as_array().into_iter().flatten() {
        let text = |i: usize| pair[i].as_str().expect("text");
        config.set(text(0), text(1)).expect("a known sysctl");
    }
    let mut tracker = Tracker::new(config, HashKey([1, 2]));
    tracker.record_events(true);
    let steps = conversation["steps"].as_array().expect("steps");
    let answers = conversation["answers"].as_array().expect("answers");
    assert_eq!(steps.len(), answers.len());
    let (mut now, mut turns) = (NOW, 0);
    let mut out = Vec::new();
    for (number, (step, answer)) in steps.iter().zip(answers).enumerate() {
        let bytes = decode(step["bytes"].as_str().expect("hexadecimal"));
        let rule = if conversation["rules"] == "by-dscp" {
            dscp(&bytes)
        } else {
            0
        };
        if let Some(seconds) = step["after_s"].as_u64() {
            tracker.collect(now, u32::MAX);
            tracker.take_events();
            now = now + Time::from_secs(seconds);
            turns += 1;
        }
        let verdict = track(&mut tracker, &bytes, rule, now);
        let happened = tracker.take_events();
        let mut differences = Vec::new();
        if seen(verdict.ctinfo) != answer["seen"].as_str() {
            differences.push(format!(
                "ours {:?} {:?}, the kernel's {}",
                verdict.ctinfo, verdict.reason, answer["seen"]
            ));
        } else if serde_json::json!(events(&tracker, &happened)) != answer["events"] {
            differences.push(format!(
                "events: ours {happened:?}, the kernel's {}",
                answer["events"]
            ));
        } else if answer["entry"].is_object() {
            differences = entry(&tracker, &verdict, &answer["entry"], (now, turns));
        }
        out.extend(
            differences
                .into_iter()
                .map(|what| format!("packet {number}: {what}")),
        );
    }
    (steps.len(), out)
}

#[test]
fn the_tracker_says_what_the_kernel_said() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("the recorded conversations")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    let (mut conversations, mut packets, mut wrong) = (0, 0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        for (number, line) in text.lines().enumerate() {
            let conversation = serde_json::from_str(line).expect("JSON");
            let (count, differences) = replay(&conversation);
            conversations += 1;
            packets += count;
            let place = format!("{} line {}", file.display(), number + 1);
            wrong.extend(
                differences
                    .into_iter()
                    .map(|what| format!("{place}, {what}")),
            );
        }
    }
    assert!(conversations >= 2_000, "{conversations} conversations");
    let first: Vec<&String> = wrong.iter().take(20).collect();
    assert!(
        wrong.is_empty(),
        "{} of {packets} packets differ: {first:#?}",
        wrong.len()
    );
}

/// What a tracker holds in the end, in words.
fn table(tracker: &Tracker) -> String {
    use conntrack_core::dump::conntrack_tools::{Options, list};
    list(tracker, NOW, Options::EXTENDED)
}

#[test]
fn batches_say_what_single_packets_do() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel");
    let (mut packets, mut established) = (0, 0);
    for family in ["tcp", "mixed", "frag"] {
        let text = std::fs::read_to_string(directory.join(family).with_extension("jsonl"));
        for line in text.expect("readable").lines() {
            let conversation: Value = serde_json::from_str(line).expect("JSON");
            let steps = conversation["steps"].as_array().expect("steps");
            let bytes: Vec<Vec<u8>> = steps
                .iter()
                .map(|step| decode(step["bytes"].as_str().expect("hexadecimal")))
                .collect();
            let batch: Vec<(Packet<'_>, Time)> = bytes
                .iter()
                .map(|bytes| (Packet::whole(bytes), NOW))
                .collect();
            let mut config = Config::default();
            for pair in conversation["sysctls"].as_array().into_iter().flatten() {
                let text = |i: usize| pair[i].as_str().expect("text");
                config.set(text(0), text(1)).expect("a known sysctl");
            }
            let new = || Tracker::new(config.clone(), HashKey([1, 2]));
            let (mut single, mut batched, mut halves) = (new(), new(), new());
            let one_by_one: Vec<Verdict> = batch
                .iter()
                .map(|(packet, now)| single.track(packet, *now))
                .collect();
            let mut together = Vec::new();
            batched.track_batch(&batch, &mut together);
            let in_halves: Vec<Verdict> = batch
                .iter()
                .map(|(packet, now)| {
                    let entered = halves.enter(packet, *now);
                    halves.leave(entered, *now)
                })
                .collect();
            assert_eq!(one_by_one, together, "{family}: {line}");
            assert_eq!(one_by_one, in_halves, "{family}: {line}");
            assert_eq!(table(&single), table(&batched));
            assert_eq!(single.stats(), batched.stats());
            packets += batch.len();
            let is_established = |verdict: &&Verdict| {
                matches!(
                    verdict.ctinfo,
                    CtInfo::Established | CtInfo::EstablishedReply
                )
            };
            established += together.iter().filter(is_established).count();
        }
    }
    assert!(
        packets > 5_000 && established > 1_000,
        "{packets}, {established}"
    );
}
