//! The card's window checker beside the tracker's windows, which are checked against the kernel: what the card lets pass the
//! tracker would have, and both know the same of both sides afterwards.

mod common;

use common::{holds, number, packets};
use conntrack_core::protocol::ProtocolState;
use conntrack_core::{Config, ConnectionId, Direction, HashKey, Packet, Time, Tracker};
use nic_model::NicConfig;
use nic_model::datapath::parser::{Parsed, Parser};
use nic_model::datapath::window::WindowWords;
use nic_model::flow_table::KeyDirection;
use packet::TcpFlags;
use packet::build::FrameBuilder;
use proptest::prelude::*;

/// One segment of a conversation: who sends, how far from what is expected, how much, what is acknowledged.
#[derive(Debug, Clone, Copy)]
struct Step {
    from_client: bool,
    bytes: u16,
    window: u16,
    sequence_off: i32,
    ack_off: i32,
    sack: Option<u16>,
}

fn offset() -> impl Strategy<Value = i32> {
    prop_oneof![
        30 => Just(0),
        4 => -3_000i32..3_000,
        2 => proptest::sample::select(vec![1, -1, 2, -66_000, -66_001, -66_002]),
        1 => -200_000i32..200_000,
        1 => any::<i32>(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let sack = proptest::option::weighted(0.2, any::<u16>());
    (
        any::<bool>(),
        0u16..1_400,
        any::<u16>(),
        offset(),
        offset(),
        sack,
    )
        .prop_map(
            |(from_client, bytes, window, sequence_off, ack_off, sack)| Step {
                from_client,
                bytes,
                window,
                sequence_off,
                ack_off,
                sack,
            },
        )
}

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 443);

fn segment(
    from_client: bool,
    flags: TcpFlags,
    numbers: (u32, u32),
    window: u16,
    options: &[u8],
    bytes: u16,
) -> Vec<u8> {
    let (from, to) = if from_client {
        (CLIENT, SERVER)
    } else {
        (SERVER, CLIENT)
    };
    let builder = FrameBuilder::new()
        .ethernet([2; 6], [4; 6])
        .ipv4(from.0, to.0);
    let builder = builder
        .tcp(from.1, to.1)
        .flags(flags)
        .seq(numbers.0)
        .ack(numbers.1);
    builder
        .window(window)
        .tcp_options(options)
        .payload(&vec![0; bytes.into()])
        .build()
}

/// A connection that has just come back to software, which knows nothing of its windows but the scales.
fn established(scales: [u8; 2], first: [u32; 2]) -> (Tracker, ConnectionId) {
    let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
    let options = |scale: u8| [2, 4, 5, 0xb4, 4, 2, 1, 3, 3, scale, 0, 0];
    let now = Time(0);
    let mut id = None;
    for (from_client, flags, numbers) in [
        (true, TcpFlags::SYN, (first[0].wrapping_sub(1), 0)),
        (
            false,
            TcpFlags::SYN | TcpFlags::ACK,
            (first[1].wrapping_sub(1), first[0]),
        ),
        (true, TcpFlags::ACK, (first[0], first[1])),
    ] {
        let with: &[u8] = &options(scales[usize::from(!from_client)]);
        let with = if flags.contains(TcpFlags::SYN) {
            with
        } else {
            &[]
        };
        let frame = segment(from_client, flags, numbers, 1_000, with, 0);
        id = tracker.track(&Packet::whole(&frame[14..]), now).connection;
    }
    let id = id.expect("a connection");
    tracker.set_offloaded(id, true);
    tracker.resume_software(id, now, now);
    (tracker, id)
}

fn parse(frame: &[u8]) -> Parsed {
    let mut config = NicConfig::default();
    config.window.check = true;
    Parser::new(&config).parse(0, frame, frame.len() as u32)
}

/// What both know of both sides: end, max_end, max_window.
fn sides(tracker: &Tracker, id: ConnectionId) -> [[u32; 3]; 2] {
    let Some(ProtocolState::Tcp(tcp)) = tracker
        .connection(id)
        .map(|connection| connection.protocol_state())
    else {
        panic!("a TCP connection");
    };
    Direction::ALL.map(|direction| {
        let side = tcp.side(direction);
        [side.end, side.max_end, side.max_window]
    })
}

fn known(window: &WindowWords) -> [[u32; 3]; 2] {
    let side = |i: usize| {
        [
            window.0[2 * i] as u32,
            (window.0[2 * i] >> 32) as u32,
            window.0[2 * i + 1] as u32,
        ]
    };
    [side(0), side(1)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_card_and_the_tracker_agree(
        scales in [0u8..15, 0u8..15],
        first in any::<[u32; 2]>(),
        steps in proptest::collection::vec(step(), 1..30),
    ) {
        let (mut tracker, id) = established(scales, first);
        // The client's address is the lower: key direction and connection direction are the same.
        let mut window = WindowWords::unknown(scales);
        let mut next = first;
        for step in steps {
            let (me, peer) = (usize::from(!step.from_client), usize::from(step.from_client));
            let sequence = next[me].wrapping_add_signed(step.sequence_off);
            let ack = next[peer].wrapping_add_signed(step.ack_off);
            let mut options = vec![];
            if let Some(beyond) = step.sack {
                options.extend([1, 1, 5, 10]);
                options.extend(ack.wrapping_add(10).to_be_bytes());
                options.extend(ack.wrapping_add(beyond.into()).to_be_bytes());
            }
            let frame = segment(step.from_client, TcpFlags::ACK, (sequence, ack), step.window, &options, step.bytes);
            let parsed = parse(&frame);
            prop_assert_eq!(parsed.to_host, None);
            prop_assert_eq!(parsed.direction == KeyDirection::LowerToHigher, step.from_client);
            let before = sides(&tracker, id);
            let admitted = window.admits(&parsed);
            let verdict = tracker.track(&Packet::whole(&frame[14..]), Time(1));
            let after = sides(&tracker, id);
            if !admitted {
                // Refused by both: nobody's window has moved. The connection is software's now.
                let windows = |sides: [[u32; 3]; 2]| sides.map(|side| side[1..].to_vec());
                let first_seen = before.iter().any(|side| side[2] == 0);
                prop_assert!(first_seen || windows(before) == windows(after), "{:?} {:?}", before, after);
                return Ok(());
            }
            prop_assert_eq!(verdict.ctinfo.name().contains("ESTABLISHED"), true);
            prop_assert_eq!(known(&window), after);
            if step.sequence_off == 0 {
                next[me] = next[me].wrapping_add(step.bytes.into());
            }
        }
    }
}

/// Segments outside the windows leave the hardware, and nothing else does.
#[test]
fn a_run_with_the_checker_is_one_without() {
    let (without, with) = (
        holds("web", "", &[]),
        holds("web", "[window]\ncheck = true\n", &[]),
    );
    // What the generator sends is right; what comes back to software between is forwarded behind the checker's back.
    let hardware = |summary| number(summary, "packets", "hardware");
    let trapped = |summary| packets(summary, "to_host", "window");
    assert_eq!(trapped(&without), 0);
    assert!(hardware(&with) + 10 * trapped(&with) + 100 >= hardware(&without));
    assert!(
        trapped(&with) < hardware(&with) / 1_000,
        "{}",
        trapped(&with)
    );
}
