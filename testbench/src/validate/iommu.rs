//! What an IOMMU costs, against measurements of real hosts.

use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::{below, stream};
use nic_model::clock::Picos;
use nic_model::config::PcieConfig;
use nic_model::host::memory::DmaAddress;
use nic_model::host::pcie::PcieLink;
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub(super) const NAME: &str = "iommu";

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const BYTES: usize = 64;

/// A host of the published data: reads of 64 bytes at random in a window.
struct Host {
    name: &'static str,
    /// What a walk costs there: from the measurement at 16 MiB.
    walk_ns: u32,
    page_bytes: u32,
    /// Window, latency without IOMMU and with it, ns; whether the latter gave the parameter.
    points: &'static [(u64, f64, f64, bool)],
}

/// Latencies in `pcie-bench/data` (NFP-6000, generation 3 x8).
const HOSTS: [Host; 4] = [
    Host {
        name: "Broadwell E5-2630v4, command path",
        walk_ns: 286,
        page_bytes: 4_096,
        points: &[
            (256 * KIB, 488.0, 490.0, false),
            (16 * MIB, 488.0, 770.0, true),
            (64 * MIB, 488.0, 777.0, false),
        ],
    },
    Host {
        name: "Broadwell E5-2630v4, DMA engine",
        walk_ns: 286,
        page_bytes: 4_096,
        points: &[
            (256 * KIB, 557.0, 555.0, false),
            (16 * MIB, 557.0, 836.0, false),
            (64 * MIB, 590.0, 877.0, false),
        ],
    },
    Host {
        name: "Haswell E5-2620v3, DMA engine",
        walk_ns: 225,
        page_bytes: 4_096,
        points: &[
            (16 * MIB, 557.0, 778.0, true),
            (64 * MIB, 593.0, 819.0, false),
        ],
    },
    Host {
        name: "Haswell E5-2620v3, DMA engine, pages of 2 MiB",
        walk_ns: 225,
        page_bytes: 2 << 20,
        points: &[
            (16 * MIB, 557.0, 556.0, false),
            (64 * MIB, 593.0, 591.0, false),
        ],
    },
];

/// Payload with an IOMMU, Broadwell: window, whether it is read or written, Gb/s, whether it gave the parameter.
const RATES: [(u64, bool, f64, bool); 5] = [
    (256 * KIB, true, 32.4, false),
    (16 * MIB, true, 10.1, true),
    (64 * MIB, true, 9.8, false),
    (16 * MIB, false, 11.2, false),
    (64 * MIB, false, 11.1, false),
];
/// What the card kept on its way there: 32.5 Gb/s of 64 bytes at 557 ns each, without an IOMMU.
const READS_ON_THEIR_WAY: usize = 35;
/// And of writes: 24.3 Gb/s without an IOMMU, which is the card's own limit.
const WRITE_INTERVAL: Picos = Picos(21_070);

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let count = effort.pick(200_000, 20_000);
    let bound = Bound::Relative(0.1);
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for host in &HOSTS {
        let at = |window: u64, base: f64| latency(host, window, base, count, effort.seed);
        for (window, base, published, parameter) in host.points {
            let what = format!("{}, {}, ns{}", host.name, size(*window), of(*parameter));
            rows.push(Row::new(what, *published, at(*window, *base), bound));
        }
        let published = host
            .points
            .iter()
            .map(|point| (point.0 as f64 / KIB as f64, point.2));
        series.push(Series::points(
            format!("{}, published", host.name),
            published.collect(),
        ));
        // What was measured without an IOMMU in the smallest window that is as large.
        let base = |window: u64| {
            let larger = host.points.iter().find(|point| point.0 >= window);
            larger.map_or(0.0, |point| point.1)
        };
        let windows = (5..=16).map(|power| KIB << power);
        let curve = windows.map(|window| (window as f64 / KIB as f64, at(window, base(window))));
        series.push(Series::line(
            format!("{}, model", host.name),
            curve.collect(),
        ));
    }
    for (window, is_read, published, parameter) in RATES {
        let measured = rate(window, is_read, count, effort.seed);
        let way = if is_read { "read" } else { "written" };
        let what = format!(
            "Broadwell, {way} in {}, Gb/s{}",
            size(window),
            of(parameter)
        );
        rows.push(Row::new(what, published, measured, bound));
    }
    Chapter {
        name: NAME,
        title: "An IOMMU costs what was measured once its IOTLB is too small",
        about: "64 bytes at random in a window of the host's memory. Expected: the measurements published with Neugebauer and others, \
                \"Understanding PCIe performance for end host networking\", SIGCOMM 2018 (github.com/pcie-bench/data): an IOTLB of 64 pages; \
                the latency without an IOMMU is taken as it was measured for each window. Figures called parameters gave the cost of a \
                walk and how many go on at once; the others are predicted. Not modelled: the tail of these latencies (the 99.9th \
                percentile is 1,120 ns where the model always takes 774), and what the last-level cache does to large windows.",
        rows,
        chart: Chart {
            title: "Latency of a read of 64 bytes behind an IOMMU".to_owned(),
            x: "window, KiB".to_owned(),
            y: "ns".to_owned(),
            log_x: true,
            log_y: false,
            series,
        },
    }
}

const fn of(parameter: bool) -> &'static str {
    if parameter {
        " (parameter)"
    } else {
        " (predicted)"
    }
}

fn size(bytes: u64) -> String {
    if bytes < MIB {
        format!("{} KiB", bytes / KIB)
    } else {
        format!("{} MiB", bytes / MIB)
    }
}

fn config(walk_ns: u32, page_bytes: u32) -> PcieConfig {
    PcieConfig {
        lanes: 8,
        iommu_entries: 64,
        iommu_page_bytes: page_bytes,
        iommu_walk_ns: walk_ns,
        ..PcieConfig::default()
    }
}

fn anywhere(rng: &mut ChaCha8Rng, window: u64) -> DmaAddress {
    let lines = (window / BYTES as u64) as u32;
    DmaAddress(u64::from(below(rng, lines)) * BYTES as u64)
}

/// Mean time of a read, one after the other, in ns.
fn latency(host: &Host, window: u64, base_ns: f64, count: u32, seed: u64) -> f64 {
    let mut config = config(host.walk_ns, host.page_bytes);
    // What was measured holds the bytes' time on the link already.
    let mut bare = PcieLink::new(&PcieConfig {
        iommu_entries: 0,
        ..config.clone()
    });
    let on_link = bare.read(Picos::ZERO, DmaAddress(0), BYTES).0 as f64 / 1e3
        - f64::from(config.read_latency_ns);
    config.read_latency_ns = (base_ns - on_link).round() as u32;
    let (mut link, mut rng) = (PcieLink::new(&config), stream(seed, 7));
    let (mut now, mut sum) = (Picos::ZERO, 0.0);
    for turn in 0..count + 1_000 {
        let done = link.read(now, anywhere(&mut rng, window), BYTES);
        // The first ones fill the IOTLB.
        if turn >= 1_000 {
            sum += (done - now).0 as f64 / 1e3;
        }
        now = done;
    }
    sum / f64::from(count)
}

/// Payload of reads or writes, as many at once as the card keeps, Gb/s.
fn rate(window: u64, is_read: bool, count: u32, seed: u64) -> f64 {
    let (mut link, mut rng) = (PcieLink::new(&config(286, 4_096)), stream(seed, 8));
    let mut on_their_way = BinaryHeap::new();
    let (mut now, mut last) = (Picos::ZERO, Picos::ZERO);
    for turn in 0..count {
        let address = anywhere(&mut rng, window);
        if is_read {
            if turn as usize >= READS_ON_THEIR_WAY {
                let Reverse(done) = on_their_way.pop().unwrap_or_default();
                now = now.max(done);
            }
            let done = link.read(now, address, BYTES);
            on_their_way.push(Reverse(done));
            last = last.max(done);
        } else {
            last = link.write(now, address, BYTES);
            now += WRITE_INTERVAL;
        }
    }
    f64::from(count) * BYTES as f64 * 8_000.0 / last.0 as f64
}
