//! `ctnic oracle`: the running kernel as the judge.

use super::progress::progress_bar;
use crate::capture::{Capture, CaptureError, LinkLayer, strip};
use crate::oracle::case::{Case, Ruleset, Side, Step};
use crate::oracle::coverage::Coverage;
use crate::oracle::fuzz::{Found, FuzzConfig, FuzzReport, fuzz, judge_apart, smallest};
use crate::oracle::generate::{Family, Versions};
use crate::oracle::judge::JudgeError;
use crate::oracle::kernel::{Kernel, KernelError};
use crate::oracle::pcap;
use crate::oracle::record::{Recorded, record};
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct OracleArgs {
    /// Captures whose packets are put before both, each file into an empty table
    #[arg(value_name = "FILE", required_unless_present = "fuzz")]
    captures: Vec<PathBuf>,
    /// Generate conversations of at least this many packets per family
    #[arg(long, value_name = "PACKETS", conflicts_with = "captures")]
    fuzz: Option<u64>,
    /// Seed of the generated conversations
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What conversations are about: tcp, udp, icmp, sctp, gre, frag, mixed, zones, nat, helper, h323 (repeatable; all without it)
    #[arg(long, value_name = "NAME")]
    family: Vec<Family>,
    /// IPv4 only
    #[arg(long, conflicts_with = "v6")]
    v4: bool,
    /// IPv6 only
    #[arg(long)]
    v6: bool,
    /// Set a conntrack sysctl on both sides (repeatable); without any, some generated conversations change some
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
    /// Where shortest packet sequences that show a difference are written, as pcap and JSON
    #[arg(long, value_name = "DIR", default_value = "ctnic-oracle")]
    out: PathBuf,
    /// Instead of judging, record up to --fuzz short conversations per family with the kernel's answers, one JSON object
    /// a line, into DIR/FAMILY.jsonl
    #[arg(long, value_name = "DIR", requires = "fuzz")]
    record: Option<PathBuf>,
}

const EXAMPLES: &str = "It takes root, nft, ip, and a kernel with nf_conntrack; everything happens in a network namespace of its own.

Examples:
  ctnic oracle my.pcapng                            does the tracker think of it what Linux thinks?
  ctnic oracle --fuzz 1000000 --family tcp          a million generated TCP packets
  ctnic oracle --fuzz 100000 --seed 7 --sysctl net.netfilter.nf_conntrack_tcp_loose=0

A .json of a difference is a test as well, once the tracker has learnt better: put it into
conntrack-core/tests/kernel (of --family nat and helper: testbench/tests/recorded).

Exit codes: 0 no difference, 2 the kernel cannot be asked here, 3 a difference.";

pub(super) fn oracle(args: &OracleArgs) -> Result<bool, String> {
    let sysctls = sysctls(&args.sysctl)?;
    let stop = interrupted()?;
    if let Some(packets) = args.fuzz {
        let families: Vec<Family> = if args.family.is_empty() {
            Family::ALL.iter().map(|(family, _)| *family).collect()
        } else {
            args.family.clone()
        };
        return generated(args, &sysctls, &families, packets, &stop);
    }
    let (mut same, mut judged, mut damaged) = (true, 0, None);
    for path in &args.captures {
        let opened = match Capture::open(path) {
            // `captures/*` also names the README beside the captures.
            Err(error @ CaptureError::NotACapture { .. }) if args.captures.len() > 1 => {
                eprintln!("ctnic: passed over: {error}");
                continue;
            }
            opened => opened.map_err(|error| error.to_string())?,
        };
        judged += 1;
        same &= capture(args, &sysctls, path, &opened)?;
        damaged = damaged.or(opened.cut_short().map(ToString::to_string));
        if stop.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
    }
    match damaged {
        _ if judged == 0 => Err("none of these files is a capture".into()),
        Some(error) => Err(error),
        None => Ok(same),
    }
}

fn sysctls(assignments: &[String]) -> Result<Vec<(String, String)>, String> {
    let pair = |assignment: &String| {
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| format!("--sysctl {assignment}: expected NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    assignments.iter().map(pair).collect()
}

/// Becomes true when somebody presses Ctrl-C.
fn interrupted() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|error| error.to_string())?;
    Ok(stop)
}

fn with_kernel<T: Send>(
    rules: Ruleset,
    work: impl FnOnce(&mut Kernel) -> Result<T, JudgeError> + Send,
) -> Result<T, String> {
    let result = Kernel::with(&[], rules, |kernel| Ok::<_, KernelError>(work(kernel)));
    result
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}

fn generated(
    args: &OracleArgs,
    sysctls: &[(String, String)],
    families: &[Family],
    packets: u64,
    stop: &AtomicBool,
) -> Result<bool, String> {
    let versions = match (args.v4, args.v6) {
        (true, _) => Versions::V4,
        (_, true) => Versions::V6,
        _ => Versions::Both,
    };
    let (mut same, mut coverage) = (true, Coverage::default());
    for family in families {
        let config = FuzzConfig {
            family: *family,
            versions,
            seed: args.seed,
            packets,
            sysctls: sysctls.to_vec(),
        };
        if let Some(directory) = &args.record {
            keep(directory, &config, packets as usize, stop)?;
            continue;
        }
        let bar = progress_bar(Some(packets));
        let report = with_kernel(config.family.rules(), |kernel| {
            fuzz(kernel, &config, |report| {
                bar.set_position(report.packets);
                !stop.load(Ordering::Relaxed)
            })
        })?;
        bar.finish_and_clear();
        tell(args, &config, &report)?;
        same &= report.different == 0;
        coverage.add(&report.coverage);
        if stop.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
    }
    if args.record.is_none() {
        tell_coverage(&coverage);
    }
    Ok(same)
}

fn tell(args: &OracleArgs, config: &FuzzConfig, report: &FuzzReport) -> Result<(), String> {
    say!(
        "{}: {} packets in {} conversations, {} differ",
        config.family,
        report.packets,
        report.conversations,
        report.different
    );
    if report.passing > 0 {
        say!(
            "  {} more differed once, but not when judged alone: the kernel remembered earlier conversations",
            report.passing
        );
    }
    if report.beyond_count > 0 {
        say!(
            "  {} ended at a registration for more than 99 days, which the kernel cannot count (docs/kernel-differences.md)",
            report.beyond_count
        );
    }
    for found in &report.found {
        let name = format!("{}-{}-{}", config.family, config.seed, found.conversation);
        show(&args.out, &name, found)?;
    }
    Ok(())
}

fn tell_coverage(coverage: &Coverage) {
    if coverage.reached() == 0 {
        return;
    }
    let missing = coverage.missing();
    say!(
        "TCP table: {} cells reached, {} not",
        coverage.reached(),
        missing.len()
    );
    for (state, class, direction) in missing {
        say!("  {} {class:?} {direction:?}", state.name());
    }
}

/// Prints a difference and writes its packets as pcap and JSON.
fn show(directory: &Path, name: &str, found: &Found) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(fail)?;
    let recorded = Recorded {
        case: found.case.clone(),
        answers: found.answers.clone(),
    };
    let text = serde_json::to_string(&recorded).map_err(|error| error.to_string())?;
    let path = directory.join(name);
    std::fs::write(path.with_extension("json"), text + "\n").map_err(fail)?;
    std::fs::write(path.with_extension("pcap"), pcap::write(&found.case)).map_err(fail)?;
    say!(
        "  {} packets, the last: {} ({}.pcap, .json)",
        found.case.steps.len(),
        found.difference.what,
        path.display()
    );
    Ok(())
}

fn keep(
    directory: &Path,
    config: &FuzzConfig,
    wanted: usize,
    stop: &AtomicBool,
) -> Result<(), String> {
    let bar = progress_bar(Some(wanted as u64));
    let recorded = with_kernel(config.family.rules(), |kernel| {
        record(kernel, config, wanted, |count| {
            bar.set_position(count as u64);
            !stop.load(Ordering::Relaxed)
        })
    })?;
    bar.finish_and_clear();
    let mut text = String::new();
    for conversation in &recorded {
        text.push_str(&serde_json::to_string(conversation).map_err(|error| error.to_string())?);
        text.push('\n');
    }
    std::fs::create_dir_all(directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let path = directory.join(format!("{}.jsonl", config.family));
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    say!(
        "{}: {} conversations recorded in {}",
        config.family,
        recorded.len(),
        path.display()
    );
    Ok(())
}

fn capture(
    args: &OracleArgs,
    sysctls: &[(String, String)],
    path: &Path,
    capture: &Capture,
) -> Result<bool, String> {
    let (case, left_out) = case_of(capture, sysctls);
    let judgement = judge_apart(&case).map_err(|error| error.to_string())?;
    let found = match judgement.difference {
        Some(difference) => {
            Some(smallest(case.clone(), difference, 0).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let left_out = if left_out == 0 {
        String::new()
    } else {
        format!(", {left_out} left out (not IP, or cut short by the capture)")
    };
    let verdict = if found.is_some() {
        "DIFFERENT"
    } else if judgement.beyond_count {
        "no difference up to a registration for more than 99 days (docs/kernel-differences.md)"
    } else {
        "no difference"
    };
    say!(
        "{}: {} packets{left_out}: {verdict}",
        path.display(),
        case.steps.len()
    );
    if let Some(found) = &found {
        let stem = path
            .file_stem()
            .map_or_else(|| "capture".into(), |stem| stem.to_string_lossy());
        show(&args.out, &stem, found)?;
    }
    Ok(found.is_none())
}

/// The packets of a capture that can be sent, and how many cannot. Whoever sends first of two hosts is on side A.
fn case_of(capture: &Capture, sysctls: &[(String, String)]) -> (Case, usize) {
    let mut case = Case {
        sysctls: sysctls.to_vec(),
        ..Case::default()
    };
    let (mut sides, mut left_out) = (BTreeMap::<Vec<u8>, Side>::new(), 0);
    for frame in capture.frames() {
        match strip(frame.link_type, capture.bytes(frame), frame.wire_len) {
            LinkLayer::Ip { bytes, wire_len } if bytes.len() == wire_len => {
                let side = side_of(bytes, &mut sides);
                case.steps.push(Step {
                    after_s: 0,
                    side,
                    bytes: bytes.to_vec(),
                });
            }
            _ => left_out += 1,
        }
    }
    (case, left_out)
}

fn side_of(packet: &[u8], sides: &mut BTreeMap<Vec<u8>, Side>) -> Side {
    let addresses = match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(12..20),
        _ => packet.get(8..40),
    };
    let Some((source, destination)) = addresses.map(|both| both.split_at(both.len() / 2)) else {
        return Side::A;
    };
    let known = sides.get(source).copied();
    let side = known.unwrap_or(Side::A);
    sides.entry(source.to_vec()).or_insert(side);
    let opposite = if side == Side::A { Side::B } else { Side::A };
    sides.entry(destination.to_vec()).or_insert(opposite);
    side
}
