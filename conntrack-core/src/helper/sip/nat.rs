//! Rewriting SIP messages as connections are translated.

use super::header::{
    CONTACT, CONTENT_LENGTH, FROM, Found, Header, Host, TO, VIA_TCP, VIA_UDP, Walk,
};
use super::sdp::{CONNECTION, Line, MEDIA, OWNER, VERSION};
use super::{FORCED_PORT, Message};
use crate::expectation::{ExpectError, Expectation, Follow, FollowSource};
use crate::nat::Manip;
use crate::reason::Reason;
use crate::tuple::Direction;
use packet::Protocol;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

fn written(address: &[u8; 16], v6: bool, brackets: bool) -> String {
    if !v6 {
        let [a, b, c, d, ..] = *address;
        return Ipv4Addr::new(a, b, c, d).to_string();
    }
    let address = Ipv6Addr::from(*address);
    if brackets {
        format!("[{address}]")
    } else {
        address.to_string()
    }
}

fn written_with_port(address: &[u8; 16], port: u16, v6: bool) -> String {
    format!("{}:{port}", written(address, v6, true))
}

/// The header fields of a message that may name the ends of its connection.
pub(super) fn headers(message: &mut Message<'_, '_>) -> Result<(), Reason> {
    let request = !message.text().has(0, b"SIP/2.0");
    if request && let Some(host) = message.text().request_host() {
        map(message, &host)?;
    }
    topmost_via(message, request)?;
    let mut walk = Walk::default();
    while let Found::Here(host) = message.text().host(&mut walk, &CONTACT) {
        map(message, &host)?;
    }
    for header in [FROM, TO] {
        if let Found::Here(host) = message.text().first_host(&header) {
            map(message, &host)?;
        }
    }
    let forced = message.talk.memory()[FORCED_PORT] as u16;
    if message.talk.direction() == Direction::Reply && forced != 0 {
        message.talk.redirect(forced)?;
    }
    Ok(())
}

/// An address and port of either end becomes what it is on the other side.
fn map(message: &mut Message<'_, '_>, host: &Host) -> Result<(), Reason> {
    let (own, other) = message.tuples();
    let forced = message.talk.memory()[FORCED_PORT] as u16;
    let there = (host.address, host.port);
    let new = if there == (own.source, own.source_id) {
        (other.destination, other.destination_id)
    } else if there == (own.destination, own.destination_id) {
        let port = if forced == 0 { other.source_id } else { forced };
        (other.source, port)
    } else {
        return Ok(());
    };
    if new == there {
        return Ok(());
    }
    let text = written_with_port(&new.0, new.1, message.v6());
    message.replace(host.part.clone(), &text)
}

/// The Via field of who sent this last, or will get it next, and its parameters (RFC 3261, section 18.2; RFC 3581).
fn topmost_via(message: &mut Message<'_, '_>, request: bool) -> Result<(), Reason> {
    let (own, other) = message.tuples();
    let header: &Header = match own.protocol() {
        Protocol::TCP => &VIA_TCP,
        _ => &VIA_UDP,
    };
    let Found::Here(via) = message.text().first_host(header) else {
        return Ok(());
    };
    let concerned = if request {
        (own.source, own.source_id)
    } else {
        (own.destination, own.destination_id)
    };
    if (via.address, via.port) != concerned {
        return Ok(());
    }
    let before = message.text().bytes.len();
    map(message, &via)?;
    let end = via.part.end + message.text().bytes.len() - before;
    let v6 = message.v6();
    let found = message.text().address_parameter(end, b"maddr=", true);
    if let Some((part, address)) = found
        && address == own.source
        && address != other.destination
    {
        message.replace(part, &written(&other.destination, v6, true))?;
    }
    let found = message.text().address_parameter(end, b"received=", false);
    if let Some((part, address)) = found
        && address == own.destination
        && address != other.source
    {
        message.replace(part, &written(&other.source, v6, false))?;
    }
    if let Found::Here((part, port)) = message.text().number_parameter(end, b"rport=")
        && port as u16 == own.destination_id
        && port as u16 != other.source_id
    {
        message.replace(part, &other.source_id.to_string())?;
    }
    Ok(())
}

/// What others must reach the sender of a message by: its own address if only its port is translated.
fn seen_as(message: &Message<'_, '_>, named: [u8; 16]) -> [u8; 16] {
    let (own, other) = message.tuples();
    if own.source == other.destination {
        named
    } else {
        other.destination
    }
}

/// The expectation as others meet it.
fn translated(
    message: &Message<'_, '_>,
    mut expectation: Expectation,
    source: FollowSource,
) -> Expectation {
    let tuple = expectation.tuple;
    expectation.tuple.destination = seen_as(message, tuple.destination);
    expectation.follow = Some(Follow {
        direction: message.talk.direction().other(),
        address: Some(tuple.destination),
        id: tuple.destination_id,
        end: Manip::Destination,
        source,
    });
    expectation
}

/// Announces that somebody can be called, and writes where.
pub(super) fn signalling(
    message: &mut Message<'_, '_>,
    expectation: Expectation,
    part: Range<usize>,
) -> Result<(), Reason> {
    let (own, other) = message.tuples();
    let named = expectation.tuple;
    let forced = message.talk.memory()[FORCED_PORT] as u16;
    let source_id = if forced == 0 { own.source_id } else { forced };
    let mut expectation = translated(message, expectation, FollowSource::IfMasters);
    if named.destination_id == source_id {
        expectation.tuple.destination_id = other.destination_id;
    }
    let address = expectation.tuple.destination;
    let port = message
        .talk
        .expect_at_free_port(expectation)
        .map_err(|_| Reason::HelperRefused)?;
    if (address, port) == (named.destination, named.destination_id) {
        return Ok(());
    }
    let text = written_with_port(&address, port, message.v6());
    message.replace(part, &text)
}

/// Announces a pair of media streams at the first pair of ports that is free, and writes which.
pub(super) fn media(
    message: &mut Message<'_, '_>,
    pair: [Expectation; 2],
    part: Range<usize>,
    address: &mut [u8; 16],
) -> Result<(), Reason> {
    let first = pair[0].tuple.destination_id;
    let [mut data, mut control] = pair.map(|it| translated(message, it, FollowSource::Paired));
    *address = data.tuple.destination;
    let mut port = first;
    loop {
        data.tuple.destination_id = port;
        control.tuple.destination_id = port | 1;
        match message.talk.expect_once(data.clone()) {
            Ok(()) => match message.talk.expect_once(control.clone()) {
                Ok(()) => break,
                result => {
                    message.talk.unexpect(|there| *there == data);
                    if result != Err(ExpectError::Clash) {
                        return Err(Reason::HelperRefused);
                    }
                }
            },
            Err(ExpectError::Clash) => {}
            Err(_) => return Err(Reason::HelperRefused),
        }
        port = port.checked_add(2).ok_or(Reason::HelperRefused)?;
    }
    if port != first {
        write_port(message, part, port)?;
    }
    Ok(())
}

/// Writes the port of a media line.
pub(super) fn write_port(
    message: &mut Message<'_, '_>,
    part: Range<usize>,
    port: u16,
) -> Result<(), Reason> {
    message.replace(part, &port.to_string())?;
    write_length(message)
}

/// Writes the address of a line.
pub(super) fn write_address(
    message: &mut Message<'_, '_>,
    at: usize,
    line: Line,
    address: &[u8; 16],
) -> Result<(), Reason> {
    let text = written(address, message.v6(), false);
    match message.text().line(at, line, Some(MEDIA)) {
        Found::Here(part) => message.replace(part, &text)?,
        _ => return Err(Reason::HelperPartial),
    }
    write_length(message)
}

/// Writes the addresses of a description's owner, and of its connections if it says that of all at once.
pub(super) fn write_session(
    message: &mut Message<'_, '_>,
    at: usize,
    address: &[u8; 16],
) -> Result<(), Reason> {
    let text = written(address, message.v6(), false);
    match message.text().line(at, OWNER, Some(MEDIA)) {
        Found::Here(part) => message.replace(part, &text)?,
        _ => return Err(Reason::HelperPartial),
    }
    if let Found::Here(part) = message.text().line(at, CONNECTION, Some(MEDIA)) {
        message.replace(part, &text)?;
    }
    write_length(message)
}

/// Writes the length of a description.
fn write_length(message: &mut Message<'_, '_>) -> Result<(), Reason> {
    let text = message.text();
    let (Found::Here(version), Found::Here(part)) =
        (text.line(0, VERSION, None), text.field(0, &CONTENT_LENGTH))
    else {
        return Err(Reason::HelperPartial);
    };
    let length = text.bytes.len() - version.start + VERSION.len();
    message.replace(part, &length.to_string())
}
