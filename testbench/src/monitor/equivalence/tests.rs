use super::*;
use crate::bridge::Bridge;
use crate::marks::MarkRule;
use conntrack_core::{Config, HashKey};
use packet::TcpFlags;
use packet::build::FrameBuilder;

fn frame(reply: bool, flags: TcpFlags, seq: u32, ack: u32) -> Vec<u8> {
    let ends = [([10, 0, 0, 1], 1_000), ([10, 0, 0, 2], 80)];
    let [from, to] = if reply { [ends[1], ends[0]] } else { ends };
    let builder = FrameBuilder::new()
        .ethernet([2; 6], [4; 6])
        .ipv4(from.0, to.0);
    let builder = builder.tcp(from.1, to.1).flags(flags).seq(seq).ack(ack);
    builder.window(1_000).build()
}

/// A monitor that has seen a handshake, as has the system it watches; the next frame arrives.
fn with(next: &[u8], checks_windows: bool) -> (Equivalence, Tracker) {
    let tracker = || Tracker::new(Config::default(), HashKey([1, 2]));
    let mut system = tracker();
    let setup = Reference {
        checks_windows,
        ..Reference::default()
    };
    let mut monitor = Equivalence::new(tracker(), setup);
    let handshake = [
        frame(false, TcpFlags::SYN, 100, 0),
        frame(true, TcpFlags::SYN | TcpFlags::ACK, 500, 101),
        frame(false, TcpFlags::ACK, 101, 501),
    ];
    for (number, frame) in handshake.iter().enumerate() {
        let number = number as u64;
        monitor.arrived(
            (number, 0),
            frame,
            frame.len() as u32,
            &Parsed::default(),
            Picos::ZERO,
        );
        let verdict = system.track(&Packet::whole(&frame[14..]), Time(0));
        monitor.judge(&outcome(number, None, Some(verdict)));
    }
    assert_eq!(monitor.verdict().violations, 0);
    monitor.arrived(
        (9, 0),
        next,
        next.len() as u32,
        &Parsed::default(),
        Picos::from_micros(50),
    );
    (monitor, system)
}

fn outcome(number: u64, hardware: Option<bool>, verdict: Option<Verdict>) -> FrameOutcome {
    FrameOutcome {
        number,
        verdict,
        hardware,
        tuple: None,
        reason: None,
        leaving: false,
        remarking: false,
        refused: false,
        dropped: None,
        answered: None,
        latency: Picos::ZERO,
    }
}

fn counted(monitor: &Equivalence) -> (u64, u64) {
    let verdict = monitor.verdict();
    let by_design = verdict.counted.iter().map(|count| count.count).sum();
    (verdict.violations, by_design)
}

#[test]
fn what_the_card_forwards_must_be_of_the_connection_and_its_direction() {
    let good = frame(false, TcpFlags::ACK, 101, 501);
    for (from_originator, wrong) in [(true, 0), (false, 1)] {
        let (mut monitor, _) = with(&good, false);
        monitor.judge(&outcome(9, Some(from_originator), None));
        assert_eq!(counted(&monitor), (wrong, 0));
    }
}

#[test]
fn a_segment_outside_its_windows_may_only_pass_a_card_that_does_not_check() {
    let outside = frame(false, TcpFlags::ACK, 101 + 900_000, 501);
    for (checks, expected) in [(false, (0, 1)), (true, (1, 0))] {
        let (mut monitor, _) = with(&outside, checks);
        monitor.judge(&outcome(9, Some(true), None));
        assert_eq!(counted(&monitor), expected);
    }
}

#[test]
fn a_rule_about_marks_must_drop_the_same_in_hardware_but_while_the_mark_changes() {
    let marked = |mark: &str| {
        let rule = MarkRule::parse("tcp/80", Some(mark), None).expect("a rule");
        Action {
            kind: ActionKind::Mark,
            at: Picos::from_micros(40),
            network: None,
            image: None,
            mark: Some(rule),
        }
    };
    let next = frame(false, TcpFlags::ACK, 101, 501);
    for (mark, refused, remarking, expected) in [
        ("0x1/0x1", true, false, (0, 0)),
        ("0x1/0x1", false, false, (1, 0)),
        ("0x1/0x1", false, true, (0, 1)),
        ("0x2/0x2", true, false, (1, 0)),
        ("0x2/0x2", false, false, (0, 0)),
    ] {
        let (mut monitor, _) = with(&next, false);
        monitor.setup.bridge.drop_marked = Some((1, 1));
        monitor.expected.clear();
        monitor.acts(marked(mark));
        let length = next.len() as u32;
        let at = Picos::from_micros(50);
        monitor.arrived((9, 0), &next, length, &Parsed::default(), at);
        monitor.judge(&FrameOutcome {
            refused,
            remarking,
            dropped: refused.then_some(DropReason::BehindCt),
            ..outcome(9, (!refused).then_some(true), None)
        });
        assert_eq!(counted(&monitor), expected, "{mark} {refused} {remarking}");
    }
}

#[test]
fn a_packet_must_leave_with_the_bytes_that_translation_gives_it() {
    let bridge = Bridge {
        network: crate::traffic::translated::Network::parse("100.64.0.0/10"),
        ..Bridge::default()
    };
    let syn = frame(false, TcpFlags::SYN, 100, 0);
    let mut mapped = FrameBuilder::new().ethernet([2; 6], [4; 6]);
    mapped = mapped.ipv4([100, 64, 0, 1], [10, 0, 0, 2]).tcp(1_000, 80);
    let mapped = mapped.flags(TcpFlags::SYN).seq(100).window(1_000).build();
    for (left, wrong) in [(&mapped, 0), (&syn, 1)] {
        let tracker = Tracker::new(Config::default(), HashKey([1, 2]));
        let setup = Reference {
            bridge: bridge.clone(),
            ..Reference::default()
        };
        let mut monitor = Equivalence::new(tracker, setup);
        let length = syn.len() as u32;
        monitor.arrived((1, 0), &syn, length, &Parsed::default(), Picos::ZERO);
        monitor.sent(1, left);
        let mut system = Tracker::new(Config::default(), HashKey([1, 2]));
        let verdict = system.track(&Packet::whole(&syn[14..]), Time(0));
        monitor.judge(&outcome(1, None, Some(verdict)));
        assert_eq!(
            counted(&monitor),
            (wrong, 0),
            "{:?}",
            monitor.verdict().first
        );
    }
}

#[test]
fn what_software_never_saw_explains_what_it_says_later() {
    let good = frame(false, TcpFlags::ACK, 101, 501);
    let (mut monitor, mut system) = with(&good, false);
    monitor.judge(&FrameOutcome {
        dropped: Some(nic_model::DropReason::NoReceiveBuffer),
        ..outcome(9, None, None)
    });
    let next = frame(true, TcpFlags::ACK, 501, 101);
    monitor.arrived(
        (10, 0),
        &next,
        60,
        &Parsed::default(),
        Picos::from_micros(60),
    );
    let outside = frame(true, TcpFlags::ACK, 501, 901_000);
    let invalid = system.track(&Packet::whole(&outside[14..]), Time(0));
    monitor.judge(&outcome(10, None, Some(invalid)));
    assert_eq!(counted(&monitor), (0, 2));
}

#[test]
fn a_good_packet_called_invalid_is_a_violation_with_its_story() {
    let good = frame(false, TcpFlags::ACK, 101, 501);
    let (mut monitor, mut system) = with(&good, false);
    let outside = frame(false, TcpFlags::ACK, 101 + 900_000, 501);
    let invalid = system.track(&Packet::whole(&outside[14..]), Time(0));
    assert_eq!(invalid.ctinfo, CtInfo::Invalid);
    monitor.judge(&outcome(9, None, Some(invalid)));
    let verdict = monitor.verdict();
    assert_eq!(verdict.violations, 1);
    let story = &verdict.first[0];
    for part in [
        "10.0.0.1:1000",
        "became INVALID",
        "ESTABLISHED",
        "--wave-window 30us..80us",
    ] {
        assert!(story.contains(part), "{story}");
    }
}
