//! How many packets of each kind may go to the host.

use super::field::section;
use crate::datapath::trap::Reason;

section! {
    /// Meters on the way to the host: packets beyond are dropped. 0 for no limit.
    MeterConfig, "meter" {
        /// How many packets may come at once.
        burst_packets: u32 = 64, Range(1, 1 << 20), "packets", "assumed";
        /// Packets that would begin a connection (TCP with SYN and without ACK, of no installed flow): beside `miss_per_s`.
        opening_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Groups that flows fall into by a hash, with a meter each: no flow takes more of the host than its group may (0: there
        /// are none).
        groups: u32 = 0, Range(0, 1 << 20), "groups", "assumed";
        /// Packets of one group of flows, for whatever reason.
        group_per_s: u32 = 10_000, Range(1, 1_000_000_000), "packets/s", "assumed";
        /// How many packets of one group may come at once.
        group_burst_packets: u32 = 64, Range(1, 1 << 20), "packets", "assumed";
        /// Packets without an entry.
        miss_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// TCP packets with SYN of an installed flow.
        tcp_syn_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// TCP packets with FIN.
        tcp_fin_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// TCP packets with RST.
        tcp_rst_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets after a FIN or RST of their flow.
        closing_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// IP fragments.
        fragment_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets with IPv4 options or IPv6 extension headers.
        ip_options_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets at the end of their life.
        ttl_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets with a wrong checksum.
        bad_checksum_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets longer than the MTU.
        mtu_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Frames that are neither IPv4 nor IPv6.
        not_ip_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets with headers beyond the parser's budget.
        too_deep_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets of protocols that the table does not hold.
        protocol_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets whose lengths contradict each other.
        malformed_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets that a rule of the classifier sends to the host.
        classifier_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// TCP segments outside the windows of their flow.
        window_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
        /// Packets of flows whose entry does not forward yet.
        barrier_per_s: u32 = 0, Range(0, 1_000_000_000), "packets/s", "assumed";
    }
}

impl MeterConfig {
    /// The rates in order of the reasons' codes.
    pub(crate) fn rates(&self) -> [u32; Reason::ALL.len()] {
        Reason::ALL.map(|reason| match reason {
            Reason::Miss => self.miss_per_s,
            Reason::TcpSyn => self.tcp_syn_per_s,
            Reason::TcpFin => self.tcp_fin_per_s,
            Reason::TcpRst => self.tcp_rst_per_s,
            Reason::Closing => self.closing_per_s,
            Reason::Fragment => self.fragment_per_s,
            Reason::IpOptions => self.ip_options_per_s,
            Reason::Ttl => self.ttl_per_s,
            Reason::BadChecksum => self.bad_checksum_per_s,
            Reason::Mtu => self.mtu_per_s,
            Reason::NotIp => self.not_ip_per_s,
            Reason::TooDeep => self.too_deep_per_s,
            Reason::Protocol => self.protocol_per_s,
            Reason::Malformed => self.malformed_per_s,
            Reason::Classifier => self.classifier_per_s,
            Reason::Window => self.window_per_s,
            Reason::Barrier => self.barrier_per_s,
        })
    }
}
