//! Ethernet ports.

use super::field::section;

section! {
    /// Ethernet ports.
    PortConfig, "port" {
        /// Line rate of each of the two ports.
        rate_gbps: u32 = 100, OneOf(&[1, 10, 25, 40, 50, 100, 200, 400, 800]), "Gb/s", "IEEE 802.3";
        /// Largest IP packet a port sends.
        mtu_bytes: u32 = 1_500, Range(68, 65_535), "bytes", "IEEE 802.3 (1,500); RFC 791 (68)";
        /// Receive FIFO of each port.
        receive_fifo_bytes: u32 = 256 * 1_024, Range(2_048, 1 << 28), "bytes", "assumed";
        /// Frames that may wait for a port to send them.
        transmit_fifo_bytes: u32 = 1_024 * 1_024, Range(2_048, 1 << 28), "bytes", "assumed";
        /// Whether a frame must be in whole before its first bit leaves (needed to check the FCS first).
        store_and_forward: bool = true, Flag, "", "assumed";
    }
}
