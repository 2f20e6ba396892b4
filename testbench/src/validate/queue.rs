//! How long packets wait for a stage.

use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::{stream, unit};
use nic_model::clock::Picos;
use nic_model::stage::Stage;

pub(super) const NAME: &str = "queue";

const LOADS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
/// How long a packet keeps the stage.
const SERVICE: Picos = Picos(1_000_000);

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let packets = effort.pick(40_000_000, 1_000_000);
    let measured = LOADS.map(|load| (load, mean_wait(load, packets, effort.seed)));
    let rows = measured.map(|(load, wait)| {
        let what = format!("mean wait in services, load {load}");
        Row::new(
            what,
            expected_wait(load),
            wait,
            Bound::Relative(effort.pick(0.02, 0.1)),
        )
    });
    let curve = (1..=190)
        .map(|i| f64::from(i) / 200.0)
        .map(|load| (load, expected_wait(load)));
    Chapter {
        name: NAME,
        title: "Packets wait for a stage as in an M/D/1 queue",
        about: "Packets come at random (Poisson) to a stage that each keeps for the same time. Expected: the formula of Pollaczek and \
                Khinchine, load / (2 (1 - load)) times the service.",
        rows: rows.to_vec(),
        chart: Chart {
            title: "Mean wait for a stage".to_owned(),
            x: "load".to_owned(),
            y: "wait, services".to_owned(),
            log_x: false,
            log_y: false,
            series: vec![
                Series::points("measured", measured.to_vec()),
                Series::line("M/D/1", curve.collect()),
            ],
        },
    }
}

fn expected_wait(load: f64) -> f64 {
    load / (2.0 * (1.0 - load))
}

fn mean_wait(load: f64, packets: u64, seed: u64) -> f64 {
    let mut stage = Stage::new(SERVICE);
    let mut rng = stream(seed, 6);
    let (mut arrival, mut waited) = (0.0, 0.0);
    for _ in 0..packets {
        arrival += -(1.0 - unit(&mut rng)).ln() * SERVICE.0 as f64 / load;
        let at = Picos(arrival as u64);
        waited += (stage.admit(at, SERVICE).start - at).0 as f64;
    }
    waited / packets as f64 / SERVICE.0 as f64
}
