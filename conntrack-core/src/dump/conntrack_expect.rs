//! As `conntrack -L expect` and `conntrack -E expect` print, and `/proc/net/nf_conntrack_expect` has it.

use super::{family_name, full};
use crate::event::{Event, EventKind};
use crate::expectation::{Expectation, Expected};
use crate::helper::Helper;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::Tuple;
use std::fmt::Write;

/// All expectations, oldest first, one line each.
pub fn list(tracker: &Tracker, now: Time) -> String {
    let mut out = String::new();
    for (_, expected) in tracker.expectations() {
        out.push_str(&line(tracker, expected, now));
        out.push('\n');
    }
    out
}

/// One expectation, without the line's end.
pub fn line(tracker: &Tracker, expected: &Expected, now: Time) -> String {
    let Expectation { tuple, mask, .. } = &expected.expectation;
    let seconds = expected.remaining(now).as_secs();
    let master = &expected.master_tuple;
    let mut out = format!("{seconds} proto={} ", tuple.protocol);
    write_tuple(&mut out, "", tuple);
    let everything = Tuple {
        source: mask.address,
        destination: [0xff; 16],
        source_id: mask.id,
        destination_id: u16::MAX,
        ..*tuple
    };
    write_tuple(&mut out, "mask-", &everything);
    write_tuple(&mut out, "master-", master);
    out.push_str(&flags(&expected.expectation));
    let class = expected.expectation.class;
    // Writing to a String cannot fail.
    write!(
        out,
        "class={class} helper={}",
        helper_name(tracker, expected)
    )
    .ok();
    out
}

fn write_tuple(out: &mut String, prefix: &str, tuple: &Tuple) {
    // Writing to a String cannot fail.
    write!(
        out,
        "{prefix}src={} {prefix}dst={} sport={} dport={} ",
        tuple.source_ip(),
        tuple.destination_ip(),
        tuple.source_id,
        tuple.destination_id
    )
    .ok();
}

/// What sets an expectation apart, with a space behind it.
fn flags(expectation: &Expectation) -> String {
    let flags = [
        (expectation.permanent, "PERMANENT"),
        (expectation.inactive, "INACTIVE"),
    ];
    let names = flags
        .iter()
        .filter_map(|(is_so, name)| is_so.then_some(*name));
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return String::new();
    }
    names.join(",") + " "
}

fn helper_name<'a>(tracker: &'a Tracker, expected: &Expected) -> &'a str {
    tracker
        .helper(expected.master_helper)
        .map_or("", Helper::name)
}

/// The line of an event, without its end; `None` if it is not about an expectation.
pub fn event_line(tracker: &Tracker, event: &Event) -> Option<String> {
    let (label, expected) = match &event.kind {
        EventKind::Expect(expected) => ("    [NEW] ", expected),
        EventKind::Unexpect(expected) => ("[DESTROY] ", expected),
        _ => return None,
    };
    Some(format!("{label}{}", line(tracker, expected, event.at)))
}

/// `/proc/net/nf_conntrack_expect`.
pub fn proc_list(tracker: &Tracker, now: Time) -> String {
    let mut out = String::new();
    for (_, expected) in tracker.expectations() {
        let Expectation { tuple, class, .. } = &expected.expectation;
        write!(out, "{} ", expected.remaining(now).as_secs()).ok();
        let (_, family) = family_name(tuple.family);
        write!(out, "l3proto = {family} proto={} ", tuple.protocol).ok();
        write!(
            out,
            "src={} dst={} sport={} dport={} ",
            full(tuple.source_ip()),
            full(tuple.destination_ip()),
            tuple.source_id,
            tuple.destination_id
        )
        .ok();
        out.push_str(&flags(&expected.expectation));
        let helper = tracker.helper(expected.master_helper);
        out.push_str(helper.map_or("", Helper::name));
        let policy = helper.and_then(|helper| helper.policies().get(*class));
        if let Some(policy) = policy.filter(|policy| !policy.name.is_empty()) {
            write!(out, "/{}", policy.name).ok();
        }
        out.push('\n');
    }
    out
}
