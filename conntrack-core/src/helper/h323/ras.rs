//! RAS of H.225.0: endpoints find a gatekeeper, register where they can be called, and ask it whom to call.

use super::per::{self, Value};
use super::q931::Q931;
use super::{
    Address, expect_translated, from_other_end, h225, is_translated, known_port, place, places,
    policy, remember_ports,
};
use crate::expectation::Expectation;
use crate::helper::{Helper, Policy, Talk};
use crate::reason::Reason;
use crate::status::Status;
use crate::timeout::Time;
use packet::Protocol;

/// The helper of connections to port 1719.
#[derive(Debug, Clone, Copy)]
pub struct Ras {
    /// How long a registration lives that does not say it, in seconds (module parameter `default_rrq_ttl`).
    pub time_to_live_s: u32,
    /// Whether only the gatekeeper calls who is registered with it (module parameter `gkrouted_only`).
    pub gatekeeper_routed_only: bool,
}

impl Default for Ras {
    fn default() -> Self {
        Self {
            time_to_live_s: 300,
            gatekeeper_routed_only: true,
        }
    }
}

impl Helper for Ras {
    fn name(&self) -> &'static str {
        "RAS"
    }

    fn protocol(&self) -> Protocol {
        Protocol::UDP
    }

    fn policies(&self) -> &[Policy] {
        const { &[policy(32)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        let whole = 0..talk.payload().len();
        match per::decode(talk.payload(), whole, &h225::RAS_MESSAGE) {
            Some(Value::Choice(name, message)) => self.understand(talk, name, &message),
            _ => Ok(()),
        }
    }
}

impl Ras {
    fn understand(&self, talk: &mut Talk<'_>, name: &str, message: &Value) -> Result<(), Reason> {
        match name {
            "gatekeeperRequest" => own_ras(talk, message.field("rasAddress")),
            "gatekeeperConfirm" => gatekeeper(talk, message.field("rasAddress")),
            "registrationRequest" => self.register(talk, message),
            "registrationConfirm" => confirm(talk, message),
            "unregistrationRequest" => unregister(talk, message),
            "admissionRequest" => admission(talk, message),
            "admissionConfirm" => admitted(talk, message.field("destCallSignalAddress")),
            "locationRequest" => own_ras(talk, message.field("replyAddress")),
            "locationConfirm" => located(talk, message.field("callSignalAddress")),
            "infoRequestResponse" => {
                own_ras(talk, message.field("rasAddress"))?;
                signalling(talk, message)
            }
            _ => Ok(()),
        }
    }

    /// Calls will come to where an endpoint registers.
    fn register(&self, talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
        self.expect_calls(talk, message)?;
        own_ras(talk, addresses(message, "rasAddress"))?;
        let time_to_live = message.field("timeToLive").and_then(Value::number);
        talk.memory()[place::TIME_TO_LIVE] = time_to_live.unwrap_or(self.time_to_live_s);
        Ok(())
    }

    fn expect_calls(&self, talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
        let all = addresses(message, "callSignalAddress");
        let mut found = all
            .into_iter()
            .filter_map(|value| Address::h225(talk, value));
        let Some(address) = found.find(|address| address.is_senders(talk)) else {
            return Ok(());
        };
        let mut expectation = from_other_end(talk, Protocol::TCP, address.port);
        if !self.gatekeeper_routed_only {
            let back = talk.tuple(talk.direction().other());
            let (family, to) = (back.family, back.destination);
            expectation = Expectation::new(Protocol::TCP, family, None, to, address.port);
        }
        expectation.permanent = true;
        expectation.helper = talk.helper_named(Q931.name(), Protocol::TCP);
        if is_translated(talk) {
            let known = known_port(talk, place::SIGNALLING, address.port);
            if let Some(port) = expect_translated(talk, expectation, &address, known)? {
                remember_ports(talk, place::SIGNALLING, address.port, port);
                mend_loopback(talk, message, &address)?;
            }
            return Ok(());
        }
        let [own, _] = places(talk, place::SIGNALLING);
        talk.expect(expectation)
            .map_err(|_| Reason::HelperRefused)?;
        talk.memory()[own] = address.port.into();
        Ok(())
    }
}

/// The first addresses of a list.
fn addresses<'a>(message: &'a Value, name: &str) -> Vec<&'a Value> {
    const MOST: usize = 10;
    let all = message.field(name).map_or(&[][..], Value::list);
    all.iter().take(MOST).collect()
}

fn is_loopback(address: &Address) -> bool {
    address.address[0] == 127
}

/// Some endpoints name a loopback address first: it becomes what the right one has become.
fn mend_loopback(talk: &mut Talk<'_>, message: &Value, right: &Address) -> Result<(), Reason> {
    let all = addresses(message, "callSignalAddress");
    let first = all.first().and_then(|first| Address::h225(talk, first));
    match first.filter(|first| first.at != right.at && is_loopback(first)) {
        Some(first) => {
            let [_, other] = places(talk, place::SIGNALLING);
            let port = talk.memory()[other] as u16;
            first.replace_with_own(talk, port)
        }
        None => Ok(()),
    }
}

/// The sender's own RAS address, among these, is translated.
fn own_ras<'a>(
    talk: &mut Talk<'_>,
    values: impl IntoIterator<Item = &'a Value>,
) -> Result<(), Reason> {
    if !is_translated(talk) {
        return Ok(());
    }
    let own = *talk.tuple(talk.direction());
    let mut found = values
        .into_iter()
        .filter_map(|value| Address::h225(talk, value));
    let found = found.find(|there| (there.address, there.port) == (own.source, own.source_id));
    match found {
        Some(address) => {
            let port = talk.tuple(talk.direction().other()).destination_id;
            address.replace_with_own(talk, port)
        }
        None => Ok(()),
    }
}

/// Addresses where either end can be called, as the other end knows them.
fn signalling(talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
    signalling_among(talk, &addresses(message, "callSignalAddress"))
}

fn signalling_among(talk: &mut Talk<'_>, values: &[&Value]) -> Result<(), Reason> {
    if !is_translated(talk) {
        return Ok(());
    }
    let direction = talk.direction();
    let (there, back) = (*talk.tuple(direction), *talk.tuple(direction.other()));
    let [own, other] = places(talk, place::SIGNALLING);
    let (port, seen) = (talk.memory()[own], talk.memory()[other] as u16);
    let read = |value: &&Value| Address::h225(talk, value);
    let first = values.first().and_then(read).filter(is_loopback);
    let all: Vec<Address> = values.iter().filter_map(read).collect();
    for address in &all {
        if u32::from(address.port) != port {
            continue;
        }
        if address.address == there.source {
            return first
                .as_ref()
                .unwrap_or(address)
                .replace_with_own(talk, seen);
        }
        if address.address == there.destination {
            return address.replace(talk, back.source, seen);
        }
    }
    Ok(())
}

/// A gatekeeper that wants to be asked at another address.
fn gatekeeper(talk: &mut Talk<'_>, address: Option<&Value>) -> Result<(), Reason> {
    let own = talk.tuple(talk.direction());
    let here = (own.source, own.source_id);
    let address = address
        .and_then(|address| Address::h225(talk, address))
        .filter(|address| (address.address, address.port) != here);
    // One that was expected itself leads no further.
    if talk.status().contains(Status::EXPECTED) {
        return Ok(());
    }
    let helper = Some(talk.helper_id());
    expect_elsewhere(talk, address, Protocol::UDP, |expectation| {
        expectation.helper = helper;
    })
}

/// The other end will turn to somebody else.
fn expect_elsewhere(
    talk: &mut Talk<'_>,
    address: Option<Address>,
    protocol: Protocol,
    how: impl Fn(&mut Expectation),
) -> Result<(), Reason> {
    let Some(address) = address else {
        return Ok(());
    };
    let back = talk.tuple(talk.direction().other());
    let (family, source) = (back.family, Some(back.source));
    let mut expectation = Expectation::new(protocol, family, source, address.address, address.port);
    how(&mut expectation);
    talk.expect(expectation).map_err(|_| Reason::HelperRefused)
}

fn expect_call(talk: &mut Talk<'_>, address: Option<Address>) -> Result<(), Reason> {
    let helper = talk.helper_named(Q931.name(), Protocol::TCP);
    expect_elsewhere(talk, address, Protocol::TCP, |expectation| {
        expectation.permanent = true;
        expectation.helper = helper;
    })
}

fn confirm(talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
    signalling(talk, message)?;
    if let Some(seconds) = message.field("timeToLive").and_then(Value::number) {
        talk.memory()[place::TIME_TO_LIVE] = seconds;
    }
    let span = Time::from_secs(talk.memory()[place::TIME_TO_LIVE].into());
    if span.0 > 0 {
        talk.refresh(span);
    }
    Ok(())
}

fn unregister(talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
    const LEFT: Time = Time::from_secs(30);
    signalling(talk, message)?;
    talk.unexpect(|_| true);
    for place in places(talk, place::SIGNALLING) {
        talk.memory()[place] = 0;
    }
    talk.refresh(LEFT);
    Ok(())
}

/// Who asks whether it may call names both ends.
fn admission(talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
    if !is_translated(talk) {
        return Ok(());
    }
    let own = talk.tuple(talk.direction()).source;
    let [here, there] = places(talk, place::SIGNALLING);
    let (port, seen) = (talk.memory()[here], talk.memory()[there] as u16);
    let read = |talk: &Talk<'_>, name| Address::h225(talk, message.field(name)?);
    if let Some(called) = read(talk, "destCallSignalAddress")
        && called.address == own
        && u32::from(called.port) == port
    {
        return called.replace_with_own(talk, seen);
    }
    if let Some(caller) = read(talk, "srcCallSignalAddress")
        && caller.address == own
    {
        return caller.replace_with_own(talk, caller.port);
    }
    Ok(())
}

/// Whom to call; the one who asked, if it asked whether it may answer.
fn admitted(talk: &mut Talk<'_>, value: Option<&Value>) -> Result<(), Reason> {
    let address = value.and_then(|value| Address::h225(talk, value));
    let asked = talk.tuple(talk.direction()).destination;
    if address.is_some_and(|address| address.address == asked) {
        return signalling_among(talk, &value.into_iter().collect::<Vec<_>>());
    }
    expect_call(talk, address)
}

fn located(talk: &mut Talk<'_>, value: Option<&Value>) -> Result<(), Reason> {
    let address = value.and_then(|value| Address::h225(talk, value));
    expect_call(talk, address)
}
