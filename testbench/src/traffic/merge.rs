//! Several sources as one, in order of time.
//!
//! Flow ids of the sources are mapped to common ones in blocks, so that two sources never share one and
//! the map stays small; up to 31 ids per source go unused.

use crate::frame::{Burst, FrameMeta, Traffic};
use nic_model::clock::Picos;

/// Flow ids handed to a source at once.
const BLOCK: u32 = 32;

/// Several sources as one.
pub struct Merge {
    sources: Vec<Input>,
    next_block: u32,
    frames: u64,
}

struct Input {
    source: Box<dyn Traffic>,
    ahead: Burst,
    /// Frames of `ahead` already given.
    taken: usize,
    /// Arrival of the next frame; [`Picos::NEVER`] at the end.
    next: Picos,
    /// For every block of the source's flow ids the first of the common ids.
    blocks: Vec<u32>,
}

impl Input {
    fn look_ahead(&mut self) {
        if self.taken == self.ahead.len() {
            self.ahead.clear();
            self.taken = 0;
            self.source.fill(&mut self.ahead);
        }
        self.next = match self.taken < self.ahead.len() {
            true => self.ahead.frame(self.taken).0.arrival,
            false => Picos::NEVER,
        };
    }

    /// The common id of the source's `flow`.
    #[inline]
    fn flow(&mut self, flow: u32, next_block: &mut u32) -> u32 {
        if flow == FrameMeta::NO_FLOW {
            return flow;
        }
        let block = (flow / BLOCK) as usize;
        while self.blocks.len() <= block {
            // Ids that have run out are shared at the very top; four billion flows are beyond any run.
            self.blocks.push(*next_block);
            *next_block = next_block.saturating_add(BLOCK).min(u32::MAX - BLOCK);
        }
        self.blocks[block] + flow % BLOCK
    }
}

impl Merge {
    /// All of `sources`; frames that arrive at the same time come in the order of their sources.
    pub fn new(sources: Vec<Box<dyn Traffic>>) -> Self {
        let ready = |source| {
            let mut input = Input {
                source,
                ahead: Burst::default(),
                taken: 0,
                next: Picos::NEVER,
                blocks: Vec::new(),
            };
            input.look_ahead();
            input
        };
        Self {
            sources: sources.into_iter().map(ready).collect(),
            next_block: 0,
            frames: 0,
        }
    }
}

impl Traffic for Merge {
    fn fill(&mut self, burst: &mut Burst) {
        while burst.room() > 0 {
            // A handful of sources: looking at each is faster than a heap.
            let Some(input) = self.sources.iter_mut().min_by_key(|input| input.next) else {
                return;
            };
            if input.taken == input.ahead.len() {
                return;
            }
            let flow = input.ahead.frame(input.taken).0.flow;
            let flow = input.flow(flow, &mut self.next_block);
            let (meta, bytes) = input.ahead.frame(input.taken);
            self.frames += 1;
            burst.push(
                FrameMeta {
                    flow,
                    number: self.frames,
                    ..*meta
                },
                bytes,
            );
            input.taken += 1;
            input.look_ahead();
        }
    }

    fn total_frames(&self) -> Option<u64> {
        self.sources
            .iter()
            .map(|input| input.source.total_frames())
            .sum()
    }

    fn flow_count(&self) -> u32 {
        self.next_block
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checker, take};
    use super::super::{
        CrrConfig, Stop, SynFloodConfig, TcpSessionsConfig, TrafficConfig, UdpQueriesConfig,
        build_all,
    };
    use super::*;

    fn configs() -> Vec<TrafficConfig> {
        vec![
            TrafficConfig::TcpSessions(TcpSessionsConfig {
                sessions: Some(200),
                ..TcpSessionsConfig::default()
            }),
            TrafficConfig::UdpQueries(UdpQueriesConfig {
                queries: Some(300),
                ..UdpQueriesConfig::default()
            }),
            TrafficConfig::Crr(CrrConfig {
                connections: Some(100),
                ..CrrConfig::default()
            }),
            TrafficConfig::SynFlood(SynFloodConfig {
                syns: Some(500),
                server_network: Some(0),
                ..SynFloodConfig::default()
            }),
        ]
    }

    /// The checker also holds every flow id to one tuple.
    #[test]
    fn merged_sources_stay_whole_and_in_order() {
        let mut merged = build_all(&configs(), 6, Stop::default()).unwrap();
        let frames = take(merged.as_mut(), usize::MAX);
        let report = Checker::run(&frames);
        assert_eq!(
            (report.sessions, report.datagrams[0], report.half_open),
            (800, 300, 500)
        );
        let flows = merged.flow_count();
        assert!(
            (1_100..1_100 + 4 * BLOCK).contains(&flows),
            "{flows} flow ids"
        );
        assert!(frames.iter().all(|(meta, _)| meta.flow < flows));
    }

    #[test]
    fn every_source_gives_the_frames_it_gives_alone() {
        let merged = take(
            build_all(&configs(), 6, Stop::default()).unwrap().as_mut(),
            usize::MAX,
        );
        let mut alone = 0;
        for (number, config) in configs().iter().enumerate() {
            let mut source = super::super::build_numbered(config, 6, number as u8).unwrap();
            let frames = take(source.as_mut(), usize::MAX);
            alone += frames.len();
            // In the order of the merged frames, if others are skipped.
            let mut at = merged.iter();
            for (meta, bytes) in &frames {
                let found =
                    at.any(|(other, merged)| other.arrival == meta.arrival && merged == bytes);
                assert!(found, "frame {} of source {number} is missing", meta.number);
            }
        }
        assert_eq!(alone, merged.len());
    }

    #[test]
    fn sources_that_would_mix_their_connections_are_refused() {
        let mut configs = configs();
        configs.push(TrafficConfig::Crr(CrrConfig {
            server_network: Some(0),
            ..CrrConfig::default()
        }));
        let error = build_all(&configs, 6, Stop::default())
            .err()
            .unwrap()
            .to_string();
        let expected =
            "traffic[4]: crr: server_network = 0 is impossible: another source has this network";
        assert!(error.starts_with(expected), "{error}");
    }
}
