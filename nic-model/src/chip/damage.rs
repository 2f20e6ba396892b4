//! Bits of the table's memory that turn over by themselves: corrected, found, or neither, as the memory is protected.

use super::Chip;
use super::ChipEvent;
use crate::clock::Picos;
use crate::config::Protection;
use crate::event::Schedule;
use crate::flow_table::Slot;

/// What became of flipped bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flip {
    /// There is no entry that they could have hit.
    Nowhere,
    /// The memory's code has put them right.
    Corrected,
    /// The memory's code has found that the entry is damaged: it was taken out, and what it counted is lost.
    Found {
        /// The entry's name.
        cookie: u32,
        /// Where it lay.
        slot: Slot,
    },
    /// Nobody has noticed: the entry goes by another name now.
    Unnoticed,
}

impl Chip {
    /// `bits` bits of an entry turn over at once, in the cookie of the `which`-th one (round and round).
    pub fn flip_bits(
        &mut self,
        now: Picos,
        which: u64,
        bits: u32,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Flip {
        let in_use: Vec<Slot> = self.table.slots_in_use().collect();
        let Some(slot) = in_use.get(which as usize % in_use.len().max(1)).copied() else {
            return Flip::Nowhere;
        };
        let is_found = match self.config.memory.protection {
            // A code of distance four corrects one error and finds two.
            Protection::Ecc if bits == 1 => return Flip::Corrected,
            Protection::Ecc => bits == 2,
            Protection::Parity => bits % 2 == 1,
            Protection::None => false,
        };
        if is_found {
            let taken = self.remove(now, slot, schedule);
            return taken.map_or(Flip::Nowhere, |(_, state)| Flip::Found {
                cookie: state.cookie(),
                slot,
            });
        }
        self.table.with_state(slot, |state| {
            let turned = u64::MAX >> (64 - bits.clamp(1, 24)) << 32;
            state.0[3] ^= turned;
        });
        Flip::Unnoticed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NicConfig;
    use crate::event::EventQueue;
    use crate::flow_table::FlowKey;
    use crate::flow_table::entry::EntryAction;

    fn chip(protection: Protection) -> (Chip, EventQueue<ChipEvent>) {
        let mut config = NicConfig::preset("fpga-small").expect("a preset");
        config.memory.protection = protection;
        let (mut chip, mut events) = (Chip::new(&config), EventQueue::default());
        let action = EntryAction {
            cookie: 6,
            ..EntryAction::default()
        };
        let key = FlowKey([1, 0, 2, 0, 6 << 32, 4]);
        chip.insert(Picos::ZERO, key, &action, &mut events)
            .expect("room");
        (chip, events)
    }

    #[test]
    fn each_code_does_what_it_can() {
        for (protection, bits, found, there) in [
            (Protection::Ecc, 1, None, 1),
            (Protection::Ecc, 2, Some(6), 0),
            (Protection::Parity, 1, Some(6), 0),
            (Protection::Parity, 2, None, 1),
            (Protection::None, 1, None, 1),
        ] {
            let (mut chip, mut events) = chip(protection);
            let flip = chip.flip_bits(Picos::from_micros(1), 5, bits, &mut events);
            let cookie = match flip {
                Flip::Found { cookie, .. } => Some(cookie),
                _ => None,
            };
            assert_eq!(
                (cookie, chip.table().occupied()),
                (found, there),
                "{flip:?}"
            );
            let cookies = chip
                .table()
                .slots_in_use()
                .filter_map(|slot| chip.table().state(slot));
            let is_changed = cookies
                .map(|state| state.cookie())
                .any(|cookie| cookie != 6);
            assert_eq!(flip == Flip::Unnoticed, is_changed, "{flip:?}");
            let corrected = protection == Protection::Ecc && bits == 1;
            assert_eq!(flip == Flip::Corrected, corrected);
        }
    }

    #[test]
    fn an_empty_table_has_nothing_to_lose() {
        let config = NicConfig::preset("fpga-small").expect("a preset");
        let mut events = EventQueue::<ChipEvent>::default();
        let mut chip = Chip::new(&config);
        let flip = chip.flip_bits(Picos::ZERO, 5, 2, &mut events);
        assert_eq!(flip, Flip::Nowhere);
    }
}
