//! Session descriptions (RFC 8866) in SIP: which media streams they agree on.

use super::super::text;
use super::header::{Found, Text};
use super::nat;
use super::{Message, class};
use crate::expectation::{ExpectError, Expectation};
use crate::reason::Reason;
use crate::tuple::Tuple;
use packet::Protocol;
use std::ops::Range;

/// A line of a description: its beginning.
pub(super) type Line = &'static [u8];

pub(super) const VERSION: Line = b"v=";
pub(super) const OWNER: Line = b"o=";
pub(super) const CONNECTION: Line = b"c=";
pub(super) const MEDIA: Line = b"m=";

/// Kinds of media, and the class of expectations they are.
const KINDS: [(&[u8], usize); 3] = [
    (b"audio ", class::AUDIO),
    (b"video ", class::VIDEO),
    (b"image ", class::IMAGE),
];

impl Text<'_> {
    /// The value of the first line from `at` on that begins so, before any that begins as `before`.
    pub(super) fn line(
        &self,
        mut at: usize,
        line: Line,
        before: Option<Line>,
    ) -> Found<Range<usize>> {
        while at < self.bytes.len() {
            if !self.is_line_end(at) {
                at += 1;
                continue;
            }
            let Some(start) = self.next_line(at) else {
                break;
            };
            if before.is_some_and(|before| self.has(start, before)) {
                break;
            }
            if self.has(start, line) {
                let start = start + line.len();
                return match self.line_value(start, line) {
                    Some(part) => Found::Here(part),
                    None => Found::Malformed(start),
                };
            }
            at = start + 1;
        }
        Found::Nothing
    }

    fn line_value(&self, start: usize, line: Line) -> Option<Range<usize>> {
        let length = match line {
            VERSION => self.digits(start),
            MEDIA => {
                let rest = self.bytes.get(start..)?;
                let word = rest
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphabetic())
                    .count();
                if rest.get(word) != Some(&b' ') {
                    return None;
                }
                word + 1 + self.digits(start + word + 1)
            }
            _ => {
                let network: &[u8] = if self.v6 { b"IN IP6 " } else { b"IN IP4 " };
                let rest = self.bytes.get(start..)?;
                let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                let rest = &rest[..end.unwrap_or(rest.len())];
                let found = text::find(rest, network)?;
                let start = start + found + network.len();
                let (_, end) = self.bare_address(start)?;
                return Some(start..end);
            }
        };
        (length > 0).then_some(start..start + length)
    }

    /// The address in a line, if it is there and right.
    fn line_address(&self, at: usize, line: Line, before: Option<Line>) -> Option<[u8; 16]> {
        let Found::Here(part) = self.line(at, line, before) else {
            return None;
        };
        Some(self.bare_address(part.start)?.0)
    }
}

/// A message may describe media streams: they are expected, and under translation described as others must reach them.
pub(super) fn described(message: &mut Message<'_, '_>) -> Result<(), Reason> {
    let Found::Here(version) = message.text().line(0, VERSION, None) else {
        return Ok(());
    };
    let session_at = version.start;
    // Only the first media line ends what is said of all.
    let session = message
        .text()
        .line_address(session_at, CONNECTION, Some(MEDIA));
    let mut address = session;
    let (mut at, mut expected) = (session_at, 0);
    while expected < KINDS.len() {
        let Found::Here(mut part) = message.text().line(at, MEDIA, None) else {
            break;
        };
        at = part.start;
        let kind = KINDS.iter().find(|(kind, _)| {
            message.text().bytes[part.clone()].len() >= kind.len()
                && message.text().has(part.start, kind)
        });
        let Some((kind, class)) = kind else {
            at = part.end.max(at);
            continue;
        };
        part.start += kind.len();
        at = part.start;
        let port = message.text().number(part.start);
        let port = match port.map_or(0, |(port, _)| port) {
            // The stream is not used.
            0 => continue,
            1..1024 => return Err(Reason::HelperPartial),
            port => u16::try_from(port).map_err(|_| Reason::HelperPartial)?,
        };
        let own = message.text().line_address(at, CONNECTION, Some(MEDIA));
        let mut stream_address = own.or(session).ok_or(Reason::HelperPartial)?;
        stream(message, &mut stream_address, port, *class, part)?;
        if own.is_some() && message.is_translated() {
            nat::write_address(message, at, CONNECTION, &stream_address)?;
        }
        address = Some(stream_address);
        expected += 1;
    }
    match address {
        Some(address) if message.is_translated() => {
            nat::write_session(message, session_at, &address)
        }
        _ => Ok(()),
    }
}

/// A stream from the other end to a port here, and its control one port further (RTP, RTCP).
fn stream(
    message: &mut Message<'_, '_>,
    address: &mut [u8; 16],
    port: u16,
    class: usize,
    part: Range<usize>,
) -> Result<(), Reason> {
    let (own, other) = message.tuples();
    // Media between others than those who talk here is none of our business.
    if *address != own.source {
        return Ok(());
    }
    let mut tuple = Tuple {
        source: other.source,
        destination: *address,
        source_id: 0,
        destination_id: port,
        protocol: Protocol::UDP.0,
        family: own.family,
    };
    let (known, direct) = known(message, &mut tuple, class);
    *address = tuple.destination;
    let port = tuple.destination_id & !1;
    if direct {
        nat::write_port(message, part.clone(), port)?;
    }
    if known {
        return Ok(());
    }
    let expectation = |port| Expectation {
        class,
        ..Expectation::new(
            Protocol::UDP,
            own.family,
            Some(other.source),
            tuple.destination,
            port,
        )
    };
    let pair = [expectation(port), expectation(port | 1)];
    if message.is_translated() && !direct {
        return nat::media(message, pair, part, address);
    }
    let [data, control] = pair;
    let again = |result| matches!(result, Ok(()) | Err(ExpectError::Already));
    let first = message.talk.expect_once(data.clone());
    if !again(first) {
        return Err(Reason::HelperRefused);
    }
    if !again(message.talk.expect_once(control)) {
        if first.is_ok() {
            message.talk.unexpect(|there| *there == data);
        }
        return Err(Reason::HelperRefused);
    }
    Ok(())
}

/// Whether another connection has announced the same stream. If both its master and this connection are translated, both
/// ends can reach each other directly: the tuple then becomes what the stream is really for.
fn known(message: &Message<'_, '_>, tuple: &mut Tuple, class: usize) -> (bool, bool) {
    let mut direct = false;
    loop {
        let there = message.talk.expected(tuple);
        let Some(there) = there.filter(|there| {
            !message.talk.is_own(there)
                && message.talk.is_of_helper(there)
                && there.expectation.class == class
        }) else {
            return (false, direct);
        };
        // What is not translated is, to Linux, really for nobody.
        let follow = there.expectation.follow;
        let real = follow.map_or(([0; 16], 0), |follow| {
            (follow.address.unwrap_or_default(), follow.id)
        });
        let moved = real != (tuple.destination, tuple.destination_id);
        if !moved || direct || !message.is_translated() {
            return (true, direct);
        }
        (tuple.destination, tuple.destination_id) = real;
        direct = true;
    }
}
