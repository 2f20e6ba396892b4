//! The chip alone.

use super::{Measurement, ROUNDS, median, per_connection, resident_bytes, source};
use crate::frame::Burst;
use nic_model::chip::{Chip, ChipEvent, Fate};
use nic_model::config::NicConfig;
use nic_model::event::EventQueue;
use nic_model::flow_table::entry::EntryAction;
use std::time::Instant;

/// Measures the chip alone, without firmware, driver and monitors: an entry for every connection, all packets hit.
///
/// # Errors
/// The traffic cannot be built, or an entry finds no place.
pub fn chip(
    config: &NicConfig,
    connections: u32,
    packets: u64,
    seed: u64,
) -> Result<Measurement, String> {
    let before = resident_bytes();
    let mut traffic = source(connections, seed)?;
    let mut chip = Chip::new(config);
    let mut events = EventQueue::<ChipEvent>::default();
    let (mut burst, mut parsed) = (Burst::default(), Vec::new());
    let (mut frames, mut hits) = (0u64, 0u64);
    let mut step =
        |chip: &mut Chip, install: bool, frames: &mut u64, hits: &mut u64| -> Result<(), String> {
            burst.clear();
            traffic.fill(&mut burst);
            if burst.is_empty() {
                return Err("the traffic ended early".to_owned());
            }
            let view = (0..burst.len())
                .map(|i| burst.frame(i))
                .map(|(meta, bytes)| (meta.port, bytes, meta.wire_len));
            chip.prepare(view, &mut parsed);
            for (i, parsed) in parsed.iter().enumerate() {
                let (meta, mut frame) = burst.frame_mut(i);
                if install && parsed.tcp_flags & 0x12 == 0x02 {
                    let action = EntryAction {
                        egress: [0, 1],
                        cookie: meta.flow,
                        ..EntryAction::default()
                    };
                    chip.insert(meta.arrival, parsed.key, &action, &mut events)
                        .map_err(|error| error.to_string())?;
                }
                if let Ok(front) = chip.arrive(meta.port, meta.arrival, meta.wire_len, parsed) {
                    let fate = chip.finish(
                        &front,
                        parsed,
                        meta.port,
                        &mut frame,
                        meta.wire_len,
                        meta.number,
                        &mut events,
                    );
                    *hits += u64::from(matches!(fate, Fate::Forwarded { .. }));
                }
                *frames += 1;
            }
            Ok(())
        };
    while frames < u64::from(connections) * 4 {
        step(&mut chip, true, &mut frames, &mut hits)?;
    }
    let after = resident_bytes();
    let (per_round, mut times) = ((packets / ROUNDS).max(1), Vec::new());
    let before_rounds = (frames, hits);
    for _ in 0..ROUNDS {
        let until = frames + per_round;
        let start = Instant::now();
        while frames < until {
            step(&mut chip, false, &mut frames, &mut hits)?;
        }
        times.push(start.elapsed());
    }
    let (measured, hit) = (frames - before_rounds.0, hits - before_rounds.1);
    let installed = u64::from(chip.table().occupied());
    let (ns_per_packet, spread_ns) = median(times, per_round);
    Ok(Measurement {
        what: "chip",
        how: format!(
            "64-byte frames made, parsed, checksums verified, looked up among {installed} entries at random, counted, sent; \
             {:.1} % hit; median of {ROUNDS} rounds",
            hit as f64 * 100.0 / measured.max(1) as f64
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
