//! Mark and labels of an entry's connection: 24 bytes, which rules behind the flow table ask for.

use crate::layout::{FieldLayout, field};

/// The marking: three 64-bit words.
pub const MARKING_FIELDS: &[FieldLayout] = &[
    field("mark", 32, "The connection's mark (`ct mark`)."),
    field("", 32, "reserved"),
    field(
        "labels",
        128,
        "The connection's labels (`ct label`), label 0 in the lowest bit.",
    ),
];

/// What connection tracking has attached to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marking {
    /// Its mark.
    pub mark: u32,
    /// Its labels, label 0 in the lowest bit.
    pub labels: u128,
}

impl Marking {
    /// No mark, and no label.
    pub const NONE: Self = Self { mark: 0, labels: 0 };

    /// Whether there is nothing.
    #[inline]
    pub const fn is_none(&self) -> bool {
        self.mark == 0 && self.labels == 0
    }

    /// What an entry holds of it.
    pub const fn words(&self) -> [u64; 3] {
        [
            self.mark as u64,
            self.labels as u64,
            (self.labels >> 64) as u64,
        ]
    }

    /// What an entry's words say.
    pub const fn of_words([mark, low, high]: [u64; 3]) -> Self {
        Self {
            mark: mark as u32,
            labels: low as u128 | (high as u128) << 64,
        }
    }

    /// CRC-32C of the words, little-endian; 0 for none.
    pub fn checksum(&self) -> u32 {
        if self.is_none() {
            return 0;
        }
        let mut bytes = [0; 24];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.words()) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        crc32c::crc32c(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_give_back_what_they_were_made_of(mark: u32, labels: u128) {
            let marking = Marking { mark, labels };
            prop_assert_eq!(Marking::of_words(marking.words()), marking);
            prop_assert_eq!(marking.is_none(), marking == Marking::NONE);
        }
    }

    #[test]
    fn a_checksum_tells_marks_from_labels() {
        let sums = [
            Marking::NONE,
            Marking { mark: 1, labels: 0 },
            Marking { mark: 0, labels: 1 },
        ]
        .map(|marking| marking.checksum());
        assert_eq!(sums[0], 0);
        assert!(sums[1] != sums[2] && sums[1] != 0 && sums[2] != 0);
    }
}
