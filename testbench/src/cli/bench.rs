//! `ctnic bench`: how fast this build is on this machine.

use super::options::{FromScenario, SystemArgs};
use crate::bench::{self, Measurement};
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// What to measure
    #[arg(value_enum, default_value = "system")]
    what: What,
    /// Connections established before measuring
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    connections: u32,
    /// Packets measured
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    packets: u64,
    /// Print the measurement as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    system: SystemArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Connection tracking alone
    Tracker,
    /// The whole path, monitors on, no waveform
    System,
}

pub(super) fn bench(args: &BenchArgs) -> Result<bool, String> {
    let from = FromScenario::default();
    let seed = args.system.seed(&from);
    let measurement = match args.what {
        What::Tracker => bench::tracker(args.connections, args.packets, seed)?,
        What::System => {
            let mut config = args.system.run_config(&from, 0, false)?;
            // A table that holds them all at no more than 80 %, unless the command line asked for a size.
            let asked = args
                .system
                .overrides
                .iter()
                .any(|set| set.starts_with("table.buckets"));
            let needed = (u64::from(args.connections) * 10 / 8)
                .div_ceil(config.nic.table.slots_per_bucket.into());
            if !asked {
                config.nic.table.buckets = needed.next_power_of_two().max(2) as u32;
            }
            bench::system(config, args.connections, args.packets, seed)?
        }
    };
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&measurement).map_err(|error| error.to_string())?
        );
    } else {
        print(&measurement);
    }
    Ok(true)
}

fn print(m: &Measurement) {
    println!(
        "{}: {:.1} ns per packet, {:.2} million packets per second",
        m.what,
        m.ns_per_packet,
        m.mpps()
    );
    println!(
        "  rounds from {:.1} to {:.1} ns; {} packets, {} connections",
        m.spread_ns.0, m.spread_ns.1, m.packets, m.connections
    );
    if let Some(bytes) = m.bytes_per_connection {
        println!("  {bytes:.0} bytes of resident memory per connection");
    }
    println!("  {}", m.how);
}
