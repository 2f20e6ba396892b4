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

/// An IPv6 address that `delimiter` ends, or a zero byte, and its length. Groups may begin with more zeros than four digits
/// have room for.
pub fn ipv6(text: &[u8], delimiter: u8) -> Option<([u8; 16], usize)> {
    let end = text
        .iter()
        .position(|byte| *byte == delimiter || *byte == 0)?;
    Some((whole_ipv6(&text[..end])?, end))
}

/// An IPv6 address at the start of the text, that anything ends, and its length.
pub fn leading_ipv6(text: &[u8]) -> Option<([u8; 16], usize)> {
    let belongs = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let end = text.iter().take_while(belongs).count();
    Some((whole_ipv6(&text[..end])?, end))
}

/// An IPv4 address at the start of the text, that anything but a letter of hexadecimal digits ends, and its length.
pub fn leading_ipv4(text: &[u8]) -> Option<([u8; 4], usize)> {
    let belongs = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b'.';
    let end = text.iter().take_while(belongs).count();
    let mut parts = text[..end].split(|byte| *byte == b'.');
    let mut address = [0; 4];
    for byte in &mut address {
        let part = parts.next().filter(|part| !part.is_empty())?;
        for digit in part {
            let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
            *byte = u8::checked_mul(*byte, 10)?.checked_add(digit)?;
        }
    }
    parts.next().is_none().then_some((address, end))
}

fn whole_ipv6(text: &[u8]) -> Option<[u8; 16]> {
    let groups = std::str::from_utf8(text).ok()?.split(':');
    let short = |group: &str| match group.len() {
        ..=4 => group.to_owned(),
        _ if group.contains('.') => group.to_owned(),
        _ => format!("{:0>1}", group.trim_start_matches('0')),
    };
    let address: Ipv6Addr = groups
        .map(short)
        .collect::<Vec<_>>()
        .join(":")
        .parse()
        .ok()?;
    Some(address.octets())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_leniently() {
        let read = |text: &str| {
            ipv6(text.as_bytes(), b'|').map(|(address, end)| (Ipv6Addr::from(address), end))
        };
        let address = "2001:db8::45c4:101".parse().expect("an address");
        assert_eq!(read("2001:db8::45c4:101|80|"), Some((address, 18)));
        assert_eq!(read("2001:db8::0045c4:101|80|"), Some((address, 20)));
        assert_eq!(read("2001:db8::45c4:101\0|"), Some((address, 18)));
        assert_eq!(read("0000000::|"), Some((Ipv6Addr::UNSPECIFIED, 9)));
        assert_eq!(read("2001:db8::12345|"), None);
        assert_eq!(read("2001:db8::1"), None);
    }

    #[test]
    fn numbers_must_be_all_there() {
        let read = |text: &str| {
            let mut parts = [0; 3];
            numbers(text.as_bytes(), &mut parts, b',', Some(b'!')).map(|end| (parts, end))
        };
        assert_eq!(read("1,22,333!x"), Some(([1, 22, 333], 8)));
        assert_eq!(read("1,22!"), None);
        assert_eq!(read("1,2,3,4!"), None);
        assert_eq!(read("1,2,3"), None);
    }
}
