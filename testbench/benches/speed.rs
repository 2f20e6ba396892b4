//! `cargo bench -p testbench`: the same measurements as `ctnic bench`, with the default card.
#![allow(clippy::print_stdout, reason = "a benchmark tells what it measured")]

use driver::{DriverConfig, policy};
use nic_model::config::NicConfig;
use testbench::bench::{self, Measurement};
use testbench::host_cpu::HostCosts;
use testbench::simulation::RunConfig;

fn show(measurement: &Measurement) {
    println!(
        "{:<8} {:>9} connections {:>8.1} ns per packet ({:.1} to {:.1}), {:.2} million per second",
        measurement.what,
        measurement.connections,
        measurement.ns_per_packet,
        measurement.spread_ns.0,
        measurement.spread_ns.1,
        measurement.mpps()
    );
}

fn main() -> Result<(), String> {
    let nic = NicConfig::preset(NicConfig::DEFAULT_PRESET).map_err(|error| error.to_string())?;
    let config = RunConfig {
        driver: DriverConfig {
            rings: nic.ring.clone(),
            ..DriverConfig::default()
        },
        policy: policy::by_name("assured").ok_or("no such policy")?,
        host: HostCosts::default(),
        frozen: false,
        check_equivalence: false,
        network: None,
        marks: Vec::new(),
        drop_marked: None,
        faults: Vec::new(),
        actions: Vec::new(),
        seed: 1,
        nic,
    };
    show(&bench::system(config, 100_000, 5_000_000, 1)?);
    for connections in [1_000, 100_000, 1_000_000] {
        show(&bench::tracker(connections, 5_000_000, 1)?);
    }
    Ok(())
}
