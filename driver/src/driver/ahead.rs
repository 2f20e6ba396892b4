//! What the next packets, completions and counter records will need is fetched from memory while those before are worked on: a few
//! at a time, so that processor and memory are both busy.

use super::packets::packet_of;
use super::*;
use conntrack_core::Ahead;

/// Received frames looked at before their turn.
const SEEN: u32 = 48;
/// Of these, those whose connections are fetched, too: their place in the table has come meanwhile.
const FETCHED: u32 = 24;
/// Completions and counter records whose entries are fetched before their turn.
const ENTRIES: u32 = 24;
/// Most fetched in one turn; one is enough once it is far enough ahead.
const AT_ONCE: u32 = 4;

/// How far what comes was looked at, by places in the rings.
#[derive(Debug)]
pub(super) struct LookAhead {
    seen: u32,
    fetched: u32,
    /// What is known of frames, by place.
    frames: [Option<Ahead>; 64],
    counters: u32,
    completions: u32,
}

const _: () = assert!(SEEN <= 64);

impl Default for LookAhead {
    fn default() -> Self {
        Self {
            seen: 0,
            fetched: 0,
            frames: [None; 64],
            counters: 0,
            completions: 0,
        }
    }
}

/// A place that is not behind another, and at most `far` ahead of it; `None` if it is further.
const fn place_ahead(place: u32, consumed: u32, far: u32) -> Option<u32> {
    let ahead = place.wrapping_sub(consumed);
    if ahead as i32 <= 0 {
        Some(consumed)
    } else if ahead < far {
        Some(place)
    } else {
        None
    }
}

impl Driver {
    /// A received frame is about to be taken.
    pub(super) fn fetch_ahead(&mut self, platform: &mut impl Platform) {
        let consumed = self.receive.consumed();
        let memory = platform.memory();
        for _ in 0..AT_ONCE {
            let Some(place) = place_ahead(self.ahead.seen, consumed, SEEN) else {
                break;
            };
            let Some((completion, frame)) = self.receive.at(memory, &self.layout, place) else {
                break;
            };
            let packet = packet_of(frame, &completion);
            let known = packet.and_then(|packet| self.tracker.look_ahead(&packet));
            self.ahead.frames[place as usize % self.ahead.frames.len()] = known;
            self.ahead.seen = place.wrapping_add(1);
        }
        for _ in 0..AT_ONCE {
            let place = place_ahead(self.ahead.fetched, consumed, FETCHED);
            let Some(place) = place.filter(|place| *place != self.ahead.seen) else {
                break;
            };
            if let Some(known) = self.ahead.frames[place as usize % self.ahead.frames.len()] {
                self.records.prefetch(self.tracker.fetch(known));
            }
            self.ahead.fetched = place.wrapping_add(1);
        }
    }

    /// A completion is about to be taken.
    pub(super) fn fetch_ahead_completions(&mut self, platform: &mut impl Platform) {
        let taken = self.commands.taken();
        for _ in 0..AT_ONCE {
            let Some(place) = place_ahead(self.ahead.completions, taken, ENTRIES) else {
                break;
            };
            let cookie = (self.commands).cookie_at(platform.memory(), &self.layout, place);
            let Some(cookie) = cookie else {
                break;
            };
            self.fetch_entry(cookie);
            self.ahead.completions = place.wrapping_add(1);
        }
    }

    /// A counter record is about to be taken.
    pub(super) fn fetch_ahead_counters(&mut self, platform: &mut impl Platform) {
        let consumed = self.counters.consumed();
        for _ in 0..AT_ONCE {
            let Some(place) = place_ahead(self.ahead.counters, consumed, ENTRIES) else {
                break;
            };
            let ring = &self.layout.counter;
            let Some(cookie) = self.counters.cookie_at(platform.memory(), ring, place) else {
                break;
            };
            self.fetch_entry(cookie);
            self.ahead.counters = place.wrapping_add(1);
        }
    }

    fn fetch_entry(&self, cookie: Cookie) {
        self.records.prefetch(cookie.index());
        self.tracker.prefetch(cookie.index());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_behind_and_never_too_far() {
        assert_eq!(place_ahead(3, 5, 8), Some(5));
        assert_eq!(place_ahead(5, 5, 8), Some(5));
        assert_eq!(place_ahead(12, 5, 8), Some(12));
        assert_eq!(place_ahead(13, 5, 8), None);
        assert_eq!(place_ahead(2, u32::MAX, 8), Some(2));
    }
}
