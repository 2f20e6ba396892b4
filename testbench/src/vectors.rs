//! Test vectors for RTL: what a block is asked cycle by cycle, and what it must answer.
//!
//! The operations are random; the answers are those of the model's own table and CAM. A look-up is on its way for some
//! cycles before the memory is read: it sees the writes of cycles before that.

use crate::traffic::random::{below, stream};
use nic_model::clock::Picos;
use nic_model::config::{NicConfig, TableConfig};
use nic_model::flow_table::cam::Cam;
use nic_model::flow_table::slots::SlotMemory;
use nic_model::flow_table::{EntryAction, EntryState, FlowKey, FlowTable, Slot};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::collections::VecDeque;
use std::fmt::Write;

/// What a block is asked in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// An entry is written into a slot.
    Write(u32, FlowKey),
    /// A slot is emptied.
    Erase(u32),
    /// A look-up, and where the key lies.
    LookUp(FlowKey, Option<u32>),
}

/// The operations of a block, one a cycle.
#[derive(Debug, Clone)]
pub struct Vectors {
    /// Name of the block.
    pub block: &'static str,
    /// Cycles from a look-up to its result.
    pub latency_cycles: u32,
    /// The operations.
    pub operations: Vec<Operation>,
}

/// The configuration that the blocks of `nic-model/rtl` have by default.
pub fn config() -> NicConfig {
    NicConfig {
        table: TableConfig {
            buckets: 256,
            slots_per_bucket: 4,
            stash_entries: 64,
            search_limit_buckets: 64,
            ..TableConfig::default()
        },
        ..NicConfig::default()
    }
}

/// The vectors of all blocks: at least `count` operations each.
pub fn all(count: usize, seed: u64) -> Vec<Vectors> {
    vec![cuckoo(count, seed), cam(count, seed)]
}

/// Keys at random that resemble each other: only some of their bits differ.
fn keys(rng: &mut ChaCha8Rng, count: usize) -> Vec<FlowKey> {
    let base: [u64; 6] = std::array::from_fn(|_| rng.next_u64());
    (0..count)
        .map(|_| {
            let mut words = base;
            words[below(rng, 6) as usize] ^= 1 << below(rng, 64);
            words[below(rng, 6) as usize] ^= rng.next_u64() & 0xffff;
            FlowKey(words)
        })
        .collect()
}

/// A cuckoo table as the firmware writes it: entries that move are written to their new place before the old one is emptied.
fn cuckoo(count: usize, seed: u64) -> Vectors {
    let config = config();
    let mut table = FlowTable::new(&TableConfig {
        stash_entries: 0,
        ..config.table.clone()
    });
    let mut bench = Bench::new(
        SlotImage(SlotMemory::new(table.shape())),
        config.pipeline.hash_latency_cycles,
    );
    let mut rng = stream(seed, 300);
    let pool = keys(&mut rng, 1_200);
    let state = EntryState::new(EntryAction::default(), Picos::ZERO);
    while bench.operations.len() < count {
        let key = pool[below(&mut rng, pool.len() as u32) as usize];
        match below(&mut rng, 10) {
            0..2 => {
                if let Ok(inserted) = table.insert(key, state) {
                    for (from, to) in table.moved().to_vec() {
                        let moved = table.key(to).unwrap_or_default();
                        bench.write(&table, to.0, moved, &mut rng, &pool);
                        bench.erase(&table, from.0, &mut rng, &pool);
                    }
                    bench.write(&table, inserted.slot.0, key, &mut rng, &pool);
                }
            }
            2 => {
                if let Some(slot) = table.find(&key, table.hash(&key)) {
                    table.remove(slot);
                    bench.erase(&table, slot.0, &mut rng, &pool);
                }
            }
            _ => bench.look_up(&table, key),
        }
    }
    bench.finish(&table);
    Vectors {
        block: "cuckoo_lookup",
        latency_cycles: config.pipeline.hash_latency_cycles
            + config.pipeline.table_read_cycles
            + config.pipeline.compare_cycles,
        operations: bench.operations,
    }
}

/// A CAM whose free cells are filled from the lowest on.
fn cam(count: usize, seed: u64) -> Vectors {
    let config = config();
    let mut cam = Cam::new(config.table.stash_entries as usize);
    let mut rng = stream(seed, 301);
    let pool = keys(&mut rng, 80);
    let mut operations = Vec::new();
    while operations.len() < count {
        let key = pool[below(&mut rng, pool.len() as u32) as usize];
        let there = cam.find(&key);
        // The one bit that stands is the cell.
        debug_assert_eq!(cam.match_lines(&key).first_one(), there);
        let operation = match below(&mut rng, 10) {
            0..3 if there.is_none() => cam
                .insert(key, EntryState::default())
                .map(|cell| Operation::Write(cell as u32, key)),
            3..5 => there.map(|cell| {
                cam.remove(cell);
                Operation::Erase(cell as u32)
            }),
            _ => Some(Operation::LookUp(key, there.map(|cell| cell as u32))),
        };
        operations.extend(operation);
    }
    Vectors {
        block: "bram_cam",
        latency_cycles: config.pipeline.table_read_cycles + config.pipeline.compare_cycles,
        operations,
    }
}

/// What the memory of the block holds, which during a move is more than the table.
struct SlotImage(SlotMemory);

impl SlotImage {
    fn find(&self, table: &FlowTable, key: &FlowKey) -> Option<u32> {
        let hashes = table.hash(key);
        let mut homes = self.0.shape().homes(hashes);
        homes.find_map(|bucket| self.0.find(bucket, hashes.tag(), key))
    }
}

/// The operations so far, and look-ups that have not come to the memory yet.
struct Bench {
    image: SlotImage,
    before_read_cycles: usize,
    operations: Vec<Operation>,
    /// For each cycle on the way to the memory, the number of its look-up.
    on_their_way: VecDeque<Option<usize>>,
}

impl Bench {
    fn new(image: SlotImage, before_read_cycles: u32) -> Self {
        Self {
            image,
            before_read_cycles: before_read_cycles as usize,
            operations: Vec::new(),
            on_their_way: VecDeque::new(),
        }
    }

    /// A cycle begins: the look-up that comes to the memory now sees what is there.
    fn cycle(&mut self, table: &FlowTable, look_up: Option<usize>) {
        self.on_their_way.push_back(look_up);
        if self.on_their_way.len() <= self.before_read_cycles {
            return;
        }
        if let Some(Some(number)) = self.on_their_way.pop_front()
            && let Some(Operation::LookUp(key, found)) = self.operations.get_mut(number)
        {
            *found = self.image.find(table, key);
        }
    }

    fn look_up(&mut self, table: &FlowTable, key: FlowKey) {
        let number = self.operations.len();
        self.operations.push(Operation::LookUp(key, None));
        self.cycle(table, Some(number));
    }

    fn write(
        &mut self,
        table: &FlowTable,
        slot: u32,
        key: FlowKey,
        rng: &mut ChaCha8Rng,
        pool: &[FlowKey],
    ) {
        self.operations.push(Operation::Write(slot, key));
        self.cycle(table, None);
        let state = EntryState::new(EntryAction::default(), Picos::ZERO);
        self.image.0.write(slot, table.hash(&key).tag(), key, state);
        self.between(table, key, rng, pool);
    }

    fn erase(&mut self, table: &FlowTable, slot: u32, rng: &mut ChaCha8Rng, pool: &[FlowKey]) {
        self.operations.push(Operation::Erase(slot));
        self.cycle(table, None);
        let erased = self.image.0.erase(slot);
        let key = erased.map_or_else(|| pool[0], |(key, _)| key);
        self.between(table, key, rng, pool);
    }

    /// Look-ups between the steps of a move: of the key that moves, or another.
    fn between(&mut self, table: &FlowTable, key: FlowKey, rng: &mut ChaCha8Rng, pool: &[FlowKey]) {
        for _ in 0..below(rng, 3) {
            let other = pool[below(rng, pool.len() as u32) as usize];
            let key = if below(rng, 2) == 0 { key } else { other };
            self.look_up(table, key);
        }
    }

    /// Cycles until all look-ups have come to the memory.
    fn finish(&mut self, table: &FlowTable) {
        for _ in 0..self.before_read_cycles {
            self.cycle(table, None);
        }
        debug_assert!(
            table
                .slots_in_use()
                .all(|Slot(slot)| self.image.0.in_use(slot))
        );
    }
}

impl Vectors {
    /// As text: a header, then one line per cycle.
    pub fn text(&self) -> String {
        let mut out = format!("latency {}\n", self.latency_cycles);
        for operation in &self.operations {
            // Writing to a String cannot fail.
            match operation {
                Operation::Write(slot, key) => writeln!(out, "W {slot} {}", hex(key)),
                Operation::Erase(slot) => writeln!(out, "E {slot}"),
                Operation::LookUp(key, found) => {
                    let hit = u8::from(found.is_some());
                    writeln!(out, "L {} {hit} {}", hex(key), found.unwrap_or(0))
                }
            }
            .ok();
        }
        out
    }

    /// As a C header, for DPI: an array of the same operations.
    pub fn header(&self) -> String {
        let name = self.block;
        let mut out = format!(
            "/* Vectors for {name}, one operation a cycle; written by `ctnic vectors`. */\n\
             #ifndef CTNIC_VECTORS_{0}\n#define CTNIC_VECTORS_{0}\n#include <stdint.h>\n\n\
             #ifndef CTNIC_VECTOR\n#define CTNIC_VECTOR\n\
             /* operation: 'W' write, 'E' erase, 'L' look-up; key: 48 bytes, byte 0 first. */\n\
             struct ctnic_vector {{ char operation; uint8_t hit; uint32_t slot; uint8_t key[48]; }};\n#endif\n\n\
             enum {{ {name}_latency_cycles = {1} }};\n\
             static const struct ctnic_vector {name}_vectors[] = {{\n",
            name.to_uppercase(),
            self.latency_cycles
        );
        for operation in &self.operations {
            let (kind, hit, slot, key) = match operation {
                Operation::Write(slot, key) => ('W', false, *slot, *key),
                Operation::Erase(slot) => ('E', false, *slot, FlowKey::default()),
                Operation::LookUp(key, found) => ('L', found.is_some(), found.unwrap_or(0), *key),
            };
            let bytes = key.to_bytes().map(|byte| byte.to_string()).join(",");
            writeln!(out, "{{'{kind}',{},{slot},{{{bytes}}}}},", u8::from(hit)).ok();
        }
        out.push_str("};\n\n#endif\n");
        out
    }
}

fn hex(key: &FlowKey) -> String {
    key.to_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_vectors() {
        for (a, b) in all(2_000, 3).iter().zip(all(2_000, 3)) {
            assert_eq!(a.operations, b.operations);
            assert!(a.operations.len() >= 2_000);
        }
        assert_ne!(all(2_000, 3)[0].operations, all(2_000, 4)[0].operations);
    }

    #[test]
    fn a_key_that_moves_is_found_all_the_while() {
        let vectors = cuckoo(60_000, 1);
        // From the first write of a key until a slot is emptied that is its only one, every look-up hits, though its writes
        // take a few cycles to be seen.
        let mut places: std::collections::BTreeMap<[u64; 6], (Vec<u32>, usize)> =
            Default::default();
        let (mut moving, mut checked) = (0, 0);
        for (cycle, operation) in vectors.operations.iter().enumerate() {
            match operation {
                Operation::Write(slot, key) => {
                    let (slots, since) = places.entry(key.0).or_default();
                    slots.push(*slot);
                    moving += usize::from(slots.len() == 2);
                    if slots.len() == 1 {
                        *since = cycle;
                    }
                }
                Operation::Erase(slot) => {
                    for (slots, since) in places
                        .values_mut()
                        .filter(|(slots, _)| slots.contains(slot))
                    {
                        slots.retain(|there| there != slot);
                        *since = if slots.is_empty() { usize::MAX } else { *since };
                    }
                }
                Operation::LookUp(key, found) => {
                    if let Some((slots, since)) = places.get(&key.0)
                        && !slots.is_empty()
                        && *since < cycle
                    {
                        // Somebody may remove it before the look-up comes to the memory: then it may miss.
                        let ahead =
                            &vectors.operations[cycle..(cycle + 4).min(vectors.operations.len())];
                        let removed = ahead.iter().any(
                            |next| matches!(next, Operation::Erase(slot) if slots.contains(slot)),
                        );
                        assert!(
                            found.is_some() || removed && slots.len() == 1,
                            "cycle {cycle}"
                        );
                        checked += 1;
                    }
                }
            }
        }
        assert!(
            moving > 100 && checked > 10_000,
            "{moving} moves, {checked} look-ups"
        );
    }

    #[test]
    fn text_and_header_hold_every_operation() {
        let vectors = cam(500, 1);
        assert_eq!(vectors.text().lines().count(), vectors.operations.len() + 1);
        let header = vectors.header();
        assert_eq!(header.matches("{'").count(), vectors.operations.len());
        assert!(header.contains("bram_cam_latency_cycles = 5"));
    }
}
