//! The classifier: a ternary CAM in front of the flow table that says where connection tracking applies, and behind it what
//! becomes of packets of connections with certain marks and labels.
//!
//! Headers are taken as they come, whether or not the parser makes a key of them, so that rules can speak of ICMP, fragments
//! (which have no ports) and frames that are not IP.

use crate::config::{ClassifierConfig, Rule, RuleAction, network};
use crate::flow_table::cam::CamActivity;
use crate::flow_table::entry::Endpoint;
use crate::flow_table::marking::Marking;
use crate::flow_table::tcam::{Row, Tcam};
use packet::{EtherType, Ethernet, Ipv4, Ipv6, Protocol};

const WORDS: usize = 9;

/// Words 0 and 1 hold the source address, 2 and 3 the destination, 6 and 7 the labels; the other fields lie here.
mod at {
    pub(super) const SOURCE_PORT: (usize, u32) = (4, 0);
    pub(super) const DESTINATION_PORT: (usize, u32) = (4, 16);
    pub(super) const ETHERTYPE: (usize, u32) = (4, 32);
    pub(super) const PROTOCOL: (usize, u32) = (4, 48);
    pub(super) const IP_VERSION: (usize, u32) = (4, 56);
    pub(super) const CHAIN: (usize, u32) = (5, 0);
    pub(super) const PORT: (usize, u32) = (5, 8);
    pub(super) const VLAN: (usize, u32) = (5, 16);
    /// Bits that say whether there is a VLAN tag, and whether there are ports.
    pub(super) const HAS_VLAN: (usize, u32) = (5, 32);
    pub(super) const HAS_PORTS: (usize, u32) = (5, 33);
    /// The bit that says that the flow table has found the connection.
    pub(super) const TRACKED: (usize, u32) = (5, 34);
    pub(super) const LABELS: usize = 6;
    pub(super) const MARK: (usize, u32) = (8, 0);
}

/// What the classifier decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Class {
    /// Dropped.
    pub drop: bool,
    /// To the host.
    pub host: bool,
    /// A copy leaves by this port.
    pub mirror_to: Option<u8>,
    /// Conntrack zone the packet belongs to.
    pub zone: u16,
    /// The chain that decides of the packet if the flow table would forward it.
    pub behind_ct: Option<u8>,
    /// Searches it took: chains visited.
    pub searches: u8,
}

/// The stage.
#[derive(Debug, Clone)]
pub struct Classifier {
    tcam: Tcam<WORDS>,
    rules: Vec<Rule>,
}

impl Classifier {
    /// The classifier of a valid configuration.
    pub fn new(config: &ClassifierConfig) -> Self {
        Self {
            tcam: Tcam::new(config.rule.iter().map(row).collect()),
            rules: config.rule.clone(),
        }
    }

    /// Whether there is nothing to search.
    #[inline]
    pub const fn is_absent(&self) -> bool {
        self.tcam.is_empty()
    }

    /// What searches have cost.
    pub const fn activity(&self) -> &CamActivity {
        self.tcam.activity()
    }

    /// What the rules say of a frame that came in by `port`.
    pub fn classify(&mut self, port: u8, frame: &[u8]) -> Class {
        self.walk(key(port, frame))
    }

    /// What the rules of a chain say of a frame that came in by `port`, and whose connection the flow table has found.
    pub fn classify_tracked(
        &mut self,
        port: u8,
        frame: &[u8],
        chain: u8,
        marking: &Marking,
    ) -> Class {
        let mut key = key(port, frame);
        key[at::CHAIN.0] |= u64::from(chain) << at::CHAIN.1 | 1 << at::TRACKED.1;
        key[at::MARK.0] |= u64::from(marking.mark) << at::MARK.1;
        let [_, low, high] = marking.words();
        (key[at::LABELS], key[at::LABELS + 1]) = (low, high);
        self.walk(key)
    }

    fn walk(&mut self, mut key: [u64; WORDS]) -> Class {
        let mut class = Class::default();
        loop {
            class.searches = class.searches.saturating_add(1);
            let Some(rule) = self.tcam.search(&key).map(|row| &self.rules[row]) else {
                return class;
            };
            class.zone = rule.zone.unwrap_or(class.zone);
            match rule.action {
                RuleAction::Ct => {
                    class.behind_ct = (rule.chain_to != 0).then_some(rule.chain_to);
                }
                RuleAction::Drop => class.drop = true,
                RuleAction::Host => class.host = true,
                RuleAction::Mirror => class.mirror_to = Some(rule.mirror_to),
                RuleAction::Chain => {
                    let (word, low) = at::CHAIN;
                    key[word] = key[word] & !(0xff << low) | u64::from(rule.chain_to) << low;
                    continue;
                }
            }
            return class;
        }
    }
}

fn row(rule: &Rule) -> Row<WORDS> {
    let mut row = Row::ANY;
    let mut demand = |(word, low): (usize, u32), value: Option<u64>, mask: u64| {
        if let Some(value) = value {
            row.demand(word, low, value, mask);
        }
    };
    demand(at::CHAIN, Some(rule.chain.into()), 0xff);
    demand(at::PORT, rule.port.map(u64::from), 0xff);
    demand(at::VLAN, rule.vlan.map(u64::from), 0xfff);
    demand(at::HAS_VLAN, rule.vlan.map(|_| 1), 1);
    demand(at::ETHERTYPE, rule.ethertype.map(u64::from), 0xffff);
    demand(at::IP_VERSION, rule.ip_version.map(u64::from), 0xff);
    demand(at::PROTOCOL, rule.protocol.map(u64::from), 0xff);
    // A protocol is one only of an IP packet.
    let ip = rule.protocol.filter(|_| rule.ip_version.is_none());
    demand((at::IP_VERSION.0, at::IP_VERSION.1 + 2), ip.map(|_| 1), 1);
    demand(at::SOURCE_PORT, rule.source_port.map(u64::from), 0xffff);
    demand(
        at::DESTINATION_PORT,
        rule.destination_port.map(u64::from),
        0xffff,
    );
    let [mark, labels] = [rule.mark(), rule.labels()];
    if let Some((value, mask)) = mark {
        demand(at::MARK, Some(value as u64), mask as u64);
    }
    if let Some((value, mask)) = labels {
        for (word, shift) in [(at::LABELS, 0), (at::LABELS + 1, 64)] {
            let part = |number: u128| (number >> shift) as u64;
            demand((word, 0), Some(part(value)), part(mask));
        }
    }
    demand(at::TRACKED, mark.or(labels).map(|_| 1), 1);
    let ports = rule.source_port.or(rule.destination_port);
    demand(at::HAS_PORTS, ports.map(|_| 1), 1);
    for (first, text) in [(0, &rule.source), (2, &rule.destination)] {
        let Some((address, length)) = text.as_deref().and_then(network) else {
            continue;
        };
        let version = if address.is_ipv4() { 4 } else { 6 };
        demand(at::IP_VERSION, Some(version), 0xff);
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        let (value, mask) = (words(&Endpoint::wide(address)), words(&mask.to_be_bytes()));
        for word in 0..2 {
            demand((first + word, 0), Some(value[word]), mask[word]);
        }
    }
    row
}

fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let value = u128::from_be_bytes(*bytes);
    [(value >> 64) as u64, value as u64]
}

/// The search key of a frame, in chain 0.
fn key(port: u8, frame: &[u8]) -> [u64; WORDS] {
    let mut key = [0; WORDS];
    let mut put = |(word, low): (usize, u32), value: u64| key[word] |= value << low;
    put(at::PORT, port.into());
    let Ok(ethernet) = Ethernet::new(frame) else {
        return key;
    };
    put(at::ETHERTYPE, ethernet.ethertype().0.into());
    if let Some(tag) = ethernet.vlan_tags().first() {
        put(at::VLAN, tag.id().into());
        put(at::HAS_VLAN, 1);
    }
    let bytes = ethernet.payload();
    let (source, destination, protocol, version, transport) = match ethernet.ethertype() {
        EtherType::IPV4 => {
            let Ok(ip) = Ipv4::new(bytes) else { return key };
            let first = (!ip.is_fragment()).then_some(ip.header_len());
            (
                Endpoint::wide_v4(ip.source()),
                Endpoint::wide_v4(ip.destination()),
                ip.protocol(),
                4,
                first,
            )
        }
        EtherType::IPV6 => {
            let Ok(ip) = Ipv6::new(bytes) else { return key };
            let Ok(upper) = ip.upper_layer() else {
                return key;
            };
            let first = upper.fragment.is_none().then_some(upper.offset);
            (ip.source(), ip.destination(), upper.protocol, 6, first)
        }
        _ => return key,
    };
    put(at::PROTOCOL, protocol.0.into());
    put(at::IP_VERSION, version);
    for (first, address) in [(0, source), (2, destination)] {
        let [high, low] = words(&address);
        put((first, 0), high);
        put((first + 1, 0), low);
    }
    let ports = transport.and_then(|offset| bytes.get(offset..offset + 4));
    if let (Some([a, b, c, d]), Protocol::TCP | Protocol::UDP) = (ports, protocol) {
        put(at::SOURCE_PORT, u16::from_be_bytes([*a, *b]).into());
        put(at::DESTINATION_PORT, u16::from_be_bytes([*c, *d]).into());
        put(at::HAS_PORTS, 1);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::build::FrameBuilder;

    fn classifier(rules: &str) -> Classifier {
        let config: ClassifierConfig = toml::from_str(rules).expect(rules);
        Classifier::new(&config)
    }

    fn frame(last: u8, destination_port: u16) -> Vec<u8> {
        FrameBuilder::new()
            .ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, last], [192, 0, 2, 1])
            .tcp(40_000, destination_port)
            .build()
    }

    #[test]
    fn the_first_rule_that_matches_wins_and_chains_go_on() {
        let mut classifier = classifier(
            r#"
            rule = [
                { action = "drop", source = "10.0.0.128/25", destination_port = 22 },
                { action = "chain", chain_to = 3, destination_port = 80 },
                { action = "host", chain = 3, port = 1 },
                { action = "mirror", mirror_to = 1, chain = 3, source = "10.0.0.7" },
                { action = "drop", protocol = 1 },
                { action = "host", ethertype = 0x0806 },
            ]
            "#,
        );
        let mut of = |port, frame: &[u8]| classifier.classify(port, frame);
        assert!(of(0, &frame(200, 22)).drop);
        assert!(!of(0, &frame(20, 22)).drop);
        let chained = of(1, &frame(7, 80));
        assert!(chained.host && chained.searches == 2);
        assert_eq!(of(0, &frame(7, 80)).mirror_to, Some(1));
        let other = of(0, &frame(8, 80));
        assert!(
            other
                == Class {
                    searches: 2,
                    ..Class::default()
                },
            "{other:?}"
        );
        let mut arp = vec![0; 60];
        arp[12..14].copy_from_slice(&[8, 6]);
        assert!(of(0, &arp).host);
        // Protocol 1 is one of an IP packet, not of whatever else has no protocol.
        assert!(!of(0, &[0; 60]).drop);
    }

    #[test]
    fn marks_and_labels_decide_behind_the_flow_table() {
        let mut classifier = classifier(
            r#"
            rule = [
                { action = "ct", chain_to = 5, destination_port = 80 },
                { action = "drop", chain = 5, ct_mark = "0x1/0x1" },
                { action = "host", chain = 5, ct_labels = "0x80000000000000000000000000000001" },
                { action = "mirror", mirror_to = 1, chain = 5, source = "10.0.0.7" },
            ]
            "#,
        );
        assert_eq!(classifier.classify(0, &frame(7, 80)).behind_ct, Some(5));
        assert_eq!(classifier.classify(0, &frame(7, 81)).behind_ct, None);
        let mut of = |mark, labels| {
            let marking = Marking { mark, labels };
            let class = classifier.classify_tracked(0, &frame(7, 80), 5, &marking);
            (class.drop, class.host, class.mirror_to)
        };
        assert_eq!(of(3, 0), (true, false, None));
        assert_eq!(of(2, 1 << 127 | 1), (false, true, None));
        assert_eq!(of(2, 1), (false, false, Some(1)));
        assert_eq!(of(0, 0), (false, false, Some(1)));
    }

    proptest::proptest! {
        #[test]
        fn no_frame_makes_it_panic(
            head in proptest::sample::select(vec![[8u8, 0, 0x45], [0x86, 0xdd, 0x60], [0x81, 0, 0]]),
            port: u8,
            mut frame in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
        ) {
            if let Some(place) = frame.get_mut(12..15) {
                place.copy_from_slice(&head);
            }
            let mut classifier = classifier("rule = [{ action = \"drop\", protocol = 6, destination_port = 1 }]");
            classifier.classify(port, &frame);
        }
    }

    #[test]
    fn a_rule_for_port_zero_does_not_match_what_has_no_ports() {
        let mut classifier = classifier(
            "rule = [{ action = \"drop\", destination_port = 0 }, { action = \"host\", vlan = 0 }]",
        );
        assert!(!classifier.classify(0, &frame(1, 80)).drop);
        assert!(classifier.classify(0, &frame(1, 0)).drop);
        assert!(!classifier.classify(0, &[0; 60]).drop);
        assert!(!classifier.classify(0, &frame(1, 80)).host);
        let tagged = FrameBuilder::new()
            .ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .vlan(EtherType(0x8100), 0)
            .ipv4([10, 0, 0, 1], [192, 0, 2, 1])
            .build();
        assert!(classifier.classify(0, &tagged).host);
    }
}
