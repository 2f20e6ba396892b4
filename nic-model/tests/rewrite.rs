//! What the rewrite stage makes of a frame is what would have been built with the new headers in the first place: every
//! checksum, in tunnels and outside, through VLAN tags put on and taken off.

use nic_model::config::{Entries, NicConfig};
use nic_model::datapath::parser::{Parsed, Parser};
use nic_model::datapath::rewrite::rewrite;
use nic_model::datapath::trap::Reason;
use nic_model::flow_table::Rewrite;
use nic_model::flow_table::entry::{Endpoint, Tunnel, VlanAction, Way};
use nic_model::frame::FrameBuffer;
use packet::build::FrameBuilder;
use packet::{EtherType, Protocol};
use proptest::prelude::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const STATION: [u8; 6] = [2, 1, 1, 1, 1, 1];

/// Everything a frame is built from.
#[derive(Debug, Clone)]
struct Spec {
    macs: [[u8; 6]; 2],
    vlan: Option<u16>,
    tunnel: Tunnel,
    outer_checksum: bool,
    tcp: bool,
    v6: bool,
    udp_checksum: bool,
    source: End,
    destination: End,
    payload: Vec<u8>,
}

fn inner(spec: &Spec) -> Vec<u8> {
    let builder = FrameBuilder::new();
    let (source, destination) = (spec.source, spec.destination);
    let builder = if spec.v6 {
        builder.ipv6(source.0, destination.0)
    } else {
        let narrow = |wide: [u8; 16]| [wide[0], wide[1], wide[2], wide[3]];
        builder.ipv4(narrow(source.0), narrow(destination.0))
    };
    let builder = if spec.tcp {
        builder.tcp(source.1, destination.1)
    } else {
        builder.udp(source.1, destination.1)
    };
    let mut ip = builder.payload(&spec.payload).build();
    if !spec.tcp && !spec.udp_checksum {
        let at = if spec.v6 { 46 } else { 26 };
        ip[at..at + 2].fill(0);
    }
    ip
}

fn frame(spec: &Spec) -> Vec<u8> {
    let ip = inner(spec);
    let ethertype: [u8; 2] = if spec.v6 { [0x86, 0xdd] } else { [8, 0] };
    let bridged = [&[4; 12][..], &ethertype, &ip].concat();
    let outer = FrameBuilder::new().ipv4([192, 0, 2, 1], [192, 0, 2, 2]);
    let mut network = match spec.tunnel {
        Tunnel::None => ip,
        Tunnel::Vxlan => {
            let payload = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &bridged].concat();
            outer.udp(50_000, 4_789).payload(&payload).build()
        }
        Tunnel::Geneve => {
            let header = [1, 0, 0x65, 0x58, 0, 0, 42, 0, 1, 2, 3, 0];
            let payload = [&header[..], &bridged].concat();
            outer.udp(50_000, 6_081).payload(&payload).build()
        }
        Tunnel::Gre => {
            let header = [0x20, 0, ethertype[0], ethertype[1], 0, 0, 0, 42];
            let payload = [&header[..], &ip].concat();
            outer.protocol(Protocol::GRE).payload(&payload).build()
        }
    };
    if matches!(spec.tunnel, Tunnel::Vxlan | Tunnel::Geneve) && !spec.outer_checksum {
        network[26..28].fill(0);
    }
    let outer_type: [u8; 2] = if spec.tunnel == Tunnel::None {
        ethertype
    } else {
        [8, 0]
    };
    let [to, from] = spec.macs;
    let tag = spec
        .vlan
        .map(|tci| [&EtherType::VLAN.0.to_be_bytes()[..], &tci.to_be_bytes()].concat());
    [
        &to[..],
        &from,
        &tag.unwrap_or_default(),
        &outer_type,
        &network,
    ]
    .concat()
}

fn parser() -> (NicConfig, Parser) {
    let mut config = NicConfig::default();
    config.tunnel.vxlan = true;
    config.tunnel.geneve = true;
    config.tunnel.gre = true;
    config.pipeline.header_budget_bytes = 256;
    let parser = Parser::new(&config);
    (config, parser)
}

fn parse(frame: &[u8]) -> Parsed {
    parser().1.parse(0, frame, frame.len() as u32)
}

fn address(v6: bool, bytes: [u8; 16]) -> [u8; 16] {
    let mut wide = bytes;
    if !v6 {
        wide[4..].fill(0);
    }
    wide
}

fn spec() -> impl Strategy<Value = Spec> {
    let tunnel = proptest::sample::select(Tunnel::ALL.to_vec());
    let flags = any::<[bool; 4]>();
    let ends = any::<[([u8; 16], u16); 2]>();
    let vlan = proptest::option::of(any::<u16>());
    let payload = proptest::collection::vec(any::<u8>(), 0..80);
    (tunnel, flags, ends, vlan, payload).prop_map(
        |(
            tunnel,
            [tcp, v6, udp_checksum, outer_checksum],
            [source, destination],
            vlan,
            payload,
        )| Spec {
            macs: [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]],
            vlan,
            tunnel,
            outer_checksum,
            tcp,
            v6,
            udp_checksum,
            source: (address(v6, source.0), source.1),
            destination: (address(v6, destination.0), destination.1),
            payload,
        },
    )
}

/// Address and port.
type End = ([u8; 16], u16);

fn action() -> impl Strategy<Value = (Option<End>, Option<End>, bool, VlanAction)> {
    let end = || proptest::option::of(any::<End>());
    let vlan = prop_oneof![
        Just(VlanAction::Keep),
        Just(VlanAction::Pop),
        (0u16..4_096).prop_map(VlanAction::Push),
        (0u16..4_096).prop_map(VlanAction::Set),
    ];
    (end(), end(), any::<bool>(), vlan)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_rewritten_frame_is_the_one_with_the_new_headers(
        before in spec(),
        (source, destination, mac, vlan) in action(),
    ) {
        let bytes = frame(&before);
        let parsed = parse(&bytes);
        prop_assert_eq!(parsed.to_host, None);
        let wide = |end: End| (address(before.v6, end.0), end.1);
        let mut after = before.clone();
        after.source = source.map_or(before.source, wide);
        after.destination = destination.map_or(before.destination, wide);
        if mac {
            after.macs = [MAC, STATION];
        }
        // A second tag is not what this test builds.
        let pushes = matches!(vlan, VlanAction::Push(_)) && before.vlan.is_none();
        let vlan = if matches!(vlan, VlanAction::Push(_)) && !pushes { VlanAction::Keep } else { vlan };
        after.vlan = match (vlan, before.vlan) {
            (VlanAction::Push(id), None) => Some(id),
            (VlanAction::Pop, _) => None,
            (VlanAction::Set(id), Some(tci)) => Some(tci & 0xf000 | id),
            (_, tci) => tci,
        };
        let end = |end: End| Endpoint { address: end.0, port: end.1 };
        let what = Rewrite {
            source: source.map(wide).map(end),
            destination: destination.map(wide).map(end),
            mac: mac.then_some(MAC),
            vlan,
        };
        // What an entry holds says the same.
        prop_assert_eq!(what.words().read(what.flags()), what);
        let mut buffer = [&[0; FrameBuffer::HEADROOM][..], &bytes].concat();
        let mut changed = FrameBuffer::new(&mut buffer, FrameBuffer::HEADROOM);
        let grown = rewrite(&mut changed, &parsed, &what, STATION);
        let expected = frame(&after);
        prop_assert_eq!(changed.bytes(), &expected[..]);
        prop_assert_eq!(grown, expected.len() as i32 - bytes.len() as i32);
        prop_assert_eq!(parse(&expected).to_host, None, "its checksums are right");
    }

    #[test]
    fn the_key_is_that_of_the_packet_inside(before in spec()) {
        let bytes = frame(&before);
        let parsed = parse(&bytes);
        let way = Way {
            ingress_port: 0,
            tunnel: before.tunnel,
            vlan: before.vlan.map_or(0, |tci| tci & 0xfff | Way::TAGGED),
            tunnel_id: if before.tunnel == Tunnel::None { 0 } else { 42 },
        };
        prop_assert_eq!(parsed.way, way);
        let sender = parsed.key.sender(parsed.direction);
        prop_assert_eq!((sender.address, sender.port), before.source);
        prop_assert_eq!(parsed.ip_bytes as usize, inner(&before).len());
        let tags = if before.vlan.is_some() { 4 } else { 0 };
        prop_assert_eq!(parsed.outer_ip_bytes as usize, bytes.len() - 14 - tags);
        prop_assert_eq!(&bytes[usize::from(parsed.ip_offset)..], &inner(&before)[..]);
    }

    #[test]
    fn no_bytes_make_the_parser_or_the_rewrite_panic(
        before in spec(),
        cut in 0usize..200,
        at in any::<proptest::sample::Index>(),
        value in any::<u8>(),
        (source, destination, mac, vlan) in action(),
    ) {
        let mut bytes = frame(&before);
        let wire_len = bytes.len() as u32;
        let at = at.index(bytes.len());
        bytes[at] = value;
        bytes.truncate(cut);
        let parsed = parser().1.parse(0, &bytes, wire_len);
        let end = |end: End| Endpoint { address: end.0, port: end.1 };
        let what = Rewrite {
            source: source.map(end),
            destination: destination.map(end),
            mac: mac.then_some(MAC),
            vlan,
        };
        if parsed.to_host.is_none() {
            rewrite(&mut FrameBuffer::new(&mut bytes, 0), &parsed, &what, STATION);
        }
    }
}

fn plain(tunnel: Tunnel) -> Spec {
    Spec {
        macs: [[2; 6]; 2],
        vlan: Some(5),
        tunnel,
        outer_checksum: true,
        tcp: true,
        v6: false,
        udp_checksum: true,
        source: (address(false, [10; 16]), 1_000),
        destination: (address(false, [20; 16]), 80),
        payload: Vec::new(),
    }
}

#[test]
fn keys_hold_what_the_card_is_configured_to() {
    let bytes = frame(&plain(Tunnel::Vxlan));
    let key = |change: &dyn Fn(&mut NicConfig)| {
        let (mut config, _) = parser();
        change(&mut config);
        config.validate().expect("valid");
        let parsed = Parser::new(&config).parse(1, &bytes, bytes.len() as u32);
        parsed.key
    };
    let default = key(&|_| {});
    assert_eq!(default.way().tunnel_id, 42);
    assert_eq!((default.way().vlan, default.way().ingress_port), (0, 0));
    let without = key(&|config| config.key.tunnel = false);
    assert_eq!(without.way(), Way::default());
    let all = key(&|config| {
        config.key.vlan = true;
        config.key.entries = Entries::EachWay;
        config.key.ingress_port = true;
    });
    assert_eq!(
        (all.way().vlan, all.way().ingress_port),
        (5 | Way::TAGGED, 1)
    );
    let outside = key(&|config| config.tunnel.vxlan = false);
    assert_eq!(outside.protocol(), 17, "the tunnel itself is the flow");
}

#[test]
fn tunnels_that_make_no_sense_go_to_the_host() {
    let good = frame(&plain(Tunnel::Vxlan));
    let reason = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        // No checksum outside, so that nothing but the change is wrong.
        bytes[18 + 26..18 + 28].fill(0);
        parse(&bytes).to_host
    };
    let vxlan = 18 + 20 + 8;
    assert_eq!(reason(vxlan, 8), None);
    assert_eq!(reason(vxlan, 0), Some(Reason::Malformed), "no VNI");
    assert_eq!(
        reason(vxlan + 8 + 12, 0x12),
        Some(Reason::NotIp),
        "not IP inside"
    );
    let mut wrong = good.clone();
    *wrong.last_mut().expect("bytes") ^= 1;
    assert_eq!(parse(&wrong).to_host, Some(Reason::BadChecksum));
}
