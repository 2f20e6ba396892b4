//! H.245: each end opens channels for media at addresses of its own.

use super::per::{self, Value};
use super::{
    Address, MEDIA_CHANNELS, expect_translated, following, from_other_end, h245,
    is_sender_translated, place, places, policy, remember_ports, tpkt,
};
use crate::expectation::{ExpectError, Expectation};
use crate::helper::{Helper, Policy, Talk};
use crate::reason::Reason;
use packet::Protocol;

/// The helper of connections that Q.931 announces.
#[derive(Debug, Clone, Copy)]
pub struct H245;

impl Helper for H245 {
    fn name(&self) -> &'static str {
        "H.245"
    }

    fn protocol(&self) -> Protocol {
        Protocol::TCP
    }

    fn policies(&self) -> &[Policy] {
        const { &[policy(MEDIA_CHANNELS * 4 + 2)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        if !talk.is_established() {
            return Ok(());
        }
        tpkt::messages(talk, |talk, part| {
            let message = per::decode(talk.payload(), part, &h245::CONTROL_MESSAGE)?;
            Some(control(talk, &message))
        })
    }
}

/// A message of H.245.
pub(super) fn control(talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
    if let Some(request) = message.alternative("request")
        && let Some(open) = request.alternative("openLogicalChannel")
    {
        return open_channel(talk, open);
    }
    if let Some(response) = message.alternative("response")
        && let Some(acknowledgment) = response.alternative("openLogicalChannelAck")
    {
        return acknowledge(talk, acknowledgment);
    }
    Ok(())
}

/// `OpenLogicalChannel`.
pub(super) fn open_channel(talk: &mut Talk<'_>, open: &Value) -> Result<(), Reason> {
    let forward = open.field("forwardLogicalChannelParameters");
    let reverse = open.field("reverseLogicalChannelParameters");
    for parameters in [forward, reverse].into_iter().flatten() {
        media(talk, parameters)?;
    }
    let stack = forward
        .and_then(|forward| forward.field("dataType")?.alternative("data"))
        .and_then(|data| data.field("application")?.alternative("t120"))
        .and_then(|protocol| protocol.alternative("separateLANStack"));
    match stack {
        Some(_) => whiteboard(talk, open),
        None => Ok(()),
    }
}

/// `OpenLogicalChannelAck`.
fn acknowledge(talk: &mut Talk<'_>, acknowledgment: &Value) -> Result<(), Reason> {
    if let Some(reverse) = acknowledgment.field("reverseLogicalChannelParameters") {
        media(talk, reverse)?;
    }
    let forward = acknowledgment.field("forwardMultiplexAckParameters");
    if let Some(channel) =
        forward.and_then(|forward| forward.alternative("h2250LogicalChannelAckParameters"))
    {
        channels(talk, channel)?;
    }
    whiteboard(talk, acknowledgment)
}

fn media(talk: &mut Talk<'_>, parameters: &Value) -> Result<(), Reason> {
    let multiplex = parameters.field("multiplexParameters");
    match multiplex.and_then(|multiplex| multiplex.alternative("h2250LogicalChannelParameters")) {
        Some(channel) => channels(talk, channel),
        None => Ok(()),
    }
}

fn channels(talk: &mut Talk<'_>, channel: &Value) -> Result<(), Reason> {
    for name in ["mediaChannel", "mediaControlChannel"] {
        if let Some(address) = channel.field(name) {
            rtp_and_rtcp(talk, address)?;
        }
    }
    Ok(())
}

/// A port of RTP has an even number, and RTCP the next one (RFC 3550, section 11); either is named.
fn rtp_and_rtcp(talk: &mut Talk<'_>, address: &Value) -> Result<(), Reason> {
    let Some(address) = Address::h245(talk, address).filter(|there| there.is_senders(talk)) else {
        return Ok(());
    };
    let rtp = address.port & !1;
    let pair = [rtp, rtp | 1].map(|port| from_other_end(talk, Protocol::UDP, port));
    if is_sender_translated(talk) {
        return translated(talk, &address, pair);
    }
    expect_pair(talk, pair).map_err(|_| Reason::HelperRefused)
}

/// Both, or none of them.
fn expect_pair(talk: &mut Talk<'_>, [rtp, rtcp]: [Expectation; 2]) -> Result<(), ExpectError> {
    let tuple = rtp.tuple;
    talk.expect(rtp)?;
    let second = talk.expect(rtcp);
    if second.is_err() {
        talk.unexpect(|there| there.tuple == tuple);
    }
    second
}

/// The same at ports that are free.
fn translated(
    talk: &mut Talk<'_>,
    address: &Address,
    mut pair: [Expectation; 2],
) -> Result<(), Reason> {
    let rtp = address.port & !1;
    let Some(at) = media_place(talk, rtp) else {
        return Ok(());
    };
    for (expectation, number) in pair.iter_mut().zip([rtp, rtp | 1]) {
        expectation.follow = Some(following(talk, number));
    }
    let mut port = rtp;
    while port != 0 {
        pair[0].tuple.destination_id = port;
        pair[1].tuple.destination_id = port | 1;
        match expect_pair(talk, pair.clone()) {
            Ok(()) => break,
            Err(ExpectError::Clash) => port = port.wrapping_add(2),
            Err(_) => port = 0,
        }
    }
    if port == 0 {
        return Ok(());
    }
    if let Err(error) = address.replace_with_own(talk, port | address.port & 1) {
        let tuples = pair.map(|expectation| expectation.tuple);
        talk.unexpect(|there| tuples.contains(&there.tuple));
        return Err(error);
    }
    remember_ports(talk, at, rtp, port);
    Ok(())
}

/// Where the ports of a channel are remembered; nothing if there are too many.
fn media_place(talk: &mut Talk<'_>, rtp: u16) -> Option<usize> {
    let mut all = (0..MEDIA_CHANNELS).map(|number| place::MEDIA + number * 2);
    all.find(|at| {
        let [own, _] = places(talk, *at);
        let there = talk.memory()[own];
        there == 0 || there == u32::from(rtp)
    })
}

/// A whiteboard (T.120) has connections of its own.
fn whiteboard(talk: &mut Talk<'_>, message: &Value) -> Result<(), Reason> {
    let stack = message.field("separateStack");
    let address = stack
        .and_then(|stack| {
            stack
                .field("networkAddress")?
                .alternative("localAreaAddress")
        })
        .and_then(|address| Address::h245(talk, address))
        .filter(|address| address.is_senders(talk));
    let Some(address) = address else {
        return Ok(());
    };
    let mut expectation = from_other_end(talk, Protocol::TCP, address.port);
    expectation.permanent = true;
    if is_sender_translated(talk) {
        return expect_translated(talk, expectation, &address, None).map(|_| ());
    }
    talk.expect(expectation).map_err(|_| Reason::HelperRefused)
}
