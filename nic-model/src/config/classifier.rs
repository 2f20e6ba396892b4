//! The rules of the classifier: a list of tables `[[classifier.rule]]`, the first that matches a packet wins.

use super::ConfigError;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Rows a classifier may have.
const MOST_RULES: usize = 4_096;

/// The keys of a rule and what they mean, for people.
pub const RULE_KEYS: &[(&str, &str)] = &[
    (
        "action",
        "ct (the flow table decides, as without a rule), drop, host, mirror (a copy leaves by mirror_to), chain (the rules of chain_to decide, in another search)",
    ),
    ("mirror_to", "port that a copy leaves by"),
    ("chain_to", "chain that goes on; larger than the rule's own"),
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
];

/// What a rule does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// The flow table decides, as it does where no rule matches.
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
    /// Chain that goes on (chain); larger than the rule's own, so that there is an end.
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

impl ClassifierConfig {
    /// What is wrong with the rules.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.rule.len() > MOST_RULES {
            return Err(ConfigError::OutOfRange {
                key: "classifier.rule",
                value: self.rule.len().to_string(),
                allowed: format!("at most {MOST_RULES} rules"),
            });
        }
        for (at, rule) in self.rule.iter().enumerate() {
            if let Some(what) = rule.wrong() {
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
        if self.action == RuleAction::Chain && self.chain_to <= self.chain {
            return Some(format!(
                "chain_to must be larger than the rule's own chain, {}",
                self.chain
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str) -> Result<(), String> {
        let config: ClassifierConfig =
            toml::from_str(&format!("rule = [{{ {rule} }}]")).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_that_people_are_told_exists() {
        for (key, _) in RULE_KEYS {
            let value = match *key {
                "action" => continue,
                "source" | "destination" => "\"10.0.0.0/8\"",
                "ip_version" => "4",
                _ => "1",
            };
            check(&format!("action = \"host\", {key} = {value}")).expect(key);
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
        ] {
            let error = check(rule).expect_err(rule);
            assert!(error.contains(why) && error.contains("number 1"), "{error}");
        }
    }
}
