//! SIP (RFC 3261): who registers can be called, and session descriptions announce media streams.

mod header;
mod nat;
mod sdp;

use super::{Helper, Policy, Talk};
use crate::expectation::Expectation;
use crate::reason::Reason;
use crate::status::Status;
use crate::timeout::Time;
use crate::tuple::Tuple;
use header::{CONTACT, CONTENT_LENGTH, CSEQ, EXPIRES, Found, Host, Text, VIA_UDP, Walk};
use packet::Protocol;
use std::ops::Range;

/// The helper, for one of the protocols that carry SIP.
#[derive(Debug, Clone, Copy)]
pub struct Sip {
    protocol: Protocol,
    /// How long a connection lives after a message (module parameter `sip_timeout`).
    pub span: Time,
}

impl Sip {
    const fn over(protocol: Protocol) -> Self {
        Self {
            protocol,
            span: Time::from_secs(3_600),
        }
    }

    /// For UDP.
    pub const fn udp() -> Self {
        Self::over(Protocol::UDP)
    }

    /// For TCP.
    pub const fn tcp() -> Self {
        Self::over(Protocol::TCP)
    }
}

/// Classes of expectations.
mod class {
    pub(super) const SIGNALLING: usize = 0;
    pub(super) const AUDIO: usize = 1;
    pub(super) const VIDEO: usize = 2;
    pub(super) const IMAGE: usize = 3;
}

/// Places in the helper's memory: numbers of the last requests, and the port that a client really listens at.
const REGISTER: usize = 0;
const INVITE: usize = 1;
const FORCED_PORT: usize = 2;

/// The shortest answer.
const SHORTEST: usize = b"SIP/2.0 200".len();

const fn policy(name: &'static str, most: usize) -> Policy {
    Policy {
        name,
        most,
        span: Time::from_secs(180),
    }
}

impl Helper for Sip {
    fn name(&self) -> &'static str {
        "sip"
    }

    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn policies(&self) -> &[Policy] {
        const {
            &[
                policy("signalling", 1),
                policy("audio", 4),
                policy("video", 4),
                policy("image", 2),
            ]
        }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        let over_tcp = self.protocol == Protocol::TCP;
        if talk.payload().is_empty() || over_tcp && !talk.is_established() {
            return Ok(());
        }
        talk.refresh(self.span);
        let length = talk.payload().len();
        if length < SHORTEST {
            return Ok(());
        }
        if over_tcp {
            return messages(talk);
        }
        Message {
            talk,
            at: 0,
            length,
        }
        .understand()
    }
}

/// The messages of a TCP segment; one that is not whole is not looked at.
fn messages(talk: &mut Talk<'_>) -> Result<(), Reason> {
    let (mut at, mut longer) = (0, 0);
    while let Some(length) = message_length(talk, at) {
        // A body that could not be whole even alone is none; behind one that is cut off, Linux forgets what it has changed.
        if length > talk.payload().len() - at {
            return Ok(());
        }
        let mut message = Message { talk, at, length };
        message.understand()?;
        longer += message.length as i32 - length as i32;
        at += message.length;
    }
    if talk.is_translated() {
        talk.shift(longer);
    }
    Ok(())
}

/// Length of the message at `at`, as it says.
fn message_length(talk: &Talk<'_>, at: usize) -> Option<usize> {
    let v6 = talk.tuple(talk.direction()).family == 6;
    let bytes = talk.payload().get(at..)?;
    let text = Text { bytes, v6 };
    let Found::Here(part) = text.field(0, &CONTENT_LENGTH) else {
        return None;
    };
    let (body, after) = text.number(part.start)?;
    if body as usize > bytes.len() {
        return None;
    }
    let header = after + super::text::find(&bytes[after..], b"\r\n\r\n")? + 4;
    header.checked_add(body as usize)
}

/// A message in a packet.
struct Message<'m, 't> {
    talk: &'m mut Talk<'t>,
    /// Where it is in the payload.
    at: usize,
    length: usize,
}

/// What is done with a request or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Invite,
    /// Describes media as INVITE does.
    Update,
    Acknowledge,
    Bye,
    Register,
}

/// Methods by name; what begins with one name is taken for the first of them.
const METHODS: [(&[u8], Method); 6] = [
    (b"INVITE", Method::Invite),
    (b"UPDATE", Method::Update),
    (b"ACK", Method::Acknowledge),
    (b"PRACK", Method::Update),
    (b"BYE", Method::Bye),
    (b"REGISTER", Method::Register),
];

impl Message<'_, '_> {
    fn text(&self) -> Text<'_> {
        let end = self.at + self.length;
        Text {
            bytes: self.talk.payload().get(self.at..end).unwrap_or_default(),
            v6: self.v6(),
        }
    }

    fn v6(&self) -> bool {
        self.talk.tuple(self.talk.direction()).family == 6
    }

    fn is_translated(&self) -> bool {
        self.talk.is_translated()
    }

    /// The tuple of packets in the direction of the message, and in the other one.
    fn tuples(&self) -> (Tuple, Tuple) {
        let direction = self.talk.direction();
        (
            *self.talk.tuple(direction),
            *self.talk.tuple(direction.other()),
        )
    }

    fn replace(&mut self, part: Range<usize>, with: &str) -> Result<(), Reason> {
        let length = self.length - part.len() + with.len();
        let part = part.start + self.at..part.end + self.at;
        self.talk.replace_unshifted(part, with.as_bytes())?;
        self.length = length;
        Ok(())
    }

    fn understand(&mut self) -> Result<(), Reason> {
        if self.text().has(0, b"SIP/2.0 ") {
            self.answer()?;
        } else {
            self.request()?;
        }
        if self.is_translated() {
            nat::headers(self)?;
        }
        Ok(())
    }

    /// The number that tells a request from others (RFC 3261, section 20.16), and where it ends.
    fn sequence(&self) -> Result<(u32, usize), Reason> {
        let Found::Here(part) = self.text().field(0, &CSEQ) else {
            return Err(Reason::HelperPartial);
        };
        self.text().number(part.start).ok_or(Reason::HelperPartial)
    }

    fn request(&mut self) -> Result<(), Reason> {
        self.note_port();
        let is_called = |name: &[u8]| {
            let text = self.text();
            let behind = text.bytes.get(name.len()..name.len() + 2);
            text.has(0, name)
                && behind.is_some_and(|behind| behind[0] == b' ' && behind[1].is_ascii_alphabetic())
        };
        let Some((_, method)) = METHODS.iter().find(|(name, _)| is_called(name)) else {
            return Ok(());
        };
        let (sequence, _) = self.sequence()?;
        match method {
            Method::Invite => {
                self.forget_media();
                sdp::described(self)?;
                self.talk.memory()[INVITE] = sequence;
            }
            Method::Update | Method::Acknowledge => sdp::described(self)?,
            Method::Bye => self.forget_media(),
            Method::Register => self.register(sequence)?,
        }
        Ok(())
    }

    /// A client may send from another port than it listens at (RFC 3261, section 18.2.2).
    fn note_port(&mut self) {
        let (own, _) = self.tuples();
        if let Found::Here(via) = self.text().first_host(&VIA_UDP)
            && via.port != own.source_id
            && via.address == own.source
        {
            self.talk.memory()[FORCED_PORT] = via.port.into();
        }
    }

    fn answer(&mut self) -> Result<(), Reason> {
        const CODE: usize = b"SIP/2.0 ".len();
        let bytes = self.text().bytes;
        if bytes.len() < SHORTEST {
            return Ok(());
        }
        let (code, _) = self.text().number(CODE).ok_or(Reason::HelperPartial)?;
        if code == 0 {
            return Err(Reason::HelperPartial);
        }
        let (sequence, end) = self.sequence()?;
        let method = METHODS
            .iter()
            .find(|(name, _)| self.text().has(end + 1, name));
        match method {
            Some((_, Method::Invite | Method::Update)) => match code {
                100..300 => sdp::described(self)?,
                _ if self.talk.memory()[INVITE] == sequence => self.forget_media(),
                _ => {}
            },
            Some((_, Method::Register)) => self.registered(sequence, code)?,
            _ => {}
        }
        Ok(())
    }

    fn forget_media(&mut self) {
        self.talk.unexpect(|there| there.class != class::SIGNALLING);
    }

    /// Seconds in the field of that name; 0 without it.
    fn expires(&self) -> u32 {
        match self.text().field(0, &EXPIRES) {
            Found::Here(part) => self
                .text()
                .number(part.start)
                .map_or(0, |(number, _)| number),
            _ => 0,
        }
    }

    /// Seconds a contact says, or `otherwise`.
    fn contact_expires(&self, contact: &Host, otherwise: u32) -> Result<u32, Reason> {
        match self.text().number_parameter(contact.part.end, b"expires=") {
            Found::Here((_, seconds)) => Ok(seconds),
            Found::Nothing => Ok(otherwise),
            Found::Malformed(_) => Err(Reason::HelperPartial),
        }
    }

    /// Whether a contact is to be reached by the protocol of this connection.
    fn is_by_own_transport(&self, contact: &Host) -> bool {
        let Some(word) = self.text().transport(contact.part.end) else {
            return true;
        };
        let name: &[u8] = match self.tuples().0.protocol() {
            Protocol::TCP => b"TCP",
            _ => b"UDP",
        };
        self.text().has(word.start, name)
    }

    /// Somebody wants to be called: that is expected once it is confirmed.
    fn register(&mut self, sequence: u32) -> Result<(), Reason> {
        // Who is called does not register.
        if self.talk.status().contains(Status::EXPECTED) {
            return Ok(());
        }
        let expires = self.expires();
        let contact = match self.text().first_host(&CONTACT) {
            Found::Here(contact) => contact,
            Found::Nothing => return Ok(()),
            Found::Malformed(_) => return Err(Reason::HelperPartial),
        };
        let (own, other) = self.tuples();
        if contact.address != own.source || !self.is_by_own_transport(&contact) {
            return Ok(());
        }
        if self.contact_expires(&contact, expires)? != 0 {
            let expectation = Expectation {
                class: class::SIGNALLING,
                permanent: true,
                inactive: true,
                helper: Some(self.talk.helper_id()),
                ..Expectation::new(
                    own.protocol(),
                    own.family,
                    Some(other.source),
                    contact.address,
                    contact.port,
                )
            };
            if self.is_translated() {
                nat::signalling(self, expectation, contact.part)?;
            } else {
                let expected = self.talk.expect(expectation);
                expected.map_err(|_| Reason::HelperRefused)?;
            }
        }
        self.talk.memory()[REGISTER] = sequence;
        Ok(())
    }

    /// The answer: calls are expected for so long, or not any longer.
    fn registered(&mut self, sequence: u32, code: u32) -> Result<(), Reason> {
        if self.talk.memory()[REGISTER] != sequence || (100..200).contains(&code) {
            return Ok(());
        }
        if (200..300).contains(&code) && self.confirm_contacts()? {
            return Ok(());
        }
        self.talk.unexpect(|there| there.class == class::SIGNALLING);
        Ok(())
    }

    /// Whether one of the contacts is one that calls are expected for.
    fn confirm_contacts(&mut self) -> Result<bool, Reason> {
        let expires = self.expires();
        let (own, _) = self.tuples();
        let mut walk = Walk::default();
        loop {
            let contact = match self.text().host(&mut walk, &CONTACT) {
                Found::Here(contact) => contact,
                Found::Nothing => return Ok(false),
                Found::Malformed(_) => return Err(Reason::HelperPartial),
            };
            if contact.address != own.destination || !self.is_by_own_transport(&contact) {
                continue;
            }
            let seconds = self.contact_expires(&contact, expires)?;
            if seconds == 0 {
                return Ok(false);
            }
            let is_it = |there: &Expectation| {
                there.class == class::SIGNALLING
                    && there.tuple.destination == contact.address
                    && there.tuple.destination_id == contact.port
                    && there.tuple.protocol == own.protocol
            };
            if self.talk.renew(is_it, Time::from_secs(seconds.into())) {
                return Ok(true);
            }
        }
    }
}
