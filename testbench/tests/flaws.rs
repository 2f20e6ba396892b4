//! Mistakes of drivers, planted one by one: each is found by the monitor that it should be found by, and the same run without it
//! holds. This is what shows that the monitors can fail.

use driver::Flaw;
use serde_json::Value;
use std::process::Command;

/// A mistake, the monitor that must find it, and a run in which it shows.
struct Planted {
    flaw: Flaw,
    monitor: u64,
    scenario: &'static str,
}

const SESSIONS: &str = r#"
[stop]
packets = 12_000
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 400
clients = 40
servers = 4
max_concurrent_sessions = 5_000
requests_per_session_mean = 4
think_time_ms_mean = 40
[nic]
preset = "fpga-small"
"#;

/// The same for half a second.
const SHORT: &str = r#"
[stop]
duration_ms = 500
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 400
clients = 40
servers = 4
max_concurrent_sessions = 5_000
[nic]
preset = "fpga-small"
"#;

/// Queries whose connections expire while packets still come.
const STREAMS: &str = r#"
[stop]
duration_ms = 4_000
[[traffic]]
kind = "udp-queries"
queries_per_second = 3_000
clients = 20
client_ports = { first = 4_000, last = 4_003 }
servers = 2
[sysctl]
"net.netfilter.nf_conntrack_udp_timeout" = 1
"net.netfilter.nf_conntrack_udp_timeout_stream" = 1
[nic]
preset = "fpga-small"
"#;

/// Sessions with a pause of five minutes in the middle.
const IDLE: &str = r#"
[stop]
packets = 40_000
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 20
sessions = 10
clients = 10
servers = 1
max_concurrent_sessions = 20
requests_per_session_mean = 3
think_time_ms_mean = 300_000
[nic]
preset = "fpga-small"
"#;

/// Uploads by a router into a link with a smaller MTU.
const UPLOADS: &str = r#"
route = true
[stop]
duration_ms = 300
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 100
clients = 40
servers = 4
request = { distribution = "uniform", minimum_bytes = 500, maximum_bytes = 40_000 }
[nic]
preset = "fpga-small"
port = { mtu_1_bytes = 1_400 }
"#;

/// Packets of connections with a mark are dropped, in software and behind the flow table.
const MARKED: &str = r#"
drop_marked = "0x1/0x1"
[stop]
duration_ms = 500
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 400
clients = 40
servers = 4
max_concurrent_sessions = 5_000
requests_per_session_mean = 6
[nic]
preset = "fpga-small"
[[nic.classifier.rule]]
action = "ct"
chain_to = 1
[[nic.classifier.rule]]
action = "drop"
chain = 1
ct_mark = "0x1/0x1"
"#;

const PLANTED: &[(Planted, &str)] = &[
    (planted(Flaw::CountersReadZero, 2, SESSIONS), ""),
    (planted(Flaw::ExtensionNotApplied, 3, STREAMS), ""),
    (planted(Flaw::ShortTimeoutAfterTeardown, 3, IDLE), ""),
    (
        planted(Flaw::OneDirectionOnly, 5, SESSIONS),
        "key = { entries = \"two\" }",
    ),
    (planted(Flaw::FinalReadIgnored, 2, SESSIONS), ""),
    (
        planted(Flaw::LastReadingForgotten, 2, SESSIONS),
        "firmware = { counter_interval_ms = 20 }",
    ),
    (planted(Flaw::DirectionsSwapped, 2, SESSIONS), ""),
    (planted(Flaw::TooLongUnanswered, 5, UPLOADS), ""),
    (planted(Flaw::WindowsKept, 5, SESSIONS), ""),
    (
        planted(Flaw::GenerationIgnored, 2, SESSIONS),
        "aging = { action = \"evict\", tcp_timeout_ms = 10, scan_period_ms = 5 }\nfirmware = { counter_interval_ms = 2 }\n[host]\ntrack_ns = 150_000",
    ),
    (
        planted(Flaw::RetryUnmarked, 4, SESSIONS),
        "[[fault]]\nkind = \"lose-completion\"\none_in = 20",
    ),
    (
        planted(Flaw::NeverRetried, 7, SESSIONS),
        "[[fault]]\nkind = \"lose-completion\"\none_in = 20",
    ),
    (
        planted(Flaw::TableNotRead, 4, SESSIONS),
        "[[fault]]\nkind = \"full-reset\"\nat_ms = 500",
    ),
    (
        planted(Flaw::GapsIgnored, 4, SHORT),
        "aging = { action = \"evict\", tcp_timeout_ms = 100, scan_period_ms = 20 }\n[[fault]]\nkind = \"lose-event\"\nat_ms = 300",
    ),
    (
        planted(Flaw::ChecksumIgnored, 2, SESSIONS),
        "[[fault]]\nkind = \"corrupt-completion\"\none_in = 3",
    ),
    (
        planted(Flaw::DoorbellOnce, 1, SHORT),
        "[[fault]]\nkind = \"lose-doorbell\"\nat_ms = 490\ncount = 20",
    ),
    (
        planted(Flaw::EarlyHitsIgnored, 5, SESSIONS),
        "[[fault]]\nkind = \"lose-completion\"\none_in = 10",
    ),
    (
        planted(Flaw::DeletionNotFollowed, 4, SESSIONS),
        "[[action]]\nkind = \"flush\"\nat_ms = 500",
    ),
    (
        planted(Flaw::ClockStepsIgnored, 3, STREAMS),
        "aging = { udp_timeout_ms = 200, scan_period_ms = 20 }\n[[fault]]\nkind = \"clock-step\"\nat_ms = 2_500\nstep_ms = -2_000",
    ),
    (
        planted(Flaw::MarkingNotFollowed, 5, MARKED),
        "[[action]]\nkind = \"mark\"\nat_ms = 300\nmatch = \"tcp/443\"\nmark = \"1/1\"",
    ),
];

/// What is slow, or drops packets with a reason, and violates nothing: `field_failures.rs` compares hit rates and drops
/// (colliding-flows, fragments-disappear).
const SLOW: [Flaw; 2] = [Flaw::FullForAll, Flaw::FragmentsDropped];

const fn planted(flaw: Flaw, monitor: u64, scenario: &'static str) -> Planted {
    Planted {
        flaw,
        monitor,
        scenario,
    }
}

/// Violations of every monitor, by its number.
fn violations(scenario: &str) -> Vec<(u64, u64, Value)> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("run.toml"), scenario).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(["run", "run.toml", "--no-wave", "--json"])
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    let summary: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {errors}\n{scenario}"));
    let monitors = summary["monitors"].as_array().cloned().unwrap_or_default();
    monitors
        .iter()
        .map(|monitor| {
            let number = |key: &str| monitor[key].as_u64().unwrap_or(0);
            (
                number("number"),
                number("violations"),
                monitor["first"].clone(),
            )
        })
        .collect()
}

fn scenario(planted: &Planted, more: &str, flaws: &str) -> String {
    let head =
        "name = \"planted\"\ndescription = \"A planted mistake\"\ncheck_equivalence = true\n";
    let driver = format!("[driver]\npolicy = \"established\"\nflaws = [{flaws}]\n");
    format!("{head}{driver}{}\n{more}", planted.scenario)
}

#[test]
fn every_planted_mistake_is_found_by_its_monitor() {
    let mut wrong = Vec::new();
    for (planted, more) in PLANTED {
        let name = planted.flaw.name();
        let found = violations(&scenario(planted, more, &format!("\"{name}\"")));
        let fired: Vec<u64> = found
            .iter()
            .filter(|(_, count, _)| *count > 0)
            .map(|(number, ..)| *number)
            .collect();
        if !fired.contains(&planted.monitor) {
            wrong.push(format!(
                "{name}: monitor {} is silent, {fired:?} fired",
                planted.monitor
            ));
        }
        let right = violations(&scenario(planted, more, ""));
        let fired: Vec<_> = right
            .into_iter()
            .filter(|(_, count, _)| *count > 0)
            .collect();
        if !fired.is_empty() {
            wrong.push(format!("{name}: without it {fired:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mistake_is_planted() {
    for flaw in Flaw::ALL {
        assert!(
            SLOW.contains(&flaw) || PLANTED.iter().any(|(planted, _)| planted.flaw == flaw),
            "{}",
            flaw.name()
        );
    }
}
