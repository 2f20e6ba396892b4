//! Q.931 as H.225.0 uses it: calls are set up, and the ends say where H.245 or at once media can be sent to.

use super::channel::{self, H245};
use super::per::{self, Value};
use super::{
    Address, MEDIA_CHANNELS, expect_translated, following, from_other_end, h225,
    is_sender_translated, is_translated, known_port, place, policy, remember_ports, tpkt,
};
use crate::expectation::{Expectation, Follow, FollowSource};
use crate::helper::{Helper, Policy, Talk};
use crate::reason::Reason;
use packet::Protocol;
use std::ops::Range;

/// The helper of connections to port 1720, and of those that RAS announces.
#[derive(Debug, Clone, Copy)]
pub struct Q931;

impl Helper for Q931 {
    fn name(&self) -> &'static str {
        "Q.931"
    }

    fn protocol(&self) -> Protocol {
        Protocol::TCP
    }

    fn policies(&self) -> &[Policy] {
        const { &[policy(MEDIA_CHANNELS * 4 + 4)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        if !talk.is_established() {
            return Ok(());
        }
        tpkt::messages(talk, |talk, part| {
            let part = user_information(talk.payload(), part)?;
            let message = per::decode(talk.payload(), part, &h225::USER_INFORMATION)?;
            Some(understand(talk, message.field("h323-uu-pdu")?))
        })
    }
}

/// Where H.225.0's part of a message of Q.931 is (Q.931, section 4): in its user-user element.
fn user_information(payload: &[u8], part: Range<usize>) -> Option<Range<usize>> {
    const CALL_CONTROL: u8 = 8;
    const USER_USER: u8 = 0x7e;
    let end = part.end;
    let bytes = payload.get(..end)?;
    if *bytes.get(part.start)? != CALL_CONTROL {
        return None;
    }
    let reference = usize::from(*bytes.get(part.start + 1)?);
    // Behind the call reference is the kind of the message. Linux knows one element of a single octet ("sending complete"),
    // and that only there.
    let mut at = part.start + 2 + reference + 1;
    at += usize::from(bytes.get(at)? & 0x80 != 0);
    loop {
        let element = *bytes.get(at)?;
        if element == USER_USER {
            let length = u16::from_be_bytes(*bytes.get(at + 1..)?.first_chunk()?);
            let start = at + 3;
            let part = start..start + usize::from(length);
            // First comes the name of the protocol.
            return (length > 0 && part.end <= end).then_some(part.start + 1..part.end);
        }
        at += 2 + usize::from(*bytes.get(at + 1)?);
    }
}

fn understand(talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
    /// Messages of H.245 in one of Q.931 that are looked at.
    const MOST_CONTROLS: usize = 4;
    if let Some(Value::Choice(name, body)) = message.field("h323-message-body") {
        match *name {
            "setup" => setup(talk, body)?,
            "callProceeding" | "connect" | "alerting" | "progress" => answer(talk, body)?,
            "facility" => facility(talk, body)?,
            _ => {}
        }
    }
    let controls = message.field("h245Control").map_or(&[][..], Value::list);
    for control in controls.iter().take(MOST_CONTROLS) {
        channel::control(talk, control)?;
    }
    Ok(())
}

fn setup(talk: &mut Talk<'_>, setup: &Value) -> Result<(), Reason> {
    if let Some(address) = setup.field("h245Address") {
        expect_h245(talk, address)?;
    }
    if is_translated(talk) {
        let back = *talk.tuple(talk.direction().other());
        let ends = [
            ("destCallSignalAddress", back.source, back.source_id),
            (
                "sourceCallSignalAddress",
                back.destination,
                back.destination_id,
            ),
        ];
        for (name, seen, port) in ends {
            let address = setup
                .field(name)
                .and_then(|there| Address::h225(talk, there));
            if let Some(address) = address.filter(|address| address.address != seen) {
                address.replace(talk, seen, port)?;
            }
        }
    }
    fast_start(talk, setup)
}

fn answer(talk: &mut Talk<'_>, answer: &Value) -> Result<(), Reason> {
    if let Some(address) = answer.field("h245Address") {
        expect_h245(talk, address)?;
    }
    fast_start(talk, answer)
}

fn facility(talk: &mut Talk<'_>, facility: &Value) -> Result<(), Reason> {
    let reason = facility.field("reason");
    if reason.is_some_and(|reason| reason.alternative("callForwarded").is_some()) {
        return match facility.field("alternativeAddress") {
            Some(address) => expect_forwarded(talk, address),
            None => Ok(()),
        };
    }
    answer(talk, facility)
}

fn fast_start(talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
    /// Channels that are looked at.
    const MOST: usize = 30;
    let channels = message.field("fastStart").map_or(&[][..], Value::list);
    for open in channels.iter().take(MOST) {
        channel::open_channel(talk, open)?;
    }
    Ok(())
}

/// The other end will connect to where the sender speaks H.245.
fn expect_h245(talk: &mut Talk<'_>, address: &Value) -> Result<(), Reason> {
    let Some(address) = Address::h225(talk, address).filter(|there| there.is_senders(talk)) else {
        return Ok(());
    };
    let mut expectation = from_other_end(talk, Protocol::TCP, address.port);
    expectation.helper = talk.helper_named(H245.name(), Protocol::TCP);
    if !is_sender_translated(talk) {
        return talk.expect(expectation).map_err(|_| Reason::HelperRefused);
    }
    let known = known_port(talk, place::SIGNALLING, address.port);
    if let Some(port) = expect_translated(talk, expectation, &address, known)? {
        remember_ports(talk, place::SIGNALLING, address.port, port);
    }
    Ok(())
}

/// The other end will call somebody else. Linux does not expect it where the way there is the one to the other end
/// (`callforward_filter`): here nothing is known of ways, but that to the other end itself is the same.
fn expect_forwarded(talk: &mut Talk<'_>, address: &Value) -> Result<(), Reason> {
    let back = *talk.tuple(talk.direction().other());
    let address = Address::h225(talk, address)
        .filter(|address| address.port != 0 && address.address != back.source);
    let Some(address) = address else {
        return Ok(());
    };
    let mut expectation = Expectation::new(
        Protocol::TCP,
        back.family,
        Some(back.source),
        address.address,
        address.port,
    );
    expectation.helper = Some(talk.helper_id());
    if !is_sender_translated(talk) {
        return talk.expect(expectation).map_err(|_| Reason::HelperRefused);
    }
    expectation.tuple.destination = back.destination;
    expectation.follow = Some(Follow {
        address: Some(address.address),
        source: FollowSource::Forwarded,
        ..following(talk, address.port)
    });
    let Ok(port) = talk.expect_at_free_port(expectation.clone()) else {
        return Ok(());
    };
    expectation.tuple.destination_id = port;
    let replaced = address.replace_with_own(talk, port);
    if replaced.is_err() {
        talk.unexpect(|there| there.tuple == expectation.tuple);
    }
    replaced
}
