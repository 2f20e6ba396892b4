//! Counters of other widths and habits, idle entries that the card takes out by itself or asks about: through the whole path.

mod common;

use common::{holds, number, removed, run};

#[test]
fn nothing_counted_is_lost() {
    // Counters that wrap several times a second, read often enough.
    let narrow =
        "[counter]\npacket_bits = 8\nbyte_bits = 20\n[firmware]\ncounter_interval_ms = 10\n";
    holds("web", narrow, &[]);
    // Records written before an entry is deleted, read after it.
    holds("web", "[counter]\nclear_on_read = true\n", &[]);
    // Read too seldom: the monitor sees it.
    let saturating = "[counter]\npacket_bits = 6\noverflow = \"saturate\"\n";
    let (code, summary) = run("web", saturating, &[]);
    assert_eq!(code, Some(3), "{}", summary["monitors"]);
}

#[test]
fn idle_entries_leave_as_the_card_does_it() {
    let card = |action: &str, more: &str| {
        let times = "udp_timeout_ms = 100\ntcp_timeout_ms = 100\nscan_period_ms = 25\n";
        format!("[aging]\naction = \"{action}\"\n{times}{more}")
    };
    let reported = holds("web", &card("report", ""), &[]);
    let evicted = holds("web", &card("evict", ""), &[]);
    // The final counters of one entry are under way while the other is being deleted.
    let both = "[key]\nentries = \"two\"\n[counter]\nclear_on_read = true\n";
    let two = holds("web", &card("evict", both), &[]);
    for summary in [reported, evicted, two] {
        assert!(
            removed(&summary, "aged") > 3_000,
            "{}",
            summary["connections"]
        );
    }
    // TCP stays for five days, UDP for two minutes: nothing that short an idleness ends.
    let asked = holds("web", &card("ask", ""), &[]);
    assert_eq!(removed(&asked, "aged"), 0);
    assert!(number(&asked, "connections", "in_hardware_at_end") > 3_000);
}
