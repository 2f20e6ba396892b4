//! Every setting under its kernel name (`net.netfilter.nf_conntrack_…`), with the kernel's default.

use crate::timeout::Time;

macro_rules! settings {
    ($($field:ident: $kind:ident = $default:expr, $name:literal, $meaning:literal;)*) => {
        /// All settings. Timeouts are spans.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $(#[doc = $meaning] pub $field: settings!(@type $kind),)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: settings!(@value $kind, $default),)* }
            }
        }

        impl Config {
            /// Names of all settings (without the common prefix) and what each is for.
            pub const NAMES: &[(&'static str, &'static str)] = &[$(($name, $meaning),)*];

            fn assign(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $($name => settings!(@assign self, $field, $kind, value),)*
                    _ => return false,
                }
                true
            }
        }
    };
    (@type seconds) => { Time };
    (@type flag) => { bool };
    (@type number) => { u64 };
    (@value seconds, $value:expr) => { Time::from_secs($value) };
    (@value flag, $value:expr) => { $value };
    (@value number, $value:expr) => { $value };
    (@assign $self:ident, $field:ident, seconds, $v:ident) => { $self.$field = Time::from_secs($v) };
    (@assign $self:ident, $field:ident, flag, $v:ident) => { $self.$field = $v != 0 };
    (@assign $self:ident, $field:ident, number, $v:ident) => { $self.$field = $v };
}

settings! {
    acct: flag = true, "acct", "Count packets and bytes (on here by default, off in the kernel).";
    timestamp: flag = false, "timestamp", "Record when connections begin and end.";
    checksum: flag = true, "checksum", "Refuse packets with wrong checksums.";
    max: number = 262_144, "max", "Most connections; 0 for no limit.";
    expect_max: number = 4_096, "expect_max", "Most expectations.";
    generic_timeout: seconds = 600, "generic_timeout", "Protocols without a tracker.";
    icmp_timeout: seconds = 30, "icmp_timeout", "ICMP.";
    icmpv6_timeout: seconds = 30, "icmpv6_timeout", "ICMPv6.";
    udp_timeout: seconds = 30, "udp_timeout", "UDP until both sides have sent for a while.";
    udp_timeout_stream: seconds = 120, "udp_timeout_stream", "UDP after that.";
    gre_timeout: seconds = 30, "gre_timeout", "GRE until a reply.";
    gre_timeout_stream: seconds = 180, "gre_timeout_stream", "GRE after that.";
    tcp_loose: flag = true, "tcp_loose", "Pick up TCP connections in mid-stream.";
    tcp_be_liberal: flag = false, "tcp_be_liberal", "Treat only out-of-window resets as invalid.";
    tcp_ignore_invalid_rst: flag = false, "tcp_ignore_invalid_rst", "Do not call resets with a wrong sequence invalid.";
    tcp_max_retrans: number = 3, "tcp_max_retrans", "Retransmissions without acknowledgment before the timeout shrinks.";
    tcp_timeout_syn_sent: seconds = 120, "tcp_timeout_syn_sent", "TCP in SYN_SENT.";
    tcp_timeout_syn_recv: seconds = 60, "tcp_timeout_syn_recv", "TCP in SYN_RECV.";
    tcp_timeout_established: seconds = 432_000, "tcp_timeout_established", "TCP in ESTABLISHED.";
    tcp_timeout_fin_wait: seconds = 120, "tcp_timeout_fin_wait", "TCP in FIN_WAIT.";
    tcp_timeout_close_wait: seconds = 60, "tcp_timeout_close_wait", "TCP in CLOSE_WAIT.";
    tcp_timeout_last_ack: seconds = 30, "tcp_timeout_last_ack", "TCP in LAST_ACK.";
    tcp_timeout_time_wait: seconds = 120, "tcp_timeout_time_wait", "TCP in TIME_WAIT.";
    tcp_timeout_close: seconds = 10, "tcp_timeout_close", "TCP in CLOSE.";
    tcp_timeout_max_retrans: seconds = 300, "tcp_timeout_max_retrans", "TCP after too many retransmissions or a zero window.";
    tcp_timeout_unacknowledged: seconds = 300, "tcp_timeout_unacknowledged", "TCP with unacknowledged data.";
    sctp_timeout_closed: seconds = 10, "sctp_timeout_closed", "SCTP in CLOSED.";
    sctp_timeout_cookie_wait: seconds = 3, "sctp_timeout_cookie_wait", "SCTP in COOKIE_WAIT.";
    sctp_timeout_cookie_echoed: seconds = 3, "sctp_timeout_cookie_echoed", "SCTP in COOKIE_ECHOED.";
    sctp_timeout_established: seconds = 210, "sctp_timeout_established", "SCTP in ESTABLISHED.";
    sctp_timeout_shutdown_sent: seconds = 3, "sctp_timeout_shutdown_sent", "SCTP in SHUTDOWN_SENT.";
    sctp_timeout_shutdown_recd: seconds = 3, "sctp_timeout_shutdown_recd", "SCTP in SHUTDOWN_RECD.";
    sctp_timeout_shutdown_ack_sent: seconds = 3, "sctp_timeout_shutdown_ack_sent", "SCTP in SHUTDOWN_ACK_SENT.";
    sctp_timeout_heartbeat_sent: seconds = 30, "sctp_timeout_heartbeat_sent", "SCTP in HEARTBEAT_SENT.";
    dccp: flag = false, "dccp", "Track DCCP, as Linux did until 6.16; without, it is a protocol without a tracker.";
    dccp_timeout_request: seconds = 240, "dccp_timeout_request", "DCCP in REQUEST.";
    dccp_timeout_respond: seconds = 480, "dccp_timeout_respond", "DCCP in RESPOND.";
    dccp_timeout_partopen: seconds = 480, "dccp_timeout_partopen", "DCCP in PARTOPEN.";
    dccp_timeout_open: seconds = 43_200, "dccp_timeout_open", "DCCP in OPEN.";
    dccp_timeout_closereq: seconds = 64, "dccp_timeout_closereq", "DCCP in CLOSEREQ.";
    dccp_timeout_closing: seconds = 64, "dccp_timeout_closing", "DCCP in CLOSING.";
    dccp_timeout_timewait: seconds = 240, "dccp_timeout_timewait", "DCCP in TIMEWAIT.";
    frag6_timeout: seconds = 60, "frag6_timeout", "Incomplete IPv6 datagrams.";
    frag6_high_thresh: number = 4_194_304, "frag6_high_thresh", "Memory for incomplete datagrams, bytes (IPv4 and IPv6 alike).";
}

/// A setting that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// There is no such setting.
    #[error("there is no sysctl net.netfilter.nf_conntrack_{name}{}", near_text(.near))]
    Unknown {
        /// What was asked for, without the common prefix.
        name: String,
        /// Names that look alike.
        near: Vec<&'static str>,
    },
    /// The value is not a whole number, or too large.
    #[error(
        "nf_conntrack_{name}={value}: the value must be a whole number from 0 to {}",
        u32::MAX
    )]
    Value {
        /// Which setting.
        name: String,
        /// The value given.
        value: String,
    },
}

fn near_text(near: &[&str]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<String> = near
        .iter()
        .map(|name| format!("nf_conntrack_{name}"))
        .collect();
    format!("; did you mean {}?", names.join(" or "))
}

impl Config {
    /// Sets one setting by its kernel name: `net.netfilter.nf_conntrack_tcp_loose`, with slashes for dots, or
    /// without any part of the prefix.
    ///
    /// # Errors
    /// The name is unknown or the value no number.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let dotted = name.trim().replace('/', ".");
        let last = dotted.rsplit('.').next().unwrap_or(&dotted);
        let short = last.strip_prefix("nf_conntrack_").unwrap_or(last);
        if !Self::NAMES.iter().any(|(known, _)| *known == short) {
            return Err(SysctlError::Unknown {
                name: short.to_owned(),
                near: near(short),
            });
        }
        let number: u32 = value.trim().parse().map_err(|_| SysctlError::Value {
            name: short.to_owned(),
            value: value.to_owned(),
        })?;
        self.assign(short, number.into());
        Ok(())
    }
}

/// Known names that contain the word or are contained in it, or share a word with it.
fn near(name: &str) -> Vec<&'static str> {
    let words: Vec<&str> = name
        .split('_')
        .filter(|word| word.len() > 2 && *word != "timeout")
        .collect();
    let score = |known: &str| words.iter().filter(|word| known.contains(**word)).count();
    let best = Config::NAMES
        .iter()
        .map(|(known, _)| score(known))
        .max()
        .unwrap_or(0);
    Config::NAMES
        .iter()
        .map(|(known, _)| *known)
        .filter(|known| best > 0 && score(known) == best)
        .take(3)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_names_work_in_every_spelling() {
        let mut config = Config::default();
        for (name, expected) in [
            ("net.netfilter.nf_conntrack_tcp_timeout_close", 11),
            ("net/netfilter/nf_conntrack_tcp_timeout_close", 12),
            ("nf_conntrack_tcp_timeout_close", 13),
            ("tcp_timeout_close", 14),
        ] {
            config.set(name, &expected.to_string()).expect(name);
            assert_eq!(config.tcp_timeout_close, Time::from_secs(expected));
        }
    }

    #[test]
    fn an_unknown_name_suggests_what_was_meant() {
        let error = Config::default()
            .set("net.netfilter.nf_conntrack_tcp_lose", "1")
            .unwrap_err();
        assert!(error.to_string().contains("did you mean"), "{error}");
        let error = Config::default().set("tcp_loose", "yes").unwrap_err();
        assert!(error.to_string().contains("whole number"), "{error}");
    }
}
