//! Tunnels that the parser looks into.

use super::field::section;

section! {
    /// Tunnels that the parser looks into: flows are told by the inner headers then.
    TunnelConfig, "tunnel" {
        /// VXLAN.
        vxlan: bool = false, Flag, "", "RFC 7348";
        /// Its UDP port.
        vxlan_port: u32 = 4_789, Range(1, 65_535), "", "RFC 7348";
        /// Geneve.
        geneve: bool = false, Flag, "", "RFC 8926";
        /// Its UDP port.
        geneve_port: u32 = 6_081, Range(1, 65_535), "", "RFC 8926";
        /// GRE without a checksum, with IP or Ethernet (NVGRE) inside.
        gre: bool = false, Flag, "", "RFC 2784, RFC 2890, RFC 7637";
    }
}

impl TunnelConfig {
    /// Whether there is any to look into.
    pub const fn any(&self) -> bool {
        self.vxlan || self.geneve || self.gre
    }
}
