//! The Toeplitz hash of receive-side scaling: each bit of the input that is set adds the 32 bits of the secret that begin there.
//!
//! Source: Microsoft, "RSS Hashing Functions" (Windows driver documentation); the test vectors are those of its page
//! "Verifying the RSS Hash Calculation".

/// Bytes of a secret: enough for 48 bytes of input (a flow's key) and the 32 bits behind.
pub const SECRET_BYTES: usize = 52;

/// The hash of some bytes, at most 48; more take no part.
pub fn hash(secret: &[u8; SECRET_BYTES], input: &[u8]) -> u32 {
    let mut sum = 0;
    let mut window = u32::from_be_bytes([secret[0], secret[1], secret[2], secret[3]]);
    for (byte, next) in input.iter().zip(&secret[4..]) {
        for bit in (0..8).rev() {
            if byte >> bit & 1 == 1 {
                sum ^= window;
            }
            window = window << 1 | u32::from(next >> bit & 1);
        }
    }
    sum
}

/// A secret made from a seed (SplitMix64, Steele, Lea, Flood 2014).
pub fn secret(seed: u32) -> [u8; SECRET_BYTES] {
    let mut state = u64::from(seed);
    let mut out = [0; SECRET_BYTES];
    for chunk in out.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        chunk.copy_from_slice(&z.to_be_bytes()[..chunk.len()]);
    }
    out
}

/// The secret of the published test vectors.
pub const PUBLISHED_SECRET: [u8; SECRET_BYTES] = {
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];
    let mut out = [0; SECRET_BYTES];
    let mut at = 0;
    while at < KEY.len() {
        out[at] = KEY[at];
        at += 1;
    }
    out
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// Source, destination, hash of addresses and ports, hash of addresses.
    const V4: [(&str, u16, &str, u16, u32, u32); 5] = [
        (
            "66.9.149.187",
            2_794,
            "161.142.100.80",
            1_766,
            0x51cc_c178,
            0x323e_8fc2,
        ),
        (
            "199.92.111.2",
            14_230,
            "65.69.140.83",
            4_739,
            0xc626_b0ea,
            0xd718_262a,
        ),
        (
            "24.19.198.95",
            12_898,
            "12.22.207.184",
            38_024,
            0x5c2b_394a,
            0xd2d0_a5de,
        ),
        (
            "38.27.205.30",
            48_228,
            "209.142.163.6",
            2_217,
            0xafc7_327f,
            0x8298_9176,
        ),
        (
            "153.39.163.191",
            44_251,
            "202.188.127.2",
            1_303,
            0x10e8_28a2,
            0x5d18_09c5,
        ),
    ];
    const V6: [(&str, u16, &str, u16, u32, u32); 3] = [
        (
            "3ffe:2501:200:1fff::7",
            2_794,
            "3ffe:2501:200:3::1",
            1_766,
            0x4020_7d3d,
            0x2cc1_8cd5,
        ),
        (
            "3ffe:501:8::260:97ff:fe40:efab",
            14_230,
            "ff02::1",
            4_739,
            0xdde5_1bbf,
            0x0f0c_461c,
        ),
        (
            "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
            44_251,
            "fe80::200:f8ff:fe21:67cf",
            38_024,
            0x02d1_feef,
            0x4b61_e985,
        ),
    ];

    fn check(ends: [Vec<u8>; 2], ports: [u16; 2], with_ports: u32, without: u32) {
        let addresses = ends.concat();
        assert_eq!(hash(&PUBLISHED_SECRET, &addresses), without);
        let ports = ports.map(u16::to_be_bytes).concat();
        assert_eq!(
            hash(&PUBLISHED_SECRET, &[addresses, ports].concat()),
            with_ports
        );
    }

    #[test]
    fn the_published_vectors_agree() {
        for (source, source_port, destination, destination_port, with_ports, without) in V4 {
            let ends = [source, destination].map(|text| {
                let address: Ipv4Addr = text.parse().expect("an address");
                address.octets().to_vec()
            });
            check(ends, [source_port, destination_port], with_ports, without);
        }
        for (source, source_port, destination, destination_port, with_ports, without) in V6 {
            let ends = [source, destination].map(|text| {
                let address: Ipv6Addr = text.parse().expect("an address");
                address.octets().to_vec()
            });
            check(ends, [source_port, destination_port], with_ports, without);
        }
    }
}
