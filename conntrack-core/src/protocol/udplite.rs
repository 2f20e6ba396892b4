//! UDP-Lite: as UDP, with a checksum that may cover less than the datagram (RFC 3828).

use crate::parse::Network;
use crate::reason::Reason;
use packet::UdpLite;

/// Coverage and checksum.
pub(crate) fn check(network: &Network<'_>, verify: bool) -> Result<(), Reason> {
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
    if verify && !network.partial_checksum_ok(coverage) {
        return Err(Reason::TransportChecksum);
    }
    Ok(())
}
