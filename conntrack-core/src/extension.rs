//! The chain of IPv6 extension headers, walked as leniently as the kernel walks it: a header counts once its first two
//! bytes are there, whether or not the rest of it is.

use packet::Protocol;
use packet::ipv6::{FragmentHeader, HEADER_LEN};

/// More headers than any real packet has; it bounds the time a hostile one can take.
const MAX_HEADERS: usize = 1_024;

/// Where the chain ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upper {
    /// What is there.
    pub(crate) protocol: Protocol,
    /// Where it begins, from the start of the IPv6 header; perhaps beyond the packet.
    pub(crate) offset: usize,
    /// The first fragment header.
    pub(crate) fragment: Option<FragmentHeader>,
    /// It is not the beginning of what it is a fragment of, as one of its fragment headers says.
    pub(crate) later: bool,
    /// The chain breaks behind that fragment header: there is nothing where it ends.
    pub(crate) broken: bool,
}

/// Why a chain cannot be walked to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A header is cut off, or the chain ends in "no next header".
    Chain,
    /// A fragment header begins within the packet, but is cut off.
    Fragment,
}

/// Walks the chain of a packet (from its IPv6 header on) whose first next header is `first`.
pub(crate) fn walk(packet: &[u8], first: Protocol) -> Result<Upper, Broken> {
    let mut upper = Upper {
        protocol: first,
        offset: HEADER_LEN,
        fragment: None,
        later: false,
        broken: false,
    };
    match follow(packet, &mut upper) {
        Ok(()) => Ok(upper),
        Err(Broken::Chain) if upper.fragment.is_some() => Ok(Upper {
            broken: true,
            ..upper
        }),
        Err(broken) => Err(broken),
    }
}

fn follow(packet: &[u8], upper: &mut Upper) -> Result<(), Broken> {
    let byte = |at: usize| packet.get(at).copied().ok_or(Broken::Chain);
    let mut previous_next_header_offset = 6;
    for _ in 0..MAX_HEADERS {
        let length = match upper.protocol {
            Protocol::HOP_BY_HOP | Protocol::IPV6_ROUTING | Protocol::DESTINATION_OPTIONS => {
                (usize::from(byte(upper.offset + 1)?) + 1) * 8
            }
            Protocol::AH => (usize::from(byte(upper.offset + 1)?) + 2) * 4,
            Protocol::IPV6_FRAGMENT => 8,
            Protocol::NO_NEXT_HEADER => return Err(Broken::Chain),
            _ => return Ok(()),
        };
        if upper.protocol == Protocol::IPV6_FRAGMENT {
            if upper.offset > packet.len() {
                return Err(Broken::Chain);
            }
            let header = fragment_header(packet, upper.offset, previous_next_header_offset);
            // A second one is not looked at before it is tracked.
            let first = upper.fragment.is_none();
            let header = header.ok_or(if first {
                Broken::Fragment
            } else {
                Broken::Chain
            })?;
            upper.fragment.get_or_insert(header);
            if header.offset_bytes != 0 {
                upper.later = true;
                upper.protocol = header.next_header;
                upper.offset += length;
                return Ok(());
            }
        }
        let next = Protocol(byte(upper.offset)?);
        previous_next_header_offset = upper.offset;
        upper.protocol = next;
        upper.offset += length;
    }
    Err(Broken::Chain)
}

/// A fragment header; what is cut off of its identification counts as 0, as only the first four bytes must be there.
fn fragment_header(packet: &[u8], at: usize, previous: usize) -> Option<FragmentHeader> {
    let [next, _, high, low] = *packet.get(at..)?.first_chunk()?;
    let identification = packet.get(at + 4..).and_then(|rest| rest.first_chunk());
    let word = u16::from_be_bytes([high, low]);
    Some(FragmentHeader {
        offset_bytes: word & 0xfff8,
        more: word & 1 == 1,
        identification: identification.map_or(0, |bytes| u32::from_be_bytes(*bytes)),
        next_header: Protocol(next),
        header_offset: at,
        previous_next_header_offset: previous,
    })
}

/// Whether the options of a leading hop-by-hop header let the packet pass: every node looks at them, before anything else
/// does (RFC 8200, section 4.3; `net.ipv6.max_hbh_opts_number` and `max_hbh_length` at their defaults).
pub(crate) fn hop_by_hop_ok(packet: &[u8]) -> bool {
    /// Longer runs of padding are refused: seven bytes are enough to align anything.
    const MAX_PADDING: usize = 7;
    /// `net.ipv6.max_hbh_opts_number`.
    const MAX_OPTIONS: usize = 8;
    let Some(length) = packet
        .get(HEADER_LEN + 1)
        .map(|units| (usize::from(*units) + 1) * 8)
    else {
        return false;
    };
    let Some(mut options) = packet.get(HEADER_LEN + 2..HEADER_LEN + length) else {
        return false;
    };
    let (mut padding, mut count) = (0, 0);
    while let Some((kind, rest)) = options.split_first() {
        if *kind == 0 {
            padding += 1;
            if padding > MAX_PADDING {
                return false;
            }
            options = rest;
            continue;
        }
        let Some((value, rest)) = rest
            .split_first()
            .and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)))
        else {
            return false;
        };
        options = rest;
        if *kind == 1 {
            padding += value.len() + 2;
            if padding > MAX_PADDING || value.iter().any(|byte| *byte != 0) {
                return false;
            }
            continue;
        }
        padding = 0;
        count += 1;
        if count > MAX_OPTIONS || !option_passes(*kind, value) {
            return false;
        }
    }
    true
}

fn option_passes(kind: u8, value: &[u8]) -> bool {
    const ROUTER_ALERT: u8 = 5;
    const JUMBO_PAYLOAD: u8 = 0xc2;
    match kind {
        ROUTER_ALERT => value.len() == 2,
        // No packet here is longer than 65,535 bytes, and a shorter one must not say it is.
        JUMBO_PAYLOAD => false,
        // What to do with an unknown option is in its two highest bits: 0 is to skip it, all else to drop the packet.
        _ => kind >> 6 == 0,
    }
}
