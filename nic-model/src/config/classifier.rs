//! The rules of the classifier: a list of tables `[[classifier.rule]]`, the first that matches a packet wins.

use super::{ConfigError, TableConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Rows a classifier may have.
const MOST_RULES: usize = 4_096;

/// The keys of a rule and what they mean, for people.
pub const RULE_KEYS: &[(&str, &str)] = &[
    (
        "action",
        "ct (the flow table decides, as without a rule; of what it would forward, the rules of chain_to decide, if there is one), drop, host, mirror (a copy leaves by mirror_to), chain (the rules of chain_to decide, in another search)",
    ),
    ("mirror_to", "port that a copy leaves by"),
    (
        "chain_to",
        "chain that goes on (chain), or decides of packets that the flow table would forward (ct); larger than the rule's own",
    ),
    ("zone", "conntrack zone the packet belongs to from here on"),
    (
        "chain",
        "chain the rule belongs to; a packet begins in chain 0",
    ),
    ("port", "port the packet came in by"),
    ("vlan", "identifier of the outermost VLAN tag"),
    ("ethertype", "Ethernet type behind all VLAN tags"),
    ("ip_version", "4 or 6"),
    ("protocol", "IP protocol number"),
    ("source", "source network, such as \"10.0.0.0/8\""),
    ("destination", "destination network"),
    ("source_port", "source port of TCP or UDP"),
    ("destination_port", "destination port of TCP or UDP"),
    (
        "ct_mark",
        "mark of its connection, and the bits that count, such as \"0x1/0x1\"; in chains behind ct",
    ),
    (
        "ct_labels",
        "labels of its connection, and those that count, such as \"0x20/0x20\"; in chains behind ct",
    ),
];

/// What a rule does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// The flow table decides, as it does where no rule matches. Of packets that it would forward, the rules of the chain
    /// `chain_to` decide, if that is not 0: there mark and labels of the connection can be asked for.
    Ct,
    /// Dropped.
    Drop,
    /// Given to the host.
    Host,
    /// A copy leaves by the port `mirror_to`; for the packet itself the flow table decides.
    Mirror,
    /// The rules of the chain `chain_to` decide, in another search.
    Chain,
}

/// One rule: what it does not mention may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What to do.
    pub action: RuleAction,
    /// Port that a copy leaves by (mirror).
    #[serde(default)]
    pub mirror_to: u8,
    /// Chain that goes on (chain, ct); larger than the rule's own, so that there is an end.
    #[serde(default)]
    pub chain_to: u8,
    /// Conntrack zone the packet belongs to from here on; without any rule that says one, 0.
    pub zone: Option<u16>,
    /// Chain the rule belongs to; a packet begins in chain 0.
    #[serde(default)]
    pub chain: u8,
    /// Port the packet came in by.
    pub port: Option<u8>,
    /// Identifier of the outermost VLAN tag.
    pub vlan: Option<u16>,
    /// Ethernet type behind all VLAN tags.
    pub ethertype: Option<u16>,
    /// 4 or 6.
    pub ip_version: Option<u8>,
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Source network, such as "10.0.0.0/8".
    pub source: Option<String>,
    /// Destination network.
    pub destination: Option<String>,
    /// Source port of TCP or UDP.
    pub source_port: Option<u16>,
    /// Destination port of TCP or UDP.
    pub destination_port: Option<u16>,
    /// Mark of its connection, such as "0x1/0x1": value and the bits of it that count.
    pub ct_mark: Option<String>,
    /// Labels of its connection, such as "0x20/0x20".
    pub ct_labels: Option<String>,
}

/// The classifier, which only a card with rules has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierConfig {
    /// The rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<Rule>,
}

/// An address and the length of its prefix.
pub(crate) fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = if length.is_empty() {
        most
    } else {
        length.parse().ok()?
    };
    (length <= most).then_some((address, length))
}

/// A value and the bits of it that count, `bits` wide at most: `5`, `0x1/0x1`.
pub fn masked(text: &str, bits: u32) -> Option<(u128, u128)> {
    let most = u128::MAX >> (128 - bits.clamp(1, 128));
    let number = |text: &str| {
        let text = text.trim();
        let number = match text.strip_prefix("0x") {
            Some(hex) => u128::from_str_radix(hex, 16),
            None => text.parse(),
        };
        number.ok().filter(|number| *number <= most)
    };
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(text)?, most)),
    }
}

/// The chains that rules lead to behind the flow table.
fn chains_behind_ct(rules: &[Rule]) -> BTreeSet<u8> {
    let leads = |rule: &&Rule| rule.action == RuleAction::Ct && rule.chain_to != 0;
    let mut behind: BTreeSet<u8> = rules
        .iter()
        .filter(leads)
        .map(|rule| rule.chain_to)
        .collect();
    // Chains lead to larger ones only.
    let mut chaining: Vec<&Rule> = rules
        .iter()
        .filter(|rule| rule.action == RuleAction::Chain)
        .collect();
    chaining.sort_by_key(|rule| rule.chain);
    for rule in chaining {
        if behind.contains(&rule.chain) {
            behind.insert(rule.chain_to);
        }
    }
    behind
}

impl ClassifierConfig {
    /// What is wrong with the rules.
    pub(super) fn check(&self, table: &TableConfig) -> Result<(), ConfigError> {
        if self.rule.len() > MOST_RULES {
            return Err(ConfigError::OutOfRange {
                key: "classifier.rule",
                value: self.rule.len().to_string(),
                allowed: format!("at most {MOST_RULES} rules"),
            });
        }
        let behind = chains_behind_ct(&self.rule);
        for (at, rule) in self.rule.iter().enumerate() {
            let asks = rule.ct_mark.is_some() || rule.ct_labels.is_some();
            let in_vain = (asks && !table.marking).then(|| {
                "it asks for mark or labels, and entries have none (table.marking)".to_owned()
            });
            let early = || rule.asks_too_early(&behind);
            if let Some(what) = rule.wrong().or_else(early).or(in_vain) {
                return Err(ConfigError::Rule {
                    number: at + 1,
                    what,
                });
            }
        }
        Ok(())
    }
}

impl Rule {
    /// The mark it asks for, and the bits of it that count.
    pub(crate) fn mark(&self) -> Option<(u128, u128)> {
        masked(self.ct_mark.as_deref()?, 32)
    }

    /// The labels it asks for, and those that count.
    pub(crate) fn labels(&self) -> Option<(u128, u128)> {
        masked(self.ct_labels.as_deref()?, 128)
    }

    fn asks_too_early(&self, behind: &BTreeSet<u8>) -> Option<String> {
        let asks = self.ct_mark.is_some() || self.ct_labels.is_some();
        (asks && !behind.contains(&self.chain)).then(|| {
            "it asks for mark or labels before the flow table has found the connection: give it a chain, \
             and let a rule with action = \"ct\" have that chain as its chain_to"
                .to_owned()
        })
    }

    fn wrong(&self) -> Option<String> {
        for text in [&self.source, &self.destination].into_iter().flatten() {
            if network(text).is_none() {
                return Some(format!(
                    "\"{text}\" is no network; expected one such as \"10.0.0.0/8\" or \"2001:db8::/32\""
                ));
            }
        }
        let versions = [&self.source, &self.destination].map(|text| {
            let (address, _) = text.as_deref().and_then(network)?;
            Some(if address.is_ipv4() { 4 } else { 6 })
        });
        let mut known: Vec<u8> = versions
            .into_iter()
            .chain([self.ip_version])
            .flatten()
            .collect();
        known.dedup();
        if known.len() > 1 || known.iter().any(|version| ![4, 6].contains(version)) {
            return Some(
                "its addresses and IP versions (4 or 6) contradict each other: no packet can match"
                    .to_owned(),
            );
        }
        if self.vlan.is_some_and(|vlan| vlan > 4_095) {
            return Some("a VLAN identifier is at most 4095".to_owned());
        }
        let ports = crate::chip::PORTS as u8;
        if self.port.is_some_and(|port| port >= ports)
            || self.action == RuleAction::Mirror && self.mirror_to >= ports
        {
            return Some(format!("the card has the ports 0 to {}", ports - 1));
        }
        let leads = match self.action {
            RuleAction::Chain => true,
            RuleAction::Ct => self.chain_to != 0,
            _ => false,
        };
        if leads && self.chain_to <= self.chain {
            return Some(format!(
                "chain_to must be larger than the rule's own chain, {}",
                self.chain
            ));
        }
        if self.ct_mark.is_some() && self.mark().is_none() {
            return Some(
                "ct_mark is a number of 32 bits and a mask, such as \"0x1/0x1\"".to_owned(),
            );
        }
        if self.ct_labels.is_some() && self.labels().is_none() {
            return Some(
                "ct_labels are a number of 128 bits and a mask, such as \"0x20/0x20\"".to_owned(),
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str) -> Result<(), String> {
        check_all(&[rule])
    }

    fn check_all(rules: &[&str]) -> Result<(), String> {
        let rules: Vec<String> = rules.iter().map(|rule| format!("{{ {rule} }}")).collect();
        let text = format!("rule = [{}]", rules.join(", "));
        let config: ClassifierConfig = toml::from_str(&text).map_err(|error| error.to_string())?;
        let table = TableConfig::default();
        config.check(&table).map_err(|error| error.to_string())
    }

    #[test]
    fn marks_can_be_asked_for_behind_the_flow_table_alone() {
        let ct = "action = \"ct\", chain_to = 1";
        let on = "action = \"chain\", chain = 1, chain_to = 3";
        let asks = "action = \"drop\", chain = 3, ct_mark = \"1\"";
        assert_eq!(check_all(&[asks, on, ct]), Ok(()));
        for rules in [
            &[asks, ct][..],
            &[asks, on],
            &["action = \"drop\", ct_labels = \"1\"", ct],
        ] {
            let error = check_all(rules).expect_err("nothing leads there");
            assert!(error.contains("chain_to"), "{error}");
        }
    }

    #[test]
    fn values_have_masks() {
        assert_eq!(masked("5", 32), Some((5, 0xffff_ffff)));
        assert_eq!(masked("0x10 / 0xf0", 32), Some((0x10, 0xf0)));
        assert_eq!(masked("0x100000000", 32), None);
        assert_eq!(masked("1/", 32), None);
        assert_eq!(masked("0x1/0x1", 128), Some((1, 1)));
    }

    #[test]
    fn every_key_that_people_are_told_exists() {
        for (key, _) in RULE_KEYS {
            let value = match *key {
                "action" => continue,
                "source" | "destination" => "\"10.0.0.0/8\"",
                "ct_mark" | "ct_labels" => "\"0x1/0x1\", chain = 2",
                "ip_version" => "4",
                _ => "1",
            };
            check_all(&[
                "action = \"ct\", chain_to = 2",
                &format!("action = \"host\", {key} = {value}"),
            ])
            .expect(key);
        }
        let unknown = check("action = \"host\", colour = 1").expect_err("no such key");
        let told = unknown.matches('`').count() / 2;
        assert_eq!(told, RULE_KEYS.len() + 1, "{unknown}");
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        for (rule, why) in [
            ("action = \"drop\", source = \"10.0.0.0/33\"", "no network"),
            (
                "action = \"drop\", source = \"10.0.0.1\", destination = \"2001:db8::/32\"",
                "contradict",
            ),
            (
                "action = \"drop\", source = \"10.0.0.1\", ip_version = 6",
                "contradict",
            ),
            ("action = \"drop\", ip_version = 5", "contradict"),
            ("action = \"drop\", vlan = 4096", "4095"),
            ("action = \"mirror\", mirror_to = 2", "ports 0 to 1"),
            ("action = \"chain\", chain = 2, chain_to = 2", "larger"),
            ("action = \"ct\", chain = 2, chain_to = 1", "larger"),
            ("action = \"drop\", ct_mark = \"one\"", "32 bits"),
            ("action = \"drop\", ct_labels = \"1/x\"", "128 bits"),
        ] {
            let error = check(rule).expect_err(rule);
            assert!(error.contains(why) && error.contains("number 1"), "{error}");
        }
    }
}
