//! Reading numbers and addresses from text as leniently as the kernel's helpers do.

use std::net::Ipv6Addr;

/// Numbers separated by `separator`; they must fill `numbers`, and `end` (anything without) must follow. Gives the length
/// up to there. Numbers wrap.
pub fn numbers(text: &[u8], numbers: &mut [u32], separator: u8, end: Option<u8>) -> Option<usize> {
    let last = numbers.len().checked_sub(1)?;
    let mut at = 0;
    numbers.fill(0);
    for (length, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                let number = &mut numbers[at];
                *number = number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
            }
            _ if *byte == separator && at < last => at += 1,
            _ if *byte == separator => return None,
            _ => return (at == last && end.is_none_or(|end| end == *byte)).then_some(length),
        }
    }
    None
}

/// A port that `delimiter` ends, and the length with it. It wraps; 0 is none.
pub fn port(text: &[u8], delimiter: u8) -> Option<(u16, usize)> {
    let mut port = 0_u16;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if *byte == delimiter => return (port != 0).then_some((port, at + 1)),
            b'0'..=b'9' => port = port.wrapping_mul(10).wrapping_add(u16::from(byte - b'0')),
            _ => return None,
        }
    }
    None
}

/// A decimal number at the start of the text as C's `strtoul` reads it, wrapping at 64 bits, and its length.
pub fn leading_number(text: &[u8]) -> (u64, usize) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = text[..digits].iter().fold(0_u64, |number, digit| {
        number
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'))
    });
    (number, digits)
}

/// An IPv6 address that `delimiter` ends, and its length.
pub fn ipv6(text: &[u8], delimiter: u8) -> Option<([u8; 16], usize)> {
    let end = text.iter().position(|byte| *byte == delimiter)?;
    let address: Ipv6Addr = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((address.octets(), end))
}

/// An IPv6 address with all its digits, as the kernel writes it.
pub fn all_digits(address: [u8; 16]) -> String {
    let groups = Ipv6Addr::from(address).segments();
    groups.map(|group| format!("{group:04x}")).join(":")
}

/// Where `needle` is in `text`.
pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len())
        .position(|window| window == needle)
}
