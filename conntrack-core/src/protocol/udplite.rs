//! UDP-Lite: as UDP, with a checksum that may cover less than the datagram (RFC 3828).

use crate::parse::Network;
use crate::verdict::Reason;
use packet::{Protocol, UdpLite};

/// Coverage and checksum.
pub(super) fn check(network: &Network<'_>, verify: bool) -> Result<(), Reason> {
    let udp = UdpLite::new(network.l4).map_err(|_| Reason::TransportTruncated)?;
    let coverage = match usize::from(udp.checksum_coverage()) {
        0 => network.l4_len,
        coverage => coverage,
    };
    if coverage < 8 || coverage > network.l4_len {
        return Err(Reason::UdpLiteCoverage);
    }
    if udp.checksum() == 0 {
        return Err(Reason::TransportChecksum);
    }
    // Linux sums UDP-Lite with the pseudo header of UDP; coverage short of the packet changes the sum's length field
    // back to the packet's.
    if verify {
        let covered = network.l4.get(..coverage).unwrap_or(network.l4);
        if coverage == network.l4_len && !network.checksum_ok(Protocol::UDP, covered) {
            return Err(Reason::TransportChecksum);
        }
    }
    Ok(())
}
