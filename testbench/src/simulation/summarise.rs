//! What a run found, put together.

use super::*;
use crate::summary::{
    CardLogEntry, CardTotals, CauseCount, ConnectionTotals, CounterTotals, PacketTotals,
    ReasonCount, RunInfo, RunSummary, TableTotals, WhyCount, WorkTotals,
};
use driver::offload::{RefuseCause, RemoveCause};
use driver::{Update, Why};
use nic_model::host::registers as reg;

impl Simulation {
    /// What the run found. `end` is when its last frame arrived.
    pub fn summary(&self, run: RunInfo) -> RunSummary {
        let (chip, stats) = (self.board.chip(), self.board.chip().stats());
        let (driver, watch) = (self.driver.stats(), &self.world.watch);
        let host = stats.to_host_total();
        let share = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        let mut to_host: Vec<ReasonCount> = Reason::ALL
            .into_iter()
            .map(|reason| {
                let count = stats.to_host[usize::from(reason.code())];
                reason_count(reason.name(), reason.meaning(), count.packets, count.bytes)
            })
            .filter(|count| count.packets > 0)
            .collect();
        to_host.sort_by_key(|count| std::cmp::Reverse(count.packets));
        let hardware_drops = DropReason::ALL.into_iter().map(|reason| {
            reason_count(
                reason.name(),
                reason.meaning(),
                stats.dropped[reason as usize],
                0,
            )
        });
        let mut dropped: Vec<ReasonCount> = hardware_drops
            .chain(watch.software_drops())
            .filter(|count| count.packets > 0)
            .collect();
        dropped.sort_by_key(|count| std::cmp::Reverse(count.packets));
        let table = chip.table();
        let memory = chip.memory_stats();
        RunSummary {
            packets: PacketTotals {
                received: stats.received_frames,
                received_bytes: stats.received_bytes,
                hardware: stats.forwarded_frames,
                hardware_bytes: stats.forwarded_bytes,
                host: host.packets,
                host_bytes: host.bytes,
                host_forwarded: stats.host_sent_frames.saturating_sub(watch.made_by_host()),
                host_made: watch.made_by_host(),
                host_consumed: watch.still_held(),
                dropped: dropped.iter().map(|count| count.packets).sum(),
                hit_rate_packets: share(stats.forwarded_frames, stats.received_frames),
                hit_rate_bytes: share(stats.forwarded_bytes, stats.received_bytes),
            },
            to_host,
            dropped,
            hardware_latency: watch.hardware_latency.distribution(),
            host_latency: watch.host_latency.distribution(),
            connections: ConnectionTotals {
                seen: driver.connections,
                offloaded: driver.installed,
                un_offloaded: causes(RemoveCause::ALL.map(RemoveCause::name), driver.removed),
                marks_sent: driver.marks_sent,
                refused: causes(RefuseCause::ALL.map(RefuseCause::name), driver.refused),
                live_at_end: self.tracker().len() as u64,
                in_hardware_at_end: self.driver.installed(),
                peak_live: driver.peak_connections,
                reasons: whys(self.driver.reasons()),
                waits: whys(driver.waits),
            },
            table: TableTotals {
                organisation: chip.config().table.to_string(),
                capacity: table.capacity().into(),
                stash_capacity: u64::from(table.capacity() - table.main_slots()),
                occupied_at_end: table.occupied().into(),
                peak_occupied: stats.table_peak.into(),
                peak_stash: stats.stash_peak.into(),
                inserted: stats.table_inserted,
                insert_failed: self.board.firmware_stats().table_full,
                moves: table.moves(),
                removed: stats.table_removed,
                evicted: stats.table_evicted,
                memory_reads: memory.reads,
                memory_cache_hits: memory.cache_hits,
                memory_writes: memory.writes,
                cam: *table.cam_activity(),
                mirrored: stats.mirrored[0],
                mirror_dropped: stats.mirrored[1],
                pauses: chip.pauses(),
                stomped: stats.stomped_frames,
                classifier: *chip.classifier_activity(),
            },
            insertion_latency: watch.insertion_latency.distribution(),
            close_to_removal: watch.lingering.after_close.distribution(),
            idle_to_removal: watch.lingering.after_idle.distribution(),
            counters: CounterTotals {
                hardware_packets: stats.counted_packets,
                hardware_bytes: stats.counted_bytes,
                synchronised_packets: driver.synchronised_packets,
                synchronised_bytes: driver.synchronised_bytes,
                records: driver.counter_records,
                asked: driver.counters_asked,
                peak_resting: driver.peak_resting_counters,
                peak_lag_ns: driver.peak_statistics_lag_ns,
                reconciled: stats.counted_packets == driver.synchronised_packets
                    && stats.counted_bytes == driver.synchronised_bytes,
            },
            work: self.work(),
            card: self.card(),
            monitors: watch.verdicts(),
            over_time: watch.over_time.bins(),
            occupancy: watch.over_time.occupancy_points(),
            wave: None,
            run: RunInfo {
                policy: self.policy_name.clone(),
                ..run
            },
        }
    }
}

impl Simulation {
    fn card(&self) -> CardTotals {
        let version = self.board.read_register(self.now, reg::FIRMWARE_VERSION);
        let update = match (&self.update_refused, self.driver.update()) {
            (Some(refused), _) => Some(format!("not begun: {refused}")),
            (None, Update::None) => None,
            (None, update) => Some(update.to_string()),
        };
        let since_start = |ns: u64| Picos::from_nanos(ns).saturating_sub(self.start);
        let log = self.driver.card_log().map(|error| CardLogEntry {
            at_ms: since_start(error.at_ns).as_secs_f64() * 1e3,
            what: error.to_string(),
        });
        CardTotals {
            firmware: format!("{}.{}", version >> 16, version & 0xffff),
            update,
            log: log.collect(),
        }
    }

    fn work(&self) -> WorkTotals {
        let share = |busy: Picos| busy.as_secs_f64() / self.now.as_secs_f64().max(1e-12);
        let (interrupts, (to_host_bytes, from_host_bytes)) = self.board.chip().host_interface_use();
        WorkTotals {
            firmware: share(self.board.firmware_stats().busy),
            host: share(self.world.cpu.busy),
            to_host_bytes,
            from_host_bytes,
            interrupts,
        }
    }
}

pub(super) fn reason_count(reason: &str, meaning: &str, packets: u64, bytes: u64) -> ReasonCount {
    ReasonCount {
        reason: reason.to_owned(),
        meaning: meaning.to_owned(),
        packets,
        bytes,
    }
}

/// Counts by reason, most first.
fn whys(counts: [u64; Why::ALL.len()]) -> Vec<WhyCount> {
    let mut list: Vec<WhyCount> = std::iter::zip(Why::ALL, counts)
        .filter(|(_, count)| *count > 0)
        .map(|(why, count)| WhyCount {
            why: why.name().to_owned(),
            meaning: why.meaning().to_owned(),
            count,
        })
        .collect();
    list.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    list
}

fn causes<const N: usize>(names: [&str; N], counts: [u64; N]) -> Vec<CauseCount> {
    names
        .into_iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(cause, count)| CauseCount {
            cause: cause.to_owned(),
            count,
        })
        .collect()
}
