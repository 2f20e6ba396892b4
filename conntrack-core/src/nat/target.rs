//! What a rule says about translation.

use super::{Manip, end};
use crate::tuple::{Tuple, widen};
use std::net::IpAddr;

/// How a port is chosen where a choice is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Random {
    /// The packet's own if it is free.
    #[default]
    No,
    /// A random one, always (`random`).
    Port,
    /// The same; kernels before 5.0 had another generator for it (`fully-random`).
    Fully,
}

/// Ports a connection may get; for ICMP, identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ports {
    /// First and last; none: as near to the packet's own as can be.
    pub range: Option<(u16, u16)>,
    /// The packet's port minus this one is the place in the range to begin at (`dnat to :1000-2000/5000`).
    pub base: Option<u16>,
    /// Randomness.
    pub random: Random,
}

/// Addresses and ports a connection may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// First and last address; none: the packet's own.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Ports.
    pub ports: Ports,
    /// A client gets the same address of the range for all destinations (`persistent`).
    pub persistent: bool,
}

impl Range {
    /// One address; the port stays if it can.
    pub const fn address(address: IpAddr) -> Self {
        Self::addresses(address, address)
    }

    /// Addresses from one to another; the port stays if it can.
    pub const fn addresses(first: IpAddr, last: IpAddr) -> Self {
        Self {
            addresses: Some((first, last)),
            ports: Ports {
                range: None,
                base: None,
                random: Random::No,
            },
            persistent: false,
        }
    }
}

/// A rule's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// SNAT or DNAT to one of a range.
    To(Range),
    /// MASQUERADE: SNAT to the address of the interface the packet leaves by, as long as it leaves by it.
    Masquerade {
        /// The interface's address.
        address: IpAddr,
        /// Its number.
        interface: u32,
        /// Ports.
        ports: Ports,
    },
    /// REDIRECT: DNAT to the address of the interface the packet came in by.
    Redirect {
        /// The interface's address.
        address: IpAddr,
        /// Ports.
        ports: Ports,
    },
    /// NETMAP: another network, the same host in it.
    Netmap {
        /// An address of the network.
        network: IpAddr,
        /// Bits of the network.
        prefix_len: u8,
    },
}

/// A [`Target`] for one packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) addresses: Option<([u8; 16], [u8; 16])>,
    pub(crate) ports: Ports,
    pub(crate) persistent: bool,
}

impl Bounds {
    /// The packet's own address, and its port if it is free.
    pub(crate) fn null(tuple: &Tuple, manip: Manip) -> Self {
        let own = end(tuple, manip);
        Self {
            addresses: Some((own, own)),
            ports: Ports::default(),
            persistent: false,
        }
    }

    /// This address, and a port of the range if there is one.
    pub(crate) const fn only(address: [u8; 16], range: Option<(u16, u16)>) -> Self {
        Self {
            addresses: Some((address, address)),
            ports: Ports {
                range,
                base: None,
                random: Random::No,
            },
            persistent: false,
        }
    }

    fn single(address: IpAddr, ports: Ports) -> Self {
        let address = wide(address);
        Self {
            addresses: Some((address, address)),
            ports,
            persistent: false,
        }
    }
}

impl Target {
    /// Its bounds for a packet with this tuple.
    pub(crate) fn bounds(&self, tuple: &Tuple, manip: Manip) -> Bounds {
        match self {
            Self::To(range) => Bounds {
                addresses: range
                    .addresses
                    .map(|(first, last)| (wide(first), wide(last))),
                ports: range.ports,
                persistent: range.persistent,
            },
            Self::Masquerade { address, ports, .. } | Self::Redirect { address, ports } => {
                Bounds::single(*address, *ports)
            }
            Self::Netmap {
                network,
                prefix_len,
            } => {
                let (own, network) = (end(tuple, manip), wide(*network));
                let mapped = std::array::from_fn(|at| {
                    let bits = usize::from(*prefix_len).saturating_sub(at * 8).min(8);
                    let mask = !(0xff_u16 >> bits) as u8;
                    network[at] & mask | own[at] & !mask
                });
                Bounds {
                    addresses: Some((mapped, mapped)),
                    ports: Ports::default(),
                    persistent: false,
                }
            }
        }
    }

    /// The interface connections are bound to.
    pub(crate) const fn interface(&self) -> Option<u32> {
        match self {
            Self::Masquerade { interface, .. } => Some(*interface),
            _ => None,
        }
    }

    /// Whether it is for packets of this IP version.
    pub(crate) fn fits(&self, family: u8) -> bool {
        let fits = |address: &IpAddr| address.is_ipv4() == (family == 4);
        match self {
            Self::To(range) => range
                .addresses
                .is_none_or(|(first, last)| fits(&first) && fits(&last)),
            Self::Masquerade { address, .. } | Self::Redirect { address, .. } => fits(address),
            Self::Netmap { network, .. } => fits(network),
        }
    }
}

/// An address as tuples hold it.
fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => widen(address.octets()),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netmap_keeps_the_host() {
        let tuple = Tuple {
            source: wide("10.1.2.3".parse().expect("an address")),
            destination: wide("192.0.2.77".parse().expect("an address")),
            source_id: 1,
            destination_id: 2,
            protocol: 17,
            family: 4,
        };
        let network = "172.16.0.0".parse().expect("an address");
        for (prefix_len, expected) in [
            (0, "10.1.2.3"),
            (8, "172.1.2.3"),
            (12, "172.17.2.3"),
            (16, "172.16.2.3"),
            (32, "172.16.0.0"),
        ] {
            let target = Target::Netmap {
                network,
                prefix_len,
            };
            let bounds = target.bounds(&tuple, Manip::Source);
            let expected = wide(expected.parse().expect("an address"));
            // Host bits of the network's address do not count.
            assert_eq!(
                bounds.addresses,
                Some((expected, expected)),
                "/{prefix_len}"
            );
        }
    }
}
