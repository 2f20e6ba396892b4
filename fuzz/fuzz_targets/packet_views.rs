//! Every view over any bytes: no accessor may panic, and every slice lies in the packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packet::{
    Dccp, Ethernet, Geneve, Gre, Icmp, Icmpv6, Ipv4, Ipv6, Sctp, Tcp, Udp, UdpLite, Vxlan,
};
use std::hint::black_box;

fuzz_target!(|data: &[u8]| {
    if let Ok(frame) = Ethernet::new(data) {
        black_box((
            frame.vlan_tags().len(),
            frame.ethertype(),
            frame.header_len(),
        ));
        assert!(frame.payload().len() <= data.len());
        network(frame.payload());
    }
    network(data);
    transport(data);
});

fn network(data: &[u8]) {
    if let Ok(ip) = Ipv4::new(data) {
        assert!(ip.header_len() >= 20 && ip.header_len() <= data.len());
        black_box((ip.total_len(), ip.is_fragment(), ip.header_checksum_ok()));
        black_box((ip.source(), ip.destination(), ip.protocol(), ip.ttl()));
        black_box(ip.fragment_offset_bytes());
        transport(ip.payload());
    }
    if let Ok(ip) = Ipv6::new(data) {
        black_box((
            ip.total_len(),
            ip.flow_label(),
            ip.hop_limit(),
            ip.is_whole(),
        ));
        if let Ok(upper) = ip.upper_layer() {
            assert!(upper.offset <= data.len());
            transport(ip.payload_from(upper.offset));
        }
    }
}

fn transport(data: &[u8]) {
    if let Ok(tcp) = Tcp::new(data) {
        black_box((tcp.header_len(), tcp.flags(), tcp.window()));
        assert!(tcp.options().count() <= 40);
        assert!(tcp.payload().len() + 20 <= data.len());
    }
    if let Ok(udp) = Udp::new(data) {
        black_box((udp.length(), udp.checksum(), udp.datagram().len()));
    }
    if let Ok(udp) = UdpLite::new(data) {
        black_box((udp.checksum_coverage(), udp.checksum()));
    }
    if let Ok(icmp) = Icmp::new(data) {
        black_box((icmp.is_error(), icmp.checksum_ok(), icmp.payload().len()));
    }
    if let Ok(icmp) = Icmpv6::new(data) {
        black_box((icmp.is_error(), icmp.word(), icmp.payload().len()));
    }
    if let Ok(sctp) = Sctp::new(data) {
        black_box(sctp.checksum_ok());
        assert!(sctp.chunks().count() <= data.len());
    }
    if let Ok(dccp) = Dccp::new(data) {
        black_box((
            dccp.header_len(),
            dccp.packet_type(),
            dccp.sequence(),
            dccp.covered().len(),
        ));
    }
    if let Ok(gre) = Gre::new(data) {
        black_box((
            gre.version(),
            gre.key(),
            gre.call_id(),
            gre.sequence(),
            gre.acknowledgment(),
        ));
        black_box((gre.checksum(), gre.payload_len(), gre.payload().len()));
    }
    if let Ok(vxlan) = Vxlan::new(data) {
        black_box((vxlan.has_vni(), vxlan.vni(), vxlan.payload().len()));
    }
    if let Ok(geneve) = Geneve::new(data) {
        black_box((geneve.version(), geneve.is_control(), geneve.vni()));
        assert!(geneve.payload().len() < data.len());
    }
    let sum = packet::checksum::sum(data);
    assert!(sum <= 0xffff);
    let (even, odd) = data.split_at(data.len() / 4 * 2);
    let parts = packet::checksum::sum(even) + packet::checksum::sum(odd);
    assert_eq!(
        packet::checksum::finish(sum),
        packet::checksum::finish(parts)
    );
}
