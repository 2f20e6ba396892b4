//! The PCIe link: how long a DMA takes.
//!
//! Each direction is a resource that serialises the bytes of its TLPs. A TLP carries at most the maximum payload and costs
//! [`REQUEST_OVERHEAD_BYTES`] or [`COMPLETION_OVERHEAD_BYTES`] beside it: 2 of framing, 6 of the data link layer, 4 of common
//! header, and 12 (a request with a 64-bit address) or 8 (a completion) of its own (Neugebauer and others, "Understanding PCIe
//! performance for end host networking", SIGCOMM 2018, section 3). Acknowledgements and flow-control updates take a share of
//! the link, as often as the specification recommends. A read request waits for a tag, a write for a credit; the host's completion
//! boundary is not modelled.

use super::iommu::Iommu;
use super::last_level_cache::LastLevelCache;
use super::memory::DmaAddress;
use crate::clock::Picos;
use crate::config::PcieConfig;

/// Bytes of a write or a read request beside its payload.
pub const REQUEST_OVERHEAD_BYTES: u64 = 24;
/// Bytes of a completion beside its payload.
pub const COMPLETION_OVERHEAD_BYTES: u64 = 20;

/// So many things on their way at once: when each is done, as a ring.
#[derive(Debug)]
struct Window {
    done: Vec<Picos>,
    at: usize,
}

impl Window {
    fn new(size: u32) -> Self {
        Self {
            done: vec![Picos::ZERO; size.max(1) as usize],
            at: 0,
        }
    }

    /// When the next one may begin, as far as those on their way allow.
    fn room_at(&self) -> Picos {
        self.done[self.at]
    }

    /// One more is on its way until `done`.
    fn push(&mut self, done: Picos) {
        self.done[self.at] = done;
        self.at = (self.at + 1) % self.done.len();
    }
}

/// The link.
#[derive(Debug)]
pub struct PcieLink {
    /// Time one byte takes on the link, in 2^-16 ps.
    byte_time_q16: u64,
    max_payload_bytes: u64,
    max_read_request_bytes: u64,
    read_latency: Picos,
    write_latency: Picos,
    to_host_free: Picos,
    from_host_free: Picos,
    bytes_to_host: u64,
    bytes_from_host: u64,
    /// When the last write is there.
    written: Picos,
    tags: Window,
    credits: Window,
    /// Time one byte takes from the DMA engine on, in 2^-16 ps.
    engine_byte_time_q16: u64,
    cache: LastLevelCache,
    iommu: Iommu,
    replay: Picos,
    /// TLPs that will come damaged.
    damaged: u32,
}

impl PcieLink {
    /// An idle link.
    pub fn new(config: &PcieConfig) -> Self {
        Self {
            byte_time_q16: tlp_byte_time_q16(config),
            max_payload_bytes: config.max_payload_bytes.into(),
            max_read_request_bytes: config.max_read_request_bytes.into(),
            read_latency: Picos::from_nanos(config.read_latency_ns.into()),
            write_latency: Picos::from_nanos(config.write_latency_ns.into()),
            to_host_free: Picos::ZERO,
            from_host_free: Picos::ZERO,
            bytes_to_host: 0,
            bytes_from_host: 0,
            written: Picos::ZERO,
            tags: Window::new(config.read_tags),
            credits: Window::new(config.posted_credits),
            engine_byte_time_q16: match config.engine_gbps {
                0 => 0,
                gbps => (8_000 << 16) / u64::from(gbps),
            },
            cache: LastLevelCache::new(config),
            iommu: Iommu::new(config),
            replay: Picos::from_nanos(config.replay_ns.into()),
            damaged: 0,
        }
    }

    /// The next so many TLPs come damaged, and are sent again: late, but in order.
    pub fn damage(&mut self, tlps: u32) {
        self.damaged = self.damaged.saturating_add(tlps);
    }

    /// What a TLP of so many bytes takes longer if it comes damaged, and how many bytes more.
    fn sent_again(&mut self, wire: u64) -> (Picos, u64) {
        if self.damaged == 0 {
            return (Picos::ZERO, 0);
        }
        self.damaged -= 1;
        (self.replay + self.duration(wire), wire)
    }

    /// A posted write of `bytes` bytes begun at `now`: when the host can see them.
    pub fn write(&mut self, now: Picos, address: DmaAddress, bytes: usize) -> Picos {
        let bytes = bytes as u64;
        self.cache.write(address, bytes);
        let mut across = now.max(self.to_host_free);
        for payload in pieces(bytes, self.max_payload_bytes) {
            let wire = payload + REQUEST_OVERHEAD_BYTES;
            self.bytes_to_host += wire;
            let (late, again) = self.sent_again(wire);
            self.bytes_to_host += again;
            across = across.max(self.credits.room_at()) + self.duration(wire) + late;
            self.credits.push(across + self.write_latency);
        }
        let translated = self.iommu.translate(across, address, bytes);
        // Writes keep their order: one that waits for a walker holds those behind it up, and none is there before an earlier one.
        self.to_host_free = translated.taken;
        self.written = self.written.max(translated.done + self.write_latency);
        self.written
    }

    /// A read of `bytes` bytes begun at `now`: when the card has them all.
    pub fn read(&mut self, now: Picos, address: DmaAddress, bytes: usize) -> Picos {
        let bytes = bytes as u64;
        let far = self.cache.read(address, bytes);
        let translated = self
            .iommu
            .translate(now.max(self.to_host_free), address, bytes);
        let walk = translated.done - now.max(self.to_host_free);
        let latency = self.read_latency + walk + far;
        let mut done = now;
        for asked in pieces(bytes, self.max_read_request_bytes) {
            let start = now.max(self.to_host_free).max(self.tags.room_at());
            self.to_host_free = start + self.duration(REQUEST_OVERHEAD_BYTES);
            let completions = asked.div_ceil(self.max_payload_bytes).max(1);
            let wire = asked + completions * COMPLETION_OVERHEAD_BYTES;
            let (late, again) = self.sent_again(REQUEST_OVERHEAD_BYTES);
            self.to_host_free += late;
            self.bytes_to_host += REQUEST_OVERHEAD_BYTES + again;
            self.bytes_from_host += wire;
            let first = (start + late + latency).max(self.from_host_free);
            done = first + self.duration(wire);
            self.from_host_free = done;
            self.tags.push(done);
        }
        done + Picos((bytes * self.engine_byte_time_q16) >> 16)
    }

    /// Nothing crosses the link until `until`.
    pub fn stall(&mut self, until: Picos) {
        self.to_host_free = self.to_host_free.max(until);
        self.from_host_free = self.from_host_free.max(until);
    }

    /// Bytes on the link so far, TLP overhead included: to the host, from the host.
    pub const fn bytes(&self) -> (u64, u64) {
        (self.bytes_to_host, self.bytes_from_host)
    }

    fn duration(&self, bytes: u64) -> Picos {
        Picos((bytes * self.byte_time_q16) >> 16)
    }
}

/// The sizes of the TLPs that so many bytes take: all full but the last, at least one.
fn pieces(bytes: u64, most: u64) -> impl Iterator<Item = u64> {
    let whole = bytes.saturating_sub(1) / most;
    let last = bytes - whole * most;
    std::iter::repeat_n(most, whole as usize).chain([last])
}

/// Time per byte after line coding: 8b/10b for generations 1 and 2, 128b/130b for 3 to 5, 242 of 256 bytes of
/// a flit for 6.
fn byte_time_q16(generation: u32, lanes: u32) -> u64 {
    let (giga_transfers_x2, coded, data) = match generation {
        1 => (5, 10, 8),
        2 => (10, 10, 8),
        3 => (16, 130, 128),
        4 => (32, 130, 128),
        5 => (64, 130, 128),
        _ => (128, 256, 242),
    };
    // 8 bits at giga_transfers_x2 / 2 bits per ns on each lane.
    let numerator = (8u128 * 2 * 1_000 * coded) << 16;
    let denominator = u128::from(giga_transfers_x2 as u32) * data * u128::from(lanes.max(1));
    (numerator / denominator) as u64
}

/// Time per byte of TLPs: what is left of the link beside acknowledgements and flow-control updates (8 bytes each, one after as
/// many symbols as the PCI Express Base Specification recommends, tables of the acknowledgement latency limit) and skip
/// symbols (4 in 1,538).
fn tlp_byte_time_q16(config: &PcieConfig) -> u64 {
    const DLLP_BYTES: f64 = 8.0;
    let lanes = f64::from(config.lanes.max(1));
    let small = config.max_payload_bytes <= 256;
    let factor = match (config.lanes, small) {
        (..=4, true) => 1.4,
        (..=8, true) => 2.5,
        (_, true) => 3.0,
        (..=8, false) => 1.0,
        (_, false) => 2.0,
    };
    let internal_delay = match config.generation {
        1 => 19.0,
        2 => 70.0,
        _ => 115.0,
    };
    let tlp = f64::from(config.max_payload_bytes) + 28.0;
    let interval = (tlp * factor / lanes).floor() + internal_delay;
    let left = 1.0 - 2.0 * DLLP_BYTES / interval - 4.0 / 1_538.0;
    (byte_time_q16(config.generation, config.lanes) as f64 / left).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_3_by_8_has_57_88_gigabits_for_tlps() {
        let gbps = |byte_q16: u64| 8_000.0 / (byte_q16 as f64 / 65_536.0);
        assert!((gbps(byte_time_q16(3, 8)) - 63.015).abs() < 0.01);
        // Neugebauer and others, section 3, with a payload of 256 bytes.
        let config = PcieConfig {
            lanes: 8,
            ..PcieConfig::default()
        };
        let tlp = gbps(tlp_byte_time_q16(&config));
        assert!((tlp - 57.88).abs() < 0.01, "{tlp}");
    }

    #[test]
    fn back_to_back_writes_share_the_link() {
        let mut link = PcieLink::new(&PcieConfig::default());
        let first = link.write(Picos::ZERO, DmaAddress(0), 1_024);
        let second = link.write(Picos::ZERO, DmaAddress(0), 1_024);
        assert!(second > first);
        let tlp = link.duration(256 + REQUEST_OVERHEAD_BYTES);
        assert_eq!(second - first, Picos(4 * tlp.0));
    }

    #[test]
    fn a_damaged_tlp_comes_late_and_those_behind_it_too() {
        let config = PcieConfig::default();
        let replay = Picos::from_nanos(config.replay_ns.into());
        let write = |damaged: u32| {
            let mut link = PcieLink::new(&config);
            link.damage(damaged);
            let first = link.write(Picos::ZERO, DmaAddress(0), 64);
            let second = link.write(Picos::ZERO, DmaAddress(64), 64);
            (first, second, link.bytes().0)
        };
        let (well, damaged) = (write(0), write(1));
        let wire = 64 + REQUEST_OVERHEAD_BYTES;
        let again = PcieLink::new(&config).duration(wire);
        assert_eq!(damaged.0 - well.0, replay + again);
        assert_eq!(damaged.1 - well.1, replay + again);
        assert_eq!(damaged.2 - well.2, wire);
        let mut link = PcieLink::new(&config);
        let read = link.read(Picos::ZERO, DmaAddress(0), 64);
        let mut link = PcieLink::new(&config);
        link.damage(1);
        assert!(link.read(Picos::ZERO, DmaAddress(0), 64) >= read + replay);
    }

    #[test]
    fn a_request_waits_for_a_tag_and_a_write_for_a_credit() {
        let config = PcieConfig {
            read_tags: 2,
            posted_credits: 2,
            ..PcieConfig::default()
        };
        let round_trip = Picos::from_nanos(config.read_latency_ns.into());
        let mut link = PcieLink::new(&config);
        let reads: Vec<Picos> = (0..4)
            .map(|_| link.read(Picos::ZERO, DmaAddress(0), 64))
            .collect();
        assert!(reads[1] < round_trip + Picos::from_nanos(50));
        assert!(reads[2] >= reads[0] + round_trip, "it waits for the first");
        let mut link = PcieLink::new(&config);
        let writes: Vec<Picos> = (0..3)
            .map(|_| link.write(Picos::ZERO, DmaAddress(0), 64))
            .collect();
        let accepted = Picos::from_nanos(config.write_latency_ns.into());
        assert!(writes[2] >= writes[0] + accepted, "{writes:?}");
    }

    #[test]
    fn pieces_are_all_of_it() {
        for (bytes, sizes) in [
            (0, vec![0]),
            (1, vec![1]),
            (512, vec![512]),
            (513, vec![512, 1]),
        ] {
            assert_eq!(pieces(bytes, 512).collect::<Vec<_>>(), sizes);
        }
    }

    #[test]
    fn a_read_takes_at_least_the_round_trip() {
        let config = PcieConfig::default();
        let mut link = PcieLink::new(&config);
        let done = link.read(Picos::ZERO, DmaAddress(0), 64);
        assert!(done >= Picos::from_nanos(config.read_latency_ns.into()));
        assert_eq!(link.bytes(), (24, 84));
    }
}
