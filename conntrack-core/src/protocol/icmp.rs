//! ICMP: requests make connections, replies belong to them. Errors concern another connection and are handled by the
//! tracker.

/// The type that answers, or is answered by, this type.
pub(crate) const fn counterpart(icmp_type: u8) -> Option<u8> {
    Some(match icmp_type {
        8 => 0,
        0 => 8,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// Whether a message of this type may make a connection.
pub(crate) const fn is_request(icmp_type: u8) -> bool {
    matches!(icmp_type, 8 | 13 | 15 | 17)
}

/// Whether this type reports an error about another packet.
pub(crate) const fn is_error(icmp_type: u8) -> bool {
    matches!(icmp_type, 3 | 4 | 5 | 11 | 12)
}

/// The highest type the kernel knows.
pub(crate) const MAX_TYPE: u8 = 18;
