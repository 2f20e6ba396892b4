//! Which packets of an installed flow go to the host all the same.

use super::field::section;

section! {
    /// Which packets of an installed flow go to the host all the same.
    TrapConfig, "trap" {
        /// TCP packets with SYN.
        tcp_syn: bool = true, Flag, "", "assumed";
        /// TCP packets with FIN.
        tcp_fin: bool = true, Flag, "", "Linux nf_flow_table: FIN and RST go to the stack";
        /// TCP packets with RST.
        tcp_rst: bool = true, Flag, "", "Linux nf_flow_table: FIN and RST go to the stack";
        /// IPv4 packets with options, IPv6 packets with extension headers.
        ip_options: bool = true, Flag, "", "Linux nf_flow_table: packets with IP options go to the stack";
        /// Packets with TTL or hop limit 1 or 0.
        ttl: bool = true, Flag, "", "RFC 1812, section 5.3.1";
        /// Packets longer than the MTU of the port they would leave by.
        mtu: bool = true, Flag, "", "Linux nf_flow_table: packets beyond the MTU go to the stack";
        /// After a FIN or RST, also every later packet of the flow, so that the host sees the close in whole.
        close_latch: bool = true, Flag, "", "assumed";
        /// Entries at a time whose packets in the host are counted (barriers, `[driver] barrier_us`).
        barrier_counters: u32 = 256, Range(0, 65_536), "counters", "assumed";
    }
}
