//! What an entry writes into packets: 48 bytes, by the flags of its state.

use super::entry::flag;
use super::key::{Endpoint, halves};
use crate::layout::{FieldLayout, field};

/// What is written into packets, by the flags of the state: six 64-bit words.
pub const REWRITE_FIELDS: &[FieldLayout] = &[
    field(
        "source_address",
        128,
        "New source address in network order; IPv4: the first 4 bytes.",
    ),
    field("destination_address", 128, "New destination address."),
    field("source_port", 16, "New source port."),
    field("destination_port", 16, "New destination port."),
    field(
        "vlan",
        12,
        "Identifier of the tag that is pushed or changed.",
    ),
    field("", 4, "reserved"),
    field(
        "destination_mac",
        48,
        "New destination MAC address, its first byte in the low bits; the source becomes that of the port.",
    ),
    field("", 32, "reserved"),
];

/// What is written into the packets of an entry, as the host says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// New source.
    pub source: Option<Endpoint>,
    /// New destination.
    pub destination: Option<Endpoint>,
    /// New destination MAC address; the source becomes that of the port the packet leaves by.
    pub mac: Option<[u8; 6]>,
    /// What happens to the outermost VLAN tag.
    pub vlan: VlanAction,
}

/// What happens to the outermost VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VlanAction {
    /// Nothing.
    #[default]
    Keep,
    /// It is taken off, if there is one.
    Pop,
    /// One with this identifier is put on.
    Push(u16),
    /// Its identifier becomes this, if there is one.
    Set(u16),
}

impl Rewrite {
    /// The flags of the state that say what is rewritten.
    pub const fn flags(&self) -> u16 {
        let mut flags = match self.vlan {
            VlanAction::Keep => 0,
            VlanAction::Pop => flag::VLAN_POP,
            VlanAction::Push(_) => flag::VLAN_PUSH,
            VlanAction::Set(_) => flag::VLAN_POP | flag::VLAN_PUSH,
        };
        if self.source.is_some() {
            flags |= flag::SOURCE;
        }
        if self.destination.is_some() {
            flags |= flag::DESTINATION;
        }
        if self.mac.is_some() {
            flags |= flag::MAC;
        }
        flags
    }

    /// What an entry holds of it.
    pub fn words(&self) -> RewriteWords {
        let none = Endpoint {
            address: [0; 16],
            port: 0,
        };
        let source = self.source.unwrap_or(none);
        let destination = self.destination.unwrap_or(none);
        let [s0, s1] = halves(source.address);
        let [d0, d1] = halves(destination.address);
        let vlan = match self.vlan {
            VlanAction::Push(id) | VlanAction::Set(id) => id & 0xfff,
            VlanAction::Keep | VlanAction::Pop => 0,
        };
        let mac = self.mac.unwrap_or_default();
        let mac = (mac.iter().rev()).fold(0, |word, byte| word << 8 | u64::from(*byte));
        RewriteWords([
            s0,
            s1,
            d0,
            d1,
            u64::from(source.port)
                | u64::from(destination.port) << 16
                | u64::from(vlan) << 32
                | mac << 48,
            mac >> 16,
        ])
    }
}

/// The flags that make a packet be rewritten in more than its TTL.
pub const REWRITES: u16 =
    flag::SOURCE | flag::DESTINATION | flag::MAC | flag::VLAN_POP | flag::VLAN_PUSH;

/// The 48 bytes of rewrite in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct RewriteWords(pub [u64; 6]);

impl RewriteWords {
    /// What the flags of a state make of the words.
    pub fn read(&self, flags: u16) -> Rewrite {
        let address = |first: usize| {
            let mut address = [0; 16];
            address[..8].copy_from_slice(&self.0[first].to_le_bytes());
            address[8..].copy_from_slice(&self.0[first + 1].to_le_bytes());
            address
        };
        let end = |mask: u16, first: usize, shift: u32| {
            (flags & mask != 0).then(|| Endpoint {
                address: address(first),
                port: (self.0[4] >> shift) as u16,
            })
        };
        let vlan = (self.0[4] >> 32) as u16 & 0xfff;
        let mac = (self.0[4] >> 48 | self.0[5] << 16).to_le_bytes();
        Rewrite {
            source: end(flag::SOURCE, 0, 0),
            destination: end(flag::DESTINATION, 2, 16),
            mac: (flags & flag::MAC != 0).then(|| [mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]]),
            vlan: match (flags & flag::VLAN_POP != 0, flags & flag::VLAN_PUSH != 0) {
                (false, false) => VlanAction::Keep,
                (true, false) => VlanAction::Pop,
                (false, true) => VlanAction::Push(vlan),
                (true, true) => VlanAction::Set(vlan),
            },
        }
    }
}
