//! Views, checksums and builders for the headers a connection tracker and a NIC look at.
//!
//! This crate knows nothing but bytes: no connection, no clock, no device. It has three layers, and each can be
//! used without the others.
//!
//! # Views
//!
//! A view ([`Ethernet`], [`Ipv4`], [`Ipv6`], [`Tcp`], [`Udp`], [`UdpLite`], [`Icmp`], [`Icmpv6`], [`Sctp`],
//! [`Dccp`], [`Gre`], [`Vxlan`], [`Geneve`]) borrows a byte slice. `new` checks once that the fixed part of the header is there; every accessor
//! after that is a plain load that cannot fail and cannot panic, whatever the bytes are.
//!
//! A view says what the bytes *say*, not whether they are sensible. What a tracker must refuse (a TCP data offset
//! beyond the segment, a UDP length of three) is handed out as it is, because different readers draw different
//! conclusions from it. Only where going on would be meaningless does `new` refuse: the wrong IP version, or an
//! IPv4 header longer than the bytes.
//!
//! Captures cut packets short. So `payload()` means *the captured bytes* of the payload, and lengths that the header
//! claims (`total_len`, `length`) may be larger. Who needs to know whether a packet is whole compares the two.
//!
//! # Checksums
//!
//! [`checksum`] has the Internet checksum (RFC 1071) as a partial sum that pieces add up to, the pseudo headers of
//! IPv4 and IPv6, and the incremental update (RFC 1624) that a header rewrite needs. CRC-32C of SCTP is in [`sctp`].
//!
//! # Memory
//!
//! [`prefetch`] asks for memory ahead of its use: those who handle packets in batches live from it.
//!
//! # Builders
//!
//! [`build::FrameBuilder`] writes a whole packet, from Ethernet down to the payload, with every length and
//! checksum right unless asked for a wrong one. Tests and traffic generators use it; the datapath never does.
//!
//! # Example
//!
//! ```
//! use packet::{EtherType, Ethernet, Ipv4, Protocol, Tcp, TcpFlags, build::FrameBuilder, checksum};
//!
//! let frame = FrameBuilder::new()
//!     .ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
//!     .ipv4([192, 0, 2, 1], [198, 51, 100, 7])
//!     .tcp(40_000, 443)
//!     .flags(TcpFlags::SYN)
//!     .build();
//!
//! let ethernet = Ethernet::new(&frame)?;
//! assert_eq!(ethernet.ethertype(), EtherType::IPV4);
//! let ip = Ipv4::new(ethernet.payload())?;
//! assert_eq!(ip.protocol(), Protocol::TCP);
//! assert!(checksum::l4_ok_v4(ip.source(), ip.destination(), ip.protocol(), ip.payload()));
//! let tcp = Tcp::new(ip.payload())?;
//! assert!(tcp.flags().contains(TcpFlags::SYN));
//! # Ok::<(), packet::Error>(())
//! ```

#![deny(unsafe_code)]

pub mod build;
pub mod checksum;
pub mod dccp;
mod error;
pub mod ethernet;
pub mod geneve;
pub mod gre;
pub mod icmp;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
mod prefetch;
pub mod protocol;
pub mod sctp;
pub mod tcp;
pub mod udp;
pub mod vxlan;

pub use dccp::Dccp;
pub use error::Error;
pub use ethernet::{EtherType, Ethernet, MacAddress, VlanTag};
pub use geneve::Geneve;
pub use gre::Gre;
pub use icmp::Icmp;
pub use icmpv6::Icmpv6;
pub use ipv4::Ipv4;
pub use ipv6::{FragmentHeader, Ipv6, UpperLayer};
pub use prefetch::prefetch;
pub use protocol::Protocol;
pub use sctp::{Chunk, Sctp};
pub use tcp::{Tcp, TcpFlags, TcpOption, TcpOptions};
pub use udp::{Udp, UdpLite};
pub use vxlan::Vxlan;
