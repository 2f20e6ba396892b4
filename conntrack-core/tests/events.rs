//! What is told of a connection's life, and what of it is said to have changed.

use conntrack_core::{Changes, Config, DestroyCause, EventKind, HashKey, Packet, Time, Tracker};
use packet::TcpFlags;
use packet::build::FrameBuilder;

const NOW: Time = Time::from_secs(1);

fn segment(from_client: bool, flags: TcpFlags, seq: u32, ack: u32) -> Vec<u8> {
    let builder = FrameBuilder::new().ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let builder = if from_client {
        builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(4_000, 80)
    } else {
        builder.ipv4([10, 0, 0, 2], [10, 0, 0, 1]).tcp(80, 4_000)
    };
    builder.flags(flags).seq(seq).ack(ack).build()
}

fn told(tracker: &mut Tracker, frame: &[u8]) -> Vec<EventKind> {
    tracker.track(&Packet::whole(&frame[14..]), NOW);
    let events = tracker.take_events();
    events.into_iter().map(|event| event.kind).collect()
}

fn changes(events: &[EventKind]) -> Changes {
    let [EventKind::Update(changes)] = events else {
        panic!("one update expected: {events:?}");
    };
    *changes
}

#[test]
fn a_handshake_is_told_as_new_reply_and_assured() {
    let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
    tracker.record_events(true);
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let events = told(&mut tracker, &segment(true, syn, 100, 0));
    assert!(matches!(events[..], [EventKind::New]));
    let both = TcpFlags(syn.0 | ack.0);
    let events = told(&mut tracker, &segment(false, both, 500, 101));
    assert_eq!(
        changes(&events),
        Changes(Changes::REPLY.0 | Changes::PROTOCOL.0)
    );
    let events = told(&mut tracker, &segment(true, ack, 101, 501));
    assert_eq!(
        changes(&events),
        Changes(Changes::ASSURED.0 | Changes::PROTOCOL.0)
    );
    // Data is no event.
    assert!(told(&mut tracker, &segment(true, ack, 101, 501)).is_empty());
}

#[test]
fn a_mark_is_told_once_and_an_end_with_its_cause() {
    let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
    tracker.record_events(true);
    told(&mut tracker, &segment(true, TcpFlags::SYN, 100, 0));
    let (id, _) = tracker.iter().next().expect("a connection");
    assert!(tracker.set_mark(id, 7, NOW) && tracker.set_mark(id, 7, NOW));
    let events: Vec<EventKind> = tracker
        .take_events()
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(changes(&events), Changes::MARK);
    // A reset before any reply ends it.
    let reset = TcpFlags(TcpFlags::RST.0 | TcpFlags::ACK.0);
    let events = told(&mut tracker, &segment(false, reset, 0, 101));
    let [EventKind::Destroy { cause, last }] = &events[..] else {
        panic!("an end expected: {events:?}");
    };
    assert_eq!((*cause, last.mark()), (DestroyCause::Reset, 7));
    assert!(!tracker.set_mark(id, 8, NOW));
}

#[test]
fn a_datagram_is_given_with_the_packet_that_completed_it_alone() {
    let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
    let fragment = |offset: u8, more: u8, payload: &[u8]| {
        let mut packet = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 7, more, offset];
        packet.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let sum = packet::checksum::checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(payload);
        packet
    };
    let first = fragment(0, 0x20, &[0x0f, 0xa0, 0, 53, 0, 16, 0, 0]);
    let last = fragment(1, 0, &[1; 8]);
    tracker.track(&Packet::whole(&first), NOW);
    assert_eq!(tracker.take_reassembled(), None);
    tracker.track(&Packet::whole(&last), NOW);
    // Whoever does not take it has lost it: it is not the next packet's.
    tracker.track(
        &Packet::whole(&segment(true, TcpFlags::SYN, 1, 0)[14..]),
        NOW,
    );
    assert_eq!(tracker.take_reassembled(), None);
    tracker.track(&Packet::whole(&first), NOW);
    tracker.track(&Packet::whole(&last), NOW);
    assert_eq!(
        tracker.take_reassembled().map(|whole| whole.len()),
        Some(36)
    );
}

#[test]
fn an_almost_full_table_loses_what_nobody_would_miss_when_it_is_collected() {
    let config = Config {
        max: 100,
        ..Config::default()
    };
    let mut tracker = Tracker::new(config, HashKey([1, 2]));
    let datagram = |port| {
        let builder = FrameBuilder::new().ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        builder.udp(port, 53).build()
    };
    for port in 1..=94 {
        tracker.track(&Packet::whole(&datagram(port)), NOW);
    }
    assert_eq!(tracker.collect(NOW, 1_000), 0);
    tracker.record_events(true);
    for port in 95..=100 {
        tracker.track(&Packet::whole(&datagram(port)), NOW);
    }
    tracker.take_events();
    assert_eq!(tracker.collect(NOW, 1_000), 6);
    let early = |kind: &EventKind| {
        let EventKind::Destroy { cause, .. } = kind else {
            return false;
        };
        *cause == DestroyCause::EarlyDrop
    };
    let events = tracker.take_events();
    assert_eq!(events.iter().filter(|event| early(&event.kind)).count(), 6);
    assert_eq!(tracker.len(), 94);
}
