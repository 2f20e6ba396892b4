//! The scenario of one run, drawn at random: traffic, card, driver, faults. Everything is in the scenario's text, so that the run
//! can be repeated from it alone.

use crate::fault::{Fault, FaultKind};
use crate::traffic::random::{SourceRng, below, chance, stream};
use toml::{Table, Value};

/// Draws run number `run` of the campaign of `seed`.
pub fn draw(seed: u64, run: u64) -> Table {
    let mut rng = stream(seed, run);
    let rng = &mut rng;
    let duration_ms = 400 + u64::from(below(rng, 1_600));
    let faults = faults(rng, duration_ms);
    let mut nic = card(rng, faults.is_empty());
    protect(rng, &faults, &mut nic);
    let mut case = Table::new();
    set(&mut case, "name", format!("soak-{seed}-{run}"));
    set(&mut case, "description", "A run of ctnic soak".to_owned());
    set(&mut case, "seed", i64::from(below(rng, 1 << 30)));
    set(&mut case, "check_equivalence", true);
    if chance(rng, 0.3) {
        set(&mut case, "nat", "100.64.0.0/10".to_owned());
    }
    let mut stop = Table::new();
    set(&mut stop, "packets", 6_000 + i64::from(below(rng, 30_000)));
    set(&mut stop, "duration_ms", duration_ms as i64);
    set(&mut case, "stop", stop);
    let mut driver = Table::new();
    set(&mut driver, "policy", pick(rng, POLICIES).to_owned());
    if chance(rng, 0.4) {
        set(
            &mut driver,
            "evict",
            pick(rng, &["lru", "least-traffic"]).to_owned(),
        );
        set(
            &mut driver,
            "high_water",
            f64::from(1 + below(rng, 10)) / 10.0,
        );
    }
    if chance(rng, 0.2) {
        let mut limits = Table::new();
        set(&mut limits, "0", one_of(rng, &[0, 5, 100]));
        set(&mut driver, "zone_limits", limits);
    }
    let own = &mut stream(seed ^ HABITS, run);
    habits(own, &mut nic, &mut driver);
    barrier(own, &mut driver);
    meters(own, &mut nic);
    links(&mut stream(seed ^ LINKS, run), &mut nic, &mut driver);
    let own_marks = &mut stream(seed ^ MARKS, run);
    let marked = marks(own_marks, &mut case, &mut nic, &mut driver);
    set(&mut case, "driver", driver);
    let translated = case.contains_key("nat");
    let mut actions = actions(rng, duration_ms, translated);
    if !clears_counters(&nic) {
        let own = &mut stream(seed ^ FIRMWARE, run);
        actions.extend(update(own, duration_ms));
    }
    if marked {
        actions.extend(marking(own_marks, duration_ms));
    }
    set(&mut case, "action", actions);
    set(&mut case, "sysctl", sysctl(rng));
    set(&mut case, "traffic", traffic(rng));
    set(&mut case, "nic", nic);
    let faults = faults
        .iter()
        .filter_map(|fault| Value::try_from(fault).ok());
    set(&mut case, "fault", faults.collect::<Vec<Value>>());
    case
}

/// What other drivers do differently, and how counters come, is drawn by itself: runs of before are the same but for that.
const HABITS: u64 = 0x6861_6269_7473;

fn habits(rng: &mut SourceRng, nic: &mut Table, driver: &mut Table) {
    let clears = clears_counters(nic);
    if chance(rng, 0.3) {
        let profile = pick(
            rng,
            &["linux-flowtable", "act-ct-mlx5", "dpdk", "ovs-revalidator"],
        );
        set(driver, "profile", profile.to_owned());
        if clears {
            set(driver, "counters", "push:100".to_owned());
        }
        if profile == "dpdk" {
            // A card with an entry for each direction cannot check windows.
            let key = nic.get("key").and_then(Value::as_table);
            let entries = key.and_then(|key| key.get("entries")?.as_str());
            let mut window = Table::new();
            set(&mut window, "check", entries == Some("one"));
            set(nic, "window", window);
        }
    }
    if chance(rng, 0.3) {
        let counters = pick(
            rng,
            &["push:20", "push:300", "poll:100", "poll:400", "on-demand"],
        );
        if !clears || !counters.starts_with("poll") {
            set(driver, "counters", counters.to_owned());
        }
    }
}

fn barrier(rng: &mut SourceRng, driver: &mut Table) {
    if chance(rng, 0.2) {
        set(driver, "barrier_us", one_of(rng, &[200, 2_000]));
    }
}

fn clears_counters(nic: &Table) -> bool {
    let counter = nic.get("counter").and_then(Value::as_table);
    let clears = counter.and_then(|counter| counter.get("clear_on_read")?.as_bool());
    clears == Some(true)
}

/// Whether the card gets another firmware is drawn by itself, too. Not where counts exist in one message alone: a reset may take
/// that with it.
const FIRMWARE: u64 = 0x6669_726d_7761_7265;

fn update(rng: &mut SourceRng, duration_ms: u64) -> Option<Value> {
    if !chance(rng, 0.15) {
        return None;
    }
    let qualities = ["good", "good", "damaged", "stands-still", "next-interface"];
    let mut image = Table::new();
    set(&mut image, "minor", one_of(rng, &[2, 3]));
    set(&mut image, "kib", one_of(rng, &[1, 30, 200]));
    set(&mut image, "quality", pick(rng, &qualities).to_owned());
    let mut action = Table::new();
    set(&mut action, "kind", "update-firmware".to_owned());
    set(
        &mut action,
        "at_ms",
        i64::from(below(rng, duration_ms as u32)),
    );
    set(&mut action, "image", image);
    Some(action.into())
}

fn meters(rng: &mut SourceRng, nic: &mut Table) {
    if !chance(rng, 0.15) {
        return;
    }
    let mut meter = Table::new();
    set(&mut meter, "opening_per_s", one_of(rng, &[0, 300, 2_000]));
    set(&mut meter, "groups", one_of(rng, &[0, 1, 7, 256]));
    set(&mut meter, "group_per_s", one_of(rng, &[200, 5_000]));
    set(&mut meter, "group_burst_packets", one_of(rng, &[1, 32]));
    set(nic, "meter", meter);
}

/// So are links with an MTU of their own, and whether the driver is a router.
const LINKS: u64 = 0x6c_696e_6b73;

fn links(rng: &mut SourceRng, nic: &mut Table, driver: &mut Table) {
    if !chance(rng, 0.3) {
        return;
    }
    let mut port = Table::new();
    set(&mut port, "mtu_bytes", one_of(rng, &[576, 1_280, 1_500]));
    set(&mut port, "mtu_1_bytes", one_of(rng, &[0, 296, 1_400]));
    set(nic, "port", port);
    set(driver, "route", chance(rng, 0.8));
}

/// So are marks, what drops packets of marked connections, and when marks change.
const MARKS: u64 = 0x6d_6172_6b73;
const MARKABLE: &[&str] = &["tcp/80", "tcp/443", "udp/53", "zone/0", "mark/2"];

fn marks(rng: &mut SourceRng, case: &mut Table, nic: &mut Table, driver: &mut Table) -> bool {
    if !chance(rng, 0.3) {
        return false;
    }
    let rule = |rng: &mut SourceRng| {
        let mut rule = Table::new();
        set(&mut rule, "match", pick(rng, MARKABLE).to_owned());
        set(
            &mut rule,
            "mark",
            pick(rng, &["1", "2", "0x2/0x6", "6"]).to_owned(),
        );
        set(
            &mut rule,
            "labels",
            pick(
                rng,
                &[
                    "1",
                    "0x80000000000000000000000000000000/0x80000000000000000000000000000000",
                ],
            )
            .to_owned(),
        );
        Value::from(rule)
    };
    let rules: Vec<Value> = (0..below(rng, 3)).map(|_| rule(rng)).collect();
    set(case, "mark", rules);
    set(driver, "drop_marked", "0x1/0x1".to_owned());
    let carries = chance(rng, 0.8);
    if let Some(table) = nic
        .entry("table")
        .or_insert(Table::new().into())
        .as_table_mut()
    {
        set(table, "marking", carries);
    }
    if carries {
        let rule = |text: &str| text.parse::<Table>().map(Value::from).ok();
        let mut rules = vec![
            "action = \"ct\"\nchain_to = 1",
            "action = \"drop\"\nchain = 1\nct_mark = \"0x1/0x1\"",
        ];
        if chance(rng, 0.3) {
            rules.push("action = \"host\"\nchain = 1\nct_labels = \"0x1/0x1\"");
        }
        let rules: Vec<Value> = rules.into_iter().filter_map(rule).collect();
        let mut classifier = Table::new();
        set(&mut classifier, "rule", rules);
        set(nic, "classifier", classifier);
    }
    true
}

fn marking(rng: &mut SourceRng, duration_ms: u64) -> Vec<Value> {
    let many = 1 + below(rng, 4);
    let action = |_| {
        let mut action = Table::new();
        set(&mut action, "kind", "mark".to_owned());
        set(
            &mut action,
            "at_ms",
            i64::from(below(rng, duration_ms as u32)),
        );
        set(&mut action, "match", pick(rng, MARKABLE).to_owned());
        set(
            &mut action,
            "mark",
            pick(rng, &["0x1/0x1", "0x0/0x1", "2", "0"]).to_owned(),
        );
        action.into()
    };
    (0..many).map(action).collect()
}

const POLICIES: &[&str] = &[
    "assured",
    "assured",
    "established",
    "packets:4",
    "bytes:3000",
    "rate:20000",
    "heavy:32",
    "adaptive",
    "established+rule:tcp/443,udp/53",
];

fn set(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key.to_owned(), value.into());
}

fn pick<'a, T: ?Sized>(rng: &mut SourceRng, from: &[&'a T]) -> &'a T {
    from[below(rng, from.len() as u32) as usize]
}

fn one_of(rng: &mut SourceRng, from: &[i64]) -> i64 {
    from[below(rng, from.len() as u32) as usize]
}

/// What administrators do, now and then.
fn actions(rng: &mut SourceRng, duration_ms: u64, translated: bool) -> Vec<Value> {
    let many = [0, 0, 0, 1, 1, 2][below(rng, 6) as usize];
    let action = |_| {
        let mut action = Table::new();
        let kind = pick(rng, &["flush", "take-out", "nat", "stop"]);
        let kind = if kind == "nat" && !translated {
            "flush"
        } else {
            kind
        };
        set(&mut action, "kind", kind.to_owned());
        set(
            &mut action,
            "at_ms",
            i64::from(below(rng, duration_ms as u32)),
        );
        if kind == "nat" {
            let network = pick(rng, &["198.18.0.0/15", "100.96.0.0/11"]);
            set(&mut action, "network", network.to_owned());
        }
        action.into()
    };
    (0..many).map(action).collect()
}

fn sysctl(rng: &mut SourceRng) -> Table {
    let mut table = Table::new();
    for (name, seconds) in [
        ("nf_conntrack_udp_timeout", 2),
        ("nf_conntrack_udp_timeout_stream", 3),
        ("nf_conntrack_tcp_timeout_established", 4),
        ("nf_conntrack_tcp_timeout_time_wait", 1),
    ] {
        if chance(rng, 0.4) {
            let seconds = 1 + i64::from(below(rng, seconds));
            set(&mut table, &format!("net.netfilter.{name}"), seconds);
        }
    }
    table
}

fn traffic(rng: &mut SourceRng) -> Vec<Value> {
    let sources = 1 + below(rng, 2);
    let mut list = Vec::new();
    for _ in 0..sources {
        let mut table = Table::new();
        match below(rng, 5) {
            0 | 1 => {
                set(&mut table, "kind", "tcp-sessions".to_owned());
                set(&mut table, "max_concurrent_sessions", 20_000);
                set(
                    &mut table,
                    "sessions_per_second",
                    one_of(rng, &[60, 250, 1_000]),
                );
                set(&mut table, "clients", one_of(rng, &[3, 40, 800]));
                set(&mut table, "servers", one_of(rng, &[1, 8]));
                set(&mut table, "think_time_ms_mean", one_of(rng, &[5, 60, 400]));
                set(
                    &mut table,
                    "requests_per_session_mean",
                    one_of(rng, &[1, 3, 12]),
                );
            }
            2 => {
                set(&mut table, "kind", "udp-queries".to_owned());
                set(
                    &mut table,
                    "queries_per_second",
                    one_of(rng, &[200, 2_000, 8_000]),
                );
                set(&mut table, "clients", one_of(rng, &[2, 30, 500]));
                set(&mut table, "servers", one_of(rng, &[1, 3]));
            }
            3 => {
                set(&mut table, "kind", "crr".to_owned());
                set(
                    &mut table,
                    "connections_per_second",
                    one_of(rng, &[200, 1_500]),
                );
                set(&mut table, "clients", one_of(rng, &[2, 60]));
                set(&mut table, "servers", one_of(rng, &[1, 4]));
                set(
                    &mut table,
                    "segments_per_connection",
                    6 + i64::from(below(rng, 4)),
                );
            }
            _ => {
                set(&mut table, "kind", "syn-flood".to_owned());
                set(&mut table, "syns_per_second", one_of(rng, &[500, 4_000]));
                set(&mut table, "attackers", one_of(rng, &[0, 3]));
            }
        }
        if table.get("kind").and_then(Value::as_str) != Some("syn-flood") {
            set(&mut table, "ipv6_share", f64::from(below(rng, 3)) / 2.0);
        }
        list.push(table.into());
    }
    list
}

/// A small card: its table runs full, its rings too. One that clears the counters it has reported only where nothing goes wrong:
/// counts that exist in one message alone do not survive the loss of that message, whatever a driver does.
fn card(rng: &mut SourceRng, nothing_goes_wrong: bool) -> Table {
    let mut nic = Table::new();
    set(
        &mut nic,
        "preset",
        pick(rng, &["fpga-small", "cam-switch", "many-core"]).to_owned(),
    );
    let mut table = Table::new();
    let has_buckets = nic.get("preset").and_then(Value::as_str) != Some("cam-switch");
    if has_buckets {
        set(&mut table, "buckets", one_of(rng, &[4, 16, 64, 512]));
        if chance(rng, 0.3) {
            set(
                &mut table,
                "organisation",
                pick(rng, &["cuckoo", "d-left"]).to_owned(),
            );
        }
        set(&mut nic, "table", table);
    }
    let mut key = Table::new();
    set(
        &mut key,
        "entries",
        pick(rng, &["one", "one", "two"]).to_owned(),
    );
    set(&mut nic, "key", key);
    let mut aging = Table::new();
    set(
        &mut aging,
        "action",
        pick(rng, &["report", "ask", "evict"]).to_owned(),
    );
    set(&mut aging, "tcp_timeout_ms", one_of(rng, &[80, 300, 2_000]));
    set(&mut aging, "udp_timeout_ms", one_of(rng, &[80, 300, 2_000]));
    set(&mut aging, "scan_period_ms", one_of(rng, &[20, 100]));
    set(&mut nic, "aging", aging);
    let mut counter = Table::new();
    let clears = chance(rng, 0.2) && nothing_goes_wrong;
    set(&mut counter, "clear_on_read", clears);
    set(&mut nic, "counter", counter);
    let mut ring = Table::new();
    set(&mut ring, "command_entries", one_of(rng, &[16, 64, 512]));
    set(&mut ring, "event_entries", one_of(rng, &[16, 1_024]));
    set(&mut ring, "counter_entries", one_of(rng, &[64, 4_096]));
    set(&mut ring, "receive_entries", one_of(rng, &[256, 1_024]));
    set(&mut ring, "transmit_entries", one_of(rng, &[256, 1_024]));
    set(&mut nic, "ring", ring);
    let mut firmware = Table::new();
    set(
        &mut firmware,
        "clock_khz",
        one_of(rng, &[5_000, 100_000, 800_000]),
    );
    set(
        &mut firmware,
        "counter_interval_ms",
        one_of(rng, &[10, 100, 500]),
    );
    set(&mut nic, "firmware", firmware);
    nic
}

fn faults(rng: &mut SourceRng, duration_ms: u64) -> Vec<Fault> {
    let many = below(rng, 5);
    (0..many).map(|_| fault(rng, duration_ms)).collect()
}

fn fault(rng: &mut SourceRng, duration_ms: u64) -> Fault {
    let kind = FaultKind::ALL[below(rng, FaultKind::ALL.len() as u32) as usize];
    let at = u64::from(below(rng, duration_ms as u32));
    let mut fault = Fault::at(kind, at);
    match kind {
        FaultKind::PcieStall | FaultKind::HostStarved | FaultKind::DriverKilled => {
            fault.for_ms = 1 + u64::from(below(rng, 60))
        }
        FaultKind::Hang => fault.for_ms = [0, 5, 150, 700][below(rng, 4) as usize],
        FaultKind::Slow => {
            fault.for_ms = 20 + u64::from(below(rng, 300));
            fault.factor = Some([3, 30][below(rng, 2) as usize]);
        }
        FaultKind::PcieReplay => fault.count = Some(1 + below(rng, 2_000)),
        FaultKind::LoseDoorbell | FaultKind::LoseInterrupt => {
            fault.count = Some(1 + below(rng, 20))
        }
        FaultKind::TableBitFlip => fault.count = Some(1 + below(rng, 2)),
        FaultKind::ClockStep => {
            let steps = [-86_400_000, -3_000, -40, 7, 2_500, 3_600_000];
            fault.step_ms = Some(steps[below(rng, 6) as usize]);
        }
        FaultKind::Reset | FaultKind::FullReset | FaultKind::DmaError => {}
        _ => {
            if kind == FaultKind::DelayCompletion {
                fault.by_us = 1 + u64::from(below(rng, 5_000));
            }
            match below(rng, 3) {
                0 => {}
                1 => (fault.at_ms, fault.nth) = (None, Some(1 + u64::from(below(rng, 200)))),
                _ => (fault.at_ms, fault.one_in) = (None, Some(20 + below(rng, 200))),
            }
        }
    }
    fault
}

/// Memory that finds what turns over in it: where two bits do at once, parity alone would not.
fn protect(rng: &mut SourceRng, faults: &[Fault], nic: &mut Table) {
    let two = |fault: &Fault| fault.kind == FaultKind::TableBitFlip && fault.count == Some(2);
    let protection = pick(rng, &["ecc", "parity"]);
    let protection = if faults.iter().any(two) {
        "ecc"
    } else {
        protection
    };
    let mut memory = Table::new();
    set(&mut memory, "protection", protection.to_owned());
    set(nic, "memory", memory);
}

/// The kinds of faults a scenario has, each once.
pub(super) fn fault_kinds(scenario: &Table) -> Vec<String> {
    let list = scenario.get("fault").and_then(Value::as_array);
    let kinds = list.into_iter().flatten().filter_map(|fault| {
        let kind = fault.get("kind")?.as_str()?;
        Some(kind.to_owned())
    });
    let mut kinds: Vec<String> = kinds.collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn every_case_is_a_scenario_and_the_same_again() {
        for run in 0..300 {
            let text = toml::to_string(&draw(5, run)).expect("TOML");
            Scenario::parse("case.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(toml::to_string(&draw(5, run)).expect("TOML"), text);
        }
    }
}
