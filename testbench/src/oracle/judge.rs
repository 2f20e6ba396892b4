//! A case before both, packet by packet.

use super::case::{Case, Step};
use super::compare;
use super::kernel::{Entry, Expected, Fate, Happened, Kernel, KernelError};
use super::ours::{Choices, Ours};
use conntrack_core::SysctlError;
use serde::{Deserialize, Serialize};

/// Why a case could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The kernel cannot be asked.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// There is no such sysctl.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
}

/// What the kernel said of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How the rules saw it, and events.
    #[serde(flatten)]
    pub fate: Fate,
    /// Its connection afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// What was expected afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<Expected>,
}

/// A packet of which the two think differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its number in the case, from 0; the number of packets if only counters differ in the end.
    pub step: usize,
    /// What differs.
    pub what: String,
}

/// What came of a case.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// What the kernel said of each packet, up to the first difference.
    pub answers: Vec<Answer>,
    /// Packets before which no time passed, although it was asked for.
    pub refused: Vec<usize>,
    /// The first difference.
    pub difference: Option<Difference>,
    /// Whether it ended early, at a connection that lives longer than the kernel can count.
    pub beyond_count: bool,
}

/// Puts a case before both and stops at the first difference. The kernel has the case's sysctls already.
///
/// # Errors
/// The kernel cannot be asked, or a sysctl does not exist.
pub fn judge(kernel: &mut Kernel, case: &Case) -> Result<Judgement, JudgeError> {
    let mut ours = Ours::new(case)?;
    let before = kernel.stats()?;
    let mut judgement = Judgement::default();
    for (number, step) in case.steps.iter().enumerate() {
        let turns = ours.turns();
        let (answer, differences) = judge_step(kernel, &mut ours, step)?;
        judgement.answers.push(answer);
        if ours.beyond_count() {
            judgement.beyond_count = true;
            return Ok(judgement);
        }
        if step.after_s > 0 && ours.turns() == turns {
            judgement.refused.push(number);
        }
        if !differences.is_empty() {
            judgement.difference = Some(Difference {
                step: number,
                what: differences.join("; "),
            });
            return Ok(judgement);
        }
    }
    let after = kernel.stats()?;
    for (name, count) in ours.stats() {
        let theirs = after.get(name).unwrap_or(&0) - before.get(name).unwrap_or(&0);
        if theirs != count {
            judgement.difference = Some(Difference {
                step: case.steps.len(),
                what: format!("conntrack -S {name}: ours {count}, the kernel's {theirs}"),
            });
        }
    }
    Ok(judgement)
}

/// One packet before both: what the kernel said, and what differs.
///
/// # Errors
/// The kernel cannot be asked.
pub fn judge_step(
    kernel: &mut Kernel,
    ours: &mut Ours,
    step: &Step,
) -> Result<(Answer, Vec<String>), KernelError> {
    let passing = pass(kernel, ours, step.after_s)?;
    for tuple in kernel.destroyed()? {
        ours.collect(&tuple);
    }
    let mut fate = kernel.inject(step.side, &step.bytes)?;
    let forwards = fate.seen.is_some() || routable(&step.bytes);
    let expected = kernel.expectations_if_any()?;
    let mut failed = None;
    let mut chosen = |tuple: &_, zone| {
        kernel.reply(tuple, zone).unwrap_or_else(|error| {
            failed = Some(error);
            None
        })
    };
    let mut choices = Choices {
        reply: Some(&mut chosen),
        events: &fate.events,
    };
    let (verdict, our_fate) = ours.step(step, forwards, &mut choices);
    if let Some(error) = failed {
        return Err(error);
    }
    leave_out_collected(&mut fate, &our_fate, ours);
    if !forwards {
        // The router dropped it: nobody can tell how the rules would have seen it.
        let (entry, expected) = (None, Vec::new());
        return Ok((
            Answer {
                fate,
                entry,
                expected,
            },
            Vec::new(),
        ));
    }
    let mut differences = passing;
    differences.extend(compare::fates(&our_fate, &fate));
    differences.extend(compare::expectations(&ours.expectations(), &expected));
    let mut entry = None;
    if let Some((tuple, zone, our_entry)) = verdict.connection.and_then(|id| ours.entry(id)) {
        entry = kernel.entry(&tuple, zone)?;
        let same = |entry: &Entry| {
            let names = |entry: &Entry| (entry.tuples.clone(), entry.zone, entry.zones);
            names(entry) == names(&our_entry)
        };
        // Zones for one direction can make a tuple ambiguous: then it is somewhere in the whole table.
        if entry.as_ref().is_some_and(|entry| !same(entry)) {
            entry = kernel.table()?.into_iter().find(same).or(entry);
        }
        match &entry {
            None => differences.push(format!("the kernel has no connection {tuple}")),
            Some(entry) => differences.extend(compare::entries(&our_entry, entry, ours.turns())),
        }
    }
    // It was looked up by our connection: that may be the wrong one, and the answer is kept as the kernel's.
    entry = entry.filter(|_| our_fate.seen == fate.seen);
    Ok((
        Answer {
            fate,
            entry,
            expected,
        },
        differences,
    ))
}

/// Time passes on both sides; what differs of the connections that had expired by then.
fn pass(kernel: &mut Kernel, ours: &mut Ours, seconds: u32) -> Result<Vec<String>, KernelError> {
    let Some(destroyed) = ours.pass(seconds) else {
        return Ok(Vec::new());
    };
    let theirs = kernel.pass(seconds, &ours.tuples())?;
    if destroyed == theirs {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "expired: ours {destroyed:?}, the kernel's {theirs:?}"
    )])
}

/// What the kernel destroyed only because it had expired and not because of the packet is no part of the packet's fate.
fn leave_out_collected(fate: &mut Fate, our_fate: &Fate, ours: &mut Ours) {
    fate.events.retain(|event| {
        let (happened, tuple) = event;
        let collected = *happened == Happened::Destroy
            && !our_fate.events.contains(event)
            && ours.collect(tuple);
        !collected
    });
}

/// Whether a router forwards packets with this header at all (RFC 1812, sections 5.3.1 and 5.3.7): enough hops left, and
/// addresses that belong to single hosts.
pub(super) fn routable(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => {
            let (Some(ttl), Some(addresses)) = (packet.get(8), packet.get(12..20)) else {
                return false;
            };
            let host = |first: u8| first != 0 && first != 127 && first < 224;
            *ttl > 1 && host(addresses[0]) && host(addresses[4])
        }
        Some(6) => {
            let (Some(hops), Some(addresses)) = (packet.get(7), packet.get(8..40)) else {
                return false;
            };
            // Loopback, unspecified, link-local and multicast addresses stay where they are; all others go on, also those that
            // nobody has been given.
            let host = |address: &[u8]| {
                let here = address[..8].iter().all(|byte| *byte == 0);
                let link_local = address[0] == 0xfe && address[1] >> 6 == 0b10;
                !here && !link_local && address[0] != 0xff
            };
            *hops > 1 && host(&addresses[..16]) && host(&addresses[16..])
        }
        _ => false,
    }
}
