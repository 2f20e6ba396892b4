//! ICMPv6: as ICMP; neighbour discovery and listener reports are not tracked.

/// The type that answers, or is answered by, this type.
pub(crate) const fn counterpart(icmp_type: u8) -> Option<u8> {
    Some(match icmp_type {
        128 => 129,
        129 => 128,
        139 => 140,
        140 => 139,
        _ => return None,
    })
}

/// Whether this is an echo message.
pub(crate) const fn is_echo(icmp_type: u8) -> bool {
    matches!(icmp_type, 128 | 129)
}

/// Whether a message of this type may make a connection.
pub(crate) const fn is_request(icmp_type: u8) -> bool {
    matches!(icmp_type, 128 | 139)
}

/// Whether this type reports an error about another packet.
pub(crate) const fn is_error(icmp_type: u8) -> bool {
    icmp_type < 128
}

/// Whether messages of this type are deliberately not tracked.
pub(crate) const fn is_untracked(icmp_type: u8) -> bool {
    matches!(icmp_type, 130..=136 | 143 | 151..=152)
}
