//! The driver itself: one piece of work per poll, in the order in which work must not wait.

use crate::commands::{CommandQueue, InsertRequest, Pending};
use crate::device::{DeviceError, Layout};
use crate::fragments::{self, HeldFragments};
use crate::observer::{Disposition, Observer, PacketReport};
use crate::offload::{self, Cookie, Life, Records, RefuseCause, RemoveCause};
use crate::platform::{Platform, Work};
use crate::policy::{self, Policy};
use crate::queues::{self, ReceiveQueue, ReportQueue, TransmitQueue};
use crate::switch::{Egress, Received, Switch};
use crate::sync::{self, Reading};
use conntrack_core::{
    ChecksumStatus, Config, ConnectionId, CtInfo, DestroyCause, EventKind, HashKey, Packet, Time,
    Tracker, Verdict, Zone,
};
use nic_model::clock::Picos;
use nic_model::config::RingConfig;
use nic_model::datapath::rewrite::decrement_ttl;
use nic_model::datapath::trap::Reason;
use nic_model::flow_table::FlowKey;
use nic_model::host::descriptors::{
    CommandCompletion, Opcode, ReceiveCompletion, Status, TransmitDescriptor,
};
use nic_model::host::registers as reg;
use packet::{EtherType, Ethernet};

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
    /// Act as a router: decrement TTL and hop limit, drop what has none left. Otherwise a bump in the wire.
    pub route: bool,
    /// Which clock connection tracking goes by.
    pub clock: Clock,
    /// How long a connection that found the table full waits for its next attempt, milliseconds.
    pub retry_after_full_ms: u32,
    /// Connections looked at for expiry in one tick.
    pub collect_per_tick: u32,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            conntrack: Config::default(),
            hash_key: HashKey([0, 0]),
            rings: RingConfig::default(),
            buffer_bytes: 2_048,
            route: false,
            clock: Clock::Running,
            retry_after_full_ms: 1_000,
            collect_per_tick: 16_384,
        }
    }
}

/// What the driver did.
#[derive(Debug, Clone, Copy, Default)]
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
    /// Counter records read.
    pub counter_records: u64,
    /// Packets added to connections from hardware counters.
    pub synchronised_packets: u64,
    /// Bytes added to connections from hardware counters.
    pub synchronised_bytes: u64,
    /// Most connections in software at once.
    pub peak_connections: u64,
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
        let layout = Layout::bring_up(platform, &config.rings, config.buffer_bytes)?;
        let mut tracker = Tracker::new(config.conntrack.clone(), config.hash_key);
        tracker.record_events(true);
        let mut driver = Self {
            transmit: TransmitQueue::new(&layout),
            tracker,
            policy,
            records: Records::default(),
            receive: ReceiveQueue::default(),
            commands: CommandQueue::default(),
            events: ReportQueue::default(),
            counters: ReportQueue::default(),
            held: HeldFragments::default(),
            stats: DriverStats::default(),
            layout,
            config,
        };
        for buffer in 0..driver.layout.receive.entries() {
            driver.receive.post(platform, &driver.layout, buffer)?;
        }
        driver.receive.announce(platform);
        crate::device::write(platform, reg::INTERRUPT_ARM, 1);
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

    /// Where a connection is.
    pub fn life(&self, id: ConnectionId) -> Life {
        self.records
            .get(id)
            .map_or(Life::Software, |record| record.life)
    }

    /// The cookie the hardware knows a connection by, if it is in hardware or on its way in or out.
    pub fn connection_of_cookie(&mut self, cookie: u32) -> Option<ConnectionId> {
        let cookie = Cookie(cookie);
        let (_, generation) = self.records.by_cookie(cookie)?;
        Some(ConnectionId::from_parts(cookie.index(), generation))
    }

    /// Frames handed to the card and not yet sent, commands not yet completed, fragments held.
    pub fn outstanding(&self) -> (u32, usize, usize) {
        (
            self.transmit.outstanding(),
            self.commands.outstanding(),
            self.held.len(),
        )
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
        while let Some(buffer) = self.transmit.reclaim(platform, &self.layout)? {
            self.receive.post(platform, &self.layout, buffer)?;
        }
        if self.poll_card(platform, switch, observer)? {
            self.follow_events(platform, observer)?;
            self.commands.announce(platform);
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

    /// Looks for connections that have expired and fragments that waited too long; to be called now and then.
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

    /// One thing the card has for the driver; whether there was any. Completions first: they free what others wait for.
    fn poll_card<P: Platform, O: Observer>(
        &mut self,
        platform: &mut P,
        switch: &mut impl Switch,
        observer: &mut O,
    ) -> Result<bool, DeviceError> {
        if let Some((completion, pending)) = self.commands.take(platform, &self.layout)? {
            self.completed(platform, &completion, pending, observer)?;
            return Ok(true);
        }
        if let Some(report) = queues::take_aging(&mut self.events, platform, &self.layout.event)? {
            platform.spend(Work::AgingReport, 1);
            self.events
                .announce(platform, &self.layout.event, reg::EVENT_HEAD, false);
            if let Some(id) = self.connection_of_cookie(report.cookie()) {
                self.remove(platform, id, RemoveCause::Aged)?;
            }
            return Ok(true);
        }
        if let Some(completion) = self.receive.take(platform, &self.layout)? {
            self.received(platform, completion, switch, observer)?;
            return Ok(true);
        }
        if let Some(record) =
            queues::take_counters(&mut self.counters, platform, &self.layout.counter)?
        {
            platform.spend(Work::CounterRecord, 1);
            self.counters
                .announce(platform, &self.layout.counter, reg::COUNTER_HEAD, false);
            self.stats.counter_records += 1;
            let reading = Reading {
                packets: [record.packets_0(), record.packets_1()],
                bytes: [record.bytes_0(), record.bytes_1()],
            };
            self.synchronise(Cookie(record.cookie()), &reading, observer);
            return Ok(true);
        }
        Ok(false)
    }

    fn synchronise(&mut self, cookie: Cookie, reading: &Reading, observer: &mut impl Observer) {
        let Some((record, generation)) = self.records.by_cookie(cookie) else {
            return;
        };
        let id = ConnectionId::from_parts(cookie.index(), generation);
        let (packets, bytes) = sync::apply(reading, record, id, &mut self.tracker, observer);
        self.stats.synchronised_packets += packets;
        self.stats.synchronised_bytes += bytes;
    }

    /// A frame the hardware left to software.
    fn received<P: Platform, O: Observer>(
        &mut self,
        platform: &mut P,
        completion: ReceiveCompletion,
        switch: &mut impl Switch,
        observer: &mut O,
    ) -> Result<(), DeviceError> {
        self.stats.received += 1;
        let reason = Reason::from_code(completion.reason()).unwrap_or(Reason::Malformed);
        let now = self.time(platform);
        self.before_tracking(platform, &completion, reason, now)?;
        let address = self.layout.buffer_address(completion.buffer());
        let length = completion.captured_bytes().min(self.layout.buffer_bytes) as usize;
        let frame = platform.memory().slice(address, length)?;
        let verdict = track(&mut self.tracker, frame, &completion, now);
        let datagram = if reason == Reason::Fragment {
            fragments::datagram_of(frame)
        } else {
            None
        };
        let expired = self.config.route && ttl(frame).is_some_and(|ttl| ttl <= 1);
        let egress = switch.egress(&Received {
            port: completion.port(),
            frame,
            wire_bytes: completion.wire_bytes(),
            verdict: verdict.as_ref(),
        });
        if let Some(verdict) = &verdict {
            let work = if verdict.created {
                Work::TrackNew
            } else {
                Work::Track
            };
            platform.spend(work, 1);
        }
        let disposition = match (&verdict, datagram) {
            (Some(verdict), Some(key)) if verdict.ctinfo == CtInfo::Fragment => {
                self.held.hold(key, now, completion);
                Disposition::Held
            }
            (Some(verdict), _) if verdict.ctinfo == CtInfo::Dropped => Disposition::DroppedInvalid,
            _ if expired => Disposition::DroppedTtl,
            _ => match egress {
                Egress::Port(port) => Disposition::Sent(port),
                Egress::Drop => Disposition::DroppedBySwitch,
            },
        };
        let disposition = self.dispose(platform, &completion, disposition)?;
        // Those who watch learn of connections that made way before they learn of the one that took their place.
        self.follow_events(platform, observer)?;
        let report = PacketReport {
            ingress_tag: completion.ingress_tag(),
            reason,
            verdict: verdict.as_ref(),
            disposition,
        };
        observer.packet(&report, platform.now());
        if let Some(key) = datagram.filter(|_| disposition != Disposition::Held) {
            self.release(platform, &key, disposition, observer)?;
        }
        if let (Some(verdict), Disposition::Sent(port)) = (&verdict, disposition) {
            self.consider(platform, verdict, completion.port(), port, observer)?;
        }
        Ok(())
    }

    /// A SYN, FIN or RST that hit an entry ends the entry's life; software takes over before it judges the packet, because
    /// it has not seen what the hardware forwarded.
    fn before_tracking(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        reason: Reason,
        now: Time,
    ) -> Result<(), DeviceError> {
        let cause = match reason {
            Reason::TcpSyn => RemoveCause::TcpSyn,
            Reason::TcpFin => RemoveCause::TcpFin,
            Reason::TcpRst => RemoveCause::TcpRst,
            _ => return Ok(()),
        };
        if !completion.hit() {
            return Ok(());
        }
        let Some(id) = self.connection_of_cookie(completion.cookie()) else {
            return Ok(());
        };
        if self.life(id) == Life::Installed {
            self.tracker.resume_software(id, now, now);
            self.remove(platform, id, cause)?;
        }
        Ok(())
    }

    /// Sends, holds or drops the frame in a buffer, and sees to the buffer; what was done in the end.
    fn dispose(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        wanted: Disposition,
    ) -> Result<Disposition, DeviceError> {
        let buffer = completion.buffer();
        let done = match wanted {
            Disposition::Held => return Ok(wanted),
            Disposition::Sent(port) => {
                if self.send(platform, completion, port)? {
                    return Ok(wanted);
                }
                Disposition::DroppedRingFull
            }
            other => other,
        };
        self.receive.post(platform, &self.layout, buffer)?;
        Ok(done)
    }

    fn send(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        port: u8,
    ) -> Result<bool, DeviceError> {
        let address = self.layout.buffer_address(completion.buffer());
        let length = completion.captured_bytes().min(self.layout.buffer_bytes);
        if self.config.route {
            let frame = platform.memory().slice_mut(address, length as usize)?;
            if let Some(l3_offset) = ip_offset(frame) {
                decrement_ttl(frame, l3_offset);
            }
        }
        let descriptor = TransmitDescriptor::new()
            .with_address(address.0)
            .with_captured_bytes(length)
            .with_wire_bytes(completion.wire_bytes())
            .with_port(port)
            .with_ingress_tag(completion.ingress_tag());
        self.transmit.post(
            platform,
            &self.layout.transmit,
            completion.buffer(),
            &descriptor,
        )
    }

    /// The rest of a datagram shares the fate of the fragment that decided it.
    fn release(
        &mut self,
        platform: &mut impl Platform,
        key: &fragments::DatagramKey,
        fate: Disposition,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let wanted = match fate {
            Disposition::Sent(_) => fate,
            _ => Disposition::DroppedFragment,
        };
        for completion in self.held.release(key) {
            let done = self.dispose(platform, &completion, wanted)?;
            observer.released(completion.ingress_tag(), done, platform.now());
        }
        Ok(())
    }

    /// Should the packet's connection go into hardware, or come out?
    fn consider(
        &mut self,
        platform: &mut impl Platform,
        verdict: &Verdict,
        ingress: u8,
        egress: u8,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let (Some(id), Some(direction)) = (verdict.connection, verdict.direction) else {
            return Ok(());
        };
        if !matches!(
            verdict.ctinfo,
            CtInfo::New | CtInfo::Established | CtInfo::EstablishedReply
        ) {
            return Ok(());
        }
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(());
        };
        let offloadable = policy::offloadable(connection);
        let (key, originator_is_lower) = offload::flow_key(connection);
        let now_ms = (platform.now().as_nanos() / 1_000_000) as u32;
        let Some(record) = self.records.of(id) else {
            return Ok(());
        };
        match record.life {
            Life::Installed if !offloadable => {
                return self.remove(platform, id, RemoveCause::StateChanged);
            }
            Life::Software if offloadable && record.retry_at_ms <= now_ms => {}
            _ => return Ok(()),
        }
        if !self.policy.wants(connection) {
            return Ok(());
        }
        if !self.commands.has_room(&self.layout) {
            self.refuse(id, RefuseCause::CommandRingFull, platform.now(), observer);
            return Ok(());
        }
        record.originator_is_lower = originator_is_lower;
        // Packets from the originator leave where this one does, or come back to where it came from.
        let from_originator = direction == conntrack_core::Direction::Original;
        let to_responder = if from_originator { egress } else { ingress };
        let to_originator = if from_originator { ingress } else { egress };
        let egress = if originator_is_lower {
            [to_responder, to_originator]
        } else {
            [to_originator, to_responder]
        };
        let cookie = self.records.enter(id.index(), Life::Inserting);
        let decrement_ttl = self.config.route;
        let request = InsertRequest {
            key,
            cookie,
            egress,
            originator_is_lower,
            decrement_ttl,
        };
        self.commands.insert(platform, &self.layout, &request)
    }

    fn refuse(
        &mut self,
        id: ConnectionId,
        cause: RefuseCause,
        now: Picos,
        observer: &mut impl Observer,
    ) {
        self.stats.refused[cause as usize] += 1;
        observer.refused(id, cause, now);
    }

    /// Queues the removal of an installed connection's entry.
    fn remove(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        cause: RemoveCause,
    ) -> Result<(), DeviceError> {
        if self.life(id) != Life::Installed {
            return Ok(());
        }
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(());
        };
        let (key, _) = offload::flow_key(connection);
        self.remove_key(platform, id, &key, cause)
    }

    fn remove_key(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        key: &FlowKey,
        cause: RemoveCause,
    ) -> Result<(), DeviceError> {
        let cookie = self.records.enter(id.index(), Life::Removing);
        if let Some((record, _)) = self.records.by_cookie(cookie) {
            record.cause = cause;
        }
        self.commands.delete(platform, &self.layout, key, cookie)
    }

    /// A command completed.
    fn completed(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
        pending: Pending,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let Some((_, generation)) = self.records.by_cookie(pending.cookie) else {
            return Ok(());
        };
        let id = ConnectionId::from_parts(pending.cookie.index(), generation);
        match pending.opcode {
            Opcode::Insert => self.inserted(platform, id, completion, pending.since, observer),
            Opcode::Delete => {
                self.deleted(platform, id, pending.cookie, completion, observer);
                Ok(())
            }
            Opcode::Nop | Opcode::ReadCounters => Ok(()),
        }
    }

    fn inserted(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        completion: &CommandCompletion,
        since: Picos,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let refused = match completion.status_or_err() {
            Ok(Status::Done) => None,
            Ok(Status::TableFull) => Some(RefuseCause::TableFull),
            Ok(Status::Duplicate) => Some(RefuseCause::Duplicate),
            _ => Some(RefuseCause::Invalid),
        };
        if let Some(cause) = refused {
            let retry =
                (platform.now().as_nanos() / 1_000_000) as u32 + self.config.retry_after_full_ms;
            self.records.enter(id.index(), Life::Software);
            if let Some(record) = self.records.of(id) {
                record.retry_at_ms = retry;
            }
            self.refuse(id, cause, platform.now(), observer);
            return Ok(());
        }
        self.records.enter(id.index(), Life::Installed);
        self.stats.installed += 1;
        observer.installed(id, since, platform.now());
        let still_wanted = self.tracker.connection(id).is_some_and(policy::offloadable);
        if !still_wanted {
            // It closed while the insertion was on its way.
            self.stats.refused[RefuseCause::Overtaken as usize] += 1;
            return self.remove(platform, id, RemoveCause::StateChanged);
        }
        self.tracker.set_offloaded(id, true);
        Ok(())
    }

    fn deleted(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        cookie: Cookie,
        completion: &CommandCompletion,
        observer: &mut impl Observer,
    ) {
        if completion.status_or_err() == Ok(Status::Done) {
            let reading = Reading {
                packets: [completion.packets_0(), completion.packets_1()],
                bytes: [completion.bytes_0(), completion.bytes_1()],
            };
            self.synchronise(cookie, &reading, observer);
        }
        let cause = self
            .records
            .by_cookie(cookie)
            .map_or(RemoveCause::Aged, |(record, _)| record.cause);
        self.records.enter(id.index(), Life::Software);
        self.stats.removed[cause as usize] += 1;
        let offloaded = self
            .tracker
            .connection(id)
            .is_some_and(|connection| connection.is_offloaded());
        if offloaded {
            let last_seen = match self.config.clock {
                Clock::Running => Time(completion.last_seen_ns()),
                Clock::Frozen => Time(0),
            };
            let now = self.time(platform);
            self.tracker.resume_software(id, last_seen, now);
        }
        observer.removed(id, cause, platform.now());
    }

    /// What the tracker did by itself: new connections, and those that are gone.
    fn follow_events(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        if !self.tracker.has_events() {
            return Ok(());
        }
        for event in self.tracker.take_events() {
            match event.kind {
                EventKind::New => {
                    self.stats.connections += 1;
                    let live = self.tracker.len() as u64;
                    self.stats.peak_connections = self.stats.peak_connections.max(live);
                }
                EventKind::Update => {}
                EventKind::Destroy { cause, last } => {
                    observer.destroyed(event.connection, &last, cause, platform.now());
                    self.forget(platform, event.connection, &last, cause)?;
                }
            }
        }
        Ok(())
    }

    /// A connection is gone; if it is in hardware, its entry must go too.
    fn forget(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        last: &conntrack_core::Connection,
        _cause: DestroyCause,
    ) -> Result<(), DeviceError> {
        if self.life(id) != Life::Installed {
            return Ok(());
        }
        let (key, _) = offload::flow_key(last);
        self.remove_key(platform, id, &key, RemoveCause::Destroyed)
    }
}

/// Tracks a frame; `None` if it is not IP.
fn track(
    tracker: &mut Tracker,
    frame: &[u8],
    completion: &ReceiveCompletion,
    now: Time,
) -> Option<Verdict> {
    let ethernet = Ethernet::new(frame).ok()?;
    if !matches!(ethernet.ethertype(), EtherType::IPV4 | EtherType::IPV6) {
        return None;
    }
    let packet = Packet {
        bytes: ethernet.payload(),
        wire_len: (completion.wire_bytes() as usize).saturating_sub(ethernet.header_len()),
        zone: Zone(0),
        checksum: if completion.checksums_good() {
            ChecksumStatus::Good
        } else {
            ChecksumStatus::Unknown
        },
    };
    Some(tracker.track(&packet, now))
}

/// TTL or hop limit of the IP packet in a frame.
fn ttl(frame: &[u8]) -> Option<u8> {
    let ip = &frame[ip_offset(frame)?..];
    match ip.first()? >> 4 {
        4 => ip.get(8).copied(),
        _ => ip.get(7).copied(),
    }
}

fn ip_offset(frame: &[u8]) -> Option<usize> {
    let ethernet = Ethernet::new(frame).ok()?;
    matches!(ethernet.ethertype(), EtherType::IPV4 | EtherType::IPV6).then(|| ethernet.header_len())
}
