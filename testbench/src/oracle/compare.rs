//! What differs between two answers.

use super::case::hex;
use super::kernel::{Entry, Expected, Fate, Happened};

/// What differs between our fate of a packet and the kernel's, in words.
pub fn fates(ours: &Fate, kernel: &Fate) -> Vec<String> {
    let mut out = Vec::new();
    if ours.seen != kernel.seen {
        out.push(format!(
            "ours {}, the kernel's {}",
            name(ours),
            name(kernel)
        ));
    } else if told(ours) != told(kernel) {
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

/// What happened. Of a packet that was dropped, without what a connection announced that never came about: which port it
/// announced is chance, and nothing shows the kernel's choice.
fn told(fate: &Fate) -> Vec<&(Happened, String)> {
    let passing = |(happened, what): &(Happened, String)| {
        let opposite = match happened {
            Happened::Expect => Happened::Unexpect,
            Happened::Unexpect => Happened::Expect,
            _ => return false,
        };
        fate.seen.is_none() && fate.events.contains(&(opposite, what.clone()))
    };
    fate.events.iter().filter(|event| !passing(event)).collect()
}

fn name(fate: &Fate) -> String {
    fate.seen
        .map_or_else(|| "not forwarded".to_owned(), |seen| format!("{seen:?}"))
}

/// What differs between two entries of the same tuple, in words. Timeouts may differ by a second, because one passes
/// while the kernel is asked, and by one more for each time that the clock was turned.
pub fn entries(ours: &Entry, kernel: &Entry, turns: u32) -> Vec<String> {
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
    compare("labels", hex(&ours.labels), hex(&kernel.labels));
    let zones = |entry: &Entry| format!("{} {:?}", entry.zone, entry.zones);
    compare("zone", zones(ours), zones(kernel));
    let words = |entry: &Entry| {
        format!(
            "helper {:?} master {:?} shifts {:?}",
            entry.helper, entry.master, entry.shifts
        )
    };
    compare("announcements", words(ours), words(kernel));
    if !close(ours.timeout_s, kernel.timeout_s, 1 + turns) {
        out.push(format!(
            "timeout: ours {:?} s, the kernel's {:?} s",
            ours.timeout_s, kernel.timeout_s
        ));
    }
    out
}

/// What differs between what is expected, in words.
pub fn expectations(ours: &[Expected], kernel: &[Expected]) -> Vec<String> {
    let same = ours.len() == kernel.len()
        && ours.iter().zip(kernel).all(|(ours, kernel)| {
            ours.what == kernel.what && close(Some(ours.timeout_s), Some(kernel.timeout_s), 1)
        });
    if same {
        return Vec::new();
    }
    vec![format!("expected: ours {ours:?}, the kernel's {kernel:?}")]
}

fn close(a: Option<u32>, b: Option<u32>, slack: u32) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b) <= slack,
        (a, b) => a == b,
    }
}
