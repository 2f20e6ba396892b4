//! DRAM: channels that move data, banks that hold one row open each.
//!
//! A read takes as long as its row asks for (open, none open, another open), and at least until the channel's data lines are
//! free; a bank opens rows no faster than its row cycle time. Lines go round the channels, then round the banks. Refresh, the time it
//! takes to turn the data lines around between reads and writes, and reordering by a controller are not modelled; a write
//! costs what a read costs.

use crate::clock::Picos;
use crate::config::MemoryConfig;

#[derive(Debug, Clone, Copy, Default)]
struct Bank {
    row: Option<u64>,
    /// When it can open another row.
    next_open: Picos,
    /// When it can take the next access of the open row.
    next: Picos,
}

/// Channels and banks.
#[derive(Debug)]
pub struct Dram {
    channels: u64,
    banks_per_channel: u64,
    lines_per_row: u64,
    hit: Picos,
    closed: Picos,
    miss: Picos,
    row_cycle: Picos,
    burst: Picos,
    banks: Vec<Bank>,
    /// When each channel's data lines are free.
    free: Vec<Picos>,
}

impl Dram {
    /// Idle memory.
    pub fn new(config: &MemoryConfig) -> Self {
        let (channels, banks) = (u64::from(config.channels), u64::from(config.banks));
        Self {
            channels,
            banks_per_channel: banks,
            lines_per_row: u64::from(config.row_bytes / config.line_bytes).max(1),
            hit: Picos(config.row_hit_ps.into()),
            closed: Picos(config.row_closed_ps.into()),
            miss: Picos(config.row_miss_ps.into()),
            row_cycle: Picos(config.row_cycle_ps.into()),
            burst: Picos(config.burst_ps.into()),
            banks: vec![Bank::default(); (channels * banks) as usize],
            free: vec![Picos::ZERO; channels as usize],
        }
    }

    /// An access to a line begun at `now`: when its data has moved.
    pub fn access(&mut self, now: Picos, line: u64) -> Picos {
        let channel = line % self.channels;
        let within = line / self.channels;
        // A row's lines lie together, rows go round the banks.
        let row = within / self.lines_per_row;
        let bank = &mut self.banks
            [(channel * self.banks_per_channel + row % self.banks_per_channel) as usize];
        let (latency, start) = if bank.row == Some(row) {
            (self.hit, now.max(bank.next))
        } else {
            let latency = if bank.row.is_some() {
                self.miss
            } else {
                self.closed
            };
            let start = now.max(bank.next).max(bank.next_open);
            bank.next_open = start + self.row_cycle;
            bank.row = Some(row);
            (latency, start)
        };
        bank.next = start + self.burst;
        let free = &mut self.free[channel as usize];
        let done = (start + latency).max(*free + self.burst);
        *free = done;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> MemoryConfig {
        MemoryConfig {
            channels: 2,
            banks: 4,
            row_bytes: 1_024,
            ..MemoryConfig::default()
        }
    }

    #[test]
    fn a_row_is_opened_once_and_then_open() {
        let mut dram = Dram::new(&config());
        let far = |n| Picos::from_micros(n);
        let took = |dram: &mut Dram, at, line| dram.access(far(at), line) - far(at);
        assert_eq!(took(&mut dram, 0, 0), Picos(89_900));
        assert_eq!(
            took(&mut dram, 1, 2),
            Picos(73_300),
            "the same row of the same channel"
        );
        assert_eq!(took(&mut dram, 2, 1), Picos(89_900), "the other channel");
        // 16 lines in a row, 4 banks, 2 channels: the same bank again, another row.
        assert_eq!(took(&mut dram, 3, 16 * 4 * 2), Picos(106_600));
    }

    #[test]
    fn a_channel_moves_one_line_at_a_time() {
        let mut dram = Dram::new(&config());
        dram.access(Picos::ZERO, 0);
        let mut last = dram.access(Picos::from_micros(1), 0);
        for line in (2..32).step_by(2) {
            let done = dram.access(Picos::from_micros(1), line);
            assert_eq!(done - last, Picos(3_333));
            last = done;
        }
    }

    #[test]
    fn a_bank_opens_rows_no_faster_than_its_cycle() {
        let mut dram = Dram::new(&config());
        let all: Vec<Picos> = (0..4)
            .map(|n| dram.access(Picos::ZERO, n * 16 * 4 * 2))
            .collect();
        assert!(
            all.windows(2)
                .skip(1)
                .all(|pair| pair[1] - pair[0] == Picos(45_750)),
            "{all:?}"
        );
    }
}
