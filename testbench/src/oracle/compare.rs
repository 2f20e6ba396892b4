//! What differs between two answers.

use super::case::hex;
use super::kernel::{Entry, Fate};

/// What differs between our fate of a packet and the kernel's, in words.
pub fn fates(ours: &Fate, kernel: &Fate) -> Vec<String> {
    let mut out = Vec::new();
    if ours.seen != kernel.seen {
        out.push(format!(
            "ours {}, the kernel's {}",
            name(ours),
            name(kernel)
        ));
    } else if ours.events != kernel.events {
        out.push(format!(
            "events: ours {:?}, the kernel's {:?}",
            ours.events, kernel.events
        ));
    } else if ours.sent != kernel.sent {
        out.push(format!(
            "sent: ours {}, the kernel's {}",
            hex(&ours.sent),
            hex(&kernel.sent)
        ));
    }
    out
}

fn name(fate: &Fate) -> String {
    fate.seen
        .map_or_else(|| "not forwarded".to_owned(), |seen| format!("{seen:?}"))
}

/// What differs between two entries of the same tuple, in words. Timeouts may differ by a second, because one passes
/// while the kernel is asked.
pub fn entries(ours: &Entry, kernel: &Entry) -> Vec<String> {
    let mut out = Vec::new();
    let mut compare = |what: &str, ours: String, kernel: String| {
        if ours != kernel {
            out.push(format!("{what}: ours {ours}, the kernel's {kernel}"));
        }
    };
    compare(
        "tuples",
        format!("{:?}", ours.tuples),
        format!("{:?}", kernel.tuples),
    );
    let status = |entry: &Entry| format!("{:#x}", entry.status);
    compare("status", status(ours), status(kernel));
    compare(
        "protocol",
        format!("{:?}", ours.protocol),
        format!("{:?}", kernel.protocol),
    );
    compare(
        "counters",
        format!("{:?}", ours.counters),
        format!("{:?}", kernel.counters),
    );
    compare("mark", ours.mark.to_string(), kernel.mark.to_string());
    let zones = |entry: &Entry| format!("{} {:?}", entry.zone, entry.zones);
    compare("zone", zones(ours), zones(kernel));
    if !close(ours.timeout_s, kernel.timeout_s) {
        out.push(format!(
            "timeout: ours {:?} s, the kernel's {:?} s",
            ours.timeout_s, kernel.timeout_s
        ));
    }
    out
}

fn close(a: Option<u32>, b: Option<u32>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b) <= 1,
        (a, b) => a == b,
    }
}
