//! Ethernet ports.

use super::ConfigError;
use super::field::section;

section! {
    /// Ethernet ports.
    PortConfig, "port" {
        /// Line rate of each of the two ports.
        rate_gbps: u32 = 100, OneOf(&[1, 10, 25, 40, 50, 100, 200, 400, 800]), "Gb/s", "IEEE 802.3";
        /// Largest IP packet a port sends.
        mtu_bytes: u32 = 1_500, Range(68, 65_535), "bytes", "IEEE 802.3 (1,500); RFC 791 (68)";
        /// Largest IP packet port 1 sends, if it is another than port 0's (0: it is not).
        mtu_1_bytes: u32 = 0, Range(0, 65_535), "bytes", "assumed";
        /// Receive FIFO of each port.
        receive_fifo_bytes: u32 = 256 * 1_024, Range(2_048, 1 << 28), "bytes", "assumed";
        /// Whether a port whose receive FIFO fills tells its neighbour to stop (PAUSE, IEEE 802.3 annex 31B): frames wait there then.
        pause: bool = false, Flag, "", "assumed";
        /// Bytes in the receive FIFO at which the neighbour is told to stop; what is on its way must still fit.
        pause_above_bytes: u32 = 192 * 1_024, Range(1, 1 << 28), "bytes", "assumed";
        /// Bytes in the receive FIFO at which it is told to go on.
        pause_below_bytes: u32 = 64 * 1_024, Range(0, 1 << 28), "bytes", "assumed";
        /// Bits of a million million that a wire flips: the FCS check drops their frames; 0 for a wire without errors.
        bit_errors_e12: u32 = 0, Range(0, 1_000_000_000), "errors", "IEEE 802.3: at most 1 in 10^12 after error correction";
        /// Frames that may wait for a port to send them.
        transmit_fifo_bytes: u32 = 1_024 * 1_024, Range(2_048, 1 << 28), "bytes", "assumed";
        /// Whether a frame must be in whole before its first bit leaves (needed to check the FCS first).
        store_and_forward: bool = true, Flag, "", "assumed";
    }
}

impl PortConfig {
    /// Largest IP packet that each port sends, bytes.
    pub const fn mtus(&self) -> [u32; 2] {
        match self.mtu_1_bytes {
            0 => [self.mtu_bytes; 2],
            other => [self.mtu_bytes, other],
        }
    }

    /// What no single parameter shows.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, value: u32, allowed: &str| {
            Err(ConfigError::OutOfRange {
                key,
                value: value.to_string(),
                allowed: allowed.to_owned(),
            })
        };
        if (1..68).contains(&self.mtu_1_bytes) {
            return wrong("port.mtu_1_bytes", self.mtu_1_bytes, "0, or at least 68");
        }
        if self.pause && self.pause_above_bytes > self.receive_fifo_bytes {
            let allowed = "at most port.receive_fifo_bytes";
            return wrong("port.pause_above_bytes", self.pause_above_bytes, allowed);
        }
        if self.pause && self.pause_below_bytes >= self.pause_above_bytes {
            let allowed = "below port.pause_above_bytes";
            return wrong("port.pause_below_bytes", self.pause_below_bytes, allowed);
        }
        Ok(())
    }
}
