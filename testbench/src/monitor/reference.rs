//! What software alone would do with the traffic of a run, beside tracking it: what monitor 5 compares with.

use crate::bridge::Bridge;
use driver::too_long::{self, Fit};

/// What the reference is to do beside connection tracking.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// Where packets go, and how addresses are translated.
    pub bridge: Bridge,
    /// Time stands still.
    pub frozen: bool,
    /// The card refuses what lies outside windows.
    pub checks_windows: bool,
    /// It is a router, which tells senders of packets that are too long, and cuts others.
    pub routes: Option<Routes>,
}

/// What a router knows of its links.
#[derive(Debug, Clone, Copy)]
pub struct Routes {
    /// Largest IP packet that each port sends, bytes.
    pub mtus: [u32; 2],
    /// Memory for a packet and what it is cut into, bytes.
    pub buffer_bytes: u32,
}

impl Routes {
    /// What becomes of a frame at the port it would leave by.
    pub fn fit(&self, frame: &[u8], from: u8) -> Fit {
        let mtu = self.mtus[usize::from(from ^ 1) % 2];
        too_long::fit(frame, mtu, self.buffer_bytes as usize)
    }
}
