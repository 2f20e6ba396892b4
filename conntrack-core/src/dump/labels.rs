//! Names of labels, as `connlabel.conf` gives them.

use std::collections::BTreeMap;

/// Names of label bits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelNames(BTreeMap<u8, String>);

impl LabelNames {
    /// Reads the lines of a `connlabel.conf`: a bit from 0 to 127 and a name; `#` begins a comment. Others are left out.
    pub fn parse(text: &str) -> Self {
        let names = text.lines().filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let bit: u8 = words.next()?.parse().ok()?;
            (bit < 128).then_some((bit, words.next()?.to_owned()))
        });
        Self(names.collect())
    }

    /// Names of the bits that are set, lowest first; those without a name are left out.
    pub(super) fn of(&self, labels: u128) -> impl Iterator<Item = &str> {
        let set = self
            .0
            .iter()
            .filter(move |(bit, _)| labels >> **bit & 1 == 1);
        set.map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_line_is_left_out() {
        let names = LabelNames::parse("# bit name\n5\tfive\n7 seven # odd\n128 none\nx y\n3\n");
        let of = |labels| names.of(labels).collect::<Vec<_>>();
        assert_eq!(of(0b1010_1000), ["five", "seven"]);
        assert!(of(1 << 3).is_empty());
    }
}
