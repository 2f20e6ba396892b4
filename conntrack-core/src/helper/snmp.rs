//! SNMP (RFC 1901, RFC 3416) behind translation: where the address of who began the connection stands among a message's values,
//! it becomes the one that is translated to, in both directions. RFC 2962 calls that the basic form of this gateway.
//!
//! As Linux does, messages are read by the second version's grammar: there is no trap of the first version in it, and a
//! translated packet that cannot be read is refused.

use super::{Helper, Policy, Talk};
use crate::reason::Reason;
use crate::tuple::Direction;
use packet::Protocol;
use std::ops::Range;

/// The helper.
#[derive(Debug, Clone, Copy)]
pub struct SnmpTrap;

impl Helper for SnmpTrap {
    fn name(&self) -> &'static str {
        "snmp_trap"
    }

    fn protocol(&self) -> Protocol {
        Protocol::UDP
    }

    fn family(&self) -> Option<u8> {
        Some(4)
    }

    fn policies(&self) -> &[Policy] {
        // It announces nothing.
        const { &[Policy::only(0, 0)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        const ASKED: u16 = 161;
        const TOLD: u16 = 162;
        let tuples = Direction::ALL.map(|direction| *talk.tuple(direction));
        // What is asked comes back from its port, what is told goes to its own; both as the packet is sent on.
        let wrong_way = match talk.direction() {
            Direction::Original => tuples[1].destination_id == ASKED,
            Direction::Reply => tuples[0].source_id == TOLD,
        };
        if wrong_way || !talk.is_translated() {
            return Ok(());
        }
        if !talk.is_whole_datagram() {
            return Err(Reason::HelperRefused);
        }
        let (from, to) = (tuples[0].source, tuples[1].destination);
        if from == to {
            return Ok(());
        }
        let addresses = addresses(talk.payload()).ok_or(Reason::HelperRefused)?;
        for part in addresses {
            if talk.payload().get(part.clone()) == Some(&from[..4]) {
                talk.replace(part, &to[..4])?;
            }
        }
        Ok(())
    }
}

/// Where in a message addresses are; `None` if it cannot be read.
pub fn addresses(message: &[u8]) -> Option<Vec<Range<usize>>> {
    const SECOND_VERSION: u8 = 1;
    let mut addresses = Vec::new();
    let mut reader = Reader {
        bytes: message,
        at: 0,
        end: message.len(),
        open: false,
    };
    reader.constructed(is_sequence, |message| {
        let version = message.primitive(|tag| tag == INTEGER)?;
        if version.len() != 1 || message.bytes[version.start] > SECOND_VERSION {
            return None;
        }
        message.primitive(|tag| tag == OCTET_STRING)?;
        if message.is_exhausted() {
            return Some(true);
        }
        let kind = message.peek().map(|tag| tag | CONSTRUCTED);
        message.constructed(is_pdu, |pdu| {
            for _ in 0..3 {
                pdu.primitive(|tag| tag == INTEGER)?;
            }
            pdu.constructed(is_sequence, |list| {
                list.variable(&mut addresses)?;
                while !list.is_over() {
                    list.variable(&mut addresses)?;
                }
                Some(true)
            })?;
            Some(true)
        })?;
        Some(kind == Some(REPORT))
    })?;
    Some(addresses)
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const IP_ADDRESS: u8 = 0x40;
/// The bit of a tag that says that there are parts. Linux does not ask for it where there must be.
const CONSTRUCTED: u8 = 0x20;
const REPORT: u8 = 0xa8;

const fn is_sequence(tag: u8) -> bool {
    tag == SEQUENCE
}

/// Requests, responses, notifications and reports of the second version: 4 is the trap of the first.
const fn is_pdu(tag: u8) -> bool {
    matches!(tag, 0xa0..=0xa3 | 0xa5..=REPORT)
}

/// Integer, string and identifier; address, counter, ticks, opaque, long counter.
const fn is_object(tag: u8) -> bool {
    matches!(tag, INTEGER | OCTET_STRING | OBJECT_IDENTIFIER | IP_ADDRESS..=0x41 | 0x43..=0x44 | 0x46)
}

/// Also gauge, null, no such object, no such instance, end of the view.
const fn is_value(tag: u8) -> bool {
    is_object(tag) || matches!(tag, 0x42 | 0x05 | 0x80..=0x82)
}

/// Reads the basic encoding (X.690).
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    /// What is read ends with two zeros, not at `end`.
    open: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(..self.end)?.get(self.at).copied()
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The tag of what comes next must be one that is expected; how long that is, or `None` if it ends with two zeros.
    fn header(&mut self, expected: impl Fn(u8) -> bool) -> Option<Option<usize>> {
        /// Octets of a length behind its first.
        const LONGEST: u8 = 2;
        const INDEFINITE: u8 = 0x80;
        if !expected(self.byte()?) {
            return None;
        }
        let first = self.byte()?;
        let mut len = 0;
        match first {
            0..INDEFINITE => len = usize::from(first),
            INDEFINITE => return Some(None),
            _ if first - INDEFINITE > LONGEST => return None,
            _ => {
                for _ in 0..first - INDEFINITE {
                    len = len << 8 | usize::from(self.byte()?);
                }
            }
        }
        (len <= self.end - self.at).then_some(Some(len))
    }

    fn primitive(&mut self, expected: impl Fn(u8) -> bool) -> Option<Range<usize>> {
        let len = self.header(expected)??;
        let part = self.at..self.at + len;
        self.at = part.end;
        Some(part)
    }

    /// Something that has parts, and nothing behind them. `parts` tells whether two zeros may follow: Linux does not find
    /// them behind one of several alternatives unless it is the last.
    fn constructed(
        &mut self,
        expected: impl Fn(u8) -> bool,
        parts: impl FnOnce(&mut Self) -> Option<bool>,
    ) -> Option<()> {
        let has_parts = self.peek()? & CONSTRUCTED != 0;
        let len = self.header(|tag| expected(tag | CONSTRUCTED))?;
        if len.is_none() && !has_parts {
            return None;
        }
        let mut inner = Self {
            end: len.map_or(self.end, |len| self.at + len),
            open: len.is_none(),
            ..*self
        };
        let zeros_may_follow = parts(&mut inner)?;
        if inner.open {
            let zeros = inner.byte()? == 0 && inner.byte()? == 0;
            (zeros && zeros_may_follow).then_some(())?;
        } else {
            inner.is_exhausted().then_some(())?;
        }
        self.at = inner.at;
        Some(())
    }

    const fn is_exhausted(&self) -> bool {
        !self.open && self.at >= self.end
    }

    fn is_over(&self) -> bool {
        self.is_exhausted() || self.open && self.peek().is_none_or(|byte| byte == 0)
    }

    /// A name, and perhaps a value.
    fn variable(&mut self, addresses: &mut Vec<Range<usize>>) -> Option<()> {
        const ADDRESS_LEN: usize = 4;
        self.constructed(is_sequence, |variable| {
            variable.primitive(|tag| tag == OBJECT_IDENTIFIER)?;
            if variable.is_exhausted() {
                return Some(true);
            }
            let tag = variable.peek()?;
            let value = variable.primitive(is_value)?;
            if tag == IP_ADDRESS {
                (value.len() == ADDRESS_LEN).then_some(())?;
                addresses.push(value);
            }
            Some(!is_object(tag))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::addresses;

    /// A notification of the second version with an address and a number.
    const NOTIFICATION: [u8; 40] = [
        0x30, 38, 2, 1, 1, 4, 1, b'p', 0xa7, 30, 2, 1, 7, 2, 1, 0, 2, 1, 0, 0x30, 19, 0x30, 9, 6,
        1, 0x2b, 0x40, 4, 10, 0, 0, 1, 0x30, 6, 6, 1, 0x2b, 2, 1, 9,
    ];

    #[test]
    fn addresses_are_found_among_values() {
        let found = addresses(&NOTIFICATION).expect("readable");
        assert_eq!(found, std::iter::once(28..32).collect::<Vec<_>>());
        // A trap of the first version is not read, nor is a message that breaks off.
        let mut trap = NOTIFICATION;
        trap[8] = 0xa4;
        assert_eq!(addresses(&trap), None);
        for end in 0..NOTIFICATION.len() {
            assert_eq!(addresses(&NOTIFICATION[..end]), None);
        }
    }
}
