//! H.323: gatekeepers learn where endpoints can be called (RAS, H.225.0), calls are set up (Q.931, H.225.0), and channels are
//! opened for media (H.245). One file a protocol; [`per`] reads the messages that [`h225`], [`h235`] and [`h245`]
//! describe.

mod channel;
mod data_type;
pub mod h225;
pub mod h235;
pub mod h245;
pub mod per;
mod q931;
mod ras;
mod tpkt;

pub use channel::H245;
pub use q931::Q931;
pub use ras::Ras;

use super::{Policy, Talk};
use crate::expectation::{Expectation, Follow};
use crate::nat::Manip;
use crate::reason::Reason;
use crate::tuple::widen;
use packet::Protocol;
use per::Value;

/// Places in the helpers' memory. Pairs have one for each direction.
mod place {
    /// Ports where calls are signalled.
    pub(super) const SIGNALLING: usize = 0;
    /// Four pairs of ports of media channels.
    pub(super) const MEDIA: usize = 2;
    /// Octets of a message whose header came in a packet of its own; of RAS, the seconds that a registration lives.
    pub(super) const REST: usize = 10;
    pub(super) const TIME_TO_LIVE: usize = REST;
}

/// Media channels of a connection that are translated at most.
const MEDIA_CHANNELS: usize = 4;

const fn policy(most: usize) -> Policy {
    Policy::only(most, 240)
}

/// An address in a message.
#[derive(Debug, Clone, Copy)]
struct Address {
    address: [u8; 16],
    port: u16,
    /// Where in the payload.
    at: usize,
}

impl Address {
    /// A `TransportAddress` of H.225.0, if it is one of the connection's IP version.
    fn h225(talk: &Talk<'_>, value: &Value) -> Option<Self> {
        let name = if is_v6(talk) {
            "ip6Address"
        } else {
            "ipAddress"
        };
        let address = value.alternative(name)?;
        Self::read(talk, address.field("ip")?, address.field("port")?)
    }

    /// The same of H.245.
    fn h245(talk: &Talk<'_>, value: &Value) -> Option<Self> {
        let name = if is_v6(talk) {
            "iP6Address"
        } else {
            "iPAddress"
        };
        let address = value.alternative("unicastAddress")?.alternative(name)?;
        let port = address.field("tsapIdentifier")?;
        Self::read(talk, address.field("network")?, port)
    }

    fn read(talk: &Talk<'_>, address: &Value, port: &Value) -> Option<Self> {
        let part = address.octets()?.clone();
        let bytes = talk.payload().get(part.clone())?;
        Some(Self {
            address: match bytes.first_chunk::<16>() {
                Some(address) => *address,
                None => widen(*bytes.first_chunk()?),
            },
            port: port.number()? as u16,
            at: part.start,
        })
    }

    /// Whether it is where the sender of the packet is, and not port 0.
    fn is_senders(&self, talk: &Talk<'_>) -> bool {
        self.address == talk.tuple(talk.direction()).source && self.port != 0
    }

    /// Writes another one there.
    fn replace(&self, talk: &mut Talk<'_>, address: [u8; 16], port: u16) -> Result<(), Reason> {
        let length = if is_v6(talk) { 16 } else { 4 };
        let mut bytes = address[..length].to_vec();
        bytes.extend(port.to_be_bytes());
        talk.replace(self.at..self.at + bytes.len(), &bytes)
    }

    /// Writes what the other end must turn to to reach the sender at that port.
    fn replace_with_own(&self, talk: &mut Talk<'_>, port: u16) -> Result<(), Reason> {
        let seen = talk.tuple(talk.direction().other()).destination;
        self.replace(talk, seen, port)
    }
}

fn is_v6(talk: &Talk<'_>) -> bool {
    talk.tuple(talk.direction()).family != 4
}

/// Whether addresses in messages must be translated, ever.
fn is_translated(talk: &Talk<'_>) -> bool {
    talk.is_translated() && !is_v6(talk)
}

/// Whether the sender's own address is translated.
fn is_sender_translated(talk: &Talk<'_>) -> bool {
    let direction = talk.direction();
    let seen = talk.tuple(direction.other()).destination;
    is_translated(talk) && talk.tuple(direction).source != seen
}

/// A connection from the other end to a port of the sender's.
fn from_other_end(talk: &Talk<'_>, protocol: Protocol, port: u16) -> Expectation {
    let back = talk.tuple(talk.direction().other());
    let source = Some(back.source);
    Expectation::new(protocol, back.family, source, back.destination, port)
}

/// It will be translated as this one.
fn following(talk: &Talk<'_>, port: u16) -> Follow {
    Follow::master(talk.direction().other(), port, Manip::Destination)
}

/// The two places that something for both directions is remembered in: of the packet's first.
fn places(talk: &Talk<'_>, at: usize) -> [usize; 2] {
    let direction = talk.direction();
    [direction, direction.other()].map(|direction| at + direction.index())
}

/// The port that the sender's is known by on the other side, if it is the one that is remembered.
fn known_port(talk: &mut Talk<'_>, at: usize, port: u16) -> Option<u16> {
    let [own, other] = places(talk, at);
    let memory = talk.memory();
    (memory[own] == u32::from(port)).then_some(memory[other] as u16)
}

fn remember_ports(talk: &mut Talk<'_>, at: usize, port: u16, seen: u16) {
    let [own, other] = places(talk, at);
    talk.memory()[own] = port.into();
    talk.memory()[other] = seen.into();
}

/// Announces a connection to a port of the sender's, at the port that it is known by already, or else one that is free, and
/// writes where. Whether there was a port.
fn expect_translated(
    talk: &mut Talk<'_>,
    mut expectation: Expectation,
    address: &Address,
    known: Option<u16>,
) -> Result<Option<u16>, Reason> {
    expectation.follow = Some(following(talk, address.port));
    if let Some(known) = known {
        expectation.tuple.destination_id = known;
    }
    let Ok(port) = talk.expect_at_free_port(expectation.clone()) else {
        return Ok(None);
    };
    expectation.tuple.destination_id = port;
    if let Err(error) = address.replace_with_own(talk, port) {
        talk.unexpect(|there| there.tuple == expectation.tuple);
        return Err(error);
    }
    Ok(Some(port))
}
