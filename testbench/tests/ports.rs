//! Ports that damage frames or stop their neighbours, through the whole path: the invariants hold.

mod common;

use common::{holds, number, packets};

#[test]
fn damaged_frames_are_dropped_or_sent_on_too_early() {
    let errors = "[port]\nbit_errors_e12 = 100000\n";
    let stored = holds("web", errors, &[]);
    let cut = holds("web", &format!("{errors}store_and_forward = false\n"), &[]);
    // 1 in 10 million bits.
    let bits = 8 * (number(&stored, "packets", "received_bytes") + 4 * common::PACKETS);
    let damaged = packets(&stored, "dropped", "bad-fcs") as f64;
    let expected = bits as f64 / 1e7;
    assert!(
        (damaged - expected).abs() < 4.0 * expected.sqrt(),
        "{damaged} of {expected}"
    );
    let stomped = number(&cut, "table", "stomped") as f64;
    assert!(stomped > expected * 0.9, "{stomped}");
    assert!(packets(&cut, "dropped", "bad-fcs") < 50);
}

#[test]
fn a_neighbour_that_is_stopped_keeps_its_frames() {
    let slow = "[pipeline]\nclock_khz = 10000\n[port]\nreceive_fifo_bytes = 20000\n";
    let pause = "pause = true\npause_above_bytes = 10000\npause_below_bytes = 4000\n";
    let lossy = holds("web", slow, &[]);
    let paused = holds("web", &format!("{slow}{pause}"), &[]);
    assert!(packets(&lossy, "dropped", "receive-fifo-full") > 1_000);
    assert_eq!(packets(&paused, "dropped", "receive-fifo-full"), 0);
    assert!(number(&paused, "table", "pauses") > 100);
}
