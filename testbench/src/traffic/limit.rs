//! Where traffic stops: after so many frames, after so much time, or at its own end.

use crate::frame::{Burst, Traffic};
use nic_model::clock::Picos;

/// When a run's traffic stops; the earlier of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stop {
    /// After so many frames.
    pub packets: Option<u64>,
    /// At this time: frames that arrive later are not sent.
    pub at: Option<Picos>,
}

impl Stop {
    /// Whether the traffic goes on until its own end.
    pub fn is_never(self) -> bool {
        self.packets.is_none() && self.at.is_none()
    }
}

/// A source that stops.
pub struct Limited {
    source: Box<dyn Traffic>,
    left: u64,
    total: Option<u64>,
    until: Option<Picos>,
    spare: Burst,
    /// Frames of `spare` already given.
    taken: usize,
}

impl Limited {
    /// `source` up to `stop`.
    pub fn new(source: Box<dyn Traffic>, stop: Stop) -> Self {
        let total = match (stop.packets, source.total_frames()) {
            (Some(packets), Some(total)) => Some(packets.min(total)),
            (packets, total) => packets.or(total),
        };
        Self {
            total: if stop.at.is_some() { None } else { total },
            left: stop.packets.unwrap_or(u64::MAX),
            until: stop.at,
            source,
            spare: Burst::default(),
            taken: 0,
        }
    }

    /// Frame by frame, where one of them may be the last.
    fn fill_carefully(&mut self, burst: &mut Burst) {
        while burst.room() > 0 && self.left > 0 {
            if self.taken == self.spare.len() {
                self.spare.clear();
                self.taken = 0;
                self.source.fill(&mut self.spare);
                if self.spare.is_empty() {
                    self.left = 0;
                    return;
                }
            }
            let (meta, bytes) = self.spare.frame(self.taken);
            if self.until.is_some_and(|until| meta.arrival > until) {
                self.left = 0;
                return;
            }
            burst.push(*meta, bytes);
            self.taken += 1;
            self.left -= 1;
        }
    }
}

impl Traffic for Limited {
    fn fill(&mut self, burst: &mut Burst) {
        let room = burst.room() as u64;
        if self.until.is_some() || self.left < room || self.taken < self.spare.len() {
            return self.fill_carefully(burst);
        }
        self.source.fill(burst);
        self.left -= room - burst.room() as u64;
    }

    fn total_frames(&self) -> Option<u64> {
        self.total
    }

    fn flow_count(&self) -> u32 {
        self.source.flow_count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::take;
    use super::super::{CrrConfig, TrafficConfig, build};
    use super::*;

    fn limited(connections: u64, stop: Stop) -> Limited {
        let config = CrrConfig {
            connections: Some(connections),
            ..CrrConfig::default()
        };
        Limited::new(build(&TrafficConfig::Crr(config), 1).unwrap(), stop)
    }

    #[test]
    fn the_first_frames_come_through_unchanged_and_no_more() {
        let whole = take(&mut limited(100, Stop::default()), usize::MAX);
        assert_eq!(whole.len(), 800);
        for packets in [1, 31, 32, 33, 500, 800, 5_000] {
            let mut source = limited(
                100,
                Stop {
                    packets: Some(packets),
                    at: None,
                },
            );
            let frames = take(&mut source, usize::MAX);
            assert_eq!(source.total_frames(), Some(packets.min(800)));
            assert_eq!(frames, whole[..packets.min(800) as usize]);
            assert!(take(&mut source, usize::MAX).is_empty());
        }
    }

    #[test]
    fn time_stops_it_too() {
        let whole = take(&mut limited(1_000, Stop::default()), usize::MAX);
        let at = Picos::from_millis(3);
        let expected = whole
            .iter()
            .take_while(|(meta, _)| meta.arrival <= at)
            .count();
        assert!(expected > 100 && expected < whole.len());
        let mut source = limited(
            1_000,
            Stop {
                packets: None,
                at: Some(at),
            },
        );
        assert_eq!(source.total_frames(), None);
        assert_eq!(take(&mut source, usize::MAX), whole[..expected]);
        let mut both = limited(
            1_000,
            Stop {
                packets: Some(50),
                at: Some(at),
            },
        );
        assert_eq!(take(&mut both, usize::MAX), whole[..50]);
    }
}
