//! A port: the wire serialises frames, a FIFO holds received ones until the parser takes them, another holds
//! those that wait to leave.
//!
//! A frame takes its length, 4 bytes FCS, 8 bytes preamble and start delimiter, and 12 bytes inter-frame gap
//! (IEEE 802.3 clause 4.4.2); frames under 60 bytes are padded to 60. The FCS itself is not computed: captures do not
//! hold it. The wire may flip bits at random (`Wire`); the check finds every frame that it did so to.

use crate::clock::Picos;
use crate::config::PortConfig;
use crate::random::Xorshift;
use std::collections::VecDeque;

/// Preamble, start delimiter, FCS and inter-frame gap, bytes.
pub const WIRE_OVERHEAD_BYTES: u64 = 8 + 4 + 12;
/// Shortest frame without FCS, bytes.
pub const MIN_FRAME_BYTES: u64 = 60;

/// When the parts of a received frame are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reception {
    /// First bit of the destination address.
    pub first_bit: Picos,
    /// The bytes the parser needs.
    pub header_in: Picos,
    /// The last bit of the FCS.
    pub last_bit: Picos,
    /// The FCS is wrong.
    pub damaged: bool,
}

/// A wire that flips bits, each as likely as any other.
#[derive(Debug, Clone)]
struct Wire {
    /// Chance of a bit.
    chance: f64,
    /// Bits until the next one that is flipped.
    left: f64,
    random: Xorshift,
}

impl Wire {
    fn new(config: &PortConfig, number: u64) -> Self {
        let mut wire = Self {
            chance: f64::from(config.bit_errors_e12) / 1e12,
            left: f64::INFINITY,
            random: Xorshift::new(
                0x9e37_79b9_7f4a_7c15 ^ number.wrapping_mul(0xd134_2543_de82_ef95),
            ),
        };
        wire.draw();
        wire
    }

    /// Draws how long the wire stays right: an exponential distance (the model's bits are many and the chance is small).
    fn draw(&mut self) {
        if self.chance == 0.0 {
            return;
        }
        let unit = ((self.random.draw() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        self.left = -unit.ln() / self.chance;
    }

    /// So many bytes pass; whether some bit was flipped.
    fn pass(&mut self, bytes: u64) -> bool {
        self.left -= bytes as f64 * 8.0;
        let damaged = self.left < 0.0;
        if damaged {
            self.draw();
        }
        damaged
    }
}

/// One port, both directions.
#[derive(Debug, Clone)]
pub struct MacPort {
    byte_time_ps: u64,
    receive_free: Picos,
    receive_fifo: VecDeque<(Picos, u32)>,
    receive_fifo_used_bytes: u64,
    receive_fifo_bytes: u64,
    transmit_free: Picos,
    transmit_fifo_time: Picos,
    /// The FIFO's fill at which the neighbour stops and goes on, if it is told to.
    pause: Option<(u64, u64)>,
    pauses: u64,
    wire: Wire,
}

impl MacPort {
    /// An idle port.
    pub fn new(config: &PortConfig) -> Self {
        Self::numbered(config, 0)
    }

    /// An idle port, with a wire of its own.
    pub fn numbered(config: &PortConfig, number: u8) -> Self {
        let byte_time_ps = 8_000 / u64::from(config.rate_gbps.max(1));
        Self {
            byte_time_ps,
            receive_free: Picos::ZERO,
            receive_fifo: VecDeque::new(),
            receive_fifo_used_bytes: 0,
            receive_fifo_bytes: config.receive_fifo_bytes.into(),
            transmit_free: Picos::ZERO,
            transmit_fifo_time: Picos(byte_time_ps * u64::from(config.transmit_fifo_bytes)),
            pause: config.pause.then_some((
                config.pause_above_bytes.into(),
                config.pause_below_bytes.into(),
            )),
            pauses: 0,
            wire: Wire::new(config, number.into()),
        }
    }

    /// How long a frame of `wire_len` bytes (without FCS) keeps the wire busy, gap included.
    #[inline]
    pub fn wire_time(&self, wire_len: u32) -> Picos {
        Picos((u64::from(wire_len).max(MIN_FRAME_BYTES) + WIRE_OVERHEAD_BYTES) * self.byte_time_ps)
    }

    /// A frame arrives; `None` if the FIFO has no room for it. A frame offered while the wire is still busy
    /// with the one before begins when the wire is free.
    #[inline]
    pub fn receive(
        &mut self,
        arrival: Picos,
        wire_len: u32,
        header_bytes: u32,
    ) -> Option<Reception> {
        let mut first_bit = arrival.max(self.receive_free);
        if let Some((above, below)) = self.pause {
            first_bit = self.resumes_at(first_bit, above, below);
        }
        self.receive_free = first_bit + self.wire_time(wire_len);
        while let Some((taken, bytes)) = self.receive_fifo.front() {
            if *taken > first_bit {
                break;
            }
            self.receive_fifo_used_bytes -= u64::from(*bytes);
            self.receive_fifo.pop_front();
        }
        if self.receive_fifo_used_bytes + u64::from(wire_len) > self.receive_fifo_bytes {
            return None;
        }
        let bytes = |n: u32| Picos(u64::from(n) * self.byte_time_ps);
        Some(Reception {
            first_bit,
            header_in: first_bit + bytes(header_bytes.min(wire_len)),
            last_bit: first_bit + bytes(wire_len.max(MIN_FRAME_BYTES as u32) + 4),
            damaged: self.wire.chance > 0.0 && self.wire.pass(u64::from(wire_len) + 4),
        })
    }

    /// When the neighbour may send a frame that it has at `now`: at once, or, if the FIFO was above its mark, when the pipeline
    /// has taken enough of it.
    fn resumes_at(&mut self, now: Picos, above: u64, below: u64) -> Picos {
        let mut used = self.receive_fifo_used_bytes;
        let mut stopped = false;
        for (taken, bytes) in &self.receive_fifo {
            if !stopped && *taken > now {
                // All that was taken by now is out of the count.
                if used <= above {
                    return now;
                }
                stopped = true;
                self.pauses += 1;
            }
            used -= u64::from(*bytes);
            if stopped && used <= below {
                return *taken;
            }
        }
        now
    }

    /// How often the neighbour was told to stop.
    pub const fn pauses(&self) -> u64 {
        self.pauses
    }

    /// The parser takes the frame just received at `start`.
    #[inline]
    pub fn taken(&mut self, start: Picos, wire_len: u32) {
        self.receive_fifo.push_back((start, wire_len));
        self.receive_fifo_used_bytes += u64::from(wire_len);
    }

    /// Bytes in the receive FIFO.
    pub const fn receive_fifo_used_bytes(&self) -> u64 {
        self.receive_fifo_used_bytes
    }

    /// A frame is ready to leave at `ready`: when its first bit leaves, or `None` if too many wait.
    #[inline]
    pub fn transmit(&mut self, ready: Picos, wire_len: u32) -> Option<Picos> {
        if self.transmit_free - ready > self.transmit_fifo_time {
            return None;
        }
        let first_bit = ready.max(self.transmit_free);
        self.transmit_free = first_bit + self.wire_time(wire_len);
        Some(first_bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(rate_gbps: u32, receive_fifo_bytes: u32) -> MacPort {
        MacPort::new(&PortConfig {
            rate_gbps,
            receive_fifo_bytes,
            ..PortConfig::default()
        })
    }

    #[test]
    fn minimum_frames_come_at_the_rate_of_the_standard() {
        // 64-byte frames with FCS at 100 Gb/s: 148.81 million per second, one every 6.72 ns.
        assert_eq!(port(100, 1 << 20).wire_time(60), Picos(6_720));
        // At 10 Gb/s: 14.88 million per second.
        assert_eq!(port(10, 1 << 20).wire_time(60), Picos(67_200));
        assert_eq!(
            port(10, 1 << 20).wire_time(14),
            Picos(67_200),
            "short frames are padded"
        );
    }

    #[test]
    fn frames_offered_faster_than_the_wire_queue_up_on_it() {
        let mut port = port(100, 1 << 20);
        let a = port.receive(Picos::ZERO, 60, 60).expect("room");
        let b = port.receive(Picos::ZERO, 60, 60).expect("room");
        assert_eq!(b.first_bit - a.first_bit, Picos(6_720));
        assert_eq!(a.last_bit, Picos(64 * 80));
    }

    #[test]
    fn a_full_fifo_drops_until_the_parser_takes_something() {
        let mut port = port(100, 2_048);
        for _ in 0..2 {
            assert!(port.receive(Picos::ZERO, 1_000, 128).is_some());
            port.taken(Picos::from_micros(1), 1_000);
        }
        assert!(port.receive(Picos::ZERO, 1_000, 128).is_none());
        assert!(port.receive(Picos::from_micros(2), 1_000, 128).is_some());
    }

    #[test]
    fn a_congested_port_drops_what_it_cannot_hold() {
        let config = PortConfig {
            transmit_fifo_bytes: 2_048,
            ..PortConfig::default()
        };
        let mut port = MacPort::new(&config);
        let sent = (0..100)
            .filter(|_| port.transmit(Picos::ZERO, 1_000).is_some())
            .count();
        assert_eq!(sent, 3, "one on the wire, two waiting");
    }

    #[test]
    fn a_neighbour_that_is_told_to_stop_loses_nothing() {
        let run = |pause: bool| {
            let mut port = MacPort::new(&PortConfig {
                receive_fifo_bytes: 20_000,
                pause,
                pause_above_bytes: 15_000,
                pause_below_bytes: 5_000,
                ..PortConfig::default()
            });
            let frame = Picos::from_nanos(100);
            let (mut dropped, mut last) = (0, Picos::ZERO);
            for _ in 0..1_000 {
                let Some(reception) = port.receive(Picos::ZERO, 1_000, 128) else {
                    dropped += 1;
                    continue;
                };
                // The pipeline takes one every 100 ns; the wire brings one every 82.
                last = (last + frame).max(reception.header_in);
                port.taken(last, 1_000);
            }
            (dropped, port.pauses(), last)
        };
        let (lost, _, _) = run(false);
        let (dropped, pauses, last) = run(true);
        assert!(lost > 50, "{lost}");
        assert_eq!(dropped, 0);
        assert!((2..100).contains(&pauses), "{pauses}");
        // The pipeline never ran dry meanwhile.
        assert!(last < Picos::from_micros(101), "{last}");
    }

    #[test]
    fn the_wire_damages_as_many_frames_as_it_should() {
        let mut port = MacPort::new(&PortConfig {
            bit_errors_e12: 10_000_000,
            ..PortConfig::default()
        });
        let frames = 200_000;
        let mut damaged = 0;
        let mut at = Picos::ZERO;
        for _ in 0..frames {
            let reception = port.receive(at, 1_000, 128).expect("room");
            damaged += u32::from(reception.damaged);
            at = reception.last_bit;
        }
        // 1 in 100,000 bits, 8,032 bits a frame.
        let expected = f64::from(frames) * (1.0 - (-8_032.0f64 / 1e5).exp());
        let error = (f64::from(damaged) - expected).abs() / expected.sqrt();
        assert!(error < 4.0, "{damaged} of {expected}");
    }
}
