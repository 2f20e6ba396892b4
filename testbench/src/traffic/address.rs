//! Who has which address: the plan all generators share.
//!
//! Clients are on port 0 of the NIC, servers on port 1. Client addresses are shared by all sources of a
//! scenario (the same people look up names and fetch pages); each source has a server network of its own
//! unless told otherwise, so that two sources never make the same tuple.
//!
//! | who                       | IPv4                 | IPv6                   |
//! |---------------------------|----------------------|------------------------|
//! | clients                   | `10.0.0.0/8`         | `2001:db8:c::/64`      |
//! | fixed attackers           | `100.64.0.0/10`      | none                   |
//! | invented source addresses | public unicast space | none                   |
//! | servers of network `n`    | `172.(16+n).0.0/16`  | `2001:db8:5e:n::/64`   |

/// An IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

/// Most client addresses.
pub const MAX_CLIENTS: u32 = (1 << 24) - 2;
/// Most servers in one network.
pub const MAX_SERVERS: u32 = (1 << 16) - 2;
/// Number of server networks.
pub const SERVER_NETWORKS: u8 = 16;
/// Most fixed attackers.
pub const MAX_ATTACKERS: u32 = (1 << 22) - 2;

/// The `index`-th client.
#[inline]
pub fn client(index: u32, v6: bool) -> Address {
    let host = index.wrapping_add(1);
    if v6 {
        return v6_host([0x2001, 0x0db8, 0x000c, 0], host);
    }
    let [_, b, c, d] = host.to_be_bytes();
    Address::V4([10, b, c, d])
}

/// The `index`-th server of a network.
#[inline]
pub fn server(network: u8, index: u32, v6: bool) -> Address {
    let host = index.wrapping_add(1);
    let network = network % SERVER_NETWORKS;
    if v6 {
        return v6_host([0x2001, 0x0db8, 0x005e, u16::from(network)], host);
    }
    let [_, _, c, d] = host.to_be_bytes();
    Address::V4([172, 16 + network, c, d])
}

/// The `index`-th of the attackers that use their own address.
#[inline]
pub fn attacker(index: u32) -> Address {
    let [_, b, c, d] = index.wrapping_add(1).to_be_bytes();
    Address::V4([100, 64 | (b & 0x3f), c, d])
}

/// An invented source address out of 32 random bits: never one of the plan's, nor loopback, private or multicast.
#[inline]
pub fn invented(bits: u32) -> Address {
    let [a, b, c, d] = bits.to_be_bytes();
    let a = if a < 224 { a } else { a - 120 };
    let a = if matches!(a, 0 | 10 | 100 | 127 | 169 | 172 | 192 | 198) {
        1
    } else {
        a
    };
    Address::V4([a, b, c, d])
}

#[inline]
fn v6_host(prefix: [u16; 4], host: u32) -> Address {
    let mut bytes = [0; 16];
    for (at, word) in prefix.iter().enumerate() {
        bytes[at * 2..at * 2 + 2].copy_from_slice(&word.to_be_bytes());
    }
    bytes[12..].copy_from_slice(&host.to_be_bytes());
    Address::V6(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_as_its_table_says() {
        assert_eq!(client(0, false), Address::V4([10, 0, 0, 1]));
        assert_eq!(
            client(MAX_CLIENTS - 1, false),
            Address::V4([10, 255, 255, 254])
        );
        assert_eq!(server(3, 255, false), Address::V4([172, 19, 1, 0]));
        assert_eq!(
            attacker(MAX_ATTACKERS - 1),
            Address::V4([100, 127, 255, 254])
        );
        let Address::V6(server) = server(2, 4, true) else {
            panic!("no IPv6")
        };
        assert_eq!(
            std::net::Ipv6Addr::from(server).to_string(),
            "2001:db8:5e:2::5"
        );
    }

    #[test]
    fn invented_addresses_stay_out_of_the_plan() {
        for first in 0..=255_u32 {
            let Address::V4(address) = invented(first << 24 | 0x00a8_0001) else {
                panic!("no IPv4")
            };
            let address = std::net::Ipv4Addr::from(address);
            assert!(
                !address.is_private() && !address.is_loopback() && !address.is_multicast(),
                "{address}"
            );
            assert!(
                !address.is_broadcast() && !address.is_link_local() && address.octets()[0] != 0,
                "{address}"
            );
            assert_ne!(address.octets()[0], 100, "{address}");
        }
    }
}
