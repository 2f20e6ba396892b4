//! IRC's DCC: a client tells another one, by way of the server, an address and a port to connect to.

use super::{Helper, Policy, Talk, text};
use crate::expectation::Expectation;
use crate::reason::Reason;
use crate::tuple::Direction;
use packet::Protocol;
use std::ops::Range;

/// The helper.
#[derive(Debug, Clone, Copy)]
pub struct Irc;

/// What DCC is about.
const COMMANDS: [&[u8]; 5] = [b"SEND ", b"CHAT ", b"MOVE ", b"TSEND ", b"SCHAT "];
/// Bytes of a message that are looked at.
const LONGEST: usize = 4_095;

impl Helper for Irc {
    fn name(&self) -> &'static str {
        "irc"
    }

    fn protocol(&self) -> Protocol {
        Protocol::TCP
    }

    fn family(&self) -> Option<u8> {
        Some(4)
    }

    fn policies(&self) -> &[Policy] {
        const { &[Policy::only(8, 300)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        let direction = talk.direction();
        if direction == Direction::Reply || !talk.is_established() {
            return Ok(());
        }
        let looked_at = talk.payload().len().min(LONGEST);
        let (own, other) = (*talk.tuple(direction), *talk.tuple(direction.other()));
        let itself = |address: u32| {
            let address = address.to_be_bytes();
            address == own.source[..4] || address == other.destination[..4]
        };
        let Some((port, part)) = read(&talk.payload()[..looked_at], itself) else {
            return Ok(());
        };
        let expectation = Expectation::new(Protocol::TCP, 4, None, other.destination, port);
        if !talk.is_translated() {
            return talk.expect(expectation).map_err(|_| Reason::HelperRefused);
        }
        let port = talk
            .expect_translated(expectation, Direction::Reply)
            .map_err(|_| Reason::HelperRefused)?;
        let [a, b, c, d, ..] = other.destination;
        let text = format!("{} {port}", u32::from_be_bytes([a, b, c, d]));
        talk.replace(part, text.as_bytes())
    }
}

/// The port of the first DCC command whose address `itself` says yes to, and where address and port are.
fn read(text: &[u8], itself: impl Fn(u32) -> bool) -> Option<(u16, Range<usize>)> {
    /// The shortest "PRIVMSG x ".
    const PREFIX: usize = 10;
    /// What " :\x01DCC CHAT t AAAAAAAA P\x01\n" takes at least.
    const SHORTEST: usize = 26;
    let mut at = 0;
    while at + PREFIX < text.len() && matches!(text[at], b' ' | b'\r' | b'\n') {
        at += 1;
    }
    if at + PREFIX < text.len() {
        const WORD: &[u8] = b"PRIVMSG ";
        if !text[at..at + WORD.len()].eq_ignore_ascii_case(WORD) {
            return None;
        }
        at += WORD.len();
    }
    while at + SHORTEST < text.len() {
        if !text[at..].starts_with(b" :") {
            at += 1;
            continue;
        }
        let message = text[at + 2..].strip_prefix(b"\x01DCC ")?;
        at = text.len() - message.len();
        for command in COMMANDS {
            if !text[at..].starts_with(command) {
                continue;
            }
            at += command.len();
            if let Some((address, port, part)) = parameters(text, at)
                && itself(address)
                && port != 0
            {
                return Some((port, part));
            }
        }
    }
    None
}

/// `file address port`, address and port in decimal; and where these two are.
fn parameters(text: &[u8], mut at: usize) -> Option<(u32, u16, Range<usize>)> {
    /// What "AAAAAAAA P\x01\n" takes at least.
    const SHORTEST: usize = 12;
    while *text.get(at)? != b' ' {
        at += 1;
        if at + SHORTEST > text.len() {
            return None;
        }
    }
    let start = at + 1;
    if !text.get(start..)?.contains(&b'\n') {
        return None;
    }
    let (address, length) = text::leading_number(&text[start..]);
    let mut at = start + length;
    while *text.get(at)? == b' ' {
        at += 1;
    }
    let (port, length) = text::leading_number(&text[at..]);
    Some((address as u32, port as u16, start..at + length))
}
