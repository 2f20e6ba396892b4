//! The whole path.

use super::{Measurement, ROUNDS, median, per_connection, resident_bytes, source};
use crate::frame::Burst;
use crate::simulation::{RunConfig, Simulation};
use std::time::Instant;

/// Measures the whole path: frames made, chip, firmware, driver, monitors; connections all installed.
///
/// # Errors
/// The system cannot be built, or an invariant did not hold.
pub fn system(
    config: RunConfig,
    connections: u32,
    packets: u64,
    seed: u64,
) -> Result<Measurement, String> {
    let mut traffic = source(connections, seed)?;
    let before = resident_bytes();
    let mut simulation = Simulation::new(config).map_err(|error| error.to_string())?;
    let mut burst = Burst::default();
    let mut step = |simulation: &mut Simulation| -> Result<(), String> {
        match simulation.step(traffic.as_mut(), &mut burst) {
            Ok(true) => Ok(()),
            Ok(false) => Err("the traffic ended early".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    // Three frames open a connection; the first packets after that are not measured.
    let warm_up = u64::from(connections) * 4;
    while simulation.frames() < warm_up {
        step(&mut simulation)?;
    }
    let installed = simulation.driver().installed();
    let buffers = simulation.buffer_bytes() as u64;
    let after = resident_bytes().map(|bytes| bytes.saturating_sub(buffers));
    let (per_round, mut times) = ((packets / ROUNDS).max(1), Vec::new());
    for _ in 0..ROUNDS {
        let until = simulation.frames() + per_round;
        let start = Instant::now();
        while simulation.frames() < until {
            step(&mut simulation)?;
        }
        times.push(start.elapsed());
    }
    simulation.finish().map_err(|error| error.to_string())?;
    let summary = simulation.summary(crate::summary::RunInfo::default());
    if let Some(violation) = summary
        .monitors
        .iter()
        .flat_map(|monitor| &monitor.first)
        .next()
    {
        return Err(format!("invariant violated: {violation}"));
    }
    let (ns_per_packet, spread_ns) = median(times, per_round);
    let hardware = summary.packets.hit_rate_packets * 100.0;
    Ok(Measurement {
        what: "system",
        how: format!(
            "64-byte frames made, simulated and monitored; {installed} connections installed, visited at random; \
             {hardware:.1} % of all packets in hardware; median of {ROUNDS} rounds; memory is resident memory of tracker, driver, \
             card and monitors, without {:.1} MB of rings and packet buffers",
            buffers as f64 / 1e6
        ),
        connections: installed,
        packets: per_round * ROUNDS,
        ns_per_packet,
        spread_ns,
        bytes_per_connection: per_connection(before, after, installed),
        also: Vec::new(),
        two_cores: None,
    })
}
