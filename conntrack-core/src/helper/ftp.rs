//! FTP (RFC 959, RFC 2428): PORT and EPRT announce a connection to the client, the answers to PASV and EPSV one to the
//! server.

use super::{Helper, Policy, Talk, text};
use crate::expectation::Expectation;
use crate::reason::Reason;
use crate::tuple::{Direction, Tuple, widen};
use packet::Protocol;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::ops::Range;

/// The helper.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ftp {
    /// Hosts may name others than themselves (module parameter `loose`).
    pub loose: bool,
}

/// How an address and a port were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Port,
    Eprt,
    Pasv,
    Epsv,
}

/// A command: its word, the byte that parameters begin behind, its form.
type Command = (&'static [u8], Option<u8>, Form);

const OF_CLIENTS: [Command; 2] = [
    (b"PORT", Some(b' '), Form::Port),
    (b"EPRT", Some(b' '), Form::Eprt),
];
const OF_SERVERS: [Command; 2] = [
    (b"227 ", None, Form::Pasv),
    (b"229 ", Some(b'('), Form::Epsv),
];

/// An address and a port as they were read.
struct Named {
    form: Form,
    /// The family the text says, and the address.
    family: u8,
    address: [u8; 16],
    port: u16,
    /// Where they are in the payload.
    part: Range<usize>,
}

/// What a line turned out to be.
enum Line {
    Other,
    /// The beginning of a command, or one with wrong parameters.
    Partial,
    Announces(Named),
}

impl Helper for Ftp {
    fn name(&self) -> &'static str {
        "ftp"
    }

    fn protocol(&self) -> Protocol {
        Protocol::TCP
    }

    fn policies(&self) -> &[Policy] {
        const { &[Policy::only(1, 300)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        if !talk.is_established() || talk.payload().is_empty() {
            return Ok(());
        }
        let (direction, start) = (talk.direction(), talk.sequence());
        let after = start.wrapping_add(talk.payload().len() as u32);
        let ends_line = talk.payload().last() == Some(&b'\n');
        let mut result = Ok(());
        if lines_begin(talk, direction).contains(&start) {
            let own = *talk.tuple(direction);
            match read(talk.payload(), direction, &own) {
                Line::Partial => return Err(Reason::HelperPartial),
                Line::Announces(named) => result = self.announced(talk, &own, named),
                Line::Other => {}
            }
        }
        if ends_line {
            remember_line(talk, direction, after);
        }
        result
    }
}

impl Ftp {
    fn announced(&self, talk: &mut Talk<'_>, own: &Tuple, named: Named) -> Result<(), Reason> {
        let other = *talk.tuple(talk.direction().other());
        let itself = named.family == own.family && named.address == own.source;
        if !itself && !self.loose {
            return Ok(());
        }
        let destination = if itself {
            other.destination
        } else {
            named.address
        };
        let expectation = Expectation::new(
            Protocol::TCP,
            named.family,
            Some(other.source),
            destination,
            named.port,
        );
        if !talk.is_translated() {
            return talk.expect(expectation).map_err(|_| Reason::HelperRefused);
        }
        let port = talk
            .expect_translated(expectation, talk.direction().other())
            .map_err(|_| Reason::HelperRefused)?;
        let text = write(named.form, own.family, &other.destination, port);
        talk.replace(named.part, text.as_bytes())
    }
}

/// Sequence numbers of up to two beginnings of lines that a side is known to have come to.
fn lines_begin(talk: &mut Talk<'_>, direction: Direction) -> Vec<u32> {
    let side = direction.index() * 3;
    let memory = talk.memory();
    let known = memory[side] as usize;
    memory[side + 1..side + 3][..known.min(2)].to_vec()
}

fn remember_line(talk: &mut Talk<'_>, direction: Direction, sequence: u32) {
    let side = direction.index() * 3;
    let Some([known, first, second]) = talk.memory().get_mut(side..side + 3) else {
        return;
    };
    let before = |a: u32, b: u32| (a.wrapping_sub(b) as i32) < 0;
    match *known {
        0 => (*known, *first) = (1, sequence),
        1 if *first == sequence => {}
        1 => (*known, *second) = (2, sequence),
        _ if *first == sequence || *second == sequence => {}
        _ => {
            let oldest = if before(*first, *second) {
                first
            } else {
                second
            };
            if before(*oldest, sequence) {
                *oldest = sequence;
            }
        }
    }
}

fn read(payload: &[u8], direction: Direction, own: &Tuple) -> Line {
    let commands = match direction {
        Direction::Original => &OF_CLIENTS,
        Direction::Reply => &OF_SERVERS,
    };
    for (word, skip, form) in commands {
        let shown = payload.len().min(word.len());
        if !payload[..shown].eq_ignore_ascii_case(&word[..shown]) {
            continue;
        }
        if payload.len() <= word.len() {
            return Line::Partial;
        }
        return match parameters(payload, word.len(), *skip, *form, own) {
            Some(named) => Line::Announces(named),
            None => Line::Partial,
        };
    }
    Line::Other
}

fn parameters(
    payload: &[u8],
    word_len: usize,
    skip: Option<u8>,
    form: Form,
    own: &Tuple,
) -> Option<Named> {
    let mut at = word_len;
    if let Some(skip) = skip {
        // The last byte cannot be followed by a parameter.
        let skippable = &payload[..payload.len() - 1];
        at += skippable[at..].iter().position(|byte| *byte == skip)? + 1;
    }
    if form == Form::Pasv {
        at += payload[at..].iter().position(u8::is_ascii_digit)?;
    }
    let text = &payload[at..];
    let (address, port, length) = match form {
        Form::Port => six_numbers(text, Some(b'\r'))?,
        Form::Pasv => six_numbers(text, None)?,
        Form::Eprt => extended(text, own.family)?,
        Form::Epsv => {
            let (port, length) = port_alone(text)?;
            (own.source, port, length)
        }
    };
    Some(Named {
        form,
        family: own.family,
        address,
        port,
        part: at..at + length,
    })
}

/// `h1,h2,h3,h4,p1,p2`.
fn six_numbers(text: &[u8], end: Option<u8>) -> Option<([u8; 16], u16, usize)> {
    let mut parts = [0; 6];
    let length = text::numbers(text, &mut parts, b',', end)?;
    let [a, b, c, d, high, low] = parts;
    let address = widen((a << 24 | b << 16 | c << 8 | d).to_be_bytes());
    Some((address, (high << 8 | low) as u16, length))
}

/// Whether a byte may delimit parameters (RFC 2428, section 2).
const fn delimits(byte: u8) -> bool {
    matches!(byte, 33..=126) && !byte.is_ascii_digit()
}

/// `|1|a.b.c.d|port|` or `|2|address|port|`.
fn extended(text: &[u8], family: u8) -> Option<([u8; 16], u16, usize)> {
    let [delimiter, kind, again, rest @ ..] = text else {
        return None;
    };
    if rest.is_empty() || !delimits(*delimiter) || delimiter != again {
        return None;
    }
    let (address, length) = match (kind, family) {
        (b'1', 4) => {
            let mut parts = [0; 4];
            let length = text::numbers(rest, &mut parts, b'.', Some(*delimiter))?;
            let [a, b, c, d] = parts;
            (
                widen((a << 24 | b << 16 | c << 8 | d).to_be_bytes()),
                length,
            )
        }
        (b'2', 6) => text::ipv6(rest, *delimiter)?,
        _ => return None,
    };
    if length == 0 {
        return None;
    }
    let (port, port_len) = text::port(rest.get(length + 1..)?, *delimiter)?;
    Some((address, port, 3 + length + 1 + port_len))
}

/// `|||port|`.
fn port_alone(text: &[u8]) -> Option<(u16, usize)> {
    let [delimiter, second, third, rest @ ..] = text else {
        return None;
    };
    if rest.is_empty() || !delimits(*delimiter) || second != delimiter || third != delimiter {
        return None;
    }
    let (port, length) = text::port(rest, *delimiter)?;
    Some((port, 3 + length))
}

/// Address and port in the form they were read in.
fn write(form: Form, family: u8, address: &[u8; 16], port: u16) -> String {
    let [a, b, c, d, ..] = *address;
    let mut out = String::new();
    // Writing to a String cannot fail.
    match form {
        Form::Port | Form::Pasv => write!(out, "{a},{b},{c},{d},{},{}", port >> 8, port & 255),
        Form::Eprt if family == 4 => write!(out, "|1|{}|{port}|", Ipv4Addr::new(a, b, c, d)),
        Form::Eprt => write!(out, "|2|{}|{port}|", text::all_digits(*address)),
        Form::Epsv => write!(out, "|||{port}|"),
    }
    .ok();
    out
}
