//! Invariant 6: packets of one flow that overtake each other between slow and fast path are counted.
//!
//! A connection that goes into hardware has packets on both ways for a while: those the card forwards pass those that still
//! wait for the host. That is no fault of anybody, but receivers see it, so it is counted and never a violation.

use super::Ledger;
use crate::frame::FrameMeta;
use crate::summary::{CauseCount, MonitorVerdict};
use nic_model::clock::Picos;
use std::collections::BTreeMap;

/// A frame on its way through the host.
#[derive(Debug)]
struct Waiting {
    tag: u64,
    /// When the first of those that came after it left, if one did.
    overtaken: Option<Picos>,
}

/// Follows the frames of every flow that are on their way through the host.
#[derive(Debug, Default)]
pub struct Order {
    /// By flow and port of arrival: one direction of one flow.
    waiting: BTreeMap<(u32, u8), Vec<Waiting>>,
    /// How many frames of each flow wait: nearly always none, which must cost nothing.
    busy: Vec<u16>,
    left: u64,
    overtaken: u64,
    longest: Picos,
}

impl Order {
    /// A frame goes to the host.
    pub fn to_host(&mut self, meta: &FrameMeta) {
        if meta.flow == FrameMeta::NO_FLOW {
            return;
        }
        let flow = meta.flow as usize;
        if flow >= self.busy.len() {
            self.busy.resize(flow + 1, 0);
        }
        self.busy[flow] = self.busy[flow].saturating_add(1);
        let place = self.waiting.entry((meta.flow, meta.port)).or_default();
        place.push(Waiting {
            tag: meta.number,
            overtaken: None,
        });
    }

    /// The card sends a frame on at `departs`.
    #[inline]
    pub fn left_in_hardware(&mut self, meta: &FrameMeta, departs: Picos) {
        self.left += 1;
        if self.busy.get(meta.flow as usize).copied().unwrap_or(0) > 0 {
            self.passes((meta.flow, meta.port), meta.number, departs);
        }
    }

    /// All frames that came before this one and still wait are overtaken.
    fn passes(&mut self, direction: (u32, u8), tag: u64, at: Picos) {
        let Some(waiting) = self.waiting.get_mut(&direction) else {
            return;
        };
        for frame in waiting.iter_mut().filter(|frame| frame.tag < tag) {
            let first = frame.overtaken.map_or(at, |before| before.min(at));
            frame.overtaken = Some(first);
        }
    }

    /// A frame that went to the host left a port at `at`, or ended otherwise.
    pub fn ended(&mut self, (flow, port): (u32, u8), tag: u64, left: Option<Picos>) {
        let Some(waiting) = self.waiting.get_mut(&(flow, port)) else {
            return;
        };
        let Some(place) = waiting.iter().position(|frame| frame.tag == tag) else {
            return;
        };
        let frame = waiting.remove(place);
        if waiting.is_empty() {
            self.waiting.remove(&(flow, port));
        }
        if let Some(busy) = self.busy.get_mut(flow as usize) {
            *busy = busy.saturating_sub(1);
        }
        let Some(at) = left else { return };
        self.left += 1;
        if let Some(before) = frame.overtaken.filter(|before| *before < at) {
            self.overtaken += 1;
            self.longest = self.longest.max(at - before);
        }
        self.passes((flow, port), tag, at);
    }

    /// What was counted.
    pub fn verdict(&self) -> MonitorVerdict {
        let mut verdict = Ledger::default().verdict(
            6,
            "order",
            "packets of one flow that overtake each other between slow and fast path are counted",
        );
        verdict.checks = self.left;
        if self.overtaken > 0 {
            verdict.counted = vec![
                CauseCount {
                    cause: "overtaken by later ones of their flow".to_owned(),
                    count: self.overtaken,
                },
                CauseCount {
                    cause: "ns at most".to_owned(),
                    count: self.longest.as_nanos(),
                },
            ];
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(number: u64) -> FrameMeta {
        FrameMeta {
            arrival: Picos::ZERO,
            port: 0,
            wire_len: 60,
            flow: 3,
            number,
        }
    }

    fn overtaken(order: &Order) -> u64 {
        order
            .verdict()
            .counted
            .first()
            .map_or(0, |count| count.count)
    }

    #[test]
    fn who_comes_later_and_leaves_earlier_overtakes() {
        let mut order = Order::default();
        order.to_host(&meta(1));
        order.to_host(&meta(2));
        order.left_in_hardware(&meta(3), Picos(50));
        // One that leaves before the third does is not overtaken by it.
        order.ended((3, 0), 1, Some(Picos(40)));
        assert_eq!(overtaken(&order), 0);
        order.ended((3, 0), 2, Some(Picos(60)));
        assert_eq!(overtaken(&order), 1);
        assert_eq!(order.longest, Picos(10));
        order.left_in_hardware(&meta(4), Picos(70));
        assert_eq!(order.verdict().checks, 4);
    }

    #[test]
    fn the_host_may_swap_them_too_and_what_is_dropped_is_not_overtaken() {
        let mut order = Order::default();
        (1..4).for_each(|number| order.to_host(&meta(number)));
        order.ended((3, 0), 3, Some(Picos(10)));
        order.ended((3, 0), 2, None);
        order.ended((3, 0), 1, Some(Picos(20)));
        assert_eq!(overtaken(&order), 1);
        assert!(order.waiting.is_empty());
    }
}
