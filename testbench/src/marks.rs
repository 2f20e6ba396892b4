//! Rules of the testbench's host that mark connections (`[[mark]]` of a scenario), changes of marks while traffic flows, and the
//! rule that drops packets of marked connections (`[driver] drop_marked`).

use crate::scenario::ScenarioError;
use conntrack_core::{ConnectionId, Time, Tracker};
use driver::Selection;
use driver::switch::marking_of;
use nic_model::config::masked;
use nic_model::flow_table::Marking;
use serde::Deserialize;

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkTable {
    #[serde(rename = "match")]
    which: String,
    #[serde(default)]
    mark: Option<String>,
    #[serde(default)]
    labels: Option<String>,
}

/// New values of some bits of mark and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remark {
    /// The values.
    pub value: Marking,
    /// The bits that get them.
    pub mask: Marking,
}

impl Remark {
    /// What a marking becomes.
    pub const fn of(&self, before: Marking) -> Marking {
        Marking {
            mark: before.mark & !self.mask.mark | self.value.mark & self.mask.mark,
            labels: before.labels & !self.mask.labels | self.value.labels & self.mask.labels,
        }
    }
}

/// Which connections get which marking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkRule {
    /// Which.
    pub which: Selection,
    /// What they get.
    pub change: Remark,
}

impl MarkTable {
    /// The rule it says.
    ///
    /// # Errors
    /// It names no connections, or gives them nothing.
    pub(crate) fn read(&self) -> Result<MarkRule, ScenarioError> {
        MarkRule::parse(&self.which, self.mark.as_deref(), self.labels.as_deref())
    }
}

impl MarkRule {
    /// Reads a rule: `which` as the policy `rule:` has it, `mark` and `labels` as `value/mask`.
    ///
    /// # Errors
    /// It names no connections, or gives them nothing.
    pub(crate) fn parse(
        which: &str,
        mark: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Self, ScenarioError> {
        let named = Selection::parse(which).ok_or_else(|| {
            let expected = "such as tcp/443, udp/5000-5999, zone/7 or mark/1, separated by commas";
            ScenarioError::value("match", which, expected)
        })?;
        let mut change = Remark::default();
        if let Some(text) = mark {
            let (value, mask) = read_masked("mark", text, 32)?;
            (change.value.mark, change.mask.mark) = (value as u32, mask as u32);
        }
        if let Some(text) = labels {
            (change.value.labels, change.mask.labels) = read_masked("labels", text, 128)?;
        }
        if change.mask.is_none() {
            let expected = "mark, labels, or both, such as \"0x1/0x1\"";
            return Err(ScenarioError::value("mark", "(missing)", expected));
        }
        Ok(Self {
            which: named,
            change,
        })
    }

    /// Changes all connections that it names.
    pub fn apply(&self, tracker: &mut Tracker, now: Time) {
        let named = tracker.iter().filter(|(_, there)| self.which.names(there));
        let named: Vec<(ConnectionId, Marking)> = named
            .map(|(id, connection)| (id, self.change.of(marking_of(connection))))
            .collect();
        for (id, marking) in named {
            tracker.set_mark(id, marking.mark, now);
            tracker.set_labels(id, marking.labels, u128::MAX, now);
        }
    }
}

/// The mark whose packets are dropped, and the bits of it that count.
///
/// # Errors
/// It is none.
pub(crate) fn read_drop(text: &str) -> Result<(u32, u32), ScenarioError> {
    let (value, mask) = read_masked("drop_marked", text, 32)?;
    Ok((value as u32, mask as u32))
}

fn read_masked(key: &str, text: &str, bits: u32) -> Result<(u128, u128), ScenarioError> {
    masked(text, bits).ok_or_else(|| {
        let expected = format!("a number of {bits} bits, and a mask, such as \"0x1/0x1\"");
        ScenarioError::value(key, text, expected)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_other_bits_alone() {
        let rule = MarkRule::parse("tcp/80", Some("0x10/0xf0"), Some("0x1/0x3")).expect("a rule");
        let before = Marking {
            mark: 0xabc,
            labels: 0xf2,
        };
        let after = rule.change.of(before);
        assert_eq!((after.mark, after.labels), (0xa1c, 0xf1));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (which, mark, labels, why) in [
            ("tcp", Some("1"), None, "match"),
            ("tcp/80", None, None, "mark"),
            ("tcp/80", Some("0x1ffffffff"), None, "32 bits"),
            ("tcp/80", None, Some("one"), "128 bits"),
            ("tcp/80", Some("1/0"), None, "missing"),
        ] {
            let error = MarkRule::parse(which, mark, labels).expect_err(which);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
