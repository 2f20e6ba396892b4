//! The command line: what people type, and what they read.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the part that talks to people"
)]

/// Prints a line; a reader that has gone away (`| head`) is no error.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout(), $($argument)*).ok();
    }};
}
mod bench;
mod duration;
mod explain;
mod nic;
mod options;
#[cfg(target_os = "linux")]
mod oracle;
mod profiles;
mod progress;
mod run;
mod soak;
mod trace;
mod validate;
mod vectors;
mod wave;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Bad input, or an output that cannot be written.
const EXIT_BAD_INPUT: u8 = 2;
/// An invariant did not hold.
const EXIT_VIOLATION: u8 = 3;

/// A lab for SmartNIC connection-tracking offload: what hardware would do with your traffic, and why.
#[derive(Debug, Parser)]
#[command(name = "ctnic", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  ctnic run                                  the built-in capture through the default card
  ctnic run syn-flood                        generated traffic: a scenario (ctnic scenarios lists them)
  ctnic run --pcap my.pcapng                 your capture
  ctnic run --pcap my.pcap --nic fpga-small  the same through a card with a small table
  ctnic run elephants --policy rate:100000 --evict least-traffic --explain
  ctnic run syn-flood --wave-trigger 'insertion.full' --wave-before 100us
  ctnic trace my.pcap | jq -c 'select(.path==\"sw\")'
  ctnic trace --software-only --table table.txt my.pcap

Exit codes: 0 all invariants held, 2 bad input, 3 an invariant was violated.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run traffic through the card and report what hardware offload did.
    Run(run::RunArgs),
    /// List the built-in scenarios.
    Scenarios,
    /// List the signals of a waveform: path, bits, names of values.
    Signals,
    /// List cards, show one, check a file, explain a parameter.
    Nic(nic::NicArgs),
    /// List what can be offloaded, and the reasons for which a connection is not.
    Policies,
    /// List drivers whose habits ours can take on, or put the same traffic under each of them.
    Profiles(profiles::ProfilesArgs),
    /// Measure this build on this machine.
    Bench(bench::BenchArgs),
    /// Put packets before the running kernel and the tracker alike, and tell every difference.
    #[cfg(target_os = "linux")]
    Oracle(oracle::OracleArgs),
    /// Put random traffic through random cards with random faults, and judge every run.
    Soak(soak::SoakArgs),
    /// Print one JSON object per captured frame: how it relates to connections, which path it took, and why.
    Trace(trace::TraceArgs),
    /// Hold the chip's tables, memories and timing against mathematics and published measurements.
    Validate(validate::ValidateArgs),
    /// Write test vectors for RTL: operations cycle by cycle, with the answers.
    Vectors(vectors::VectorsArgs),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Scenarios => run::list_scenarios(),
        Command::Signals => {
            wave::list_signals();
            Ok(true)
        }
        Command::Nic(args) => nic::nic(&args),
        Command::Policies => explain::list_policies(),
        Command::Profiles(args) => profiles::profiles(&args),
        Command::Bench(args) => bench::bench(&args),
        #[cfg(target_os = "linux")]
        Command::Oracle(args) => oracle::oracle(&args),
        Command::Soak(args) => soak::soak(&args),
        Command::Trace(args) => trace::trace(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Vectors(args) => vectors::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_VIOLATION),
        Err(message) => {
            eprintln!("ctnic: {message}");
            ExitCode::from(EXIT_BAD_INPUT)
        }
    }
}
