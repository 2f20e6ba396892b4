//! As `conntrack -E` prints.

use super::conntrack_tools::{Options, write_line};
use crate::event::{Event, EventKind};
use crate::tracker::Tracker;

/// The line of an event, without its end; `None` if the connection is gone by now and the event did not keep it,
/// or if it is about an expectation ([`super::conntrack_expect`]).
///
/// With `timestamp` (`-o timestamp`) the time comes first, seconds and microseconds of the caller's clock.
pub fn line(
    tracker: &Tracker,
    event: &Event,
    options: Options<'_>,
    timestamp: bool,
) -> Option<String> {
    let (label, connection) = match &event.kind {
        EventKind::New => ("    [NEW] ", tracker.connection(event.connection)?),
        EventKind::Update(_) => (" [UPDATE] ", tracker.connection(event.connection)?),
        EventKind::Destroy { last, .. } => ("[DESTROY] ", &**last),
        EventKind::Expect(_) | EventKind::Unexpect(_) => return None,
    };
    let mut out = String::new();
    if timestamp {
        let micros = event.at.0 / 1_000;
        out = format!("[{}.{:06}]\t", micros / 1_000_000, micros % 1_000_000);
    }
    out.push_str(label);
    // Counters are told when a connection ends.
    let counters = options.counters && matches!(event.kind, EventKind::Destroy { .. });
    let options = Options {
        counters,
        ..options
    };
    write_line(&mut out, connection, event.at, options, false).ok()?;
    out.truncate(out.trim_end().len());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, HashKey, Packet, Time};

    #[test]
    fn a_new_flow_is_told_as_the_tool_tells_it() {
        let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
        tracker.record_events(true);
        let query = [
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x8e, 0x9b, 192, 0, 2, 1, 198, 51, 100, 1, 0x0f,
            0xa0, 0, 53, 0, 8, 0, 0,
        ];
        tracker.track(&Packet::whole(&query), Time(1_500_000_000));
        let events = tracker.take_events();
        let told = line(&tracker, &events[0], Options::default(), true);
        let expected = "[1.500000]\t    [NEW] udp      17 30 src=192.0.2.1 dst=198.51.100.1 sport=4000 dport=53 \
                        [UNREPLIED] src=198.51.100.1 dst=192.0.2.1 sport=53 dport=4000";
        assert_eq!(told.as_deref(), Some(expected));
    }
}
