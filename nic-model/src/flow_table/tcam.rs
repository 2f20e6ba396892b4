//! A ternary content-addressable memory: every row says of each bit 0, 1 or "any", and of the rows that match the first wins.
//!
//! Rows are in order of priority, as in the hardware, where a priority encoder picks the first match line that stays up.

use super::cam::CamActivity;
use bitvec::vec::BitVec;

/// One row: the bits of `value` count where `mask` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<const WORDS: usize> {
    /// What those bits must be; the others are zero.
    pub value: [u64; WORDS],
    /// Which bits count.
    pub mask: [u64; WORDS],
}

impl<const WORDS: usize> Row<WORDS> {
    /// A row that every key matches.
    pub const ANY: Self = Self {
        value: [0; WORDS],
        mask: [0; WORDS],
    };

    /// Demands `bits` bits from bit `low` of `word` on to be `value`, of those that `mask` names.
    pub const fn demand(&mut self, word: usize, low: u32, value: u64, mask: u64) {
        self.mask[word] |= mask << low;
        self.value[word] |= (value & mask) << low;
    }

    /// Whether a key matches.
    #[inline]
    pub fn matches(&self, key: &[u64; WORDS]) -> bool {
        let words = key.iter().zip(&self.value).zip(&self.mask);
        words.fold(0, |off, ((key, value), mask)| off | (key ^ value) & mask) == 0
    }
}

/// The memory.
#[derive(Debug, Clone)]
pub struct Tcam<const WORDS: usize> {
    rows: Vec<Row<WORDS>>,
    searched: [u64; WORDS],
    activity: CamActivity,
}

impl<const WORDS: usize> Tcam<WORDS> {
    /// A memory of these rows, the first with the highest priority.
    pub fn new(rows: Vec<Row<WORDS>>) -> Self {
        Self {
            activity: CamActivity {
                writes: rows.len() as u64,
                ..CamActivity::default()
            },
            rows,
            searched: [0; WORDS],
        }
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What searches and writes have cost so far.
    pub const fn activity(&self) -> &CamActivity {
        &self.activity
    }

    /// The match lines of a search: one bit per row.
    pub fn match_lines(&self, key: &[u64; WORDS]) -> BitVec<u64> {
        self.rows.iter().map(|row| row.matches(key)).collect()
    }

    /// The first row that matches.
    #[inline]
    pub fn search(&mut self, key: &[u64; WORDS]) -> Option<usize> {
        let lines = self.match_lines(key);
        let toggled = key.iter().zip(&self.searched);
        let toggled: u32 = toggled.map(|(new, old)| (new ^ old).count_ones()).sum();
        self.activity.searches += 1;
        self.activity.match_lines_discharged += lines.count_zeros() as u64;
        self.activity.search_line_toggles += u64::from(toggled) * self.rows.len() as u64;
        self.searched = *key;
        lines.first_one()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_the_rows_that_match_the_first_wins() {
        let mut exact = Row::<2>::ANY;
        exact.demand(0, 0, 0xab, 0xff);
        let mut prefix = Row::<2>::ANY;
        prefix.demand(0, 4, 0xa, 0xf);
        let mut tcam = Tcam::new(vec![exact, prefix, Row::ANY]);
        assert_eq!(tcam.search(&[0xab, 7]), Some(0));
        assert_eq!(tcam.search(&[0xac, 7]), Some(1));
        assert_eq!(tcam.search(&[0, 0]), Some(2));
        // 0xab to 0xac: three bits, in each of three rows; then 0xac and 7 back to zero.
        let toggles = [0xabu64.count_ones() + 3, 3, 4 + 3].map(|bits| u64::from(bits) * 3);
        assert_eq!(
            tcam.activity().search_line_toggles,
            toggles.iter().sum::<u64>()
        );
        assert_eq!(tcam.activity().match_lines_discharged, 3, "none, one, two");
    }

    proptest! {
        #[test]
        fn it_finds_what_a_look_at_every_bit_finds(
            rows in proptest::collection::vec(([0u64..8, 0u64..8], [0u64..8, 0u64..8]), 0..12),
            keys in proptest::collection::vec([0u64..8, 0u64..8], 1..12),
        ) {
            let rows: Vec<Row<2>> = rows
                .into_iter()
                .map(|(value, mask)| Row { value: [value[0] & mask[0], value[1] & mask[1]], mask })
                .collect();
            let mut tcam = Tcam::new(rows.clone());
            for key in keys {
                let matches = |row: &Row<2>| (0..128).all(|bit| {
                    let of = |words: &[u64; 2]| words[bit / 64] >> (bit % 64) & 1;
                    of(&row.mask) == 0 || of(&row.value) == of(&key)
                });
                prop_assert_eq!(tcam.search(&key), rows.iter().position(matches));
            }
        }
    }
}
