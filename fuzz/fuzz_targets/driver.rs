//! A card gone mad: any descriptors in the driver's rings, sealed or not, any values in registers, any frames, at any times. The
//! driver may give the card up, but it neither panics nor works for ever.
#![no_main]

use conntrack_core::{HashKey, Tracker};
use driver::device::Layout;
use driver::observer::Blind;
use driver::plain_board::{PlainBoard, ToHost};
use driver::{Counting, Driver, DriverConfig, Platform, Progress, TwoPort, policy};
use libfuzzer_sys::fuzz_target;
use nic_model::clock::Picos;
use nic_model::config::{Entries, KeyConfig, RingConfig};
use nic_model::datapath::trap::Reason;
use nic_model::host::memory::DmaAddress;
use nic_model::host::registers as reg;
use nic_model::host::seal::seal;

const ENTRIES: u32 = 16;
/// Rings that the card writes: the register of each, and the size of its descriptors.
const RINGS: [(u32, usize); 4] = [
    (reg::COMMAND_DONE_LOW, 64),
    (reg::EVENT_BASE_LOW, 64),
    (reg::COUNTER_BASE_LOW, 64),
    (reg::RECEIVE_DONE_LOW, 48),
];

fn start(kind: u8) -> Option<(PlainBoard, Driver)> {
    let mut config = DriverConfig {
        hash_key: HashKey([1, 2]),
        rings: RingConfig {
            receive_entries: ENTRIES,
            transmit_entries: ENTRIES,
            command_entries: ENTRIES,
            event_entries: ENTRIES,
            counter_entries: ENTRIES,
        },
        route: kind & 1 != 0,
        ..DriverConfig::default()
    };
    if kind & 2 != 0 {
        config.habits.counting = Counting::Poll(10);
    }
    let mut key = KeyConfig::default();
    if kind & 4 != 0 {
        key.entries = Entries::EachWay;
    }
    let bytes = Layout::memory_bytes(&config.rings, config.buffer_bytes);
    let version = [0x0002_0001, 0x0002_0002, 0x0002_0003, 0x0002_0004][usize::from(kind >> 3) % 4];
    let mut board = PlainBoard::new(32, &key, bytes);
    board = if version == 0x0002_0004 {
        board.with_markings()
    } else {
        board.of_version(version)
    };
    board.write_register(reg::PORT_MTU, if kind & 64 != 0 { 576 } else { 0 });
    let policy = policy::by_name("established")?;
    let driver = Driver::start(&mut board, config, policy).ok()?;
    Some((board, driver))
}

/// Works until there is nothing to do; `None` if the driver has given the card up.
fn work(board: &mut PlainBoard, driver: &mut Driver) -> Option<()> {
    for _ in 0..10_000 {
        if driver.poll(board, &mut TwoPort, &mut Blind).ok()? == Progress::Idle {
            return Some(());
        }
    }
    panic!("the driver works for ever");
}

/// A descriptor in a ring, with a good checksum or without.
fn forge(board: &mut PlainBoard, (ring, place, sealed): (u8, u8, bool), bytes: &[u8]) {
    let (base, size) = RINGS[usize::from(ring) % RINGS.len()];
    let low = board.read_register(base);
    let high = board.read_register(base + 4);
    let base = u64::from(low) | u64::from(high) << 32;
    let at = DmaAddress(base + u64::from(place) % u64::from(ENTRIES) * size as u64);
    let mut descriptor = [0; 64];
    if board.memory().slice(at, size).is_err() {
        return;
    }
    if let Ok(there) = board.memory().slice(at, size) {
        descriptor[..size].copy_from_slice(there);
    }
    // What is not said stays as it was: what the card wrote is changed a little.
    for (to, from) in descriptor.iter_mut().zip(bytes) {
        *to ^= *from;
    }
    if sealed && size == 64 {
        seal(&mut descriptor);
    }
    board.memory().write(at, &descriptor[..size]).ok();
}

fn step<'a>(
    board: &mut PlainBoard,
    driver: &mut Driver,
    [what, a, b, c]: [u8; 4],
    rest: &'a [u8],
) -> Option<&'a [u8]> {
    let (bytes, after) = rest.split_at(usize::from(b).min(rest.len()));
    match what % 8 {
        0 => {
            let frame = ToHost {
                port: a & 1,
                frame: bytes,
                reason: Reason::from_code(c % 17).unwrap_or(Reason::Miss),
                hit: (a & 2 != 0).then_some(u32::from(a >> 2) | 1 << 25),
            };
            board.give(&frame, u64::from(c));
            return work(board, driver).map(|()| after);
        }
        1 => {
            board.execute();
            board.complete(c & 1 != 0);
        }
        2 => {
            forge(board, (a, c, what & 8 != 0), bytes);
            work(board, driver)?;
            return Some(after);
        }
        3 => {
            board.now += Picos::from_millis(u64::from(a));
            driver.tick(board, &mut Blind).ok()?;
            work(board, driver)?;
        }
        4 => board.write_register(
            reg::PORT_MTU + u32::from(a % 15) * 4,
            u32::from(b) << (c & 0x1f),
        ),
        5 => {
            board.send();
            board.report_counters(a.into());
        }
        6 => {
            let key = board.entries().nth(usize::from(a) % 32);
            if let Some(key) = key.map(|entry| entry.key) {
                board.report_idle(&key, c & 1 != 0);
            }
        }
        _ => {
            if c & 1 != 0 {
                let change = |tracker: &mut Tracker, now| {
                    let found = tracker.iter().nth(usize::from(a >> 1)).map(|(id, _)| id);
                    if let Some(id) = found {
                        tracker.set_mark(id, c.into(), now);
                    }
                };
                driver.remark(board, &mut Blind, change).ok()?;
            }
            work(board, driver)?;
        }
    }
    Some(rest)
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, mut rest)) = data.split_first() else {
        return;
    };
    let Some((mut board, mut driver)) = start(*kind) else {
        return;
    };
    while let Some((operation, after)) = rest.split_first_chunk::<4>() {
        let Some(left) = step(&mut board, &mut driver, *operation, after) else {
            return;
        };
        rest = left;
    }
});
