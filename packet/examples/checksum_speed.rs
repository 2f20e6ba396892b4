//! scratch
#![allow(clippy::print_stdout)]
use std::hint::black_box;
use std::time::Instant;
fn main() {
    let data: Vec<u8> = (0..1514u32).map(|i| (i * 7) as u8).collect();
    for len in [20usize, 40, 64, 128, 256, 576, 1460, 1500] {
        let n = 2_000_000;
        let mut best = f64::MAX;
        for _ in 0..5 {
            let t = Instant::now();
            for _ in 0..n {
                black_box(packet::checksum::sum(black_box(&data[14..14 + len])));
            }
            best = best.min(t.elapsed().as_nanos() as f64 / n as f64);
        }
        println!("sum {len}: {best:.1} ns");
    }
    let frame = &data[..1500];
    let t = Instant::now();
    for _ in 0..200_000 {
        black_box(packet::sctp::crc32c(black_box(frame)));
    }
    println!("crc32c 1500: {} ns", t.elapsed().as_nanos() / 200_000);
}
