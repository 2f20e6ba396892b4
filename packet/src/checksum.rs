//! The Internet checksum (RFC 1071), its pseudo headers, and its incremental update (RFC 1624).
//!
//! A *partial sum* is a `u32` holding the ones' complement sum of 16-bit words, not yet folded. [`sum`] gives at most
//! 0xffff, so tens of thousands of pieces can be added with plain `+` before [`fold`] or [`finish`]. Every
//! piece but the last must have an even length.

use crate::protocol::Protocol;

/// Partial sum of `bytes`, at most 0xffff; an odd last byte counts as the high half of a word.
#[inline]
pub fn sum(bytes: &[u8]) -> u32 {
    // Ones' complement addition does not care about byte order (RFC 1071, section 2B): add native words, swap once at the end. Words of 32 bits
    // in 64-bit accumulators cannot overflow (that would take 16 GiB), need no carries, and are what the compiler turns into vector code.
    let (chunks, rest) = bytes.as_chunks::<32>();
    let mut lanes = [0_u64; 4];
    for chunk in chunks {
        let (words, _) = chunk.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            let word = u64::from_ne_bytes(*word);
            *lane += (word & 0xffff_ffff) + (word >> 32);
        }
    }
    let mut total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        let word = u64::from_ne_bytes(*word);
        total += (word & 0xffff_ffff) + (word >> 32);
    }
    total += tail(rest);
    let total = fold_u64(total);
    u32::from(u16::from_be(total))
}

/// Sum of `bytes` from `at` on, an even place, in the machine's own byte order, not folded: for [`is_complete`], to which the
/// order does not matter. Nothing if there are no eight bytes in all.
#[inline]
pub fn native_sum(bytes: &[u8], at: usize) -> u64 {
    let (words, rest) = bytes.get(at..).unwrap_or(&[]).as_chunks::<8>();
    let mut total = 0;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        total += (word & 0xffff_ffff) + (word >> 32);
    }
    // How many are left differs from packet to packet: those before them are shifted out of the last eight, without a branch.
    let last = bytes.last_chunk().copied().unwrap_or_default();
    let last = u64::from_le_bytes(last) >> 8 >> (56 - 8 * rest.len());
    let last = u64::from_ne_bytes(last.to_le_bytes());
    total + (last & 0xffff_ffff) + (last >> 32)
}

/// Whether a sum in native order over data that includes its checksum says that it is right (RFC 1071, section 2B).
#[inline]
pub const fn is_complete(sum: u64) -> bool {
    // Folding keeps the remainder, and only nothing folds to 0.
    (sum != 0) & sum.is_multiple_of(0xffff)
}

/// Sum of fewer than 8 bytes in native order.
#[inline]
fn tail(mut bytes: &[u8]) -> u64 {
    let mut total = 0;
    if let Some((word, rest)) = bytes.split_first_chunk::<4>() {
        total += u64::from(u32::from_ne_bytes(*word));
        bytes = rest;
    }
    if let Some((half, rest)) = bytes.split_first_chunk::<2>() {
        total += u64::from(u16::from_ne_bytes(*half));
        bytes = rest;
    }
    if let [last] = bytes {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    total
}

/// Partial sum of an IPv4 header without options.
#[inline]
pub(crate) fn sum_20(header: &[u8; 20]) -> u32 {
    let (words, _) = header.as_chunks::<4>();
    let total: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)))
        .sum();
    u32::from(u16::from_be(fold_u64(total)))
}

#[inline]
const fn fold_u64(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    fold(sum as u32)
}

/// Folds the carries of a partial sum back into 16 bits.
#[inline]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// The checksum a partial sum leads to: its complement. Over data that includes a right checksum it is 0.
#[inline]
pub const fn finish(sum: u32) -> u16 {
    !fold(sum)
}

/// Checksum of `bytes` alone.
#[inline]
pub fn checksum(bytes: &[u8]) -> u16 {
    finish(sum(bytes))
}

/// Partial sum of the IPv4 pseudo header; `len` is the length of the transport header and payload.
#[inline]
pub fn pseudo_header_v4(
    source: [u8; 4],
    destination: [u8; 4],
    protocol: Protocol,
    len: u32,
) -> u32 {
    let (source, destination) = (u32::from_be_bytes(source), u32::from_be_bytes(destination));
    let addresses =
        (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff);
    addresses + u32::from(protocol.0) + (len >> 16) + (len & 0xffff)
}

/// Partial sum of the IPv6 pseudo header; `len` is the length of the transport header and payload.
#[inline]
pub fn pseudo_header_v6(
    source: [u8; 16],
    destination: [u8; 16],
    protocol: Protocol,
    len: u32,
) -> u32 {
    sum_16(source) + sum_16(destination) + u32::from(protocol.0) + (len >> 16) + (len & 0xffff)
}

#[inline]
fn sum_16(address: [u8; 16]) -> u32 {
    let (words, _) = address.as_chunks::<2>();
    words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)))
        .sum()
}

/// Whether the checksum in the transport bytes `l4` is right over IPv4. `l4` must be whole.
///
/// "No checksum" of UDP (0) is for the caller to know; ICMP has no pseudo header ([`crate::Icmp::checksum_ok`]).
#[inline]
pub fn l4_ok_v4(source: [u8; 4], destination: [u8; 4], protocol: Protocol, l4: &[u8]) -> bool {
    finish(pseudo_header_v4(source, destination, protocol, l4.len() as u32) + sum(l4)) == 0
}

/// Whether the checksum in the transport bytes `l4` is right over IPv6. `l4` must be whole.
#[inline]
pub fn l4_ok_v6(source: [u8; 16], destination: [u8; 16], protocol: Protocol, l4: &[u8]) -> bool {
    finish(pseudo_header_v6(source, destination, protocol, l4.len() as u32) + sum(l4)) == 0
}

/// The checksum after one 16-bit word it covers changed from `old` to `new` (RFC 1624, equation 3).
///
/// Equal to recomputing in full, unless the data is all zero before or after, which no header is.
#[inline]
pub const fn update_u16(checksum: u16, old: u16, new: u16) -> u16 {
    finish(!checksum as u32 + !old as u32 + new as u32)
}

/// The checksum after an aligned 32-bit word it covers changed from `old` to `new`.
#[inline]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    let removed = (!old >> 16) + (!old & 0xffff);
    let added = (new >> 16) + (new & 0xffff);
    finish(!checksum as u32 + removed + added)
}

/// The checksum after aligned bytes it covers changed from `old` to `new`: addresses, mostly.
///
/// `old` and `new` may differ in length if both are even (an odd last byte is taken as padded with zero).
#[inline]
pub fn update_bytes(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    // The complement of a sum is the sum of complements, so one complement of the folded sum serves for all words.
    let removed = !(sum(old) as u16);
    finish(u32::from(!checksum) + u32::from(removed) + sum(new))
}

/// A computed UDP checksum as it must be sent: 0 would mean "none", so its other form 0xffff is used (RFC 768).
#[inline]
pub const fn udp_nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 word by word, in the plainest form.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0_u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        !(sum as u16)
    }

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(
            fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])),
            0xddf2
        );
    }

    #[test]
    fn extremes() {
        assert_eq!(sum(&[]), 0);
        assert_eq!(checksum(&[0; 100]), 0xffff);
        assert_eq!(checksum(&[0xff; 65_535]), reference(&[0xff; 65_535]));
        assert_eq!(checksum(&[0xff; 1 << 20]), 0);
        assert_eq!(fold(u32::MAX), 0xffff);
        assert_eq!(udp_nonzero(0), 0xffff);
        assert_eq!(udp_nonzero(7), 7);
    }

    #[test]
    fn pseudo_headers() {
        // A UDP datagram from 152.1.51.27 to 152.14.94.75 (a well-known worked example): checksum 0x14de of data "Hi".
        let udp = [0xa0, 0x8f, 0x26, 0x94, 0x00, 0x0a, 0x00, 0x00, 0x62, 0x62];
        let pseudo = pseudo_header_v4([152, 1, 51, 27], [152, 14, 94, 75], Protocol::UDP, 10);
        assert_eq!(finish(pseudo + sum(&udp)), 0x14de);
        let mut spelled = [0_u8; 40];
        spelled[..16].fill(0x20);
        spelled[16..32].fill(0xfe);
        (spelled[34], spelled[35], spelled[39]) = (1, 2, 58);
        let pseudo = pseudo_header_v6([0x20; 16], [0xfe; 16], Protocol::ICMPV6, 0x102);
        assert_eq!(finish(pseudo), reference(&spelled));
    }

    proptest! {
        #[test]
        fn sum_is_the_reference(bytes in prop::collection::vec(any::<u8>(), 0..300), skip in 0_usize..9) {
            let bytes = bytes.get(skip..).unwrap_or(&[]);
            prop_assert_eq!(checksum(bytes), reference(bytes));
            prop_assert!(sum(bytes) <= 0xffff);
        }

        #[test]
        fn native_sums_tell_right_from_wrong(
            mut bytes in prop::collection::vec(any::<u8>(), 8..100),
            cut in 4_usize..50,
            wrong: bool,
        ) {
            bytes[..2].fill(0);
            let right = reference(&bytes);
            let [high, low] = if wrong { right ^ 0x0100 } else { right }.to_be_bytes();
            (bytes[0], bytes[1]) = (high, low);
            let cut = (cut * 2).min(bytes.len() & !1);
            let sum = native_sum(&bytes[..cut], 0) + native_sum(&bytes, cut);
            prop_assert_eq!(is_complete(sum), reference(&bytes) == 0);
            prop_assert_eq!(is_complete(native_sum(&bytes, 0)), !wrong);
        }

        #[test]
        fn pieces_add_up(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..150) {
            let (first, second) = bytes.split_at((cut * 2).min(bytes.len()));
            prop_assert_eq!(finish(sum(first) + sum(second)), checksum(&bytes));
        }

        /// Words are drawn so that 0x0000 and 0xffff, the two forms of zero, come up all the time.
        #[test]
        fn update_is_recomputation(
            mut words in prop::collection::vec(prop_oneof![Just(0_u16), Just(0xffff), Just(1), any::<u16>()], 2..12),
            at in any::<prop::sample::Index>(),
            new in prop_oneof![Just(0_u16), Just(0xffff), Just(0xfffe), any::<u16>()],
        ) {
            let bytes = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
            let at = at.index(words.len());
            let before = words.clone();
            let old = std::mem::replace(&mut words[at], new);
            prop_assume!(before.iter().any(|word| *word != 0) && words.iter().any(|word| *word != 0));
            let updated = update_u16(checksum(&bytes(&before)), old, new);
            prop_assert_eq!(updated, checksum(&bytes(&words)));
            prop_assert_eq!(update_bytes(checksum(&bytes(&before)), &bytes(&before), &bytes(&words)), updated);
        }

        #[test]
        fn update_of_a_double_word_is_two_updates(checksum: u16, old: u32, new: u32) {
            let twice = update_u16(update_u16(checksum, (old >> 16) as u16, (new >> 16) as u16), old as u16, new as u16);
            let once = update_u32(checksum, old, new);
            prop_assert_eq!(once, update_bytes(checksum, &old.to_be_bytes(), &new.to_be_bytes()));
            // Both are right; only the form of zero may differ, and only when everything that is summed is zero.
            prop_assert!(once == twice || (once == 0) == (twice == 0xffff));
        }
    }
}
