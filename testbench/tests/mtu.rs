//! Packets too long for the next link: dropped by a bump in the wire, told about or cut by a router, whoever has to.

mod common;

use serde_json::Value;

/// Uploads into a link of 1,400 bytes.
const UPLOADS: &str = r#"
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 100
clients = 40
servers = 4
ipv6_share = 0.5
request = { distribution = "uniform", minimum_bytes = 500, maximum_bytes = 40_000 }
[nic.port]
mtu_1_bytes = 1_400
"#;

/// Answers in fragments of up to 1,000 bytes, to clients behind a link of 576 bytes.
const FRAGMENTS: &str = r#"
[[traffic]]
kind = "udp-queries"
queries_per_second = 2_000
clients = 20
servers = 2
answer = { distribution = "uniform", minimum_bytes = 1_300, maximum_bytes = 1_400 }
mtu_bytes = 1_000
[nic.port]
mtu_bytes = 576
mtu_1_bytes = 1_500
"#;

fn run(head: &str, traffic: &str, trap: bool) -> Value {
    common::holds_as(&format!(
        r#"
name = "mtu"
description = "links of different MTU"
check_equivalence = true
{head}
[stop]
duration_ms = 400
[nic]
preset = "fpga-small"
{traffic}
[nic.trap]
mtu = {trap}
"#
    ))
}

fn dropped(run: &Value, reason: &str) -> u64 {
    common::packets(run, "dropped", reason)
}

fn made(run: &Value) -> u64 {
    common::number(run, "packets", "host_made")
}

#[test]
fn a_bump_in_the_wire_says_nothing() {
    let (trapped, not) = (run("", UPLOADS, true), run("", UPLOADS, false));
    let lost = dropped(&trapped, "too-long");
    assert!(lost > 100, "{lost}");
    assert_eq!(dropped(&trapped, "beyond-mtu"), 0);
    assert!(dropped(&not, "beyond-mtu") > 100);
    assert_eq!(
        dropped(&not, "beyond-mtu") + dropped(&not, "too-long"),
        lost
    );
    assert_eq!((made(&trapped), made(&not)), (0, 0));
}

#[test]
fn a_router_tells_every_sender() {
    for nat in ["", "nat = \"100.64.0.0/10\""] {
        let run = run(&format!("{nat}\n[driver]\nroute = true"), UPLOADS, true);
        let told = dropped(&run, "too-long-answered");
        assert!(told > 100, "{told}");
        assert_eq!((made(&run), dropped(&run, "too-long")), (told, 0));
        assert!(common::packets(&run, "to_host", "mtu") > 100);
    }
}

#[test]
fn what_may_be_cut_arrives() {
    for nat in ["", "nat = \"100.64.0.0/10\""] {
        let run = run(&format!("{nat}\n[driver]\nroute = true"), FRAGMENTS, true);
        let fragments = common::packets(&run, "to_host", "fragment");
        assert!(
            fragments > 1_000 && made(&run) > 500,
            "{fragments} {}",
            made(&run)
        );
        assert_eq!(run["packets"]["dropped"], 0, "{}", run["dropped"]);
    }
}
