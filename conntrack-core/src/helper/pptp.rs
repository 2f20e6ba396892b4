//! PPTP (RFC 2637): calls agreed on over TCP are carried by GRE, whose keys are the call identifiers.
//!
//! The client is taken for the network server (PNS) that opens the control connection.

use super::{Helper, Policy, Talk};
use crate::expectation::{Expectation, Follow, SourceMask};
use crate::nat::Manip;
use crate::reason::Reason;
use crate::tuple::{Direction, Tuple};
use packet::Protocol;

/// The helper.
#[derive(Debug, Clone, Copy)]
pub struct Pptp;

/// Length of what comes before a message's own fields.
const HEADER: usize = 12;

/// Numbers of control messages (RFC 2637, section 2).
mod message {
    pub(super) const START_REQUEST: u16 = 1;
    pub(super) const START_REPLY: u16 = 2;
    pub(super) const STOP_REQUEST: u16 = 3;
    pub(super) const STOP_REPLY: u16 = 4;
    pub(super) const OUT_CALL_REQUEST: u16 = 7;
    pub(super) const OUT_CALL_REPLY: u16 = 8;
    pub(super) const IN_CALL_REQUEST: u16 = 9;
    pub(super) const IN_CALL_REPLY: u16 = 10;
    pub(super) const IN_CALL_CONNECTED: u16 = 11;
    pub(super) const CALL_CLEAR_REQUEST: u16 = 12;
    pub(super) const CALL_DISCONNECTED: u16 = 13;
    pub(super) const WAN_ERROR: u16 = 14;
    pub(super) const SET_LINK_INFO: u16 = 15;
}

/// What a message's fields take at least; 0 for messages without any.
const fn shortest(kind: u16) -> usize {
    match kind {
        message::START_REQUEST | message::START_REPLY => 144,
        message::STOP_REQUEST | message::STOP_REPLY | message::CALL_CLEAR_REQUEST => 4,
        message::OUT_CALL_REQUEST => 156,
        message::OUT_CALL_REPLY => 20,
        message::IN_CALL_REQUEST => 208,
        message::IN_CALL_REPLY | message::SET_LINK_INFO => 12,
        message::IN_CALL_CONNECTED => 16,
        message::CALL_DISCONNECTED => 136,
        message::WAN_ERROR => 28,
        _ => 0,
    }
}

/// How far the control connection is.
mod session {
    pub(super) const NONE: u32 = 0;
    pub(super) const ERROR: u32 = 1;
    pub(super) const STOP_REQUESTED: u32 = 2;
    pub(super) const REQUESTED: u32 = 3;
    pub(super) const CONFIRMED: u32 = 4;
}

/// How far the call is.
mod call {
    pub(super) const NONE: u32 = 0;
    pub(super) const OUT_REQUESTED: u32 = 2;
    pub(super) const OUT_CONFIRMED: u32 = 3;
    pub(super) const IN_REQUESTED: u32 = 4;
    pub(super) const IN_REPLIED: u32 = 5;
    pub(super) const IN_CONFIRMED: u32 = 6;
    pub(super) const CLEAR_REQUESTED: u32 = 7;
}

/// Places in the helper's memory.
const SESSION: usize = 0;
const CALL: usize = 1;
/// Call identifiers of client and server, as the server sees them.
const CLIENT_ID: usize = 2;
const SERVER_ID: usize = 3;
/// The client's, as it has it.
const OWN_CLIENT_ID: usize = 4;

/// A message's fields, and where they are in the payload.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn id(&self, at: usize) -> u16 {
        self.0
            .get(at..at + 2)
            .map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Whether the result at `at` is that it worked.
    fn succeeded(&self, at: usize) -> bool {
        self.0.get(at) == Some(&1)
    }
}

impl Helper for Pptp {
    fn name(&self) -> &'static str {
        "pptp"
    }

    fn protocol(&self) -> Protocol {
        Protocol::TCP
    }

    fn family(&self) -> Option<u8> {
        Some(4)
    }

    fn policies(&self) -> &[Policy] {
        const { &[Policy::only(2, 300)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        const CONTROL: [u8; 2] = [0, 1];
        const COOKIE: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
        if !talk.is_established() {
            return Ok(());
        }
        let payload = talk.payload().to_vec();
        let Some((header, fields)) = payload.split_first_chunk::<HEADER>() else {
            return Ok(());
        };
        if header[2..4] != CONTROL || header[4..8] != COOKIE {
            return Ok(());
        }
        let kind = u16::from_be_bytes([header[8], header[9]]);
        if fields.len() < shortest(kind) {
            return Ok(());
        }
        match talk.direction() {
            Direction::Original => from_client(talk, kind, &Fields(fields)),
            Direction::Reply => from_server(talk, kind, &Fields(fields)),
        }
    }

    /// One side of a call has begun: the other will not begin it as well. Under translation Linux 6.18 looks for the other
    /// one only if the client began, and by the call identifiers as they are by now.
    fn rival(
        &self,
        memory: &super::Memory,
        tuples: &[Tuple; 2],
        met: &Expectation,
    ) -> Option<Tuple> {
        match met.follow {
            None => met.tuple.inverted(),
            Some(follow) if follow.direction == Direction::Original => Some(Tuple {
                protocol: Protocol::GRE.0,
                source_id: memory[SERVER_ID] as u16,
                destination_id: memory[CLIENT_ID] as u16,
                ..tuples[1]
            }),
            Some(_) => None,
        }
    }

    /// The calls end with the connection they were agreed on.
    fn siblings(&self, memory: &super::Memory, tuples: &[Tuple; 2]) -> Vec<Tuple> {
        let ids = [memory[CLIENT_ID] as u16, memory[SERVER_ID] as u16];
        let calls = [(tuples[0], ids[0], ids[1]), (tuples[1], ids[1], ids[0])];
        calls
            .iter()
            .map(|(tuple, source_id, destination_id)| Tuple {
                protocol: Protocol::GRE.0,
                source_id: *source_id,
                destination_id: *destination_id,
                ..*tuple
            })
            .collect()
    }
}

fn from_client(talk: &mut Talk<'_>, kind: u16, fields: &Fields<'_>) -> Result<(), Reason> {
    let memory = talk.memory();
    match kind {
        message::START_REQUEST if memory[SESSION] == session::NONE => {
            memory[SESSION] = session::REQUESTED;
        }
        message::STOP_REQUEST => memory[SESSION] = session::STOP_REQUESTED,
        message::OUT_CALL_REQUEST if memory[SESSION] == session::CONFIRMED => {
            memory[CALL] = call::OUT_REQUESTED;
            memory[CLIENT_ID] = fields.id(0).into();
        }
        message::IN_CALL_REPLY => {
            if !matches!(memory[CALL], call::IN_REQUESTED | call::IN_REPLIED)
                || memory[SERVER_ID] != u32::from(fields.id(2))
            {
                return Ok(());
            }
            if fields.succeeded(4) {
                memory[CALL] = call::IN_REPLIED;
                memory[CLIENT_ID] = fields.id(0).into();
            } else {
                memory[CALL] = call::NONE;
            }
        }
        message::CALL_CLEAR_REQUEST if memory[SESSION] == session::CONFIRMED => {
            memory[CALL] = call::CLEAR_REQUESTED;
        }
        _ => return Ok(()),
    }
    if !talk.is_translated() {
        return Ok(());
    }
    // The client's port is nobody else's, and so it serves as a call identifier that is nobody else's.
    let port = talk.tuple(Direction::Reply).destination_id;
    let memory = talk.memory();
    match kind {
        message::OUT_CALL_REQUEST => {
            memory[OWN_CLIENT_ID] = memory[CLIENT_ID];
            memory[CLIENT_ID] = port.into();
        }
        message::IN_CALL_REPLY | message::CALL_CLEAR_REQUEST => {}
        _ => return Ok(()),
    }
    let id = memory[CLIENT_ID] as u16;
    talk.replace(HEADER..HEADER + 2, &id.to_be_bytes())
}

fn from_server(talk: &mut Talk<'_>, kind: u16, fields: &Fields<'_>) -> Result<(), Reason> {
    let memory = talk.memory();
    let confirmed = memory[SESSION] == session::CONFIRMED;
    match kind {
        message::START_REPLY if memory[SESSION] >= session::REQUESTED => {
            memory[SESSION] = if fields.succeeded(2) {
                session::CONFIRMED
            } else {
                session::ERROR
            };
        }
        message::STOP_REPLY if memory[SESSION] <= session::STOP_REQUESTED => {
            memory[SESSION] = if fields.succeeded(0) {
                session::NONE
            } else {
                session::ERROR
            };
        }
        message::OUT_CALL_REPLY => {
            let requested = matches!(memory[CALL], call::OUT_REQUESTED | call::OUT_CONFIRMED);
            if !confirmed || !requested || memory[CLIENT_ID] != u32::from(fields.id(2)) {
                return Ok(());
            }
            if fields.succeeded(4) {
                memory[CALL] = call::OUT_CONFIRMED;
                memory[SERVER_ID] = fields.id(0).into();
                announce(talk);
            } else {
                memory[CALL] = call::NONE;
            }
        }
        message::IN_CALL_REQUEST if confirmed => {
            memory[CALL] = call::IN_REQUESTED;
            memory[SERVER_ID] = fields.id(0).into();
        }
        message::IN_CALL_CONNECTED => {
            let replied = matches!(memory[CALL], call::IN_REPLIED | call::IN_CONFIRMED);
            if !confirmed || !replied || memory[CLIENT_ID] != u32::from(fields.id(0)) {
                return Ok(());
            }
            memory[CALL] = call::IN_CONFIRMED;
            announce(talk);
        }
        message::CALL_DISCONNECTED => {
            memory[CALL] = call::NONE;
            talk.end_siblings();
        }
        message::WAN_ERROR | message::SET_LINK_INFO => {}
        _ => return Ok(()),
    }
    if !talk.is_translated() {
        return Ok(());
    }
    let at = match kind {
        message::OUT_CALL_REPLY => 2,
        message::IN_CALL_CONNECTED
        | message::WAN_ERROR
        | message::CALL_DISCONNECTED
        | message::SET_LINK_INFO => 0,
        _ => return Ok(()),
    };
    let own = talk.memory()[OWN_CLIENT_ID] as u16;
    talk.replace(HEADER + at..HEADER + at + 2, &own.to_be_bytes())
}

/// Announces the call: two GRE connections, one for each side that may begin; the first packet of either settles which.
fn announce(talk: &mut Talk<'_>) {
    let memory = *talk.memory();
    let (client_id, server_id) = (memory[CLIENT_ID] as u16, memory[SERVER_ID] as u16);
    let translated = talk.is_translated();
    let own_id = if translated {
        memory[OWN_CLIENT_ID] as u16
    } else {
        client_id
    };
    let call = |direction: Direction, source_id, destination_id, real, end| Expectation {
        tuple: Tuple {
            protocol: Protocol::GRE.0,
            source_id,
            destination_id,
            ..*talk.tuple(direction)
        },
        mask: SourceMask::of(4, true, true),
        class: 0,
        permanent: false,
        inactive: false,
        helper: None,
        follow: translated.then_some(Follow::master(direction, real, end)),
    };
    let there = call(
        Direction::Original,
        own_id,
        server_id,
        client_id,
        Manip::Source,
    );
    let back = call(
        Direction::Reply,
        server_id,
        client_id,
        own_id,
        Manip::Destination,
    );
    talk.expect_call(there, back);
}
