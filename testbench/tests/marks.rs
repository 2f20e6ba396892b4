//! Marks and labels through the whole path: rules behind the flow table decide by them what rules in software would.

mod common;

use common::holds_as;
use serde_json::Value;

/// Sessions to ports 443 and 80; those to 443 are marked and labelled, and blocked later.
fn scenario(driver: &str, nic: &str, more: &str) -> String {
    format!(
        r#"
name = "marks"
description = "Marks change while connections are in hardware"
check_equivalence = true
[driver]
policy = "established"
{driver}
[stop]
duration_ms = 800
[[mark]]
match = "tcp/443"
mark = "0x2/0x6"
labels = "0x80000000000000000000000000000001"
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 300
clients = 40
servers = 4
max_concurrent_sessions = 5_000
requests_per_session_mean = 6
[nic]
preset = "fpga-small"
{nic}
{more}
"#
    )
}

const BLOCK: &str = r#"
[[action]]
kind = "mark"
at_ms = 400
match = "mark/2"
mark = "0x1/0x1"
"#;

const RULES: &str = r#"
[[nic.classifier.rule]]
action = "ct"
chain_to = 1
[[nic.classifier.rule]]
action = "drop"
chain = 1
ct_mark = "0x1/0x1"
"#;

fn count(summary: &Value, list: &str, reason: &str) -> u64 {
    let mut counts = summary[list].as_array().into_iter().flatten();
    let found = counts.find(|count| count["reason"] == reason);
    found
        .and_then(|count| count["packets"].as_u64())
        .unwrap_or(0)
}

#[test]
fn a_mark_set_in_software_stops_packets_in_hardware() {
    let drops = "drop_marked = \"0x1/0x1\"";
    let before = holds_as(&scenario(drops, RULES, ""));
    assert_eq!(count(&before, "dropped", "behind-ct"), 0);
    let blocked = holds_as(&scenario(drops, RULES, BLOCK));
    assert!(count(&blocked, "dropped", "behind-ct") > 500);
    // What is blocked stays in hardware: it is dropped there.
    assert!(count(&blocked, "dropped", "switch") < count(&blocked, "dropped", "behind-ct"));
}

#[test]
fn every_card_keeps_to_it_whatever_is_lost() {
    let drops = "drop_marked = \"0x1/0x1\"";
    let faults = r#"
[[fault]]
kind = "lose-completion"
one_in = 5
[[fault]]
kind = "corrupt-completion"
one_in = 9
[[fault]]
kind = "reset"
at_ms = 401
[[fault]]
kind = "full-reset"
at_ms = 600
"#;
    for card in [
        "key = { entries = \"two\" }\n",
        "table = { buckets = 8 }\n",
        "table = { organisation = \"cam\", stash_entries = 64 }\n",
        "table = { organisation = \"chained\", buckets = 16, overflow_buckets = 16 }\n",
    ] {
        let card = format!("{card}{RULES}");
        let blocked = holds_as(&scenario(drops, &card, &format!("{BLOCK}{faults}")));
        assert!(count(&blocked, "dropped", "behind-ct") > 100, "{card}");
    }
}

#[test]
fn a_card_without_marks_gives_marked_connections_back() {
    let card = "table = { marking = false }\n";
    let drops = "drop_marked = \"0x1/0x1\"";
    let blocked = holds_as(&scenario(drops, card, BLOCK));
    let hit = |summary: &Value| summary["packets"]["hit_rate_bytes"].as_f64();
    assert!(count(&blocked, "dropped", "switch") > 500);
    assert_eq!(count(&blocked, "dropped", "behind-ct"), 0);
    // If nobody asks for marks, they do not matter.
    let unasked = holds_as(&scenario("", card, BLOCK));
    assert!(hit(&unasked) > hit(&blocked), "{:?}", hit(&unasked));
    assert_eq!(count(&unasked, "dropped", "switch"), 0);
}

#[test]
fn labels_send_packets_to_software_or_mirror_them() {
    let rules = |action: &str| {
        format!(
            "[[nic.classifier.rule]]\naction = \"ct\"\nchain_to = 4\n\
             [[nic.classifier.rule]]\n{action}\nchain = 4\nct_labels = \"0x80000000000000000000000000000000/0x80000000000000000000000000000000\"\n"
        )
    };
    let plain = holds_as(&scenario("", "", ""));
    let host = holds_as(&scenario("", &rules("action = \"host\""), ""));
    assert_eq!(count(&plain, "to_host", "classifier"), 0);
    assert!(count(&host, "to_host", "classifier") > 500);
    let mirror = holds_as(&scenario(
        "",
        &rules("action = \"mirror\"\nmirror_to = 1"),
        "",
    ));
    assert!(mirror["table"]["mirrored"].as_u64() > Some(500));
}
