//! How many packets a full FIFO drops.

use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::{stream, unit};
use nic_model::clock::Picos;
use nic_model::config::PortConfig;
use nic_model::datapath::mac::MacPort;
use nic_model::stage::Stage;

pub(super) const NAME: &str = "tail-drop";

/// Frames that wait, and load.
const CASES: [(u32, f64); 9] = [
    (3, 0.6),
    (3, 0.8),
    (3, 1.0),
    (7, 0.8),
    (7, 0.9),
    (7, 1.2),
    (15, 0.9),
    (15, 1.0),
    (15, 1.2),
];
/// How long a frame keeps the stage behind the FIFO: so long that its time on the wire is nothing beside it.
const SERVICE: Picos = Picos(100_000_000);
const FRAME_BYTES: u32 = 1_000;

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let frames = effort.pick(10_000_000, 400_000);
    let bound = Bound::Relative(effort.pick(0.02, 0.1));
    let results = CASES.map(|(fifo, load)| (fifo, load, dropped(fifo, load, frames, effort.seed)));
    let rows = results.map(|(fifo, load, measured)| {
        let what = format!("share dropped, FIFO of {fifo} frames, load {load}");
        Row::new(what, expected_loss(fifo, load), measured, bound)
    });
    let mut series = Vec::new();
    for fifo in [3, 7, 15] {
        let of = results.iter().filter(|(size, ..)| *size == fifo);
        let points = of.map(|(_, load, share)| (*load, *share)).collect();
        series.push(Series::points(format!("{fifo} frames, measured"), points));
        let loads = (60..=120).map(|i| f64::from(i) / 100.0);
        let curve = loads.map(|load| (load, expected_loss(fifo, load)));
        series.push(Series::line(
            format!("{fifo} frames, M/D/1/K"),
            curve.collect(),
        ));
    }
    Chapter {
        name: NAME,
        title: "A port's FIFO drops what an M/D/1/K queue loses",
        about: "Frames come at random to a port whose FIFO holds k of them while one is parsed: K = k + 1. Expected: Brun, Garcia, \
                \"Analytical solution of finite capacity M/D/1 queues\", J. Appl. Prob. 37, 2000.",
        rows: rows.to_vec(),
        chart: Chart {
            title: "Tail drop of a port's FIFO".to_owned(),
            x: "load".to_owned(),
            y: "share dropped".to_owned(),
            log_x: false,
            log_y: true,
            series,
        },
    }
}

fn dropped(fifo: u32, load: f64, frames: u64, seed: u64) -> f64 {
    let mut port = MacPort::new(&PortConfig {
        rate_gbps: 800,
        receive_fifo_bytes: fifo * FRAME_BYTES,
        ..PortConfig::default()
    });
    let mut stage = Stage::new(SERVICE);
    let mut rng = stream(seed, 7);
    let (mut arrival, mut dropped) = (0.0, 0_u64);
    for _ in 0..frames {
        arrival += -(1.0 - unit(&mut rng)).ln() * SERVICE.0 as f64 / load;
        match port.receive(Picos(arrival as u64), FRAME_BYTES, 64) {
            Some(reception) => {
                let start = stage.admit(reception.header_in, SERVICE).start;
                port.taken(start, FRAME_BYTES);
            }
            None => dropped += 1,
        }
    }
    dropped as f64 / frames as f64
}

fn expected_loss(fifo: u32, load: f64) -> f64 {
    // b(n) of the paper; the system holds one more than the FIFO.
    let b = |n: u32| -> f64 {
        let mut factorial = 1.0;
        (0..=n)
            .map(|k| {
                factorial *= f64::from(k.max(1));
                let rest = f64::from(n - k);
                (-1_f64).powi(k as i32) / factorial
                    * rest.powi(k as i32)
                    * (rest * load).exp()
                    * load.powi(k as i32)
            })
            .sum()
    };
    let before = b(fifo);
    1.0 - before / (1.0 + load * before)
}
