//! Cards that tell flows by other things, or by two entries a connection, through the whole path: the invariants hold.

mod common;

use common::{holds, number, removed};

const TWO: &str = "[key]\nentries = \"two\"\ningress_port = true\nvlan = true\n";

#[test]
fn a_connection_has_both_entries_or_none() {
    let (one, two) = (holds("web", "", &[]), holds("web", TWO, &[]));
    let [few, many] = [&one, &two].map(|summary| number(summary, "table", "peak_occupied"));
    assert!(many > few * 19 / 10, "{few} {many}");
    let offloaded = |summary| number(summary, "connections", "offloaded");
    assert_eq!(offloaded(&one), offloaded(&two));
    // Where tables are full, or entries give way to others, one of two is refused or lost now and then: the other goes too.
    // The monitors judge that.
    let small = "[table]\nbuckets = 512\n";
    let lru = "[table]\norganisation = \"set-associative\"\nvictim = \"lru\"\nbuckets = 512\nstash_entries = 0\n";
    for (table, cause) in [(small, "half"), (lru, "evicted")] {
        let summary = holds("web", &format!("{table}{TWO}"), &[]);
        assert!(number(&summary, "packets", "hardware") > 0, "{table}");
        assert!(
            removed(&summary, cause) > 10,
            "{cause}: {}",
            summary["connections"]
        );
    }
}
