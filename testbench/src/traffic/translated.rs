//! The far side of a translator: what servers answer goes to the address they saw.
//!
//! Sources speak of clients by their own addresses. Behind a card whose switch maps the clients' network to another, one host to
//! one host (NETMAP), the servers' frames must be addressed to the mapped ones; everything else of them stays.

use crate::frame::{Burst, Traffic};
use nic_model::clock::Picos;
use packet::checksum::{udp_nonzero, update_bytes};
use packet::{EtherType, Ethernet, Ipv4, Protocol};
use std::net::Ipv4Addr;

/// Port that servers' frames arrive at.
const SERVERS: u8 = 1;

/// A network that the clients' addresses are mapped into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// An address of it.
    pub address: Ipv4Addr,
    /// Bits of the network.
    pub prefix_len: u8,
}

impl Network {
    /// Reads `100.64.0.0/10`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let network = Self {
            address: address.parse().ok()?,
            prefix_len: bits.parse().ok()?,
        };
        (1..=32).contains(&network.prefix_len).then_some(network)
    }

    /// The address of the same host in the network.
    pub fn map(&self, address: Ipv4Addr) -> Ipv4Addr {
        let mask = u32::MAX << (32 - u32::from(self.prefix_len));
        Ipv4Addr::from(u32::from(self.address) & mask | u32::from(address) & !mask)
    }
}

/// A source whose servers see mapped addresses.
pub struct Translated<'a> {
    inner: &'a mut dyn Traffic,
    /// Since when which network is the one.
    networks: Vec<(Picos, Network)>,
    burst: Burst,
    /// The first of the burst's frames that was not given out yet.
    next: usize,
    frame: Vec<u8>,
}

impl<'a> Translated<'a> {
    /// The same source, behind a translator into networks in order of when they begin.
    pub fn new(inner: &'a mut dyn Traffic, networks: Vec<(Picos, Network)>) -> Self {
        Self {
            inner,
            networks,
            burst: Burst::default(),
            next: 0,
            frame: Vec::new(),
        }
    }
}

impl Traffic for Translated<'_> {
    fn fill(&mut self, burst: &mut Burst) {
        if self.next == self.burst.len() {
            self.burst.clear();
            self.inner.fill(&mut self.burst);
            self.next = 0;
        }
        while self.next < self.burst.len() && burst.room() > 0 {
            let (meta, bytes) = self.burst.frame(self.next);
            self.next += 1;
            if meta.port != SERVERS {
                burst.push(*meta, bytes);
                continue;
            }
            self.frame.clear();
            self.frame.extend_from_slice(bytes);
            let begun = |(since, _): &&(Picos, Network)| *since <= meta.arrival;
            if let Some((_, network)) = self.networks.iter().rev().find(begun) {
                readdress(&mut self.frame, network);
            }
            burst.push(*meta, &self.frame);
        }
    }

    fn total_frames(&self) -> Option<u64> {
        self.inner.total_frames()
    }

    fn flow_count(&self) -> u32 {
        self.inner.flow_count()
    }
}

/// Maps the destination of an IPv4 packet; frames of any other kind, and what is not captured, stay as they are.
fn readdress(frame: &mut [u8], network: &Network) -> Option<()> {
    let ethernet = Ethernet::new(frame).ok()?;
    let l3 = ethernet.header_len();
    let ip = Ipv4::new(ethernet.payload())
        .ok()
        .filter(|_| ethernet.ethertype() == EtherType::IPV4)?;
    let (old, l4) = (ip.destination(), l3 + ip.header_len());
    let new = network.map(old.into()).octets();
    let is_first = ip.fragment_offset_bytes() == 0;
    let checksum_at = match ip.protocol() {
        Protocol::TCP if is_first => Some(l4 + 16),
        Protocol::UDP if is_first => Some(l4 + 6),
        _ => None,
    };
    let is_udp = ip.protocol() == Protocol::UDP;
    let mend = |frame: &mut [u8], at: usize, none_stays: bool| {
        let field = frame.get_mut(at..)?.first_chunk_mut::<2>()?;
        let sum = u16::from_be_bytes(*field);
        if !(none_stays && sum == 0) {
            let sum = update_bytes(sum, &old, &new);
            *field = (if none_stays { udp_nonzero(sum) } else { sum }).to_be_bytes();
        }
        Some(())
    };
    frame.get_mut(l3 + 16..l3 + 20)?.copy_from_slice(&new);
    mend(frame, l3 + 10, false)?;
    checksum_at.and_then(|at| mend(frame, at, is_udp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::build::FrameBuilder;

    #[test]
    fn only_the_network_changes_and_checksums_follow() {
        let network = Network::parse("100.64.0.0/10").expect("a network");
        let of = |to: [u8; 4], tcp: bool| {
            let builder = FrameBuilder::new()
                .ethernet([2; 6], [4; 6])
                .ipv4([9, 9, 9, 9], to);
            let builder = if tcp {
                builder.tcp(80, 5_000)
            } else {
                builder.udp(53, 5_000)
            };
            builder.payload(b"what comes back").build()
        };
        for tcp in [true, false] {
            let mut frame = of([10, 77, 3, 4], tcp);
            readdress(&mut frame, &network).expect("a whole frame");
            assert_eq!(frame, of([100, 77, 3, 4], tcp));
        }
        for wrong in ["100.64.0.0", "100.64.0/10", "10.0.0.0/33", "10.0.0.0/0"] {
            assert!(Network::parse(wrong).is_none(), "{wrong}");
        }
        assert!(readdress(&mut [0; 20], &network).is_none());
    }
}
