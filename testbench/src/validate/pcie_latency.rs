//! How long reads over PCIe take, by their size and by where the data are, against measurements of real hosts.

use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use nic_model::clock::Picos;
use nic_model::config::PcieConfig;
use nic_model::host::last_level_cache::CARD_REGION;
use nic_model::host::memory::DmaAddress;
use nic_model::host::pcie::PcieLink;

pub(super) const NAME: &str = "pcie-latency";

/// Host, ns for 64 bytes and for 2,048 bytes by the DMA engine.
const ENGINE: [(&str, f64, f64); 5] = [
    ("Sandy Bridge E5-2630", 558.0, 1_139.0),
    ("Ivy Bridge E5-2620v2", 560.0, 1_144.0),
    (
        "Ivy Bridge E5-2620v2, the other socket's memory",
        675.0,
        1_257.0,
    ),
    ("Haswell E5-2620v3", 552.0, 1_134.0),
    ("Broadwell E5-2630v4", 552.0, 1_129.0),
];
/// Host, ns for 8 bytes and for 64 bytes by direct commands.
const COMMANDS: [(&str, f64, f64); 4] = [
    ("Sandy Bridge E5-2630", 419.0, 436.0),
    ("Ivy Bridge E5-2620v2", 423.0, 440.0),
    ("Haswell E5-2620v3", 465.0, 482.0),
    ("Broadwell E5-2630v4", 486.0, 502.0),
];
/// Rate at which the engine hands on what it has read: from Haswell's two sizes.
const ENGINE_GBPS: u32 = 55;
/// Broadwell, direct commands, 64 bytes: in the cache, and not.
const WARM_NS: f64 = 412.0;
const COLD_NS: f64 = 488.0;

pub(super) fn chapter(_effort: &Effort) -> Chapter {
    let mut rows = Vec::new();
    for (host, short, long) in ENGINE {
        let of = if host.starts_with("Haswell") {
            "parameter"
        } else {
            "predicted"
        };
        let measured = read_ns(ENGINE_GBPS, (64, short), 2_048);
        let what = format!("{host}, DMA engine, 2,048 bytes, ns ({of})");
        rows.push(Row::new(what, long, measured, Bound::Relative(0.1)));
    }
    for (host, short, long) in COMMANDS {
        let measured = read_ns(0, (8, short), 64);
        let what = format!("{host}, commands, 64 bytes, ns (predicted)");
        rows.push(Row::new(what, long, measured, Bound::Relative(0.1)));
    }
    let (warm, cold) = warm_and_cold();
    rows.push(Row::new(
        "Broadwell, written just before, ns (parameter)",
        WARM_NS,
        warm,
        Bound::Relative(0.1),
    ));
    rows.push(Row::new(
        "Broadwell, not in the cache, ns (parameter)",
        COLD_NS,
        cold,
        Bound::Relative(0.1),
    ));
    let (_, short, long) = ENGINE[4];
    let sizes = [64, 128, 256, 512, 1_024, 1_536, 2_048];
    let curve = sizes.map(|bytes| (f64::from(bytes), read_ns(ENGINE_GBPS, (64, short), bytes)));
    let through = sizes.map(|bytes| (f64::from(bytes), read_ns(0, (64, short), bytes)));
    Chapter {
        name: NAME,
        title: "Long reads cost what link and engine add to the way there",
        about: "One read at a time on generation 3 x8. Expected: pcie-bench (Neugebauer and others, SIGCOMM 2018; data at \
                github.com/pcie-bench/data), NFP-6000. The way there comes from each host's shortest read, the rate of the DMA engine, \
                which passes on what it has read when all of it is there, from Haswell's longest; the others are predicted. A host's DRAM \
                costs what its cache saves. Not modelled: the tail of the distribution (p99.9 of 586 to 720 ns around 558), and servers \
                whose root complex sleeps (E3-1226: a median of 1,226 ns, a mean of 3,936).",
        rows,
        chart: Chart {
            title: "PCIe reads by size, Broadwell E5-2630v4".to_owned(),
            x: "bytes".to_owned(),
            y: "ns".to_owned(),
            log_x: false,
            log_y: false,
            series: vec![
                Series::points("published", vec![(64.0, short), (2_048.0, long)]),
                Series::line("model, through the engine", curve.to_vec()),
                Series::line("model, without an engine", through.to_vec()),
            ],
        },
    }
}

fn link(engine_gbps: u32, read_latency_ns: u32) -> PcieConfig {
    PcieConfig {
        generation: 3,
        lanes: 8,
        read_latency_ns,
        engine_gbps,
        ..PcieConfig::default()
    }
}

fn once(config: &PcieConfig, bytes: u32) -> f64 {
    let start = Picos::from_micros(1);
    let done = PcieLink::new(config).read(start, DmaAddress(0), bytes as usize);
    (done - start).0 as f64 / 1e3
}

/// How long a read of `bytes` takes where one of so many bytes takes so many ns.
fn read_ns(engine_gbps: u32, (short, short_ns): (u32, f64), bytes: u32) -> f64 {
    // What link and engine take of the short one; the rest is the way there.
    let own = once(&link(engine_gbps, 1), short) - 1.0;
    once(&link(engine_gbps, (short_ns - own).round() as u32), bytes)
}

/// A read of what the card has just written, and of what it has not.
fn warm_and_cold() -> (f64, f64) {
    let config = PcieConfig {
        host_cache_kib: 16_384,
        ..link(0, (WARM_NS - 12.0) as u32)
    };
    let mut link = PcieLink::new(&config);
    let mut read = |offset: u64, micros: u64, write: bool| {
        let (address, start) = (
            DmaAddress(CARD_REGION.0 + offset),
            Picos::from_micros(micros),
        );
        if write {
            link.write(start, address, 64);
        }
        let start = start + Picos::from_micros(5);
        (link.read(start, address, 64) - start).0 as f64 / 1e3
    };
    (read(0, 10, true), read(1 << 20, 20, false))
}
