//! Generated conversations before both, differences shrunk.

use super::case::Case;
use super::coverage::Coverage;
use super::generate::{Conversation, Dice, Family, Versions};
use super::judge::{Answer, Difference, JudgeError, Judgement, judge, judge_step};
use super::kernel::Kernel;
use super::ours::Ours;
use super::shrink::shrink;

/// What to generate.
#[derive(Debug, Clone)]
pub struct FuzzConfig {
    /// What the conversations are about.
    pub family: Family,
    /// IP versions.
    pub versions: Versions,
    /// Seed.
    pub seed: u64,
    /// Packets, at least; the last conversation is finished.
    pub packets: u64,
    /// Sysctls for all conversations; without any, some conversations change some.
    pub sysctls: Vec<(String, String)>,
}

/// A difference, with the shortest conversation that shows it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The packets.
    pub case: Case,
    /// What the kernel said of them.
    pub answers: Vec<Answer>,
    /// What differs.
    pub difference: Difference,
    /// Number of the conversation it was found in.
    pub conversation: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct FuzzReport {
    /// Packets judged.
    pub packets: u64,
    /// Conversations judged.
    pub conversations: u64,
    /// Conversations with a difference, also when judged again in a namespace of their own.
    pub different: u64,
    /// Conversations with a difference that was not there again: the kernel remembered something of earlier ones.
    pub passing: u64,
    /// Conversations that ended at a connection that lives longer than the kernel can count.
    pub beyond_count: u64,
    /// The first that differ, shrunk.
    pub found: Vec<Found>,
    /// Where TCP went.
    pub coverage: Coverage,
}

/// Sysctls that conversations change: name, usual value, other values.
const VARIED: [(&str, &str, &[&str]); 5] = [
    ("net.netfilter.nf_conntrack_tcp_loose", "1", &["0"]),
    ("net.netfilter.nf_conntrack_tcp_be_liberal", "0", &["1"]),
    (
        "net.netfilter.nf_conntrack_tcp_ignore_invalid_rst",
        "0",
        &["1"],
    ),
    (
        "net.netfilter.nf_conntrack_tcp_max_retrans",
        "3",
        &["1", "5"],
    ),
    ("net.netfilter.nf_conntrack_checksum", "1", &["0"]),
];

/// Differences that are shrunk and kept; the others are only counted.
const KEPT: usize = 20;

/// Generates and judges; `progress` is told after every conversation and may stop it with `false`.
///
/// # Errors
/// The kernel cannot be asked.
pub fn fuzz(
    kernel: &mut Kernel,
    config: &FuzzConfig,
    mut progress: impl FnMut(&FuzzReport) -> bool,
) -> Result<FuzzReport, JudgeError> {
    let mut report = FuzzReport::default();
    while report.packets < config.packets {
        let number = report.conversations;
        report.conversations += 1;
        if let Some((case, difference)) = converse(kernel, config, number, &mut report)? {
            if judge_apart(&case)?.difference.is_none() {
                report.passing += 1;
                continue;
            }
            report.different += 1;
            if report.found.len() < KEPT {
                let found = smallest(case, difference, number)?;
                report.found.push(found);
            }
        }
        if !progress(&report) {
            break;
        }
    }
    Ok(report)
}

/// One conversation; the packets up to the first difference, and it.
fn converse(
    kernel: &mut Kernel,
    config: &FuzzConfig,
    number: u64,
    report: &mut FuzzReport,
) -> Result<Option<(Case, Difference)>, JudgeError> {
    let mut dice = Dice::new(config.seed, number);
    let mut case = Case {
        sysctls: sysctls(config, &mut dice),
        rules: config.family.rules(),
        steps: Vec::new(),
    };
    prepare(kernel, &case)?;
    let mut ours = Ours::new(&case)?;
    let mut conversation = Conversation::new(config.family, config.versions, &mut dice);
    loop {
        let steps = conversation.next(&mut dice, ours.tracker());
        if steps.is_empty() {
            return Ok(None);
        }
        for step in steps {
            report.packets += 1;
            report.coverage.note(ours.tracker(), &step);
            let (answer, differences) = judge_step(kernel, &mut ours, &step)?;
            conversation.heard(&step, &answer.fate.sent, &mut dice);
            case.steps.push(step);
            if ours.beyond_count() {
                report.beyond_count += 1;
                return Ok(None);
            }
            if !differences.is_empty() {
                let step = case.steps.len() - 1;
                let what = differences.join("; ");
                return Ok(Some((case, Difference { step, what })));
            }
        }
    }
}

/// The packets of a conversation, made without the kernel.
///
/// # Errors
/// A sysctl does not exist.
pub(super) fn conversation_case(config: &FuzzConfig, number: u64) -> Result<Case, JudgeError> {
    let mut dice = Dice::new(config.seed, number);
    let case = Case {
        sysctls: sysctls(config, &mut dice),
        rules: config.family.rules(),
        steps: Vec::new(),
    };
    super::record::imagine(config, case, dice)
}

fn sysctls(config: &FuzzConfig, dice: &mut Dice) -> Vec<(String, String)> {
    if !config.sysctls.is_empty() {
        return config.sysctls.clone();
    }
    let mut out = Vec::new();
    for (name, _, others) in VARIED {
        if dice.chance(10) {
            let value = others[dice.below(others.len())];
            out.push((name.to_owned(), value.to_owned()));
        }
    }
    out
}

/// An empty table and the case's sysctls.
///
/// # Errors
/// The kernel cannot be asked.
pub fn prepare(kernel: &mut Kernel, case: &Case) -> Result<(), JudgeError> {
    kernel.flush()?;
    let usual = VARIED.iter().map(|(name, value, _)| (*name, *value));
    kernel.set_sysctls(usual, &case.sysctls)?;
    Ok(())
}

/// The shortest part of a case that shows a difference. Every attempt has a namespace of its own, because fragments of
/// one would wait for those of the next.
///
/// # Errors
/// The kernel cannot be asked.
pub fn smallest(
    case: Case,
    difference: Difference,
    conversation: u64,
) -> Result<Found, JudgeError> {
    let mut case = shrink(&case, |candidate| {
        Ok::<bool, JudgeError>(judge_apart(candidate)?.difference.is_some())
    })?;
    let judgement = judge_apart(&case)?;
    for step in judgement.refused {
        case.steps[step].after_s = 0;
    }
    Ok(Found {
        // A difference that does not come again is told as it was.
        difference: judgement.difference.unwrap_or(difference),
        answers: judgement.answers,
        case,
        conversation,
    })
}

/// Judges a case in a namespace of its own.
///
/// # Errors
/// The kernel cannot be asked, or a sysctl does not exist.
pub fn judge_apart(case: &Case) -> Result<Judgement, JudgeError> {
    Kernel::with(&case.sysctls, case.rules, |kernel| Ok(judge(kernel, case)))?
}
