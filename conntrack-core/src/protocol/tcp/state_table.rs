//! The state table, printed so that a person can check it.

use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::Direction;

/// TCP states, with the kernel's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// Before the first packet.
    None = 0,
    /// SYN seen.
    SynSent = 1,
    /// SYN/ACK seen.
    SynReceived = 2,
    /// Handshake complete, or picked up in mid-stream.
    Established = 3,
    /// First FIN seen.
    FinWait = 4,
    /// First FIN acknowledged.
    CloseWait = 5,
    /// Second FIN seen.
    LastAck = 6,
    /// Second FIN acknowledged.
    TimeWait = 7,
    /// Reset.
    Close = 8,
    /// SYN seen from both sides.
    SynSent2 = 9,
}

impl TcpState {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Close,
        Self::SynSent2,
    ];

    /// The name `conntrack -L` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::SynSent2 => "SYN_SENT2",
        }
    }

    /// How long a connection lives in this state.
    pub(crate) const fn timeout(self, config: &Config) -> Time {
        match self {
            // SYN_SENT2 has no sysctl of its own; the kernel's compiled default is that of SYN_SENT.
            Self::None | Self::SynSent2 => Time::from_secs(120),
            Self::SynSent => config.tcp_timeout_syn_sent,
            Self::SynReceived => config.tcp_timeout_syn_recv,
            Self::Established => config.tcp_timeout_established,
            Self::FinWait => config.tcp_timeout_fin_wait,
            Self::CloseWait => config.tcp_timeout_close_wait,
            Self::LastAck => config.tcp_timeout_last_ack,
            Self::TimeWait => config.tcp_timeout_time_wait,
            Self::Close => config.tcp_timeout_close,
        }
    }
}

/// What a segment is, by its flags: RST before SYN before FIN before ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// SYN without ACK.
    Syn = 0,
    /// SYN with ACK.
    SynAck = 1,
    /// FIN.
    Fin = 2,
    /// ACK alone.
    Ack = 3,
    /// RST.
    Rst = 4,
    /// None of them.
    None = 5,
}

impl Class {
    /// All of them, by their numbers.
    pub const ALL: [Self; 6] = [
        Self::Syn,
        Self::SynAck,
        Self::Fin,
        Self::Ack,
        Self::Rst,
        Self::None,
    ];
}

/// Where a segment leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    To(TcpState),
    Invalid,
    Ignore,
}

const SS: Transition = Transition::To(TcpState::SynSent);
const SR: Transition = Transition::To(TcpState::SynReceived);
const ES: Transition = Transition::To(TcpState::Established);
const FW: Transition = Transition::To(TcpState::FinWait);
const CW: Transition = Transition::To(TcpState::CloseWait);
const LA: Transition = Transition::To(TcpState::LastAck);
const TW: Transition = Transition::To(TcpState::TimeWait);
const CL: Transition = Transition::To(TcpState::Close);
const S2: Transition = Transition::To(TcpState::SynSent2);
const IV: Transition = Transition::Invalid;
const IG: Transition = Transition::Ignore;

#[rustfmt::skip]
const TABLE: [[[Transition; 10]; 6]; 2] = [
    [   // original direction
        //            NONE SYN_S SYN_R ESTAB FIN_W CLO_W LAST_A TIME_W CLOSE SYN_S2
        /* SYN     */ [SS,  SS,   IG,   IG,   IG,   IG,   IG,    SS,    SS,   S2],
        /* SYN/ACK */ [IV,  IV,   SR,   IV,   IV,   IV,   IV,    IV,    IV,   SR],
        /* FIN     */ [IV,  IV,   FW,   FW,   LA,   LA,   LA,    TW,    CL,   IV],
        /* ACK     */ [ES,  IV,   ES,   ES,   CW,   CW,   TW,    TW,    CL,   IV],
        /* RST     */ [IV,  CL,   CL,   CL,   CL,   CL,   CL,    CL,    CL,   CL],
        /* none    */ [IV,  IV,   IV,   IV,   IV,   IV,   IV,    IV,    IV,   IV],
    ],
    [   // reply direction
        //            NONE SYN_S SYN_R ESTAB FIN_W CLO_W LAST_A TIME_W CLOSE SYN_S2
        /* SYN     */ [IV,  S2,   IV,   IV,   IV,   IV,   IV,    SS,    IV,   S2],
        /* SYN/ACK */ [IV,  SR,   IG,   IG,   IG,   IG,   IG,    IG,    IG,   SR],
        /* FIN     */ [IV,  IV,   FW,   FW,   LA,   LA,   LA,    TW,    CL,   IV],
        /* ACK     */ [IV,  IG,   SR,   ES,   CW,   CW,   TW,    TW,    CL,   IG],
        /* RST     */ [IV,  CL,   CL,   CL,   CL,   CL,   CL,    CL,    CL,   CL],
        /* none    */ [IV,  IV,   IV,   IV,   IV,   IV,   IV,    IV,    IV,   IV],
    ],
];

/// Where a segment of `class` leads from `state`.
pub(crate) const fn transition(direction: Direction, class: Class, state: TcpState) -> Transition {
    TABLE[direction.index()][class as usize][state as usize]
}
