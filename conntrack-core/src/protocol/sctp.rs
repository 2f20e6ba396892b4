//! SCTP: states by chunk type, verification tags both ways (RFC 9260).

use super::{Context, Outcome, assure};
use crate::changes::Changes;
use crate::parse::Network;
use crate::reason::Reason;
use crate::status::Status;
use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::Direction;
use packet::Sctp;
use packet::sctp::{
    ABORT, COOKIE_ACK, COOKIE_ECHO, Chunk, DATA, ERROR, HEARTBEAT, HEARTBEAT_ACK, INIT, INIT_ACK,
    SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE,
};

/// SCTP states, with the kernel's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SctpStateName {
    /// Before the first packet.
    None = 0,
    /// Closed, or INIT seen.
    Closed = 1,
    /// INIT ACK seen.
    CookieWait = 2,
    /// COOKIE ECHO seen.
    CookieEchoed = 3,
    /// COOKIE ACK seen.
    Established = 4,
    /// SHUTDOWN seen from the originator.
    ShutdownSent = 5,
    /// SHUTDOWN seen from the other side.
    ShutdownReceived = 6,
    /// SHUTDOWN ACK seen.
    ShutdownAckSent = 7,
    /// Picked up with a HEARTBEAT.
    HeartbeatSent = 8,
}

use SctpStateName as S;

impl SctpStateName {
    /// The name `conntrack -L` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Closed => "CLOSED",
            Self::CookieWait => "COOKIE_WAIT",
            Self::CookieEchoed => "COOKIE_ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "SHUTDOWN_SENT",
            Self::ShutdownReceived => "SHUTDOWN_RECD",
            Self::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            Self::HeartbeatSent => "HEARTBEAT_SENT",
        }
    }

    const fn timeout(self, config: &Config) -> Time {
        match self {
            Self::None | Self::Closed => config.sctp_timeout_closed,
            Self::CookieWait => config.sctp_timeout_cookie_wait,
            Self::CookieEchoed => config.sctp_timeout_cookie_echoed,
            Self::Established => config.sctp_timeout_established,
            Self::ShutdownSent => config.sctp_timeout_shutdown_sent,
            Self::ShutdownReceived => config.sctp_timeout_shutdown_recd,
            Self::ShutdownAckSent => config.sctp_timeout_shutdown_ack_sent,
            Self::HeartbeatSent => config.sctp_timeout_heartbeat_sent,
        }
    }
}

const CL: Option<S> = Some(S::Closed);
const CW: Option<S> = Some(S::CookieWait);
const CE: Option<S> = Some(S::CookieEchoed);
const ES: Option<S> = Some(S::Established);
const SS: Option<S> = Some(S::ShutdownSent);
const SR: Option<S> = Some(S::ShutdownReceived);
const SA: Option<S> = Some(S::ShutdownAckSent);
const HS: Option<S> = Some(S::HeartbeatSent);
const IV: Option<S> = None;

#[rustfmt::skip]
const TABLE: [[[Option<S>; 9]; 11]; 2] = [
    [   // original       NONE CLSD CK_W CK_E ESTB SH_S SH_R SH_A HB_S
        /* INIT        */ [CL, CL, CW, CE, ES, CL, CL, SA, CW],
        /* INIT_ACK    */ [CL, CL, CW, CE, ES, SS, SR, SA, CL],
        /* ABORT       */ [CL, CL, CL, CL, CL, CL, CL, CL, CL],
        /* SHUTDOWN    */ [CL, CL, CW, CE, SS, SS, SR, SA, CL],
        /* SHUTDOWN_ACK*/ [SA, CL, CW, CE, ES, SA, SA, SA, SA],
        /* ERROR       */ [CL, CL, CW, CE, ES, SS, SR, SA, CL],
        /* COOKIE_ECHO */ [CL, CL, CE, CE, ES, SS, SR, SA, CL],
        /* COOKIE_ACK  */ [CL, CL, CW, ES, ES, SS, SR, SA, CL],
        /* SHUT_COMPL  */ [CL, CL, CW, CE, ES, SS, SR, CL, CL],
        /* HEARTBEAT   */ [HS, CL, CW, CE, ES, SS, SR, SA, HS],
        /* HB_ACK      */ [CL, CL, CW, CE, ES, SS, SR, SA, HS],
    ],
    [   // reply          NONE CLSD CK_W CK_E ESTB SH_S SH_R SH_A HB_S
        /* INIT        */ [IV, CL, CW, CE, ES, SS, SR, SA, IV],
        /* INIT_ACK    */ [IV, CW, CW, CE, ES, SS, SR, SA, IV],
        /* ABORT       */ [IV, CL, CL, CL, CL, CL, CL, CL, IV],
        /* SHUTDOWN    */ [IV, CL, CW, CE, SR, SS, SR, SA, IV],
        /* SHUTDOWN_ACK*/ [IV, CL, CW, CE, ES, SA, SA, SA, IV],
        /* ERROR       */ [IV, CL, CW, CL, ES, SS, SR, SA, IV],
        /* COOKIE_ECHO */ [IV, CL, CE, CE, ES, SS, SR, SA, IV],
        /* COOKIE_ACK  */ [IV, CL, CW, ES, ES, SS, SR, SA, IV],
        /* SHUT_COMPL  */ [IV, CL, CW, CE, ES, SS, SR, CL, IV],
        /* HEARTBEAT   */ [IV, CL, CW, CE, ES, SS, SR, SA, HS],
        /* HB_ACK      */ [IV, CL, CW, CE, ES, SS, SR, SA, ES],
    ],
];

fn row(chunk_type: u8) -> Option<usize> {
    [
        INIT,
        INIT_ACK,
        ABORT,
        SHUTDOWN,
        SHUTDOWN_ACK,
        ERROR,
        COOKIE_ECHO,
        COOKIE_ACK,
        SHUTDOWN_COMPLETE,
        HEARTBEAT,
        HEARTBEAT_ACK,
    ]
    .iter()
    .position(|known| *known == chunk_type)
}

/// The next state; `None` if the chunk is invalid there.
fn transition(direction: Direction, chunk_type: u8, state: S) -> Option<S> {
    match row(chunk_type) {
        Some(row) => TABLE[direction.index()][row][state as usize],
        None => Some(state),
    }
}

/// What is kept of an SCTP association.
#[derive(Debug, Clone, Copy)]
pub struct SctpState {
    /// The state.
    pub state: SctpStateName,
    pub(crate) tags: [u32; 2],
    last_direction: Direction,
    heartbeat_tag_failed: bool,
    /// Which sides have sent an INIT since the association was last established.
    initiated: [bool; 2],
}

/// Chunk types of a packet, as a bit set (types above 63 do not matter here).
fn chunk_set(sctp: &Sctp<'_>) -> Result<u64, Reason> {
    let (mut set, mut count, mut alone) = (0u64, 0, false);
    for chunk in sctp.chunks() {
        if chunk.length == 0 {
            return Err(Reason::SctpChunks);
        }
        let misplaced = matches!(chunk.chunk_type, COOKIE_ACK | COOKIE_ECHO) && count > 0;
        if misplaced || alone {
            return Err(Reason::SctpChunks);
        }
        alone = matches!(chunk.chunk_type, INIT | INIT_ACK | SHUTDOWN_COMPLETE);
        if alone && count > 0 {
            return Err(Reason::SctpChunks);
        }
        set |= 1u64.checked_shl(chunk.chunk_type.into()).unwrap_or(0);
        count += 1;
    }
    if count == 0 {
        Err(Reason::SctpChunks)
    } else {
        Ok(set)
    }
}

/// The initiate tag of an INIT or INIT ACK whose fixed part (16 bytes) is there, whatever length the chunk states.
fn initiate_tag(l4: &[u8], chunk: &Chunk<'_>) -> Option<u32> {
    let fixed: &[u8; 16] = l4.get(chunk.offset + 4..)?.first_chunk()?;
    Some(u32::from_be_bytes([fixed[0], fixed[1], fixed[2], fixed[3]]))
}

const fn has(set: u64, chunk_type: u8) -> bool {
    set >> chunk_type & 1 == 1
}

impl SctpState {
    /// The verification tag packets in this direction carry; 0 while it is unknown.
    pub const fn tag(&self, direction: Direction) -> u32 {
        self.tags[direction.index()]
    }

    /// Whether the side that sends in this direction has sent an INIT since the association was last established.
    pub const fn has_initiated(&self, direction: Direction) -> bool {
        self.initiated[direction.index()]
    }

    /// Whether a HEARTBEAT with a wrong tag waits for its answer, and the direction of the last such HEARTBEAT.
    pub const fn heartbeat_tag_failed(&self) -> (bool, Direction) {
        (self.heartbeat_tag_failed, self.last_direction)
    }

    /// An association begun by this packet, or why none can begin with it.
    pub(crate) fn begin(sctp: &Sctp<'_>, l4: &[u8]) -> Result<Self, Reason> {
        let set = chunk_set(sctp)?;
        if has(set, ABORT) || has(set, SHUTDOWN_COMPLETE) || has(set, COOKIE_ACK) {
            return Err(Reason::SctpState);
        }
        let tag = sctp.verification_tag();
        let mut tags = [0; 2];
        let mut state = S::None;
        for chunk in sctp.chunks() {
            state = match transition(Direction::Original, chunk.chunk_type, S::None) {
                None | Some(S::None) => return Err(Reason::SctpState),
                Some(state) => state,
            };
            match chunk.chunk_type {
                INIT if tag != 0 => return Err(Reason::SctpTag),
                INIT => tags[1] = initiate_tag(l4, &chunk).ok_or(Reason::TransportTruncated)?,
                HEARTBEAT => tags[0] = tag,
                SHUTDOWN_ACK => tags[1] = tag,
                _ => {}
            }
        }
        if state == S::None {
            return Err(Reason::SctpState);
        }
        Ok(Self {
            state: S::None,
            tags,
            last_direction: Direction::Original,
            heartbeat_tag_failed: false,
            initiated: [false; 2],
        })
    }

    /// The packet's effect.
    pub(crate) fn packet(
        &mut self,
        sctp: &Sctp<'_>,
        l4: &[u8],
        status: &mut Status,
        context: &Context<'_>,
        changed: &mut Changes,
    ) -> Outcome {
        let set = match chunk_set(sctp) {
            Ok(set) => set,
            Err(reason) => return Outcome::Invalid(reason),
        };
        let direction = context.direction;
        let tag = sctp.verification_tag();
        let free = [
            INIT,
            SHUTDOWN_COMPLETE,
            COOKIE_ECHO,
            ABORT,
            SHUTDOWN_ACK,
            HEARTBEAT,
            HEARTBEAT_ACK,
        ];
        if !free.iter().any(|chunk| has(set, *chunk)) && tag != self.tags[direction.index()] {
            return Outcome::Invalid(Reason::SctpTag);
        }
        // What the first chunks of a packet did stays done if a later one is refused.
        let mut ignore = false;
        for chunk in sctp.chunks() {
            match self.check_tag(&chunk, tag, direction, set, &mut ignore) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(reason) => return Outcome::Invalid(reason),
            }
            let Some(new) = transition(direction, chunk.chunk_type, self.state) else {
                return Outcome::Invalid(Reason::SctpState);
            };
            if let Err(reason) = self.initiate(l4, &chunk, direction, new, context, &mut ignore) {
                return Outcome::Invalid(reason);
            }
            if self.state != new {
                changed.note(Changes::PROTOCOL, true);
                if new == S::Established {
                    changed.note(Changes::ASSURED, assure(status));
                }
            }
            self.state = new;
        }
        if ignore {
            return Outcome::Ignore;
        }
        Outcome::Accept(self.state.timeout(context.config))
    }

    /// INIT and INIT ACK announce the tag the other side has to use from now on.
    fn initiate(
        &mut self,
        l4: &[u8],
        chunk: &Chunk<'_>,
        direction: Direction,
        new: S,
        context: &Context<'_>,
        ignore: &mut bool,
    ) -> Result<(), Reason> {
        match chunk.chunk_type {
            INIT | INIT_ACK => {}
            COOKIE_ACK => {
                self.initiated = [false; 2];
                return Ok(());
            }
            _ => return Ok(()),
        }
        let (own, other) = (direction.index(), direction.other().index());
        let tag = initiate_tag(l4, chunk).ok_or(Reason::TransportTruncated)?;
        if chunk.chunk_type == INIT {
            // A retransmitted INIT keeps the association closed and does not refresh it.
            *ignore |= new == S::Closed && self.state == S::Closed && !context.first;
            if context.first || self.tags[other] != tag {
                if self.initiated == [true; 2] {
                    self.initiated[other] = false;
                }
                self.initiated[own] = true;
            }
        } else {
            let known = self.tags[other];
            // Only an INIT of the other side, with none of our own beside it, lets its answer change a known tag.
            let asked = self.initiated[other] && !self.initiated[own];
            let unknown = known == 0 && self.initiated != [true; 2];
            if known != tag && !asked && !unknown {
                return Err(Reason::SctpTag);
            }
        }
        self.tags[other] = tag;
        Ok(())
    }

    /// Whether the chunk's tag is right and its transition applies (`Ok(true)`), or the chunk is passed over.
    fn check_tag(
        &mut self,
        chunk: &Chunk<'_>,
        tag: u32,
        direction: Direction,
        set: u64,
        ignore: &mut bool,
    ) -> Result<bool, Reason> {
        let (own, other) = (direction.index(), direction.other().index());
        match chunk.chunk_type {
            INIT if tag != 0 => return Err(Reason::SctpTag),
            ABORT | SHUTDOWN_COMPLETE => {
                let expected = if chunk.tag_reflected() {
                    self.tags[other]
                } else {
                    self.tags[own]
                };
                if tag != expected {
                    return Err(Reason::SctpTag);
                }
            }
            COOKIE_ECHO if tag != self.tags[own] => return Err(Reason::SctpTag),
            HEARTBEAT if self.tags[own] == 0 => self.tags[own] = tag,
            HEARTBEAT if tag != self.tags[own] => {
                if has(set, DATA) || *ignore {
                    return Err(Reason::SctpTag);
                }
                self.heartbeat_tag_failed = true;
                self.last_direction = direction;
                *ignore = true;
                return Ok(false);
            }
            HEARTBEAT => self.heartbeat_tag_failed = false,
            HEARTBEAT_ACK if self.tags[own] == 0 => self.tags[own] = tag,
            HEARTBEAT_ACK if tag != self.tags[own] => {
                let asked = self.heartbeat_tag_failed && self.last_direction != direction;
                if !asked || has(set, DATA) || *ignore {
                    return Err(Reason::SctpTag);
                }
                self.heartbeat_tag_failed = false;
                self.tags[own] = tag;
                self.tags[other] = 0;
            }
            HEARTBEAT_ACK => self.heartbeat_tag_failed = false,
            _ => {}
        }
        Ok(true)
    }
}

/// Header and checksum.
pub(crate) fn check<'a>(network: &Network<'a>, verify: bool) -> Result<Sctp<'a>, Reason> {
    let sctp = Sctp::new(network.l4).map_err(|_| Reason::TransportTruncated)?;
    if verify && !sctp.checksum_ok() {
        return Err(Reason::TransportChecksum);
    }
    Ok(sctp)
}
