//! Header rewrite: TTL or hop limit, with the IPv4 header checksum updated incrementally (RFC 1624).

use packet::checksum;

/// Decrements the TTL (and mends the header checksum) or the hop limit of the IP packet at `l3_offset`.
///
/// Gives `false`, and changes nothing, where there is no whole IP header or nothing left to decrement.
#[inline]
pub fn decrement_ttl(frame: &mut [u8], l3_offset: usize) -> bool {
    let Some(ip) = frame.get_mut(l3_offset..) else {
        return false;
    };
    match ip.first().map(|byte| byte >> 4) {
        Some(4) if ip.len() >= 20 => {
            if ip[8] == 0 {
                return false;
            }
            let old = u16::from_be_bytes([ip[8], ip[9]]);
            ip[8] -= 1;
            let new = u16::from_be_bytes([ip[8], ip[9]]);
            let sum = checksum::update_u16(u16::from_be_bytes([ip[10], ip[11]]), old, new);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            true
        }
        Some(6) if ip.len() >= 40 => {
            if ip[7] == 0 {
                return false;
            }
            ip[7] -= 1;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::Ipv4;

    #[test]
    fn the_header_checksum_stays_right_down_to_zero() {
        let mut header = [
            0x45, 0, 0, 20, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        let sum = checksum::finish(checksum::sum(&header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        for ttl in (0..64).rev() {
            assert!(decrement_ttl(&mut header, 0));
            let ip = Ipv4::new(&header).expect("a header");
            assert_eq!(ip.ttl(), ttl);
            assert!(ip.header_checksum_ok());
        }
        assert!(!decrement_ttl(&mut header, 0));
        assert!(!decrement_ttl(&mut header, 19));
        assert!(!decrement_ttl(&mut header, 500));
    }

    #[test]
    fn the_hop_limit_counts_down() {
        let mut header = [0; 40];
        header[0] = 0x60;
        header[7] = 2;
        assert!(decrement_ttl(&mut header, 0) && decrement_ttl(&mut header, 0));
        assert!(!decrement_ttl(&mut header, 0));
    }
}
