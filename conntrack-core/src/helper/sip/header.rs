//! Finding header fields of SIP (RFC 3261, section 7.3) and what is in them.

use super::super::text;
use crate::tuple::widen;
use std::ops::Range;

/// What a field's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Number,
    /// An address and perhaps a port.
    Host,
    /// The same, perhaps behind a user's name and `@`.
    Uri,
}

/// A header field.
#[derive(Debug)]
pub(super) struct Header {
    name: &'static [u8],
    /// Its one-letter form.
    compact: Option<&'static [u8]>,
    /// What stands before the value.
    lead: &'static [u8],
    value: Value,
}

const fn uri(name: &'static [u8], compact: &'static [u8]) -> Header {
    Header {
        name,
        compact: Some(compact),
        lead: b"sip:",
        value: Value::Uri,
    }
}

const fn via(lead: &'static [u8]) -> Header {
    Header {
        name: b"Via",
        compact: Some(b"v"),
        lead,
        value: Value::Host,
    }
}

const fn number(name: &'static [u8], compact: Option<&'static [u8]>) -> Header {
    Header {
        name,
        compact,
        lead: b"",
        value: Value::Number,
    }
}

pub(super) const CSEQ: Header = number(b"CSeq", None);
pub(super) const EXPIRES: Header = number(b"Expires", None);
pub(super) const CONTENT_LENGTH: Header = number(b"Content-Length", Some(b"l"));
pub(super) const FROM: Header = uri(b"From", b"f");
pub(super) const TO: Header = uri(b"To", b"t");
pub(super) const CONTACT: Header = uri(b"Contact", b"m");
pub(super) const VIA_UDP: Header = via(b"UDP ");
pub(super) const VIA_TCP: Header = via(b"TCP ");

/// What came of looking for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found<T> {
    Nothing,
    /// It is there, but not as it must be; where it begins.
    Malformed(usize),
    Here(T),
}

/// An address and a port, and where they are in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) part: Range<usize>,
    pub(super) address: [u8; 16],
    pub(super) port: u16,
    /// Where it ends with its port.
    end: usize,
}

/// Where a walk through fields of one name has come to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walk {
    at: usize,
    /// More may follow in the same field.
    in_field: bool,
}

/// The port without one.
const USUAL_PORT: u16 = 5060;

/// A message, and the IP version of its connection: addresses of the other one are not understood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) v6: bool,
}

impl Text<'_> {
    /// An address, and where it ends. IPv6 may be in brackets, or must be.
    pub(super) fn address(&self, at: usize, brackets: bool) -> Option<([u8; 16], usize)> {
        if !self.v6 {
            return self.bare_address(at);
        }
        let opens = self.bytes.get(at) == Some(&b'[');
        if brackets && !opens {
            return None;
        }
        let (address, end) = self.bare_address(at + usize::from(opens))?;
        let closes = self.bytes.get(end) == Some(&b']');
        (closes || !brackets).then_some((address, end + usize::from(closes)))
    }

    /// An address without brackets.
    pub(super) fn bare_address(&self, at: usize) -> Option<([u8; 16], usize)> {
        let text = self.bytes.get(at..)?;
        let (address, length) = if self.v6 {
            text::leading_ipv6(text)?
        } else {
            let (address, length) = text::leading_ipv4(text)?;
            (widen(address), length)
        };
        Some((address, at + length))
    }

    pub(super) fn is_line_end(&self, at: usize) -> bool {
        matches!(self.bytes.get(at), Some(b'\r' | b'\n'))
    }

    /// Behind the line end at `at`; none if the text ends there.
    pub(super) fn next_line(&self, at: usize) -> Option<usize> {
        let mut next = at + 1;
        if self.bytes.get(at) == Some(&b'\r') && self.bytes.get(next) == Some(&b'\n') {
            next += 1;
        }
        (next < self.bytes.len()).then_some(next)
    }

    pub(super) fn has(&self, at: usize, word: &[u8]) -> bool {
        let there = self.bytes.get(at..at + word.len());
        there.is_some_and(|there| there.eq_ignore_ascii_case(word))
    }

    fn is_blank(&self, at: usize) -> bool {
        matches!(self.bytes.get(at), Some(b' ' | b'\t'))
    }

    fn skip_blanks(&self, mut at: usize) -> usize {
        while self.is_blank(at) {
            at += 1;
        }
        at
    }

    /// Behind the line end at `at` and the blanks that say that the field goes on; none if it does not.
    fn continued(&self, at: usize) -> Option<usize> {
        let next = self.next_line(at)?;
        self.is_blank(next).then(|| self.skip_blanks(next))
    }

    fn skip_space(&self, at: usize) -> Option<usize> {
        let at = self.skip_blanks(at);
        if self.is_line_end(at) {
            return self.continued(at);
        }
        Some(at)
    }

    /// Where `word` is in what is left of a field, up to `limit`.
    fn search(&self, mut at: usize, limit: usize, word: &[u8]) -> Option<usize> {
        let last = limit.checked_sub(word.len())?;
        while at < last {
            if self.is_line_end(at) {
                // What follows the blanks is looked at only from its second byte on.
                at = Text {
                    bytes: &self.bytes[..last],
                    v6: self.v6,
                }
                .continued(at)?
                    + 1;
                continue;
            }
            if self.has(at, word) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    pub(super) fn digits(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// A number of up to eleven digits that fits, and where it ends.
    pub(super) fn number(&self, at: usize) -> Option<(u32, usize)> {
        const DIGITS: usize = 11;
        let (number, length) = text::leading_number(self.bytes.get(at..)?);
        let number = u32::try_from(number).ok()?;
        (1..=DIGITS)
            .contains(&length)
            .then_some((number, at + length))
    }

    /// Where an address ends, with its port if it has one that SIP may use.
    fn host_end(&self, at: usize) -> Option<usize> {
        let (_, end) = self.address(at, true)?;
        Some(self.port(end)?.1)
    }

    /// Behind a user's name and `@`, if the line has one.
    fn skip_user(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let stop = rest
            .iter()
            .position(|byte| matches!(byte, b'@' | b'\r' | b'\n'));
        match stop {
            Some(stop) if rest[stop] == b'@' => at + stop + 1,
            _ => at,
        }
    }

    fn value(&self, at: usize, header: &Header) -> Option<Range<usize>> {
        let (at, end) = match header.value {
            Value::Number => (at, at + self.digits(at)),
            Value::Host => (at, self.host_end(at)?),
            Value::Uri => {
                let at = self.skip_user(at);
                (at, self.host_end(at)?)
            }
        };
        (end > at).then_some(at..end)
    }

    /// The value of the first such field from `at` on.
    pub(super) fn field(&self, mut at: usize, header: &Header) -> Found<Range<usize>> {
        let len = self.bytes.len();
        while at < len {
            if !self.is_line_end(at) {
                at += 1;
                continue;
            }
            let Some(line) = self.next_line(at) else {
                break;
            };
            at = line + 1;
            if self.is_blank(line) {
                continue;
            }
            let Some(name_end) = self.name_end(line, header) else {
                continue;
            };
            let colon = self.skip_space(name_end);
            let Some(colon) = colon.filter(|at| self.bytes.get(*at) == Some(&b':')) else {
                break;
            };
            if colon + 1 >= len {
                break;
            }
            let Some(start) = self.skip_space(colon + 1) else {
                break;
            };
            let mut value = start;
            if !header.lead.is_empty() {
                match self.search(start, len, header.lead) {
                    Some(lead) => value = lead + header.lead.len(),
                    None => return Found::Malformed(start),
                }
            }
            return match self.value(value, header) {
                Some(part) => Found::Here(part),
                None => Found::Malformed(start),
            };
        }
        Found::Nothing
    }

    /// Where the name of a field ends, if it is this one's. A letter alone must not be followed by others.
    fn name_end(&self, at: usize, header: &Header) -> Option<usize> {
        if self.has(at, header.name) {
            return Some(at + header.name.len());
        }
        let compact = header.compact?;
        let end = at + compact.len();
        let next = self.bytes.get(end)?;
        (self.has(at, compact) && !next.is_ascii_alphabetic()).then_some(end)
    }

    /// The next value in the same field, behind a comma.
    fn next_in_field(&self, at: usize, header: &Header) -> Found<Range<usize>> {
        let len = self.bytes.len();
        let lead = self
            .search(at, len, b",")
            .and_then(|comma| self.search(comma, len, header.lead));
        let Some(lead) = lead else {
            return Found::Nothing;
        };
        let start = lead + header.lead.len();
        match self.value(start, header) {
            Some(part) => Found::Here(part),
            None => Found::Malformed(start),
        }
    }

    /// The next value of fields of this name, whatever is wrong with those before.
    fn walk(&self, walk: &mut Walk, header: &Header) -> Option<Range<usize>> {
        let mut at = walk.at;
        while walk.in_field {
            match self.next_in_field(at, header) {
                Found::Here(part) => return Some(part),
                Found::Malformed(from) => at = from,
                Found::Nothing => walk.in_field = false,
            }
        }
        loop {
            match self.field(at, header) {
                Found::Here(part) => {
                    walk.in_field = true;
                    return Some(part);
                }
                Found::Malformed(from) => at = from,
                Found::Nothing => return None,
            }
        }
    }

    /// The next address of fields of this name.
    pub(super) fn host(&self, walk: &mut Walk, header: &Header) -> Found<Host> {
        let Some(part) = self.walk(walk, header) else {
            return Found::Nothing;
        };
        match self.host_at(part.clone()) {
            Some(host) => {
                walk.at = host.end;
                Found::Here(host)
            }
            None => Found::Malformed(part.start),
        }
    }

    /// The first address of fields of this name.
    pub(super) fn first_host(&self, header: &Header) -> Found<Host> {
        self.host(&mut Walk::default(), header)
    }

    fn host_at(&self, part: Range<usize>) -> Option<Host> {
        let (address, end) = self.address(part.start, true)?;
        let (port, end) = self.port(end)?;
        Some(Host {
            part,
            address,
            port,
            end,
        })
    }

    /// The port behind a colon, or the usual one without, and where it ends; none below 1024, of more than five digits, or
    /// that the text ends with.
    fn port(&self, at: usize) -> Option<(u16, usize)> {
        if *self.bytes.get(at)? != b':' {
            return Some((USUAL_PORT, at));
        }
        let (number, length) = text::leading_number(self.bytes.get(at + 1..)?);
        self.bytes.get(at + 1 + length)?;
        let port = u16::try_from(number).ok();
        let port = port.filter(|port| *port >= 1024 && length <= 5)?;
        Some((port, at + 1 + length))
    }

    /// The address of a request's URI.
    pub(super) fn request_host(&self) -> Option<Host> {
        const SCHEME: &[u8] = b"sip:";
        let len = self.bytes.len();
        let method = self
            .bytes
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        if method == 0 || method + 1 >= len {
            return None;
        }
        let mut at = method + 1;
        while at + SCHEME.len() < len {
            if self.is_line_end(at) {
                return None;
            }
            if self.has(at, SCHEME) {
                at += SCHEME.len();
                break;
            }
            at += 1;
        }
        let start = self.skip_user(at);
        self.host_at(start..self.host_end(start)?)
    }

    /// The parameter `name=` of the field that goes on at `at`, up to the next value.
    fn parameter(&self, at: usize, name: &[u8]) -> Option<Range<usize>> {
        let len = self.bytes.len();
        let limit = self.search(at, len, b",").unwrap_or(len);
        let start = self.search(at, limit, name)? + name.len();
        let end = self.search(start, limit, b";").unwrap_or(limit);
        Some(start..end)
    }

    /// An address as a parameter: where it is, and it.
    pub(super) fn address_parameter(
        &self,
        at: usize,
        name: &[u8],
        brackets: bool,
    ) -> Option<(Range<usize>, [u8; 16])> {
        let start = self.parameter(at, name)?.start;
        let (address, end) = self.address(start, brackets)?;
        Some((start..end, address))
    }

    /// A number as a parameter: where it is, and it.
    pub(super) fn number_parameter(&self, at: usize, name: &[u8]) -> Found<(Range<usize>, u32)> {
        let Some(part) = self.parameter(at, name) else {
            return Found::Nothing;
        };
        match self.number(part.start) {
            Some((number, end)) => Found::Here((part.start..end, number)),
            None => Found::Malformed(part.start),
        }
    }

    /// The word of a `transport=` parameter.
    pub(super) fn transport(&self, at: usize) -> Option<Range<usize>> {
        self.parameter(at, b"transport=")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"REGISTER sip:20.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport=5060;branch=z\r\n\
        f: <sip:bob@10.0.0.1>\r\nContact:\r\n <sip:bob@10.0.0.1:5070;transport=udp>;expires=16, <sip:x@10.0.0.2>\r\n\
        CSeq: 12 REGISTER\r\nl: 0\r\n\r\n";

    fn text() -> Text<'static> {
        Text {
            bytes: MESSAGE,
            v6: false,
        }
    }

    fn shown(found: Found<Host>) -> (String, u16) {
        let Found::Here(host) = found else {
            panic!("nothing found: {found:?}");
        };
        let part = String::from_utf8_lossy(&MESSAGE[host.part]).into_owned();
        (part, host.port)
    }

    #[test]
    fn fields_are_found_by_either_name() {
        assert_eq!(
            shown(text().first_host(&VIA_UDP)),
            ("10.0.0.1:5060".into(), 5060)
        );
        assert_eq!(shown(text().first_host(&FROM)), ("10.0.0.1".into(), 5060));
        assert_eq!(text().first_host(&VIA_TCP), Found::Nothing);
        let Found::Here(length) = text().field(0, &CONTENT_LENGTH) else {
            panic!("no length");
        };
        assert_eq!(&MESSAGE[length], b"0");
    }

    #[test]
    fn all_contacts_and_their_parameters_are_read() {
        let mut walk = Walk::default();
        assert_eq!(
            shown(text().host(&mut walk, &CONTACT)),
            ("10.0.0.1:5070".into(), 5070)
        );
        let Found::Here((part, 16)) = text().number_parameter(walk.at, b"expires=") else {
            panic!("no number");
        };
        assert_eq!(&MESSAGE[part], b"16");
        let word = text().transport(walk.at).expect("a transport");
        assert!(MESSAGE[word].starts_with(b"udp"));
        assert_eq!(
            shown(text().host(&mut walk, &CONTACT)),
            ("10.0.0.2".into(), 5060)
        );
        assert_eq!(text().host(&mut walk, &CONTACT), Found::Nothing);
    }
}
