//! What generators send is what connection tracking expects: no packet of any built-in scenario is INVALID.

use conntrack_core::{Config, CtInfo, HashKey, Packet, Time, Tracker};
use testbench::frame::{Burst, Traffic};
use testbench::scenario::{BUILTIN, Scenario};

/// Tracks the first `most` frames; counts (all, new connections, those judged otherwise than new or established).
fn track(traffic: &mut dyn Traffic, most: u64) -> (u64, u64, u64) {
    let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
    let mut burst = Burst::default();
    let (mut all, mut new, mut other) = (0, 0, 0);
    while all < most {
        burst.clear();
        traffic.fill(&mut burst);
        if burst.is_empty() {
            break;
        }
        for index in 0..burst.len() {
            let (meta, frame) = burst.frame(index);
            let ip = &frame[14..];
            let total_len = match ip[0] >> 4 {
                4 => u16::from_be_bytes([ip[2], ip[3]]),
                _ => 40 + u16::from_be_bytes([ip[4], ip[5]]),
            };
            let packet = Packet::whole(&ip[..usize::from(total_len)]);
            let verdict = tracker.track(&packet, Time(meta.arrival.as_nanos()));
            all += 1;
            match verdict.ctinfo {
                CtInfo::New => new += 1,
                CtInfo::Established | CtInfo::EstablishedReply => {}
                _ => other += 1,
            }
        }
    }
    (all, new, other)
}

#[test]
fn connection_tracking_finds_every_packet_of_every_scenario_in_its_window() {
    for (name, text) in BUILTIN {
        let scenario = Scenario::parse(name, text).expect(name);
        let mut traffic = scenario.traffic(3).expect(name);
        let (all, new, other) = track(traffic.as_mut(), 150_000);
        assert!(
            all >= 150_000 && new > 0 && new < all,
            "{name}: {new} new of {all}"
        );
        assert_eq!(
            other, 0,
            "{name}: {other} of {all} packets are neither new nor established"
        );
    }
}

#[test]
fn also_with_large_segments_small_windows_and_every_kind_of_end() {
    for keys in [
        "mtu_bytes = 9000\nmax_window_segments = 4096\nsession_rate_mbps = 100_000\nsessions_per_second = 20\n\
         request = { distribution = \"web-search\" }\nresponse = { distribution = \"web-search\" }",
        "max_window_segments = 4\ntimestamps = false\nipv6_share = 0.5\nsessions_per_second = 200\n\
         request = { distribution = \"web-search\" }\nresponse = { distribution = \"web-search\" }",
        "requests_per_session_mean = 5\nserver_time_us_mean = 50_000\nthink_time_ms_mean = 10\n\
         endings = { client_fin = 1, server_fin = 1, reset = 1, abandoned = 1, refused = 1 }",
        "clients = 1\nclient_ports = { first = 1000, last = 1040 }\nmax_concurrent_sessions = 20\nservers = 1\n\
         response = { distribution = \"fixed\", bytes = 1000 }",
    ] {
        let text = format!(
            "name = \"x\"\ndescription = \"y\"\n[[traffic]]\nkind = \"tcp-sessions\"\n{keys}\n"
        );
        let scenario = Scenario::parse("x", &text).expect(keys);
        let (all, _, other) = track(scenario.traffic(3).expect(keys).as_mut(), 150_000);
        assert!(all >= 150_000);
        assert_eq!(
            other, 0,
            "{keys}: {other} of {all} packets are neither new nor established"
        );
    }
}
