//! How many packets a port passes.

use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use nic_model::chip::{Chip, ChipEvent, Fate};
use nic_model::clock::Picos;
use nic_model::config::NicConfig;
use nic_model::datapath::parser::Parsed;
use nic_model::event::EventQueue;
use nic_model::flow_table::EntryAction;
use nic_model::frame::FrameBuffer;
use packet::build::FrameBuilder;

pub(super) const NAME: &str = "line-rate";

const RATES_GBPS: [u32; 6] = [10, 25, 40, 100, 200, 400];
/// Frame with FCS, bytes.
const SIZES: [u32; 7] = [64, 128, 256, 512, 1_024, 1_280, 1_518];

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let frames = effort.pick(20_000, 2_000);
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for rate in RATES_GBPS {
        let mut points = Vec::new();
        for size in SIZES {
            // Preamble, start delimiter and gap take 20 bytes.
            let expected = f64::from(rate) * 1e3 / (f64::from(size + 20) * 8.0);
            let measured = forwarded_mpps(rate, size, frames);
            points.push((f64::from(size), measured));
            let what = format!("{rate} Gb/s, frames of {size} bytes, million per second");
            rows.push(Row::new(what, expected, measured, Bound::Exact));
        }
        series.push(Series::line(format!("{rate} Gb/s"), points));
    }
    Chapter {
        name: NAME,
        title: "Ports pass frames at exactly the rates of Ethernet",
        about: "Frames of one installed connection in a row through the whole chip, with a pipeline fast enough; the time between the first \
                frame sent and the last. Expected: IEEE 802.3, 20 bytes of preamble, start delimiter and gap for each frame.",
        rows,
        chart: Chart {
            title: "Frames forwarded".to_owned(),
            x: "frame with FCS, bytes".to_owned(),
            y: "million frames per second".to_owned(),
            log_x: true,
            log_y: true,
            series,
        },
    }
}

fn forwarded_mpps(rate_gbps: u32, size: u32, frames: u32) -> f64 {
    let mut config = NicConfig::default();
    config.port.rate_gbps = rate_gbps;
    config.pipeline.clock_khz = 1_600_000;
    let mut chip = Chip::new(&config);
    let mut events = EventQueue::<ChipEvent>::default();
    let builder = FrameBuilder::new().ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    let payload = vec![0; size as usize - 4 - 14 - 20 - 8];
    let ip = builder.udp(1_000, 2_000).payload(&payload).build();
    let mut frame = [&[2; 12][..], &[8, 0], &ip].concat();
    let length = frame.len() as u32;
    let mut parsed: Vec<Parsed> = Vec::new();
    chip.prepare([(0, &frame[..], length)].into_iter(), &mut parsed);
    let action = EntryAction {
        egress: [1, 1],
        ..EntryAction::default()
    };
    if chip
        .insert(Picos::ZERO, parsed[0].key, &action, &mut events)
        .is_err()
    {
        return 0.0;
    }
    let mut sent = Vec::new();
    for number in 0..frames {
        if let Ok(front) = chip.arrive(0, Picos::ZERO, length, &parsed[0]) {
            let tag = u64::from(number);
            let mut frame = FrameBuffer::new(&mut frame, 0);
            let fate = chip.finish(&front, &parsed[0], 0, &mut frame, length, tag, &mut events);
            if let Fate::Forwarded { departs, .. } = fate {
                sent.push(departs);
            }
        }
    }
    match (sent.first(), sent.last()) {
        (Some(first), Some(last)) if sent.len() == frames as usize => {
            f64::from(frames - 1) / (*last - *first).0 as f64 * 1e6
        }
        _ => 0.0,
    }
}
