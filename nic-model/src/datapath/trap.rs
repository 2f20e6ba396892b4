//! Why a packet goes to the host: decided by the parser (it has no key), by the look-up (no entry), or by the
//! trap logic (an entry, but the hardware must not handle this packet).

use super::parser::Parsed;
use crate::config::TrapConfig;
use crate::flow_table::entry::{EntryState, flag};
use serde::Serialize;

/// Why a packet goes to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Reason {
    /// No entry for its key.
    Miss = 0,
    /// TCP with SYN.
    TcpSyn = 1,
    /// TCP with FIN.
    TcpFin = 2,
    /// TCP with RST.
    TcpRst = 3,
    /// Its flow had a FIN or RST before.
    Closing = 4,
    /// An IP fragment.
    Fragment = 5,
    /// IPv4 options or IPv6 extension headers.
    IpOptions = 6,
    /// TTL or hop limit at most 1.
    Ttl = 7,
    /// An IP, TCP or UDP checksum is wrong.
    BadChecksum = 8,
    /// Longer than the MTU of the port it would leave by.
    Mtu = 9,
    /// Neither IPv4 nor IPv6.
    NotIp = 10,
    /// Its headers reach beyond the parser's budget.
    TooDeep = 11,
    /// A protocol the flow table does not hold (anything but TCP and UDP).
    Protocol = 12,
    /// A header whose lengths contradict each other or the frame.
    Malformed = 13,
    /// A rule of the classifier says so.
    Classifier = 14,
    /// A TCP segment outside the windows of its flow.
    Window = 15,
    /// Earlier packets of its flow may still be on their way through the host.
    Barrier = 16,
}

impl Reason {
    /// All reasons in order of their codes.
    pub const ALL: [Self; 17] = [
        Self::Miss,
        Self::TcpSyn,
        Self::TcpFin,
        Self::TcpRst,
        Self::Closing,
        Self::Fragment,
        Self::IpOptions,
        Self::Ttl,
        Self::BadChecksum,
        Self::Mtu,
        Self::NotIp,
        Self::TooDeep,
        Self::Protocol,
        Self::Malformed,
        Self::Classifier,
        Self::Window,
        Self::Barrier,
    ];

    /// The reason with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Its code in descriptors and waveforms.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Short name, as in reports and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::TcpSyn => "tcp-syn",
            Self::TcpFin => "tcp-fin",
            Self::TcpRst => "tcp-rst",
            Self::Closing => "closing",
            Self::Fragment => "fragment",
            Self::IpOptions => "ip-options",
            Self::Ttl => "ttl",
            Self::BadChecksum => "bad-checksum",
            Self::Mtu => "mtu",
            Self::NotIp => "not-ip",
            Self::TooDeep => "too-deep",
            Self::Protocol => "protocol",
            Self::Malformed => "malformed",
            Self::Classifier => "classifier",
            Self::Window => "window",
            Self::Barrier => "barrier",
        }
    }

    /// One phrase for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Miss => "no entry in the flow table",
            Self::TcpSyn => "TCP SYN on an installed flow",
            Self::TcpFin => "TCP FIN on an installed flow",
            Self::TcpRst => "TCP RST on an installed flow",
            Self::Closing => "packet after a FIN or RST of its flow",
            Self::Fragment => "IP fragment",
            Self::IpOptions => "IPv4 options or IPv6 extension headers",
            Self::Ttl => "TTL or hop limit 1 or 0",
            Self::BadChecksum => "wrong IP, TCP or UDP checksum",
            Self::Mtu => "longer than the egress MTU",
            Self::NotIp => "not IPv4 or IPv6",
            Self::TooDeep => "headers beyond the parser's budget",
            Self::Protocol => "protocol the table does not hold",
            Self::Malformed => "contradictory header lengths",
            Self::Classifier => "a rule of the classifier",
            Self::Window => "TCP segment outside its windows",
            Self::Barrier => "earlier packets of its flow may still be in the host",
        }
    }
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Whether TCP flags are those of a packet that begins a connection.
#[inline]
pub const fn would_open(tcp_flags: u8) -> bool {
    tcp_flags & (SYN | ACK | RST | FIN) == SYN
}

/// Whether a packet that hit an entry must go to the host all the same.
#[inline]
pub fn check(
    config: &TrapConfig,
    parsed: &Parsed,
    state: &EntryState,
    mtus: &[u32; 2],
) -> Option<Reason> {
    let flags = parsed.tcp_flags;
    if flags & (SYN | FIN | RST) != 0 {
        if config.tcp_rst && flags & RST != 0 {
            return Some(Reason::TcpRst);
        }
        if config.tcp_syn && flags & SYN != 0 {
            return Some(Reason::TcpSyn);
        }
        if config.tcp_fin && flags & FIN != 0 {
            return Some(Reason::TcpFin);
        }
    }
    if config.close_latch && state.has(flag::CLOSING) {
        return Some(Reason::Closing);
    }
    if config.ip_options && parsed.has_options {
        return Some(Reason::IpOptions);
    }
    if config.ttl && parsed.ttl <= 1 {
        return Some(Reason::Ttl);
    }
    if config.mtu && parsed.outer_ip_bytes > mtus[usize::from(state.egress(parsed.direction)) % 2] {
        return Some(Reason::Mtu);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_one_to_one() {
        for (code, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(Reason::from_code(code as u8), Some(*reason));
            assert_eq!(usize::from(reason.code()), code);
            let json = serde_json_name(*reason);
            assert_eq!(json, reason.name());
        }
        assert_eq!(Reason::from_code(17), None);
    }

    /// The name serde gives, by way of TOML (the crate has no JSON).
    fn serde_json_name(reason: Reason) -> String {
        toml::Value::try_from(reason)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    const MTUS: [u32; 2] = [1_500; 2];

    fn parsed(tcp_flags: u8) -> Parsed {
        Parsed {
            tcp_flags,
            ttl: 64,
            ip_bytes: 100,
            outer_ip_bytes: 100,
            ..Parsed::default()
        }
    }

    #[test]
    fn flags_trap_in_the_order_reset_syn_fin() {
        let config = TrapConfig::default();
        let state = EntryState::default();
        assert_eq!(check(&config, &parsed(0x10), &state, &MTUS), None);
        assert_eq!(
            check(&config, &parsed(0x11), &state, &MTUS),
            Some(Reason::TcpFin)
        );
        assert_eq!(
            check(&config, &parsed(0x02), &state, &MTUS),
            Some(Reason::TcpSyn)
        );
        assert_eq!(
            check(&config, &parsed(0x07), &state, &MTUS),
            Some(Reason::TcpRst)
        );
    }

    #[test]
    fn a_reason_switched_off_does_not_trap() {
        let config = TrapConfig {
            tcp_fin: false,
            mtu: false,
            ttl: false,
            ..TrapConfig::default()
        };
        let state = EntryState::default();
        let packet = Parsed {
            ttl: 1,
            ip_bytes: 9_000,
            ..parsed(0x11)
        };
        assert_eq!(check(&config, &packet, &state, &MTUS), None);
    }

    #[test]
    fn after_a_close_everything_is_trapped() {
        let mut state = EntryState::default();
        state.set(flag::CLOSING);
        assert_eq!(
            check(&TrapConfig::default(), &parsed(0x10), &state, &MTUS),
            Some(Reason::Closing)
        );
    }
}
