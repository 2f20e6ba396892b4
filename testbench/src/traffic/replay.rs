//! A capture as traffic: every frame at its time, by the port its sender is on.

use crate::capture::{Capture, CapturedFrame, LinkLayer, strip, to_ethernet};
use crate::frame::{Burst, FrameMeta, Traffic};
use nic_model::clock::Picos;
use packet::{Icmp, Icmpv6, Ipv4, Ipv6, Protocol, Tcp, Udp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

impl std::str::FromStr for Network {
    type Err = String;

    /// `192.0.2.0/24`, `2001:db8::/32`, or one address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("\"{text}\" is no network: expected for example 192.0.2.0/24"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = match prefix {
            None => most,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|length| *length <= most)
                .ok_or_else(|| format!("\"{text}\": the prefix length must be from 0 to {most}"))?,
        };
        Ok(Self {
            address,
            prefix_len,
        })
    }
}

impl Network {
    /// Whether the address, IPv4 in the first 4 bytes, lies in the network.
    fn contains(&self, family: u8, bytes: &[u8; 16]) -> bool {
        let own: Vec<u8> = match self.address {
            IpAddr::V4(address) if family == 4 => address.octets().to_vec(),
            IpAddr::V6(address) if family == 6 => address.octets().to_vec(),
            _ => return false,
        };
        (0..usize::from(self.prefix_len)).all(|bit| {
            let mask = 0x80 >> (bit % 8);
            (own[bit / 8] ^ bytes[bit / 8]) & mask == 0
        })
    }
}

/// How a capture is played.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// Addresses on the client side (port 0). Empty: the sender of the first packet of each pair of addresses is.
    pub client_networks: Vec<Network>,
    /// Ignore the capture's times: frames follow each other at this distance.
    pub flat_spacing: Option<Picos>,
}

/// What tells flows apart: unordered endpoints, protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FlowKey {
    low: ([u8; 16], u16),
    high: ([u8; 16], u16),
    protocol: u8,
    family: u8,
}

/// A capture being played.
pub struct Replay {
    capture: Arc<Capture>,
    metas: Vec<FrameMeta>,
    next: usize,
    flows: u32,
    scratch: Vec<u8>,
}

impl Replay {
    /// Prepares a capture: times from zero on and never back, ports, flows.
    pub fn new(capture: Arc<Capture>, options: &ReplayOptions) -> Self {
        let mut planner = Planner {
            options,
            flows: BTreeMap::new(),
            client: BTreeMap::new(),
        };
        let base_ns = capture
            .frames()
            .iter()
            .map(|frame| frame.time_ns)
            .find(|ns| *ns > 0)
            .unwrap_or(0);
        let mut last = Picos::ZERO;
        let mut scratch = Vec::new();
        let metas = capture
            .frames()
            .iter()
            .map(|frame| {
                let arrival = match options.flat_spacing {
                    Some(spacing) => Picos(spacing.0.saturating_mul(frame.number)),
                    None => Picos::from_nanos(frame.time_ns.saturating_sub(base_ns)),
                };
                last = last.max(arrival);
                scratch.clear();
                let bytes = capture.bytes(frame);
                let wire_len = to_ethernet(frame.link_type, bytes, frame.wire_len, &mut scratch);
                planner.plan(frame, bytes, last, wire_len)
            })
            .collect();
        Self {
            metas,
            next: 0,
            flows: planner.flows.len() as u32,
            scratch,
            capture,
        }
    }

    /// Largest frame in bytes, as the NIC's port would see it.
    pub fn largest_frame(&self) -> u32 {
        self.metas
            .iter()
            .map(|meta| meta.wire_len)
            .max()
            .unwrap_or(0)
    }

    /// When the last frame arrives.
    pub fn end(&self) -> Picos {
        self.metas.last().map_or(Picos::ZERO, |meta| meta.arrival)
    }
}

struct Planner<'a> {
    options: &'a ReplayOptions,
    flows: BTreeMap<FlowKey, u32>,
    client: BTreeMap<([u8; 16], [u8; 16]), [u8; 16]>,
}

impl Planner<'_> {
    fn plan(
        &mut self,
        frame: &CapturedFrame,
        bytes: &[u8],
        arrival: Picos,
        wire_len: u32,
    ) -> FrameMeta {
        let mut meta = FrameMeta {
            arrival,
            port: 0,
            wire_len,
            flow: FrameMeta::NO_FLOW,
            number: frame.number,
        };
        let LinkLayer::Ip { bytes, .. } = strip(frame.link_type, bytes, frame.wire_len) else {
            return meta;
        };
        let Some((source, destination, key)) = flow_of(bytes) else {
            return meta;
        };
        let next = self.flows.len() as u32;
        meta.flow = *self.flows.entry(key).or_insert(next);
        meta.port = u8::from(!self.is_from_client(key.family, source, destination));
        meta
    }

    fn is_from_client(&mut self, family: u8, source: [u8; 16], destination: [u8; 16]) -> bool {
        let networks = &self.options.client_networks;
        if !networks.is_empty() {
            return networks
                .iter()
                .any(|network| network.contains(family, &source));
        }
        let pair = (source.min(destination), source.max(destination));
        *self.client.entry(pair).or_insert(source) == source
    }
}

/// Source, destination and flow of an IP packet.
fn flow_of(bytes: &[u8]) -> Option<([u8; 16], [u8; 16], FlowKey)> {
    let (source, destination, protocol, family, l4) = match bytes.first()? >> 4 {
        4 => {
            let ip = Ipv4::new(bytes).ok()?;
            let l4 = if ip.is_fragment() {
                &[][..]
            } else {
                ip.payload()
            };
            (
                widen(ip.source()),
                widen(ip.destination()),
                ip.protocol(),
                4,
                l4,
            )
        }
        6 => {
            let ip = Ipv6::new(bytes).ok()?;
            let upper = ip.upper_layer().ok();
            let protocol = upper.map_or(ip.next_header(), |upper| upper.protocol);
            let whole = upper.filter(|upper| upper.fragment.is_none());
            let l4 = whole
                .and_then(|upper| bytes.get(upper.offset..))
                .unwrap_or(&[]);
            (ip.source(), ip.destination(), protocol, 6, l4)
        }
        _ => return None,
    };
    let (source_id, destination_id) = ids(protocol, l4);
    let (a, b) = ((source, source_id), (destination, destination_id));
    let key = FlowKey {
        low: a.min(b),
        high: a.max(b),
        protocol: protocol.0,
        family,
    };
    Some((source, destination, key))
}

fn ids(protocol: Protocol, l4: &[u8]) -> (u16, u16) {
    match protocol {
        Protocol::TCP => {
            Tcp::new(l4).map_or((0, 0), |tcp| (tcp.source_port(), tcp.destination_port()))
        }
        Protocol::UDP => {
            Udp::new(l4).map_or((0, 0), |udp| (udp.source_port(), udp.destination_port()))
        }
        Protocol::ICMP => {
            Icmp::new(l4).map_or((0, 0), |icmp| (icmp.identifier(), icmp.identifier()))
        }
        Protocol::ICMPV6 => {
            Icmpv6::new(l4).map_or((0, 0), |icmp| (icmp.identifier(), icmp.identifier()))
        }
        _ => (0, 0),
    }
}

fn widen(address: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[..4].copy_from_slice(&address);
    wide
}

impl Traffic for Replay {
    fn fill(&mut self, burst: &mut Burst) {
        while burst.room() > 0 {
            let (Some(meta), Some(frame)) = (
                self.metas.get(self.next),
                self.capture.frames().get(self.next),
            ) else {
                return;
            };
            self.scratch.clear();
            to_ethernet(
                frame.link_type,
                self.capture.bytes(frame),
                frame.wire_len,
                &mut self.scratch,
            );
            burst.push(*meta, &self.scratch);
            self.next += 1;
        }
    }

    fn total_frames(&self) -> Option<u64> {
        Some(self.metas.len() as u64)
    }

    fn flow_count(&self) -> u32 {
        self.flows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_matched() {
        let network: Network = "192.0.2.0/24".parse().expect("a network");
        let address = |last| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&[192, 0, last, 9]);
            bytes
        };
        assert!(network.contains(4, &address(2)));
        assert!(!network.contains(4, &address(3)));
        assert!(!network.contains(6, &address(2)));
        assert!("192.0.2.0/33".parse::<Network>().is_err());
        assert!("client".parse::<Network>().is_err());
    }
}
