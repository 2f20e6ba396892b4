//! Offload what sends fast: a slow connection, however old, costs the host little.

use super::{Candidate, Policy};
use crate::explain::Why;
use conntrack_core::Time;

/// Over which time bytes are counted.
const WINDOW: Time = Time::from_secs(1);

/// What is counted of a connection: 24 bytes, kept by its index.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    generation: u32,
    bytes: u64,
    since: Time,
}

/// So many bytes within a second.
pub(super) struct Rate {
    bytes_per_second: u64,
    counts: Vec<Count>,
}

impl Rate {
    pub(super) const fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            counts: Vec::new(),
        }
    }
}

impl Policy for Rate {
    fn name(&self) -> String {
        format!("rate:{}", self.bytes_per_second)
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        let index = candidate.id.index() as usize;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, Count::default());
        }
        let count = &mut self.counts[index];
        let is_other = count.generation != candidate.id.generation();
        if is_other || count.since + WINDOW <= candidate.now {
            *count = Count {
                generation: candidate.id.generation(),
                bytes: 0,
                since: candidate.now,
            };
        }
        count.bytes += u64::from(candidate.packet_bytes);
        if count.bytes >= self.bytes_per_second {
            return Ok(());
        }
        Err(Why::Slow)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pressure;
    use super::super::tests::{ask, connections};
    use super::*;

    #[test]
    fn bytes_count_for_a_second_and_for_one_connection() {
        let (tracker, ids) = connections(2, 53);
        let mut policy = Rate::new(3_000);
        let mut sends = |id: usize, ms: u64| {
            let at = Time(ms * 1_000_000);
            let connection = (&tracker, ids[id]);
            ask(&mut policy, connection, (at, 1_000), Pressure::default()).is_ok()
        };
        // A thousand bytes each 400 ms are 3,000 within any second that begins with one of them.
        let fast = [sends(0, 0), sends(0, 400), sends(0, 800)];
        assert_eq!(fast, [false, false, true]);
        let slow = [sends(1, 0), sends(1, 600), sends(1, 1_200), sends(1, 1_800)];
        assert_eq!(slow, [false; 4]);
    }
}
