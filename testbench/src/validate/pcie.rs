//! How much a PCIe link carries.

use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use nic_model::clock::Picos;
use nic_model::config::PcieConfig;
use nic_model::host::memory::DmaAddress;
use nic_model::host::pcie::PcieLink;

pub(super) const NAME: &str = "pcie";

/// Generation, lanes, what TLPs can have of it with a payload of 256 bytes, Gb/s.
const LINKS: [(u32, u32, f64); 4] = [
    (3, 8, 57.88),
    (3, 16, 113.70),
    (4, 8, 115.77),
    (4, 16, 227.40),
];

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let count = effort.pick(20_000, 2_000);
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for (generation, lanes, tlp_gbps) in LINKS {
        let (mut points, mut curve) = (Vec::new(), Vec::new());
        for bytes in [64, 128, 200, 256, 257, 512, 1_024, 1_500, 2_048] {
            let name = format!("generation {generation} x{lanes}, {bytes} bytes");
            let (writes, reads) = (written(tlp_gbps, bytes), read(tlp_gbps, bytes));
            let (wrote, got) = measure(generation, lanes, bytes as usize, count);
            rows.push(Row::new(
                format!("{name} written, Gb/s"),
                writes,
                wrote,
                Bound::Relative(0.01),
            ));
            rows.push(Row::new(
                format!("{name} read, Gb/s"),
                reads,
                got,
                Bound::Relative(0.01),
            ));
            points.push((f64::from(bytes), wrote));
            curve.push((f64::from(bytes), writes));
        }
        series.push(Series::points(
            format!("{generation} x{lanes} writes, measured"),
            points,
        ));
        series.push(Series::line(
            format!("{generation} x{lanes} writes, published model"),
            curve,
        ));
    }
    Chapter {
        name: NAME,
        title: "PCIe carries what the published model says",
        about: "Writes or reads of one size, always more of them waiting. Expected: Neugebauer and others, \"Understanding PCIe performance \
                for end host networking\", SIGCOMM 2018, section 3: 24 bytes beside the payload of a write or a read request, 20 beside that \
                of a completion; 57.88 Gb/s for TLPs on generation 3 x8 with a payload of 256 bytes, the others by the same calculation \
                from the specification's acknowledgement and flow-control intervals.",
        rows,
        chart: Chart {
            title: "PCIe writes".to_owned(),
            x: "bytes of one write".to_owned(),
            y: "Gb/s of payload".to_owned(),
            log_x: true,
            log_y: false,
            series,
        },
    }
}

fn written(tlp_gbps: f64, bytes: u32) -> f64 {
    let tlps = f64::from(bytes.div_ceil(256));
    tlp_gbps * f64::from(bytes) / (f64::from(bytes) + tlps * 24.0)
}

fn read(tlp_gbps: f64, bytes: u32) -> f64 {
    // Requests one way, completions the other; whichever is more limits.
    let requests = f64::from(bytes.div_ceil(512)) * 24.0;
    let completions = f64::from(bytes) + f64::from(bytes.div_ceil(256)) * 20.0;
    tlp_gbps * f64::from(bytes) / requests.max(completions)
}

/// Payload written and read, Gb/s.
fn measure(generation: u32, lanes: u32, bytes: usize, count: u32) -> (f64, f64) {
    let config = PcieConfig {
        generation,
        lanes,
        ..PcieConfig::default()
    };
    let rate = |mut done: Box<dyn FnMut() -> Picos>| {
        let first = done();
        let last = (0..count).map(|_| done()).last().unwrap_or(first);
        f64::from(count) * bytes as f64 * 8_000.0 / (last - first).0 as f64
    };
    let (mut writes, mut reads) = (PcieLink::new(&config), PcieLink::new(&config));
    (
        rate(Box::new(move || {
            writes.write(Picos::ZERO, DmaAddress(0), bytes)
        })),
        rate(Box::new(move || {
            reads.read(Picos::ZERO, DmaAddress(0), bytes)
        })),
    )
}
