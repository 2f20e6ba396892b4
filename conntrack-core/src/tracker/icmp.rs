//! ICMP before look-up: errors belong to the connection they quote, some messages to none.

use super::Tracker;
use crate::id::ConnectionId;
use crate::parse::{self, Network};
use crate::protocol::{icmp, icmpv6};
use crate::reason::Reason;
use crate::timeout::Time;
use crate::tuple::{Direction, Zone};
use crate::verdict::{CtInfo, Verdict};
use packet::{Icmp, Icmpv6, Protocol};

impl Tracker {
    /// ICMP and ICMPv6 before look-up: errors, what is not tracked, what is not known.
    pub(super) fn icmp_first(
        &mut self,
        network: &Network<'_>,
        zone: Zone,
        verify: bool,
        now: Time,
    ) -> Option<Verdict> {
        let v6 = match (network.family(), network.protocol()) {
            (4, Protocol::ICMP) => false,
            (6, Protocol::ICMPV6) => true,
            _ => return None,
        };
        let whole_header = if v6 {
            Icmpv6::new(network.l4).is_ok()
        } else {
            Icmp::new(network.l4).is_ok()
        };
        if !whole_header {
            return Some(self.icmp_error(Reason::TransportTruncated));
        }
        let icmp_type = network.l4[0];
        let good = || {
            if v6 {
                network.checksum_ok(Protocol::ICMPV6)
            } else {
                packet::checksum::finish(packet::checksum::sum(network.l4)) == 0
            }
        };
        if verify && !good() {
            return Some(self.icmp_error(Reason::TransportChecksum));
        }
        if v6 && icmpv6::is_untracked(icmp_type) {
            return Some(Verdict::bare(CtInfo::Untracked, None));
        }
        if !v6 && icmp_type > icmp::MAX_TYPE {
            return Some(self.icmp_error(Reason::IcmpType));
        }
        if !network.is_icmp_error() {
            return None;
        }
        let related = self.related_to(network, zone, now);
        Some(match related {
            Ok((id, direction)) => Verdict {
                ctinfo: match direction {
                    Direction::Original => CtInfo::Related,
                    Direction::Reply => CtInfo::RelatedReply,
                },
                connection: Some(id),
                direction: Some(direction),
                ..Verdict::bare(CtInfo::Related, None)
            },
            Err(reason) => self.icmp_error(reason),
        })
    }

    /// The connection an ICMP error is about, and the direction the error travels in.
    fn related_to(
        &mut self,
        network: &Network<'_>,
        zone: Zone,
        now: Time,
    ) -> Result<(ConnectionId, Direction), Reason> {
        let quoted = network.l4.get(8..).ok_or(Reason::IcmpInner)?;
        let mut inner = parse::parse_quoted(quoted, network.family()).ok_or(Reason::IcmpInner)?;
        if !self.keys.is_empty() {
            inner.add_source_key(|tuple| self.keys.source_key(tuple));
        }
        if self.config.dccp {
            inner.add_dccp_ports();
        }
        let tuple = inner.tuple().map_err(|_| Reason::IcmpInner)?;
        let inverted = tuple.inverted().ok_or(Reason::IcmpInner)?;
        let hash = self.store.hash(&inverted, zone);
        let (id, direction) = self
            .find_live(&inverted, zone, hash, now)
            .ok_or(Reason::IcmpUnknown)?;
        let connection = self.store.get(id).ok_or(Reason::IcmpUnknown)?;
        if connection.tuple(direction).destination != network.destination() {
            return Err(Reason::IcmpMismatch);
        }
        Ok((id, direction))
    }

    fn icmp_error(&mut self, reason: Reason) -> Verdict {
        self.stats.error += 1;
        Verdict::bare(CtInfo::Invalid, Some(reason))
    }
}
