//! What forwards while rules are inserted: the same core, or another one, against a measurement.

use super::poster::{Poster, command};
use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use nic_model::clock::Picos;
use nic_model::config::NicConfig;
use nic_model::datapath::mac::MacPort;
use nic_model::flow_table::FlowKey;
use nic_model::frame::FrameBuffer;
use nic_model::host::descriptors::Opcode;
use packet::build::FrameBuilder;
use std::collections::VecDeque;

pub(super) const NAME: &str = "same-core";

/// Rules a second, Gb/s still forwarded of 100, whether it gave a parameter: ConnectX-5, table 1, the same core does both.
const PUBLISHED: [(u32, f64, bool); 5] = [
    (10_000, 96.0, false),
    (50_000, 84.0, true),
    (100_000, 68.0, false),
    (200_000, 54.0, false),
    (500_000, 32.0, true),
];
/// On another core, whatever the rate.
const OTHER_CORE: f64 = 99.0;
/// Frames of the measurement, bytes without FCS.
const FRAME_BYTES: u32 = 1_496;
/// Frames the core takes in one go, as DPDK's examples do.
const BURST: usize = 32;
/// Frames that may wait for it.
const RING: usize = 1_024;
/// What a batch of rules costs whatever its size, and each of its rules.
const BATCH: Picos = Picos::from_nanos(2_202);
const RULE: Picos = Picos::from_nanos(998);

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let span = Picos::from_millis(effort.pick(200, 20));
    let mut rows: Vec<Row> = PUBLISHED
        .iter()
        .map(|(rules, published, parameter)| {
            let of = if *parameter { "parameter" } else { "predicted" };
            let what = format!("the same core, {rules} rules/s, Gb/s of 100 ({of})");
            let measured = same_core(*rules, span);
            Row::new(what, *published, measured, Bound::Relative(0.1))
        })
        .collect();
    for rules in [10_000, 100_000, 450_000] {
        let what = format!("another core, {rules} rules/s, Gb/s of 100 (predicted)");
        let measured = other_core(rules, effort);
        rows.push(Row::new(what, OTHER_CORE, measured, Bound::Relative(0.1)));
    }
    let points = PUBLISHED.map(|(rules, published, _)| (f64::from(rules) / 1e3, published));
    let curve = (1..=50).map(|tens| (f64::from(tens) * 10.0, same_core(tens * 10_000, span)));
    Chapter {
        name: NAME,
        title: "Insertion takes the core's time, not the chip's",
        about: "Frames of 1,500 bytes at 100 Gb/s, and rules inserted at a rate meanwhile. On the same core: a loop that takes up to 32 \
                frames, then inserts what has become due in one batch; at this rate forwarding alone fills the core. What a batch costs and \
                what each of its rules costs come from two points, the others are predicted. On another core: frames go through the card \
                while its processor inserts. Expected: ConnectX-5, table 1 (Katsikas and others, PAM 2021, figure read by eye; on another \
                core 98 to 100 at every rate).",
        rows,
        chart: Chart {
            title: "Forwarding while rules are inserted by the same core".to_owned(),
            x: "thousand rules a second".to_owned(),
            y: "Gb/s of 100".to_owned(),
            log_x: false,
            log_y: false,
            series: vec![
                Series::points("ConnectX-5, published", points.to_vec()),
                Series::line("model", curve.collect()),
            ],
        },
    }
}

/// Gb/s that a core forwards which inserts so many rules a second as well.
fn same_core(rules_per_s: u32, span: Picos) -> f64 {
    let config = NicConfig::default();
    let frame = MacPort::new(&config.port).wire_time(FRAME_BYTES);
    let between = Picos(1_000_000_000_000 / u64::from(rules_per_s));
    let mut now = Picos::ZERO;
    let (mut arrived, mut rule_due, mut forwarded) = (Picos::ZERO, between, 0u64);
    let mut ring: VecDeque<Picos> = VecDeque::new();
    while now < span {
        while arrived <= now {
            if ring.len() < RING {
                ring.push_back(arrived);
            }
            arrived += frame;
        }
        let mut due = 0;
        while rule_due <= now {
            rule_due += between;
            due += 1;
        }
        let taken = ring.len().min(BURST);
        ring.drain(..taken);
        forwarded += taken as u64;
        // A frame costs the core what it costs the wire: the line rate is what it can just forward.
        let mut work = Picos(frame.0 * taken as u64);
        if due > 0 {
            work += BATCH + Picos(RULE.0 * due);
        }
        now += work.max(Picos::from_nanos(100));
    }
    let offered = span.0 / frame.0;
    100.0 * forwarded as f64 / offered as f64
}

/// Gb/s that the card forwards while its processor inserts so many rules a second.
fn other_core(rules_per_s: u32, effort: &Effort) -> f64 {
    let config = NicConfig {
        firmware: nic_model::config::FirmwareConfig {
            clock_khz: 1_000_000,
            decode_cycles: 100,
            insert_cycles: 1_900,
            ..Default::default()
        },
        ..NicConfig::default()
    };
    let Some(mut poster) = Poster::new(&config) else {
        return 0.0;
    };
    let ip = FrameBuilder::new().ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    let ip = ip
        .udp(1_000, 2_000)
        .payload(&vec![0; FRAME_BYTES as usize - 42])
        .build();
    let mut frame = [&[2; 12][..], &[8, 0], &ip].concat();
    let mut parsed = Vec::new();
    let chip = poster.board.chip_mut();
    chip.prepare(
        [(0, frame.as_slice(), FRAME_BYTES)].into_iter(),
        &mut parsed,
    );
    let parsed = parsed[0];
    poster.post(command(Opcode::Insert, &parsed.key, 0));
    poster.run_until(Picos::from_micros(100));
    let step = MacPort::new(&config.port).wire_time(FRAME_BYTES);
    let between = Picos(1_000_000_000_000 / u64::from(rules_per_s));
    let (begin, frames) = (poster.now, effort.pick(100_000u32, 10_000));
    let (mut rules, mut forwarded) = (0, 0u32);
    for n in 0..frames {
        let arrival = begin + Picos(step.0 * u64::from(n));
        while begin + Picos(between.0 * u64::from(rules)) <= arrival {
            rules += 1;
            let key = FlowKey([u64::from(rules), 0, 1, 0, 6 << 32 | 4 << 40, 0]);
            poster.now = arrival;
            poster.post(command(Opcode::Insert, &key, rules));
        }
        let Ok(front) = poster.board.arrive(0, arrival, FRAME_BYTES, &parsed) else {
            continue;
        };
        poster.run_until(front.lookup_at);
        let mut frame = FrameBuffer::new(&mut frame, 0);
        let fate = poster
            .board
            .finish(&front, &parsed, 0, &mut frame, FRAME_BYTES, 0);
        forwarded += u32::from(matches!(fate, nic_model::Fate::Forwarded { .. }));
    }
    poster.run_until(poster.now + Picos::from_millis(5));
    if poster.refused > 0 || poster.board.chip().table().occupied() != rules + 1 {
        return 0.0;
    }
    100.0 * f64::from(forwarded) / f64::from(frames)
}
