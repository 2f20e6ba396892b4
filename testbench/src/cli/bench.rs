//! `ctnic bench`: how fast this build is on this machine.

use super::options::{FromScenario, SystemArgs};
use crate::bench::{self, Measurement};
use clap::{Args, ValueEnum};
use nic_model::config::NicConfig;

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
    /// The chip alone
    Chip,
    /// The driver alone, on a card that takes no time: slow path, decisions, counters
    Driver,
    /// The whole path, monitors on, no waveform
    System,
}

pub(super) fn bench(args: &BenchArgs) -> Result<bool, String> {
    let from = FromScenario::default();
    let seed = args.system.seed(&from);
    let measurement = match args.what {
        What::Tracker => bench::tracker(args.connections, args.packets, seed)?,
        What::Chip => {
            let mut nic = args.system.nic_config(&from)?;
            make_room(args, &mut nic);
            bench::chip(&nic, args.connections, args.packets, seed)?
        }
        What::Driver => bench::driver(args.connections, args.packets, seed)?,
        What::System => {
            let mut config = args.system.run_config(&from, 0, false)?;
            make_room(args, &mut config.nic);
            bench::system(config, args.connections, args.packets, seed)?
        }
    };
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&measurement).map_err(|error| error.to_string())?
        );
    } else {
        print(&measurement);
    }
    Ok(true)
}

/// Makes the table hold all connections at no more than 80 %, unless the command line asked for a size.
fn make_room(args: &BenchArgs, nic: &mut NicConfig) {
    if args
        .system
        .overrides
        .iter()
        .any(|set| set.starts_with("table.buckets"))
    {
        return;
    }
    let needed = (u64::from(args.connections) * 10 / 8).div_ceil(nic.table.slots_per_bucket.into());
    nic.table.buckets = needed.next_power_of_two().max(2) as u32;
}

fn print(m: &Measurement) {
    say!(
        "{}: {:.1} ns per packet, {:.2} million packets per second",
        m.what,
        m.ns_per_packet,
        m.mpps()
    );
    say!(
        "  rounds from {:.1} to {:.1} ns; {} packets, {} connections",
        m.spread_ns.0,
        m.spread_ns.1,
        m.packets,
        m.connections
    );
    if let Some(bytes) = m.bytes_per_connection {
        say!("  {bytes:.0} bytes of resident memory per connection");
    }
    for also in &m.also {
        say!("  {}: {:.1} ns", also.what, also.ns);
    }
    if let Some(two) = m.two_cores {
        say!(
            "  two processors, connections split between them: {:.2} times as fast as one (arithmetic alone: {:.2})",
            two.times_one,
            two.arithmetic_times_one
        );
    }
    say!("  {}", m.how);
}
