//! The judge at work, where it can be: it takes root and a kernel with connection tracking.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use testbench::oracle::case::{Case, Ruleset, Side, Step};
use testbench::oracle::fuzz::{FuzzConfig, fuzz, judge_apart};
use testbench::oracle::generate::{Family, Versions};
use testbench::oracle::judge::JudgeError;
use testbench::oracle::kernel::{Kernel, KernelError, Seen};

/// Whether the kernel can be asked; says so loudly if not, and fails where that is forbidden.
fn possible() -> bool {
    let Err(error) = Kernel::with(&[], Ruleset::Plain, |_| Ok(())) else {
        return true;
    };
    let forbidden = std::env::var_os("CTNIC_REQUIRE_TOOLS").is_some();
    assert!(!forbidden, "skipping is forbidden here: {error}");
    eprintln!("SKIPPED: {error}");
    false
}

#[test]
fn a_short_run_of_every_family_shows_no_difference() {
    if !possible() {
        return;
    }
    for (family, name) in Family::ALL {
        let config = FuzzConfig {
            family,
            versions: Versions::Both,
            seed: 5,
            packets: 3_000,
            sysctls: Vec::new(),
        };
        let report = Kernel::with(&[], family.rules(), |kernel| {
            Ok::<_, KernelError>(fuzz(kernel, &config, |_| true))
        });
        let report = report.expect("a kernel").expect("a run");
        let first = report.found.first().map(|found| &found.difference.what);
        assert_eq!(report.different, 0, "{name}: {first:?}");
        assert!(report.packets >= 3_000);
    }
}

#[test]
fn a_difference_is_found() -> Result<(), JudgeError> {
    if !possible() {
        return Ok(());
    }
    // A UDP datagram with a wrong checksum: INVALID, but not to a kernel that was told not to look.
    let wrong = [
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x66, 0xcf, 10, 0, 0, 1, 10, 0, 0, 2, 0x0f, 0xa0, 0,
        53, 0, 8, 0x12, 0x34,
    ];
    let case = Case {
        steps: vec![Step {
            side: Side::A,
            bytes: wrong.to_vec(),
        }],
        ..Case::default()
    };
    let judgement = judge_apart(&case)?;
    assert_eq!(judgement.difference, None);
    assert_eq!(judgement.answers[0].fate.seen, Some(Seen::Invalid));
    let checksum_off = [(
        "net.netfilter.nf_conntrack_checksum".to_owned(),
        "0".to_owned(),
    )];
    let judgement = Kernel::with(&checksum_off, Ruleset::Plain, |kernel| {
        Ok::<_, KernelError>(testbench::oracle::judge::judge(kernel, &case))
    })??;
    assert!(judgement.difference.is_some());
    Ok(())
}
