//! Checksums of what host and firmware tell each other: a descriptor that was damaged on its way is told from a good one.
//!
//! Commands carry 16 bits, because their fields leave no more room: CRC-16 finds every damage of up to three bits in 64 bytes.
//! What the card writes carries CRC-32C in its last four bytes.

use crc::{Algorithm, CRC_16_IBM_3740, Crc, Table};

/// CRC-16 (IBM-3740) but for its initial value, which [`command_sum`] puts into the message.
const FROM_ZERO: Algorithm<u16> = Algorithm {
    init: 0,
    ..CRC_16_IBM_3740
};
static CRC_16: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&FROM_ZERO);

/// Where a command's checksum lies.
const AT: usize = 14;

fn command_sum(bytes: &[u8; 64]) -> [u8; 2] {
    // Two zeros in front change nothing and make it whole blocks of the table; an initial value is what its first bits are added to.
    let [high, low] = CRC_16_IBM_3740.init.to_be_bytes();
    let mut message = [0; 64];
    message[2..AT + 2].copy_from_slice(&bytes[..AT]);
    message[AT + 2..].copy_from_slice(&bytes[AT + 2..]);
    message[2] ^= high;
    message[3] ^= low;
    CRC_16.checksum(&message).to_le_bytes()
}

/// Writes a command's checksum into it.
pub fn seal_command(bytes: &mut [u8; 64]) {
    let sum = command_sum(bytes);
    bytes[AT..AT + 2].copy_from_slice(&sum);
}

/// Whether a command is as it was sealed.
pub fn is_whole_command(bytes: &[u8; 64]) -> bool {
    bytes[AT..AT + 2] == command_sum(bytes)
}

/// CRC-32C of any bytes.
pub fn sum_of(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

fn sum<const N: usize>(bytes: &[u8; N]) -> [u8; 4] {
    sum_of(&bytes[..N - 4]).to_le_bytes()
}

/// Writes the checksum of a descriptor that the card writes into its last four bytes.
pub fn seal<const N: usize>(bytes: &mut [u8; N]) {
    let sum = sum(bytes);
    bytes[N - 4..].copy_from_slice(&sum);
}

/// Whether a descriptor of the card is as it was sealed.
pub fn is_whole<const N: usize>(bytes: &[u8; N]) -> bool {
    bytes[N - 4..] == sum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_command_is_the_published_one() {
        let published = Crc::<u16>::new(&CRC_16_IBM_3740);
        let command: [u8; 64] = std::array::from_fn(|at| (at * 37 + 11) as u8);
        let mut digest = published.digest();
        digest.update(&command[..AT]);
        digest.update(&command[AT + 2..]);
        assert_eq!(command_sum(&command), digest.finalize().to_le_bytes());
    }

    #[test]
    fn every_damaged_bit_shows() {
        let mut command = [0x5a; 64];
        let mut record = [0xa5; 96];
        seal_command(&mut command);
        seal(&mut record);
        assert!(is_whole_command(&command) && is_whole(&record));
        for bit in 0..64 * 8 {
            let mut damaged = command;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_whole_command(&damaged), "bit {bit}");
            let mut damaged = record;
            damaged[bit / 8 + 32] ^= 1 << (bit % 8);
            assert!(!is_whole(&damaged), "bit {bit}");
        }
    }
}
