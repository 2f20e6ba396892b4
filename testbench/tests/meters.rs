//! Meters keep the slow path open for those who do not overload it.

mod common;

use serde_json::Value;

/// Short connections.
const SHORT: &str = "[[traffic]]\nkind = \"crr\"\nconnections_per_second = 400\nsegments_per_connection = 8\n\
                     clients = 40\nservers = 2\n";

/// Traffic in software, on a slow host.
fn run(host: &str, traffic: &str, meters: &str) -> Value {
    let text = format!(
        r#"
name = "overload"
description = "a slow host"
check_equivalence = true
[driver]
policy = "never"
[stop]
duration_ms = 300
[host]
{host}
{traffic}
[nic]
preset = "fpga-small"
[nic.meter]
{meters}
"#
    );
    common::holds_as(&text)
}

fn dropped(run: &Value, reason: &str) -> u64 {
    common::packets(run, "dropped", reason)
}

fn received(run: &Value) -> u64 {
    common::number(run, "packets", "received")
}

#[test]
fn a_flood_of_syns_does_not_take_the_buffers_of_others() {
    let flood = "[[traffic]]\nkind = \"syn-flood\"\nsyns_per_second = 300_000\nanswered_share = 0.0\nduration_ms = 250\n";
    let host = "track_new_ns = 10_000";
    let both = format!("{SHORT}{flood}");
    let alone = run(host, SHORT, "");
    let open = run(host, &both, "");
    assert!(dropped(&open, "no-receive-buffer") > 1_000);
    let metered = run(host, &both, "opening_per_s = 30_000");
    assert_eq!(dropped(&metered, "no-receive-buffer"), 0);
    // Only SYNs are dropped: at most one of each short connection beside the flood's.
    let syns = received(&metered) - received(&alone);
    let refused = dropped(&metered, "metered");
    assert!(
        refused > syns / 2 && refused < syns + 120,
        "{refused} of {syns}"
    );
}

#[test]
fn a_few_flows_do_not_take_the_buffers_of_others() {
    let elephants = "[[traffic]]\nkind = \"uniform\"\nconnections = 4\nopened_per_second = 1_000\npackets_per_second = 250_000\n";
    let host = "track_ns = 8_000";
    let meters = "groups = 4096\ngroup_per_s = 5_000";
    let both = format!("{SHORT}{elephants}");
    let open = run(host, &both, "");
    assert!(dropped(&open, "no-receive-buffer") > 1_000);
    let fair = run(host, &both, meters);
    assert_eq!(dropped(&fair, "no-receive-buffer"), 0);
    // The few flows get what they would get alone, and the short connections lose nothing.
    let passed = |run: &Value| received(run) - dropped(run, "metered-group");
    let (short, few) = (run(host, SHORT, meters), run(host, elephants, meters));
    assert_eq!(dropped(&short, "metered-group"), 0);
    assert!(passed(&few) < received(&few) / 2);
    let apart = passed(&short) + passed(&few);
    assert!(
        passed(&fair).abs_diff(apart) < 20,
        "{} {apart}",
        passed(&fair)
    );
}
