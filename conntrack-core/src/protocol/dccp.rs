//! DCCP (RFC 4340), as Linux tracked it until it was removed (6.17); a kernel without it takes it for generic, and so does
//! [`Config::dccp`] when it is off.

use super::{Context, Outcome, assure};
use crate::changes::Changes;
use crate::parse::Network;
use crate::reason::Reason;
use crate::status::Status;
use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::Direction;
use packet::dccp::{self, Dccp};

/// Where a connection is (RFC 4340, section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DccpStateName {
    /// Before the first packet.
    None = 0,
    /// A request.
    Request = 1,
    /// It was answered.
    Respond = 2,
    /// The answer was acknowledged.
    PartOpen = 3,
    /// The server knows that.
    Open = 4,
    /// The server asks for the end.
    CloseRequest = 5,
    /// One side closes.
    Closing = 6,
    /// Over.
    TimeWait = 7,
}

impl DccpStateName {
    /// Its name as the tools print it.
    pub const fn name(self) -> &'static str {
        [
            "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT",
        ][self as usize]
    }

    const fn timeout(self, config: &Config) -> Time {
        match self {
            Self::None | Self::Request => config.dccp_timeout_request,
            Self::Respond => config.dccp_timeout_respond,
            Self::PartOpen => config.dccp_timeout_partopen,
            Self::Open => config.dccp_timeout_open,
            Self::CloseRequest => config.dccp_timeout_closereq,
            Self::Closing => config.dccp_timeout_closing,
            Self::TimeWait => config.dccp_timeout_timewait,
        }
    }
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DccpState {
    /// Where it is.
    pub state: DccpStateName,
    /// The direction the client sends in.
    client: Direction,
    last_direction: Direction,
    last_type: u8,
    /// Sequence number of the answer that the client is to acknowledge; in halves, because connections are small.
    handshake: [u32; 2],
}

/// What a packet means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    To(DccpStateName),
    /// It may belong to a connection that is not known yet.
    Ignore,
    Invalid,
}

/// Header lengths, coverage, checksum, type.
pub(crate) fn check<'a>(network: &Network<'a>, verify: bool) -> Result<Dccp<'a>, Reason> {
    let dccp = Dccp::new(network.l4).map_err(|_| Reason::TransportTruncated)?;
    let header_len = dccp.header_len();
    if header_len < dccp::MIN_HEADER_LEN || header_len > network.l4_len {
        return Err(Reason::TransportLength);
    }
    let covered = match usize::from(dccp.checksum_coverage()) {
        0 => network.l4_len,
        // Behind the header, in words; the header itself is always covered.
        coverage => header_len + (coverage - 1) * 4,
    };
    if covered > network.l4_len {
        return Err(Reason::TransportLength);
    }
    if verify && !network.covered_checksum_ok(covered) {
        return Err(Reason::TransportChecksum);
    }
    if dccp.packet_type() > dccp::SYNC_ACK {
        return Err(Reason::DccpType);
    }
    Ok(dccp)
}

impl DccpState {
    /// The state before the first packet; only a request may be that.
    pub(crate) fn begin(packet: &Dccp<'_>) -> Result<Self, Reason> {
        if packet.packet_type() != dccp::REQUEST {
            return Err(Reason::DccpState);
        }
        Ok(Self {
            state: DccpStateName::None,
            client: Direction::Original,
            last_direction: Direction::Original,
            last_type: dccp::REQUEST,
            handshake: [0; 2],
        })
    }

    /// What to do with a packet that passed [`check`].
    pub(crate) fn packet(
        &mut self,
        packet: &Dccp<'_>,
        status: &mut Status,
        context: &Context<'_>,
        changed: &mut Changes,
    ) -> Outcome {
        let (kind, direction) = (packet.packet_type(), context.direction);
        if kind == dccp::RESET && !context.first && !status.contains(Status::SEEN_REPLY) {
            // Refused before anything was said.
            return Outcome::AcceptAndKill;
        }
        let old = self.state;
        let from_client = direction == self.client;
        let step = if from_client {
            of_client(kind, old)
        } else {
            of_server(kind, old)
        };
        let new = match step {
            Step::Invalid => return Outcome::Invalid(Reason::DccpState),
            Step::Ignore if self.answers_ignored_request(kind, direction) => {
                self.client = direction.other();
                self.handshake = halves(packet.sequence());
                DccpStateName::Respond
            }
            Step::Ignore => {
                (self.last_direction, self.last_type) = (direction, kind);
                return Outcome::Ignore;
            }
            Step::To(new) => new,
        };
        match new {
            DccpStateName::Request if old == DccpStateName::TimeWait => self.client = direction,
            DccpStateName::Respond if old == DccpStateName::Request => {
                self.handshake = halves(packet.sequence());
            }
            DccpStateName::PartOpen
                if old == DccpStateName::Respond
                    && kind == dccp::ACK
                    && halves(packet.acknowledgment()) == self.handshake =>
            {
                changed.note(Changes::ASSURED, assure(status));
            }
            _ => {}
        }
        (self.last_direction, self.last_type) = (direction, kind);
        self.state = new;
        changed.note(Changes::PROTOCOL, new != old);
        Outcome::Accept(new.timeout(context.config))
    }

    /// A response to a request that was ignored, because it went the wrong way: the other side is the client then.
    fn answers_ignored_request(&self, kind: u8, direction: Direction) -> bool {
        kind == dccp::RESPONSE
            && self.last_type == dccp::REQUEST
            && self.last_direction == direction.other()
    }
}

/// A sequence number, 0 if there is none.
fn halves(number: Option<u64>) -> [u32; 2] {
    let number = number.unwrap_or(0);
    [(number >> 32) as u32, number as u32]
}

/// What a packet of the client means.
const fn of_client(kind: u8, state: DccpStateName) -> Step {
    use DccpStateName as S;
    match (kind, state) {
        // New, again, or once more after the end.
        (dccp::REQUEST, S::None | S::Request | S::TimeWait) => Step::To(S::Request),
        // The answer may have been lost behind us.
        (dccp::REQUEST, S::Respond) => Step::To(S::Respond),
        // It may be that the client has become the server.
        (dccp::RESPONSE, S::None | S::TimeWait) => Step::Invalid,
        (dccp::REQUEST | dccp::RESPONSE, _) => Step::Ignore,
        // Data alone cannot acknowledge the answer (section 8.1.5).
        (dccp::ACK | dccp::DATA_ACK, S::Respond | S::PartOpen) => Step::To(S::PartOpen),
        (dccp::ACK | dccp::DATA | dccp::DATA_ACK, S::Open | S::CloseRequest | S::Closing) => {
            Step::To(state)
        }
        (dccp::CLOSE, S::PartOpen | S::Open | S::CloseRequest | S::Closing) => Step::To(S::Closing),
        (dccp::RESET, _) => reset(state),
        (dccp::SYNC | dccp::SYNC_ACK, _) => sync(state),
        // Only servers ask for the end.
        _ => Step::Invalid,
    }
}

/// What a packet of the server means.
const fn of_server(kind: u8, state: DccpStateName) -> Step {
    use DccpStateName as S;
    match (kind, state) {
        (dccp::REQUEST | dccp::RESPONSE, S::None) => Step::Invalid,
        // Both change places.
        (dccp::REQUEST, S::TimeWait) => Step::To(S::Request),
        (dccp::RESPONSE, S::Request | S::Respond) => Step::To(S::Respond),
        (dccp::RESPONSE, S::TimeWait) => Step::Invalid,
        (dccp::REQUEST | dccp::RESPONSE, _) => Step::Ignore,
        (dccp::ACK | dccp::DATA | dccp::DATA_ACK, S::PartOpen | S::Open) => Step::To(S::Open),
        (dccp::ACK | dccp::DATA | dccp::DATA_ACK, S::Closing) => Step::To(S::Closing),
        (dccp::CLOSE_REQUEST, S::PartOpen | S::Open | S::CloseRequest | S::Closing) => {
            Step::To(S::CloseRequest)
        }
        // It has asked the client to close: it does not itself.
        (dccp::CLOSE, S::PartOpen | S::Open | S::Closing) => Step::To(S::Closing),
        (dccp::RESET, _) => reset(state),
        (dccp::SYNC | dccp::SYNC_ACK, _) => sync(state),
        _ => Step::Invalid,
    }
}

const fn reset(state: DccpStateName) -> Step {
    match state {
        DccpStateName::None => Step::Invalid,
        // It does not live longer for it.
        DccpStateName::TimeWait => Step::Ignore,
        _ => Step::To(DccpStateName::TimeWait),
    }
}

const fn sync(state: DccpStateName) -> Step {
    match state {
        DccpStateName::None => Step::Invalid,
        _ => Step::Ignore,
    }
}
