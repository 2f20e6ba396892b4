//! The driver itself: one piece of work per poll, in the order in which work must not wait.

mod ahead;
mod card_log;
mod collector;
mod counting;
mod decide;
mod gauges;
mod life;
mod marking;
mod packets;
mod recovery;
mod requests;
mod restart;
mod sending;
mod taken;
mod update;

use crate::card_clock::CardClock;
use crate::commands::{CommandQueue, InsertRequest, Pending};
use crate::counter_pool::CounterPool;
use crate::device::{DeviceError, Layout, Services};
use crate::explain::Why;
use crate::flaw::{Flaw, Flaws};
use crate::fragments::{self, HeldFragments};
use crate::habits::{Counting, Habits};
use crate::observer::{Disposition, Observer, PacketReport, Recovery, ResetCause};
use crate::offload::{Cookie, Life, Records, RefuseCause, RemoveCause};
use crate::platform::{Platform, Work};
use crate::policy::Policy;
use crate::queues::{self, ReceiveQueue, ReportQueue, TransmitQueue};
use crate::room::{Hand, RoomConfig};
use crate::switch::{Egress, Received, Switch};
use crate::sync::{self, Reading};
use crate::too_long::{self, Fit, Router};
use crate::translation::{self, Chance};
use ahead::LookAhead;
pub use card_log::CardError;
use conntrack_core::{
    ChecksumStatus, Config, ConnectionId, CtInfo, DestroyCause, EventKind, HashKey, Packet, Time,
    Tracker, Verdict, Zone,
};
pub use gauges::Gauges;
use nic_model::clock::Picos;
use nic_model::config::RingConfig;
use nic_model::datapath::rewrite::decrement_ttl;
use nic_model::datapath::trap::Reason;
use nic_model::host::descriptors::{
    CommandCompletion, Opcode, ReceiveCompletion, Status, TransmitDescriptor,
};
use nic_model::host::registers as reg;
use packet::Ethernet;
use recovery::Health;
pub use recovery::TICK;
pub use restart::SavedState;
pub(crate) use restart::VERSION as STATE_VERSION;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
pub use update::{Update, UpdateError};

/// Which clock connection tracking goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// The platform's.
    #[default]
    Running,
    /// Time stands still: no timeout elapses.
    Frozen,
}

/// How a driver is set up.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// Settings of connection tracking.
    pub conntrack: Config,
    /// Key of the connection table's hash.
    pub hash_key: HashKey,
    /// Ring sizes.
    pub rings: RingConfig,
    /// Size of a receive buffer, bytes.
    pub buffer_bytes: u32,
    /// Act as a router: decrement TTL and hop limit, drop what has none left, and tell senders of packets that are too long for
    /// the next link, or send those in fragments. Otherwise a bump in the wire.
    pub route: bool,
    /// Addresses that a router's messages come from.
    pub router: Router,
    /// Which clock connection tracking goes by.
    pub clock: Clock,
    /// How long a connection that found the table full, or gave way in it, waits for its next attempt, milliseconds; twice as
    /// long after each, up to eight times.
    pub retry_after_full_ms: u32,
    /// How much of the card's table connections may take.
    pub room: RoomConfig,
    /// Connections looked at for expiry in one tick.
    pub collect_per_tick: u32,
    /// How long the card may leave all commands unanswered before one is posted again, milliseconds.
    pub command_patience_ms: u32,
    /// How often a command is posted again before the card is reset.
    pub command_attempts: u8,
    /// What drivers do in more than one way.
    pub habits: Habits,
    /// Mistakes that are switched on, to see what comes of them.
    pub flaws: Flaws,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            conntrack: Config::default(),
            hash_key: HashKey([0, 0]),
            rings: RingConfig::default(),
            buffer_bytes: 2_048,
            route: false,
            router: Router::default(),
            clock: Clock::Running,
            retry_after_full_ms: 1_000,
            room: RoomConfig::default(),
            collect_per_tick: 16_384,
            command_patience_ms: 200,
            command_attempts: 5,
            habits: Habits::default(),
            flaws: Flaws::default(),
        }
    }
}

/// What the driver did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DriverStats {
    /// Packets received.
    pub received: u64,
    /// Connections the tracker made.
    pub connections: u64,
    /// Insert commands that completed with the entry in the table.
    pub installed: u64,
    /// Removals completed, by [`RemoveCause`].
    pub removed: [u64; RemoveCause::ALL.len()],
    /// Insertions refused, by [`RefuseCause`].
    pub refused: [u64; RefuseCause::ALL.len()],
    /// How often it was decided that a connection waits, by [`Why`].
    pub waits: [u64; Why::ALL.len()],
    /// Longest time between a packet that the card counted and the reading of that counter, as far as records tell,
    /// nanoseconds.
    pub peak_statistics_lag_ns: u64,
    /// Counter records read.
    pub counter_records: u64,
    /// Commands that asked for the counters of one entry.
    pub counters_asked: u64,
    /// Most counters at rest at once.
    pub peak_resting_counters: u32,
    /// Packets added to connections from hardware counters.
    pub synchronised_packets: u64,
    /// Bytes added to connections from hardware counters.
    pub synchronised_bytes: u64,
    /// Most connections in software at once.
    pub peak_connections: u64,
    /// Commands posted again.
    pub commands_retried: u64,
    /// Completions that no command waited for.
    pub completions_stale: u64,
    /// Commands that came to the card damaged.
    pub commands_damaged: u64,
    /// Resets of the card, by [`ResetCause`].
    pub resets: [u64; ResetCause::ALL.len()],
    /// Times the card's table was read and compared.
    pub readings: u64,
    /// Entries found in the card that no connection had, and taken out.
    pub strays: u64,
    /// Entries that the card had lost.
    pub lost_entries: u64,
    /// Messages to senders of packets that were too long for the next link.
    pub answers: u64,
    /// Entries that were given another mark or other labels.
    pub marks_sent: u64,
    /// Fragments made of packets that were too long for the next link: of n that become of one packet, n - 1.
    pub fragments_made: u64,
}

/// What a poll did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// One piece of work; there may be more.
    Worked,
    /// Nothing to do: the interrupt is armed.
    Idle,
}

/// The driver of one card.
pub struct Driver {
    config: DriverConfig,
    layout: Layout,
    tracker: Tracker,
    policy: Box<dyn Policy>,
    records: Records,
    receive: ReceiveQueue,
    transmit: TransmitQueue,
    commands: CommandQueue,
    events: ReportQueue,
    counters: ReportQueue,
    held: HeldFragments,
    chance: Chance,
    hand: Hand,
    ahead: LookAhead,
    /// Nothing is offloaded.
    stopped: bool,
    /// Where packets go depends on marks or labels.
    markings_matter: bool,
    walk: collector::Walk,
    reading: counting::TableReading,
    /// Connections whose counters are to be asked for, each once.
    to_ask: VecDeque<ConnectionId>,
    pool: Option<CounterPool>,
    /// Milliseconds before which nothing at all is put in, with [`Flaw::FullForAll`].
    holds_until_ms: u32,
    health: Health,
    clock: CardClock,
    card_log: card_log::CardLog,
    updating: update::Updating,
    stats: DriverStats,
}

impl Driver {
    /// Brings the card up and posts all receive buffers.
    ///
    /// # Errors
    /// The card is not ours, speaks another version, or memory is short.
    pub fn start(
        platform: &mut impl Platform,
        config: DriverConfig,
        policy: Box<dyn Policy>,
    ) -> Result<Self, DeviceError> {
        let services = Services::wanted(&config.habits);
        let layout = Layout::bring_up(platform, &config.rings, config.buffer_bytes, services)?;
        let mut tracker = Tracker::new(config.conntrack.clone(), config.hash_key);
        tracker.record_events(true);
        let mut driver = Self {
            transmit: TransmitQueue::new(&layout),
            tracker,
            policy,
            records: Records::new(config.flaws),
            receive: ReceiveQueue::default(),
            commands: CommandQueue::new(config.flaws),
            events: ReportQueue::default(),
            counters: ReportQueue::default(),
            held: HeldFragments::default(),
            chance: Chance::new(config.hash_key.0[0] ^ config.hash_key.0[1].rotate_left(32)),
            hand: Hand::default(),
            ahead: LookAhead::default(),
            stopped: false,
            markings_matter: false,
            walk: collector::Walk::default(),
            reading: counting::TableReading::default(),
            to_ask: VecDeque::new(),
            pool: (config.habits.counter_pool)
                .map(|pool| CounterPool::new(pool, layout.table_capacity)),
            holds_until_ms: 0,
            health: Health::default(),
            clock: CardClock::new(config.flaws),
            card_log: card_log::CardLog::default(),
            updating: update::Updating::default(),
            stats: DriverStats::default(),
            layout,
            config,
        };
        driver.post_all_buffers(platform)?;
        driver.meet(platform);
        Ok(driver)
    }

    /// Connection tracking, to look at.
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// What the driver did.
    pub const fn stats(&self) -> &DriverStats {
        &self.stats
    }

    /// Connections in hardware.
    pub const fn installed(&self) -> u64 {
        self.records.installed()
    }

    /// Entries in hardware, as far as the driver knows: one or two for each of those connections.
    pub const fn entries(&self) -> u64 {
        self.records.entries()
    }

    /// Where a connection is.
    pub fn life(&self, id: ConnectionId) -> Life {
        self.records
            .get(id)
            .map_or(Life::Software, |record| record.life)
    }

    /// Frames made here: messages, and what became of a packet in fragments but one.
    pub const fn made(&self) -> u64 {
        self.stats.answers + self.stats.fragments_made
    }

    /// The cookie the hardware knows a connection by, if it is in hardware or on its way in or out.
    pub fn connection_of_cookie(&mut self, cookie: u32) -> Option<ConnectionId> {
        let cookie = Cookie(cookie);
        let (_, generation) = self.records.by_cookie(cookie)?;
        Some(ConnectionId::from_parts(cookie.index(), generation))
    }

    /// Does one piece of work.
    ///
    /// # Errors
    /// The driver reached outside its own memory: a defect of the driver or the card, not of any packet.
    pub fn poll<P: Platform, O: Observer>(
        &mut self,
        platform: &mut P,
        switch: &mut impl Switch,
        observer: &mut O,
    ) -> Result<Progress, DeviceError> {
        self.markings_matter = switch.reads_markings();
        while let Some(buffer) = self.transmit.reclaim(platform, &self.layout)? {
            self.receive.post(platform, &self.layout, buffer)?;
        }
        if self.poll_card(platform, switch, observer)? {
            self.follow_events(platform, observer)?;
            self.commands.announce(platform);
            return Ok(Progress::Worked);
        }
        if self.skip_lost_reports(platform)? {
            return Ok(Progress::Worked);
        }
        self.transmit.announce(platform);
        self.receive.announce(platform);
        self.events
            .announce(platform, &self.layout.event, reg::EVENT_HEAD, true);
        self.counters
            .announce(platform, &self.layout.counter, reg::COUNTER_HEAD, true);
        platform.spend(Work::Poll, 1);
        crate::device::write(platform, reg::INTERRUPT_ARM, 1);
        Ok(Progress::Idle)
    }

    /// Looks after the card, for connections that have expired and for fragments that waited too long; to be called
    /// [`Driver::tick_after`] the last call, or sooner.
    ///
    /// # Errors
    /// As [`Driver::poll`].
    pub fn tick<P: Platform, O: Observer>(
        &mut self,
        platform: &mut P,
        observer: &mut O,
    ) -> Result<(), DeviceError> {
        let now = self.time(platform);
        let most = self.config.collect_per_tick;
        self.supervise(platform, observer)?;
        self.collect_idle(platform)?;
        self.poll_table(platform)?;
        self.post_asks(platform)?;
        self.rest_counters(platform);
        platform.spend(Work::Expire, most.min(self.tracker.len() as u32));
        self.tracker.collect(now, most);
        let at_most = self.layout.receive.entries() as usize / 2;
        for completion in self.held.overdue(now, at_most) {
            observer.released(
                completion.ingress_tag(),
                Disposition::DroppedFragment,
                platform.now(),
            );
            self.receive
                .post(platform, &self.layout, completion.buffer())?;
        }
        self.follow_events(platform, observer)?;
        self.commands.announce(platform);
        self.receive.announce(platform);
        Ok(())
    }

    fn time(&self, platform: &impl Platform) -> Time {
        match self.config.clock {
            Clock::Running => Time(platform.now().as_nanos()),
            Clock::Frozen => Time(0),
        }
    }

    /// One thing the card has for the driver; whether there was any. Completions before packets: they free what others wait
    /// for.
    ///
    /// An entry is over when its deletion completes. What the card wrote about it before that is in memory before the
    /// completion is, so it must be read first: reports that have counters, and records of counters that reading clears.
    fn poll_card<P: Platform, O: Observer>(
        &mut self,
        platform: &mut P,
        switch: &mut impl Switch,
        observer: &mut O,
    ) -> Result<bool, DeviceError> {
        let completed = self.commands.is_ready(platform, &self.layout)?;
        if self.poll_aging(platform, observer)?
            || self.layout.counters.clear_on_read && self.poll_counters(platform, observer)?
        {
            return Ok(true);
        }
        if completed {
            self.fetch_ahead_completions(platform);
            if let Some((mut completion, pending)) = self.commands.take(platform, &self.layout)? {
                let time = (completion.era(), completion.last_seen_ns());
                completion.set_last_seen_ns(self.host_ns(platform, time));
                self.completed(platform, &completion, pending, observer)?;
                return Ok(true);
            }
        }
        self.fetch_ahead(platform);
        if let Some(completion) = self.receive.take(platform, &self.layout)? {
            self.received(platform, completion, switch, observer)?;
            return Ok(true);
        }
        self.poll_counters(platform, observer)
    }

    /// A time in a message of the card, on the host's clock.
    fn host_ns(&mut self, platform: &mut impl Platform, time: (u8, u64)) -> u64 {
        self.clock.host_ns(platform, self.layout.version, time)
    }

    /// Goes on behind reports that were lost, if the next ones have come: the card's writes keep their order.
    fn skip_lost_reports(&mut self, platform: &mut impl Platform) -> Result<bool, DeviceError> {
        /// More than these lost in a row are found with time.
        const LOOK_AHEAD: u32 = 4;
        let (event, counter) = (&self.layout.event, &self.layout.counter);
        Ok(self.events.skip_hole(platform, event, LOOK_AHEAD)?
            || self.counters.skip_hole(platform, counter, LOOK_AHEAD)?)
    }

    fn poll_aging(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<bool, DeviceError> {
        let ring = &self.layout.event;
        let Some(mut report) = queues::take_aging(&mut self.events, platform, ring)? else {
            return Ok(false);
        };
        platform.spend(Work::AgingReport, 1);
        self.events.announce(platform, ring, reg::EVENT_HEAD, false);
        let time = (report.era(), report.last_seen_ns());
        report.set_last_seen_ns(self.host_ns(platform, time));
        self.aged(platform, &report, observer)?;
        Ok(true)
    }

    fn poll_counters(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<bool, DeviceError> {
        self.fetch_ahead_counters(platform);
        let ring = &self.layout.counter;
        let Some(record) = queues::take_counters(&mut self.counters, platform, ring)? else {
            return Ok(false);
        };
        platform.spend(Work::CounterRecord, 1);
        self.counters
            .announce(platform, ring, reg::COUNTER_HEAD, false);
        self.stats.counter_records += 1;
        let reading = Reading {
            packets: [record.packets_0(), record.packets_1()],
            bytes: [record.bytes_0(), record.bytes_1()],
            last_seen_ns: self.host_ns(platform, (record.era(), record.last_seen_ns())),
        };
        self.synchronise(platform, Cookie(record.cookie()), &reading, observer);
        Ok(true)
    }

    /// Counters whose entries are gone come to rest, and those that rested for long enough are free.
    fn rest_counters(&mut self, platform: &impl Platform) {
        let freed = self.records.take_freed();
        if let Some(pool) = &mut self.pool {
            pool.advance(millis(platform));
            pool.give_back(freed);
            self.stats.peak_resting_counters = self.stats.peak_resting_counters.max(pool.resting());
        }
    }

    /// Adds what a reading shows to the entry's connection; how many packets that are.
    fn synchronise(
        &mut self,
        platform: &impl Platform,
        cookie: Cookie,
        reading: &Reading,
        observer: &mut impl Observer,
    ) -> u64 {
        let Some((record, generation)) = self.records.by_cookie(cookie) else {
            return 0;
        };
        let id = ConnectionId::from_parts(cookie.index(), generation);
        let (packets, bytes) = sync::apply(
            reading,
            record,
            (cookie.part(), &self.layout.counters, self.config.flaws),
            id,
            &mut self.tracker,
            observer,
        );
        let is_known = record.life == Life::Installed;
        if packets > 0 {
            let lag_ns = platform
                .now()
                .as_nanos()
                .saturating_sub(reading.last_seen_ns);
            self.stats.peak_statistics_lag_ns = self.stats.peak_statistics_lag_ns.max(lag_ns);
            if is_known {
                let heard_ms = if self.config.habits.heard_when_read {
                    millis(platform)
                } else {
                    reading.last_seen_ns.div_ceil(1_000_000) as u32
                };
                record.at_ms = record.at_ms.max(heard_ms);
            }
            self.records.note_hit(cookie);
            if !is_known && !self.config.flaws.has(Flaw::EarlyHitsIgnored) {
                self.tracker.passed_unseen(id, Time(0));
            }
        }
        self.stats.synchronised_packets += packets;
        self.stats.synchronised_bytes += bytes;
        packets
    }
}

/// Milliseconds since the start.
fn millis(platform: &impl Platform) -> u32 {
    (platform.now().as_nanos() / 1_000_000) as u32
}
