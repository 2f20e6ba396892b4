//! What is in the memory of a connection of its original tuple: IPv4 in whole, of IPv6 everything but the addresses, which
//! lie elsewhere. So a connection is two lines of the cache, and most need no third.

use crate::tuple::{Direction, Tuple, widen};
use packet::Protocol;

/// An original tuple, and the number of the zone it is in. Source ids are in the high half, destination ids in the low one.
#[derive(Debug, Clone)]
pub(crate) enum Ends {
    V4 {
        protocol: u8,
        zone_id: u16,
        ids: u32,
        /// The source's in the high half.
        addresses: u64,
    },
    V6 {
        protocol: u8,
        zone_id: u16,
        ids: u32,
        addresses: Box<[[u8; 16]; 2]>,
    },
}

impl Ends {
    pub(crate) fn new(tuple: &Tuple, zone_id: u16) -> Self {
        let protocol = tuple.protocol;
        let ids = u32::from(tuple.source_id) << 16 | u32::from(tuple.destination_id);
        let narrow = |[a, b, c, d, ..]: [u8; 16]| u64::from(u32::from_be_bytes([a, b, c, d]));
        if tuple.family == 6 {
            Self::V6 {
                protocol,
                zone_id,
                ids,
                addresses: Box::new([tuple.source, tuple.destination]),
            }
        } else {
            Self::V4 {
                protocol,
                zone_id,
                ids,
                addresses: narrow(tuple.source) << 32 | narrow(tuple.destination),
            }
        }
    }

    #[inline]
    pub(crate) const fn zone_id(&self) -> u16 {
        match self {
            Self::V4 { zone_id, .. } | Self::V6 { zone_id, .. } => *zone_id,
        }
    }

    #[inline]
    pub(crate) const fn protocol(&self) -> Protocol {
        match self {
            Self::V4 { protocol, .. } | Self::V6 { protocol, .. } => Protocol(*protocol),
        }
    }

    #[inline]
    const fn ids(&self) -> u32 {
        match self {
            Self::V4 { ids, .. } | Self::V6 { ids, .. } => *ids,
        }
    }

    /// 4 or 6.
    pub(crate) const fn family(&self) -> u8 {
        match self {
            Self::V4 { .. } => 4,
            Self::V6 { .. } => 6,
        }
    }

    #[inline]
    pub(crate) fn tuple(&self) -> Tuple {
        let [source, destination] = match self {
            Self::V4 { addresses, .. } => [
                widen(((addresses >> 32) as u32).to_be_bytes()),
                widen((*addresses as u32).to_be_bytes()),
            ],
            Self::V6 { addresses, .. } => **addresses,
        };
        Tuple {
            source,
            destination,
            source_id: (self.ids() >> 16) as u16,
            destination_id: self.ids() as u16,
            protocol: self.protocol().0,
            family: self.family(),
        }
    }

    #[inline]
    pub(crate) const fn is_icmp(&self) -> bool {
        matches!(self.protocol(), Protocol::ICMP | Protocol::ICMPV6)
    }

    /// Address and id of source and destination as one number each, if they are IPv4.
    #[inline]
    pub(crate) const fn pair_v4(&self) -> Option<[u64; 2]> {
        match self {
            Self::V4 { ids, addresses, .. } => Some(pair(*addresses, *ids)),
            Self::V6 { .. } => None,
        }
    }

    /// The direction of a packet that is IPv4 and of this protocol, in the zone with this number in both directions; addresses
    /// and ports with the source's in the high half. Which direction is a matter of chance, so there is no branch on it.
    #[inline]
    pub(crate) fn direction_v4(
        &self,
        protocol: Protocol,
        zone_id: u16,
        addresses: u64,
        ports: u32,
    ) -> Option<Direction> {
        let Self::V4 {
            addresses: own,
            ids,
            ..
        } = self
        else {
            return None;
        };
        let other_kind =
            u64::from(self.protocol().0 ^ protocol.0) | u64::from(self.zone_id() ^ zone_id);
        let same = (own ^ addresses) | u64::from(ids ^ ports) | other_kind;
        let mirrored =
            (own ^ addresses.rotate_left(32)) | u64::from(ids ^ ports.rotate_left(16)) | other_kind;
        (same.min(mirrored) == 0).then(|| Direction::from_index(usize::from(mirrored == 0)))
    }
}

/// Address and id of source and destination as one number each; in `addresses` and `ids` the source's are in the high half.
#[inline(always)]
pub(crate) const fn pair(addresses: u64, ids: u32) -> [u64; 2] {
    [
        addresses >> 32 << 16 | (ids >> 16) as u64,
        (addresses & 0xffff_ffff) << 16 | (ids & 0xffff) as u64,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ends_are_a_quarter_of_a_line() {
        assert_eq!(size_of::<Ends>(), 16);
    }

    proptest! {
        #[test]
        fn ends_give_back_their_tuple(
            source in any::<[u8; 16]>(),
            destination in any::<[u8; 16]>(),
            source_id: u16,
            destination_id: u16,
            protocol: u8,
            zone_id: u16,
        ) {
            let wide = Tuple { source, destination, source_id, destination_id, protocol, family: 6 };
            let four = |[a, b, c, d, ..]: [u8; 16]| [a, b, c, d];
            let narrow = Tuple {
                source: widen(four(source)),
                destination: widen(four(destination)),
                family: 4,
                ..wide
            };
            for tuple in [wide, narrow] {
                let ends = Ends::new(&tuple, zone_id);
                prop_assert_eq!(ends.tuple(), tuple);
                prop_assert_eq!((ends.zone_id(), ends.protocol().0), (zone_id, protocol));
            }
        }
    }
}
