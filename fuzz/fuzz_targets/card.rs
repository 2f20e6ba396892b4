//! A driver gone mad: any register writes at any times, any descriptors in memory, any frames on the wire. The card may
//! refuse, but it neither panics nor runs for ever.
#![no_main]

use firmware::Board;
use libfuzzer_sys::fuzz_target;

use nic_model::clock::Picos;
use nic_model::config::{AgingAction, Entries, MemoryKind, NicConfig};
use nic_model::frame::FrameBuffer;
use nic_model::host::Outside;
use nic_model::host::memory::{DmaAddress, HostMemory};

struct World(HostMemory);

impl Outside for World {
    fn memory(&mut self) -> &mut HostMemory {
        &mut self.0
    }
    fn interrupt(&mut self, _at: Picos) {}
    fn frame_out(&mut self, _port: u8, _at: DmaAddress, _length: usize, _tag: u64, _when: Picos) {}
    fn frame_dropped(&mut self, _ingress_tag: u64, _at: Picos) {}
}

fuzz_target!(|data: &[u8]| {
    let mut config = NicConfig::preset("fpga-small").expect("built in");
    config.table.buckets = 64;
    config.pcie.iommu_entries = 16;
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    config.tunnel.vxlan = kind & 1 != 0;
    config.tunnel.geneve = kind & 1 != 0;
    config.tunnel.gre = kind & 1 != 0;
    config.window.check = kind & 2 != 0;
    config.counter.clear_on_read = kind & 4 != 0;
    if kind & 8 != 0 && kind & 2 == 0 {
        config.key.entries = Entries::EachWay;
        config.key.ingress_port = true;
    }
    if kind & 16 != 0 {
        config.memory.kind = MemoryKind::Host;
        config.memory.cache_sets = 4;
        config.memory.prefetch_peer = kind & 8 != 0;
        config.counter.cache_entries = 64;
        config.pcie.host_cache_kib = 1_024;
    }
    config.aging.action =
        [AgingAction::Report, AgingAction::Evict, AgingAction::Ask][usize::from(kind >> 5) % 3];
    config.port.pause = kind & 128 != 0;
    config.validate().expect("valid");
    let mut board = Board::new(&config);
    let mut world = World(HostMemory::new(1 << 16));
    let base = world.0.allocate(1 << 16).expect("it fits");
    let (mut rest, mut now) = (data, Picos::ZERO);
    while let Some(([what, a, b, c], after)) = rest.split_first_chunk::<4>() {
        rest = after;
        now = now + Picos::from_nanos(u64::from(*c) * 16);
        match what & 3 {
            // A register: offsets and values small and aligned, or the base of the memory.
            0 => {
                let value = u32::from(*b) << (what >> 2 & 0x1f);
                board.write_register(now, u32::from(*a) * 4, value);
            }
            1 => board.write_register(
                now,
                u32::from(*a) * 4,
                (base.0 as u32).wrapping_add(u32::from(*b) * 64),
            ),
            // Memory: what follows is put somewhere.
            2 => {
                let (bytes, after) = rest.split_at(usize::from(*b).min(rest.len()));
                rest = after;
                world
                    .0
                    .write(DmaAddress(base.0 + u64::from(*a) * 64), bytes)
                    .ok();
            }
            // A frame.
            _ => {
                let (bytes, after) = rest.split_at(usize::from(*b).min(rest.len()));
                rest = after;
                frame(&mut board, &mut bytes.to_vec(), *a, now);
            }
        }
        for _ in 0..64 {
            if !board.step(now, &mut world) {
                break;
            }
        }
    }
    let end = now + Picos::from_micros(100);
    for _ in 0..100_000 {
        if !board.step(end, &mut world) {
            return;
        }
    }
    panic!("the card is busy for ever");
});

fn frame(board: &mut Board, bytes: &mut [u8], port: u8, now: Picos) {
    let wire_len = (bytes.len() as u32).max(60);
    let mut parsed = Vec::new();
    let frames = [(port & 1, &*bytes, wire_len)];
    board.chip_mut().prepare(frames.into_iter(), &mut parsed);
    if let Some(parsed) = parsed.first()
        && let Ok(front) = board.arrive(port & 1, now, wire_len, parsed)
    {
        let mut buffer = [&[0; FrameBuffer::HEADROOM][..], bytes].concat();
        let mut frame = FrameBuffer::new(&mut buffer, FrameBuffer::HEADROOM);
        board.finish(&front, parsed, port & 1, &mut frame, wire_len, 1);
    }
}
