//! Ethernet II frames with up to two stacked VLAN tags. No FCS: captures and NIC drivers do not carry it.

use crate::error::{Error, fixed};
use std::fmt;

/// Length of the untagged header.
pub const HEADER_LEN: usize = 14;
/// Length of one VLAN tag.
pub const VLAN_TAG_LEN: usize = 4;
/// VLAN tags that a view looks behind.
pub const MAX_VLAN_TAGS: usize = 2;

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The broadcast address.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the group bit is set (multicast or broadcast).
    #[inline]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl From<[u8; 6]> for MacAddress {
    fn from(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// What an Ethernet frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// Address resolution.
    pub const ARP: Self = Self(0x0806);
    /// Customer VLAN tag (802.1Q).
    pub const VLAN: Self = Self(0x8100);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// MPLS unicast.
    pub const MPLS: Self = Self(0x8847);
    /// MPLS multicast.
    pub const MPLS_MULTICAST: Self = Self(0x8848);
    /// PPPoE session.
    pub const PPPOE_SESSION: Self = Self(0x8864);
    /// Service VLAN tag (802.1ad).
    pub const QINQ: Self = Self(0x88a8);
    /// An Ethernet frame inside a tunnel (transparent Ethernet bridging).
    pub const BRIDGED: Self = Self(0x6558);
    /// Link layer discovery.
    pub const LLDP: Self = Self(0x88cc);
    /// Stacked VLAN tag of older switches.
    pub const VLAN_9100: Self = Self(0x9100);

    /// Whether a VLAN tag follows.
    #[inline]
    pub const fn is_vlan(self) -> bool {
        matches!(self, Self::VLAN | Self::QINQ | Self::VLAN_9100)
    }

    /// Whether the field is the length of an 802.3 frame rather than a type.
    #[inline]
    pub const fn is_length(self) -> bool {
        self.0 < 0x0600
    }
}

impl fmt::Display for EtherType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{:04x}", self.0)
    }
}

/// One VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VlanTag {
    /// The tag protocol identifier that announced it.
    pub tpid: EtherType,
    /// Tag control information: priority (3 bits), drop eligible (1), VLAN id (12).
    pub tci: u16,
}

impl VlanTag {
    /// VLAN id, 12 bits.
    #[inline]
    pub const fn id(self) -> u16 {
        self.tci & 0x0fff
    }

    /// Priority code point, 3 bits.
    #[inline]
    pub const fn priority(self) -> u8 {
        (self.tci >> 13) as u8
    }

    /// Drop eligible indicator.
    #[inline]
    pub const fn drop_eligible(self) -> bool {
        self.tci & 0x1000 != 0
    }
}

/// Where the IP header of a frame begins; `None` if it is not IP.
#[inline]
pub fn ip_offset(frame: &[u8]) -> Option<usize> {
    let ethernet = Ethernet::new(frame).ok()?;
    let is_ip = matches!(ethernet.ethertype(), EtherType::IPV4 | EtherType::IPV6);
    is_ip.then(|| ethernet.header_len())
}

/// A view of an Ethernet frame.
///
/// A third VLAN tag is not looked behind: [`Ethernet::ethertype`] then is its TPID and the frame is "not IP".
#[derive(Debug, Clone, Copy)]
pub struct Ethernet<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
    tags: [VlanTag; MAX_VLAN_TAGS],
    tag_count: u8,
    ethertype: EtherType,
}

impl<'a> Ethernet<'a> {
    /// Views `bytes`, which begin with the destination address.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let header: &[u8; HEADER_LEN] = fixed(bytes)?;
        let mut view = Self {
            header,
            payload: &bytes[HEADER_LEN..],
            tags: [VlanTag::default(); MAX_VLAN_TAGS],
            tag_count: 0,
            ethertype: EtherType(u16::from_be_bytes([header[12], header[13]])),
        };
        if view.ethertype.is_vlan() {
            view.skip_tags(bytes.len())?;
        }
        Ok(view)
    }

    /// Apart from `new` so that the common untagged frame stays in a few instructions.
    fn skip_tags(&mut self, available: usize) -> Result<(), Error> {
        for tag in &mut self.tags {
            if !self.ethertype.is_vlan() {
                break;
            }
            let Some((&[tci_high, tci_low, type_high, type_low], rest)) =
                self.payload.split_first_chunk()
            else {
                return Err(Error::TooShort {
                    needed: available - self.payload.len() + VLAN_TAG_LEN,
                    available,
                });
            };
            *tag = VlanTag {
                tpid: self.ethertype,
                tci: u16::from_be_bytes([tci_high, tci_low]),
            };
            self.ethertype = EtherType(u16::from_be_bytes([type_high, type_low]));
            self.payload = rest;
            self.tag_count += 1;
        }
        Ok(())
    }

    /// Destination address.
    #[inline]
    pub fn destination(&self) -> MacAddress {
        let [a, b, c, d, e, f, ..] = *self.header;
        MacAddress([a, b, c, d, e, f])
    }

    /// Source address.
    #[inline]
    pub fn source(&self) -> MacAddress {
        let [_, _, _, _, _, _, a, b, c, d, e, f, ..] = *self.header;
        MacAddress([a, b, c, d, e, f])
    }

    /// The VLAN tags, outermost first.
    #[inline]
    pub fn vlan_tags(&self) -> &[VlanTag] {
        self.tags
            .get(..usize::from(self.tag_count))
            .unwrap_or(&self.tags)
    }

    /// What the payload is, behind the tags.
    #[inline]
    pub fn ethertype(&self) -> EtherType {
        self.ethertype
    }

    /// Bytes before the payload, tags included.
    #[inline]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + VLAN_TAG_LEN * usize::from(self.tag_count)
    }

    /// Captured bytes behind the header; includes the padding of short frames.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(types: &[u16], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        for (index, kind) in types.iter().enumerate() {
            bytes.extend(kind.to_be_bytes());
            if index + 1 < types.len() {
                bytes.extend((0xb000 + index as u16 + 1).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn untagged() {
        let bytes = frame(&[0x0800], &[42]);
        let view = Ethernet::new(&bytes).unwrap();
        assert_eq!(view.destination(), MacAddress([1, 2, 3, 4, 5, 6]));
        assert_eq!(view.source().to_string(), "07:08:09:0a:0b:0c");
        assert!(view.vlan_tags().is_empty());
        assert_eq!(
            (view.ethertype(), view.header_len(), view.payload()),
            (EtherType::IPV4, 14, &[42][..])
        );
    }

    #[test]
    fn tags_are_skipped_up_to_two() {
        let bytes = frame(&[0x88a8, 0x8100, 0x86dd], &[42]);
        let view = Ethernet::new(&bytes).unwrap();
        assert_eq!(view.ethertype(), EtherType::IPV6);
        assert_eq!((view.header_len(), view.payload()), (22, &[42][..]));
        let [outer, inner] = view.vlan_tags() else {
            panic!("two tags")
        };
        assert_eq!(
            (
                outer.tpid,
                outer.id(),
                outer.priority(),
                outer.drop_eligible()
            ),
            (EtherType::QINQ, 1, 5, true)
        );
        assert_eq!((inner.tpid, inner.id()), (EtherType::VLAN, 2));

        let bytes = frame(&[0x8100, 0x8100, 0x8100, 0x0800], &[]);
        let view = Ethernet::new(&bytes).unwrap();
        assert_eq!((view.ethertype(), view.header_len()), (EtherType::VLAN, 22));
    }

    #[test]
    fn a_cut_tag_is_too_short() {
        let bytes = frame(&[0x8100, 0x8100, 0x0800], &[]);
        let error = Ethernet::new(&bytes[..21]).unwrap_err();
        assert_eq!(
            error,
            Error::TooShort {
                needed: 22,
                available: 21
            }
        );
        let error = Ethernet::new(&bytes[..13]).unwrap_err();
        assert_eq!(
            error,
            Error::TooShort {
                needed: 14,
                available: 13
            }
        );
    }
}
