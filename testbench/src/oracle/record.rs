//! Short conversations with the kernel's answers, for machines where the kernel cannot be asked.
//!
//! A packet is worth keeping if what happened to it (state before and after, verdict, reason, flags, timeout, events) was
//! not seen before. Of its conversation only the packets are kept that it takes to get there.

use super::case::{Case, Step};
use super::compare;
use super::fuzz::{FuzzConfig, conversation_case, judge_apart, prepare};
use super::generate::Dice;
use super::judge::{Answer, JudgeError, judge, routable};
use super::kernel::{Entry, Kernel};
use super::ours::{Choices, Ours};
use super::shrink::shrink;
use conntrack_core::Tuple;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A conversation and the kernel's answer to each packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The packets.
    #[serde(flatten)]
    pub case: Case,
    /// The answers.
    pub answers: Vec<Answer>,
}

impl Recorded {
    /// What we say now that differs from what the kernel said then, packet by packet.
    ///
    /// # Errors
    /// A sysctl does not exist.
    pub fn differences(&self) -> Result<Vec<String>, JudgeError> {
        let mut ours = Ours::new(&self.case)?;
        let mut out = Vec::new();
        for (number, (step, answer)) in self.case.steps.iter().zip(&self.answers).enumerate() {
            let forwards = answer.fate.seen.is_some() || routable(&step.bytes);
            ours.pass(step.after_s);
            let chosen = answer.entry.as_ref().and_then(Entry::reply_ids);
            let mut chosen = |original: &Tuple, _| {
                let (source_id, destination_id) = chosen?;
                Some(Tuple {
                    source_id,
                    destination_id,
                    ..*original
                })
            };
            let mut choices = Choices {
                reply: Some(&mut chosen),
                events: &answer.fate.events,
            };
            let (verdict, fate) = ours.step(step, forwards, &mut choices);
            let mut differences = Vec::new();
            if forwards {
                differences = compare::fates(&fate, &answer.fate);
                differences.extend(compare::expectations(
                    &ours.expectations(),
                    &answer.expected,
                ));
                let entry = verdict.connection.and_then(|id| ours.entry(id));
                if let (Some((_, _, entry)), Some(theirs)) = (entry, &answer.entry) {
                    differences.extend(compare::entries(&entry, theirs, ours.turns()));
                }
            }
            out.extend(
                differences
                    .into_iter()
                    .map(|what| format!("packet {number}: {what}")),
            );
        }
        Ok(out)
    }
}

/// Records up to `wanted` conversations; `progress` is told how many there are and may stop it with `false`.
///
/// # Errors
/// The kernel cannot be asked.
pub fn record(
    kernel: &mut Kernel,
    config: &FuzzConfig,
    wanted: usize,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Vec<Recorded>, JudgeError> {
    let (mut known, mut out) = (BTreeSet::new(), Vec::new());
    let (mut number, mut fruitless) = (0, 0);
    // Conversations without anything new: there is nothing left to find.
    const ENOUGH: u32 = 20_000;
    while out.len() < wanted && fruitless < ENOUGH {
        fruitless += 1;
        let case = conversation_case(config, number)?;
        number += 1;
        for (end, what) in happenings(&case)?.into_iter().enumerate() {
            if out.len() == wanted || !known.insert(what.clone()) {
                continue;
            }
            fruitless = 0;
            if let Some(recorded) = minimal(kernel, &case, end, &what)? {
                out.push(recorded);
            }
        }
        if !progress(out.len()) {
            break;
        }
    }
    Ok(out)
}

/// What happened to each packet, as a text that is the same for packets of which one is enough.
fn happenings(case: &Case) -> Result<Vec<String>, JudgeError> {
    let mut ours = Ours::new(case)?;
    Ok(case
        .steps
        .iter()
        .map(|step| happening(&mut ours, step))
        .collect())
}

fn happening(ours: &mut Ours, step: &Step) -> String {
    ours.pass(step.after_s);
    let before = ours.looked_up(&step.bytes);
    let (verdict, fate) = ours.step(step, true, &mut Choices::default());
    let after = verdict
        .connection
        .and_then(|id| ours.entry(id))
        .map(|(_, _, entry)| entry);
    let state = after.map(|entry| {
        let protocol: Vec<u32> = entry
            .protocol
            .iter()
            .copied()
            .take_while(|number| *number < 256)
            .collect();
        (protocol, entry.status, entry.timeout_s)
    });
    let events: Vec<_> = fate.events.iter().map(|(happened, _)| happened).collect();
    let version = step.bytes.first().map(|first| first >> 4);
    format!(
        "{version:?} {before:?} {:?} {:?} {state:?} {events:?}",
        fate.seen, verdict.reason
    )
}

/// The fewest packets up to `end` after which the last one still meets the same.
fn minimal(
    kernel: &mut Kernel,
    case: &Case,
    end: usize,
    what: &str,
) -> Result<Option<Recorded>, JudgeError> {
    let mut whole = case.clone();
    whole.steps.truncate(end + 1);
    let last = whole.steps.last().cloned();
    let mut small = shrink(&whole, |candidate| {
        let same_end = candidate.steps.last() == last.as_ref();
        let met = happenings(candidate)?;
        Ok::<bool, JudgeError>(same_end && met.last().map(String::as_str) == Some(what))
    })?;
    // Fragments wait in the kernel for those of the next case.
    let judgement = if has_fragments(&small) {
        judge_apart(&small)?
    } else {
        prepare(kernel, &small)?;
        judge(kernel, &small)?
    };
    for step in &judgement.refused {
        small.steps[*step].after_s = 0;
    }
    // What differs is for the judge to tell, not for the record.
    Ok(judgement.difference.is_none().then_some(Recorded {
        case: small,
        answers: judgement.answers,
    }))
}

/// A conversation made without the kernel's help: it is our tracker that the generator looks at anyway.
pub(super) fn imagine(
    config: &FuzzConfig,
    mut case: Case,
    mut dice: Dice,
) -> Result<Case, JudgeError> {
    use super::generate::Conversation;
    let mut ours = Ours::new(&case)?;
    let mut conversation = Conversation::new(config.family, config.versions, &mut dice);
    loop {
        let steps = conversation.next(&mut dice, ours.tracker());
        if steps.is_empty() {
            return Ok(case);
        }
        for step in steps {
            ours.pass(step.after_s);
            let (_, fate) = ours.step(&step, true, &mut Choices::default());
            conversation.heard(&step, &fate.sent, &mut dice);
            case.steps.push(step);
        }
    }
}

/// Whether a case has fragments in it.
fn has_fragments(case: &Case) -> bool {
    case.steps.iter().any(|step| {
        let [version, .., high, low] = *step.bytes.first_chunk::<8>().unwrap_or(&[0; 8]);
        match version >> 4 {
            4 => u16::from_be_bytes([high, low]) & 0x3fff != 0,
            _ => step.bytes.get(6) == Some(&44),
        }
    })
}
