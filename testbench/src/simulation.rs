//! The simulation loop: traffic into the board, the board's events and the host's work in one order of time.
//!
//! The rule that keeps it causal: before a packet's table look-up at time T, everything due at or before T is applied, on
//! the board and on the host. Ties go to the board.

mod lingering;
mod script;
mod summarise;
mod watch;

use crate::action::{Action, ActionPlan};
use crate::bridge::Bridge;
use crate::fault::{Fault, FaultPlan};
use crate::frame::{Burst, FrameMeta, Traffic};
use crate::host_cpu::{HostCosts, HostCpu, HostStep, TICK};
use crate::marks::MarkRule;
use crate::monitor::{Equivalence, FOUND_WITHIN, Reference, Routes, SETTLED_WITHIN};
use crate::summary::MonitorVerdict;
use crate::traffic::translated::Network;
use conntrack_core::{ConnectionId, Tracker, Tuple, Verdict};
use driver::offload::Life;
use driver::policy::Policy;
use driver::{Counting, DeviceError, Driver, DriverConfig, Platform, Progress, UpdateError, Work};
use firmware::Board;
use nic_model::chip::{DropReason, Fate};
use nic_model::clock::Picos;
use nic_model::config::NicConfig;
use nic_model::datapath::parser::Parsed;
use nic_model::datapath::trap::Reason;
use nic_model::frame::FrameBuffer;
use nic_model::host::Outside;
use nic_model::host::memory::{DmaAddress, HostMemory};
use watch::Watch;

/// How a run is set up.
pub struct RunConfig {
    /// The card.
    pub nic: NicConfig,
    /// The driver.
    pub driver: DriverConfig,
    /// What to offload.
    pub policy: Box<dyn Policy>,
    /// The host's processor.
    pub host: HostCosts,
    /// Time stands still for connection tracking and aging.
    pub frozen: bool,
    /// A network that clients of IPv4 seem to be in, one host for one (NETMAP).
    pub network: Option<Network>,
    /// What new connections are marked with.
    pub marks: Vec<MarkRule>,
    /// Packets of connections with this mark are dropped; the second number is the bits of it that count.
    pub drop_marked: Option<(u32, u32)>,
    /// The same traffic goes through connection tracking in software alone as well, and both are compared.
    pub check_equivalence: bool,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What administrators do.
    pub actions: Vec<Action>,
    /// Seed of faults by chance.
    pub seed: u64,
}

/// What became of a frame, as the simulation tells it.
#[derive(Debug, Clone, Copy)]
pub struct FrameOutcome {
    /// The frame's number in its source.
    pub number: u64,
    /// What connection tracking said; `None` if the hardware forwarded it or it is not IP.
    pub verdict: Option<Verdict>,
    /// Forwarded by the hardware, and if so whether the connection's originator sent it.
    pub hardware: Option<bool>,
    /// Its connection was deleted, and the removal of the entry that forwarded it is on its way.
    pub leaving: bool,
    /// Its connection's entries were about to get another mark or other labels, or to be taken out for that.
    pub remarking: bool,
    /// A rule about marks or labels dropped it, in hardware or in software.
    pub refused: bool,
    /// Original tuple of its connection, if it has one.
    pub tuple: Option<Tuple>,
    /// Why it went to the host.
    pub reason: Option<Reason>,
    /// Why the hardware dropped it.
    pub dropped: Option<DropReason>,
    /// Whether its sender was told that it is too long for the next link; `None` if it did not come so far.
    pub answered: Option<bool>,
    /// From its first bit in to its first bit out, or to the end of its treatment.
    pub latency: Picos,
}

impl FrameOutcome {
    /// Whether it ended in hardware, by an entry of its connection: forwarded, or dropped behind the flow table.
    pub fn has_hit(&self) -> bool {
        self.hardware.is_some() || self.dropped == Some(DropReason::BehindCt)
    }
}

/// What lies outside the card: memory, the interrupt, the wire, and those who watch.
pub(crate) struct World {
    memory: HostMemory,
    cpu: HostCpu,
    pub(crate) watch: Watch,
}

impl Outside for World {
    fn memory(&mut self) -> &mut HostMemory {
        &mut self.memory
    }

    fn interrupt(&mut self, at: Picos) {
        self.cpu.interrupt(at);
    }

    fn frame_out(
        &mut self,
        _port: u8,
        address: DmaAddress,
        length: usize,
        ingress_tag: u64,
        at: Picos,
    ) {
        if let Some(equivalence) = &mut self.watch.equivalence
            && let Ok(frame) = self.memory.slice(address, length)
        {
            equivalence.sent(ingress_tag, frame);
        }
        self.watch.host_frame_left(ingress_tag, at);
    }

    fn frame_dropped(&mut self, ingress_tag: u64, at: Picos) {
        self.watch.host_frame_dropped(ingress_tag, at);
    }

    fn frame_lost(&mut self, ingress_tag: u64, at: Picos) {
        self.watch.frame_lost(ingress_tag, at);
    }
}

/// The driver's view of the machine while the host's processor runs it.
struct Machine<'a> {
    board: &'a mut Board,
    memory: &'a mut HostMemory,
    cpu: &'a mut HostCpu,
}

impl Platform for Machine<'_> {
    fn now(&self) -> Picos {
        self.cpu.now
    }

    fn spend(&mut self, work: Work, times: u32) {
        self.cpu.spend(work, times);
    }

    fn read_register(&mut self, offset: u32) -> u32 {
        self.board.read_register(self.cpu.now, offset)
    }

    fn write_register(&mut self, offset: u32, value: u32) {
        self.board.write_register(self.cpu.now, offset, value);
    }

    fn memory(&mut self) -> &mut HostMemory {
        self.memory
    }
}

/// When the first frame may arrive: the card has fetched its first buffers.
const START: Picos = Picos::from_micros(100);

/// A card, a host, and what watches them.
pub struct Simulation {
    board: Board,
    world: World,
    driver: Driver,
    bridge: Bridge,
    parsed: Vec<Parsed>,
    faults: FaultPlan,
    actions: ActionPlan,
    /// Why the driver would not even begin the last update of the firmware.
    update_refused: Option<UpdateError>,
    next_due: Picos,
    start: Picos,
    now: Picos,
    frames: u64,
    next_sample: u64,
    policy_name: String,
    /// How a driver that takes over is set up.
    driver_config: DriverConfig,
}

impl Simulation {
    /// Builds card and host and brings the driver up.
    ///
    /// # Errors
    /// The driver could not bring the card up.
    pub fn new(config: RunConfig) -> Result<Self, DeviceError> {
        let mut board = Board::new(&config.nic);
        board.chip_mut().set_aging(!config.frozen);
        let bytes =
            driver::device::Layout::memory_bytes(&config.driver.rings, config.driver.buffer_bytes);
        let mut world = World {
            memory: HostMemory::new(bytes),
            cpu: HostCpu::new(&config.host),
            watch: Watch::new(config.driver.conntrack.clone()),
        };
        let bridge = Bridge {
            network: config.network,
            marks: config.marks,
            drop_marked: config.drop_marked,
        };
        if config.check_equivalence {
            let tracker = Tracker::new(config.driver.conntrack.clone(), config.driver.hash_key);
            let reference = Reference {
                bridge: bridge.clone(),
                frozen: config.frozen,
                checks_windows: config.nic.window.check,
                routes: config.driver.route.then(|| Routes {
                    mtus: config.nic.port.mtus(),
                    buffer_bytes: config.driver.buffer_bytes,
                }),
            };
            world.watch.equivalence = Some(Equivalence::new(tracker, reference));
        }
        let policy_name = config.policy.name();
        let faults = FaultPlan::new(&config.faults, config.seed, &mut board);
        if !config.faults.is_empty() {
            world.watch.expect_faults();
        }
        let mut machine = Machine {
            board: &mut board,
            memory: &mut world.memory,
            cpu: &mut world.cpu,
        };
        let driver_config = config.driver.clone();
        let driver = Driver::start(&mut machine, config.driver, config.policy)?;
        let mut simulation = Self {
            board,
            world,
            driver,
            bridge,
            parsed: Vec::new(),
            faults,
            actions: ActionPlan::new(&config.actions, START),
            update_refused: None,
            next_due: Picos::ZERO,
            start: Picos::ZERO,
            now: Picos::ZERO,
            frames: 0,
            next_sample: 0,
            policy_name,
            driver_config,
        };
        // Let the card fetch its first buffers: traffic begins when the card is ready.
        simulation.run_until(START)?;
        simulation.start = START;
        Ok(simulation)
    }

    /// The card, for its probe and to look at.
    pub const fn board_mut(&mut self) -> &mut Board {
        &mut self.board
    }

    /// The driver, to look at.
    pub const fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Connection tracking, to look at.
    pub const fn tracker(&self) -> &Tracker {
        self.driver.tracker()
    }

    /// When the first frame may arrive.
    pub const fn start(&self) -> Picos {
        self.start
    }

    /// Memory of the host that holds rings and packet buffers, bytes: the same however many connections there are.
    pub const fn buffer_bytes(&self) -> usize {
        self.world.memory.size()
    }

    /// Frames put through so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Keeps what became of every frame for [`Simulation::take_outcomes`].
    pub const fn record_outcomes(&mut self) {
        self.world.watch.record_outcomes = true;
    }

    /// What became of frames since the last call, in the order in which it was decided.
    pub fn take_outcomes(&mut self) -> Vec<FrameOutcome> {
        std::mem::take(&mut self.world.watch.outcomes)
    }

    /// Puts the next burst of the source through; whether there was one.
    ///
    /// # Errors
    /// The driver failed.
    pub fn step(
        &mut self,
        traffic: &mut dyn Traffic,
        burst: &mut Burst,
    ) -> Result<bool, DeviceError> {
        burst.clear();
        traffic.fill(burst);
        if burst.is_empty() {
            return Ok(false);
        }
        let frames = (0..burst.len()).map(|i| {
            let (meta, bytes) = burst.frame(i);
            (meta.port, bytes, meta.wire_len)
        });
        let mut parsed = std::mem::take(&mut self.parsed);
        self.board.chip_mut().prepare(frames, &mut parsed);
        for i in 0..burst.len() {
            self.world.watch.prefetch(burst.frame(i).0.flow);
        }
        for (i, parsed) in parsed.iter().enumerate() {
            let (meta, mut frame) = burst.frame_mut(i);
            self.frame(meta, &mut frame, parsed)?;
        }
        self.parsed = parsed;
        self.sample();
        Ok(true)
    }

    #[inline]
    fn frame(
        &mut self,
        meta: &FrameMeta,
        frame: &mut FrameBuffer<'_>,
        parsed: &Parsed,
    ) -> Result<(), DeviceError> {
        self.frames += 1;
        let arrival = self.start + meta.arrival;
        if self.actions.next_due() <= arrival {
            self.run_until(arrival)?;
        }
        if let Some(equivalence) = &mut self.world.watch.equivalence {
            let wire_len = meta.wire_len;
            let source = (meta.number, meta.port);
            equivalence.arrived(source, frame.bytes(), wire_len, parsed, arrival);
        }
        let front = match self.board.arrive(meta.port, arrival, meta.wire_len, parsed) {
            Ok(front) => front,
            Err(reason) => {
                self.world
                    .watch
                    .dropped_in_hardware(meta, reason, arrival, arrival);
                return Ok(());
            }
        };
        self.now = front.lookup_at;
        if self.next_due <= front.lookup_at {
            self.run_until(front.lookup_at)?;
        }
        let fate = self
            .board
            .finish(&front, parsed, meta.port, frame, meta.wire_len, meta.number);
        if let Some(equivalence) = &mut self.world.watch.equivalence
            && matches!(fate, Fate::Forwarded { .. })
        {
            equivalence.sent(meta.number, frame.bytes());
        }
        match fate {
            Fate::Forwarded {
                departs,
                cookie,
                from_originator,
                ..
            } => {
                let latency = departs - front.first_bit;
                self.world.watch.forwarded(
                    meta,
                    parsed,
                    from_originator,
                    front.lookup_at,
                    arrival,
                    (departs, latency),
                );
                if self.world.watch.wants_outcomes() {
                    let id = self.driver.connection_of_cookie(cookie);
                    let outcome = FrameOutcome {
                        hardware: Some(from_originator),
                        latency,
                        ..self.outcome_of(meta.number, id)
                    };
                    self.world.watch.tell(outcome);
                }
            }
            Fate::ToHost(reason) => {
                self.world
                    .watch
                    .given_to_host(meta, reason, front.first_bit, arrival);
                self.refresh_due();
            }
            Fate::NotSent {
                reason,
                cookie,
                from_originator,
            } => {
                let outcome = self.world.watch.wants_outcomes().then(|| {
                    let id = self.driver.connection_of_cookie(cookie);
                    self.outcome_of(meta.number, id)
                });
                self.world
                    .watch
                    .counted(meta, parsed, from_originator, front.lookup_at);
                self.world
                    .watch
                    .dropped_at(outcome, reason, front.lookup_at, arrival);
            }
            Fate::Dropped(reason) => {
                self.world
                    .watch
                    .dropped_in_hardware(meta, reason, front.lookup_at, arrival);
            }
        }
        Ok(())
    }

    fn refresh_due(&mut self) {
        self.next_due = self
            .board
            .next_due()
            .unwrap_or(Picos::NEVER)
            .min(self.world.cpu.next_due())
            .min(self.faults.next_due());
    }

    /// Applies everything due at or before `until`.
    ///
    /// # Errors
    /// The driver failed.
    pub fn run_until(&mut self, until: Picos) -> Result<(), DeviceError> {
        loop {
            let board = self.board.next_due().unwrap_or(Picos::NEVER);
            let host = self.world.cpu.next_due();
            let fault = self.faults.next_due();
            let action = self.actions.next_due();
            let next = board.min(host).min(fault).min(action);
            if next > until {
                self.next_due = next;
                return Ok(());
            }
            if fault == next {
                self.strike(fault)?;
            } else if action == next {
                self.act()?;
            } else if board <= host {
                self.board.step(until, &mut self.world);
            } else {
                self.host_step()?;
            }
        }
    }

    /// What is known of a frame that hit an entry, of this connection as far as the driver knows.
    fn outcome_of(&self, number: u64, id: Option<ConnectionId>) -> FrameOutcome {
        FrameOutcome {
            number,
            verdict: None,
            hardware: None,
            leaving: id.is_some_and(|id| self.is_deleted(id)),
            remarking: id.is_some_and(|id| self.world.watch.is_remarking(id)),
            refused: false,
            tuple: id.and_then(|id| self.driver.tracker().original_tuple(id)),
            reason: None,
            dropped: None,
            answered: None,
            latency: Picos::ZERO,
        }
    }

    /// Whether a connection is gone in software, and its entries are on their way out.
    fn is_deleted(&self, id: ConnectionId) -> bool {
        let lives = self.tracker().connection(id).is_some();
        !lives && self.driver.life(id) == Life::Removing
    }

    /// How many messages and interrupts were lost, or harmed otherwise, and how often the driver looked for what they cost.
    fn troubles(&self) -> u64 {
        self.board.harmed() + self.world.cpu.interrupts_lost() + self.driver.stats().readings
    }

    fn host_step(&mut self) -> Result<(), DeviceError> {
        let World { memory, cpu, watch } = &mut self.world;
        let step = cpu.begin();
        let mut machine = Machine {
            board: &mut self.board,
            memory,
            cpu,
        };
        match step {
            HostStep::Tick => {
                self.driver.tick(&mut machine, watch)?;
                machine.cpu.tick_within(self.driver.tick_after());
                Ok(())
            }
            HostStep::Poll => {
                if self.driver.poll(&mut machine, &mut self.bridge, watch)? == Progress::Idle {
                    machine.cpu.sleep();
                }
                Ok(())
            }
        }
    }

    fn sample(&mut self) {
        self.board.chip_mut().probe.advance(self.now);
        if self.frames >= self.next_sample {
            self.next_sample = self.frames + 512;
            let table = self.board.chip().table();
            let at = self.now.saturating_sub(self.start);
            self.world
                .watch
                .over_time
                .occupancy(at, table.occupied(), table.stash_occupied());
        }
    }

    /// No more traffic: lets everything settle, reads the last counters, and judges.
    ///
    /// # Errors
    /// The driver failed.
    pub fn finish(&mut self) -> Result<(), DeviceError> {
        self.board.end_chance_faults();
        // Two passes over all counters see every last hit; then the rings empty within microseconds.
        let counted = Picos(self.counter_interval().0 * 2);
        let mut until = self.now + counted.max(self.collector_interval()) + Picos::from_millis(10);
        self.run_until(until)?;
        until = self.settle(until)?;
        self.now = until;
        let table = self.board.chip().table();
        let at = until.saturating_sub(self.start);
        self.world
            .watch
            .over_time
            .occupancy(at, table.occupied(), table.stash_occupied());
        self.world
            .watch
            .finish(self.board.chip().table(), &mut self.driver, until);
        Ok(())
    }

    /// Lets time pass until nothing is under way any more; until when that was.
    fn settle(&mut self, mut until: Picos) -> Result<Picos, DeviceError> {
        // A fault strikes late, and takes a second or two to be found and repaired.
        let mut deadline = until.max(self.faults.over()) + SETTLED_WITHIN;
        let patience = if self.faults.any() {
            FOUND_WITHIN
        } else {
            Picos::ZERO
        };
        let (mut calm_since, mut troubles) = (until.max(self.faults.over()), 0);
        while until < deadline {
            if self.world.cpu.is_awake() {
                // Its timer alone takes no longer than that.
                until += Picos::from_micros(100);
                self.run_until(until)?;
            }
            let gauges = self.driver.gauges(until);
            let is_waiting = gauges.transmitting > 0 || gauges.commands + gauges.asks > 0;
            let is_repairing = self.driver.is_recovering() || self.driver.is_updating();
            let driver_is_quiet = !is_waiting && !is_repairing;
            let quiet = driver_is_quiet && self.board.is_quiet() && !self.world.cpu.is_awake();
            let before = std::mem::replace(&mut troubles, self.troubles());
            if troubles != before {
                deadline = deadline.max(until + SETTLED_WITHIN);
            }
            if !quiet || troubles != before {
                calm_since = calm_since.max(until);
            } else if until >= calm_since + patience {
                break;
            }
            until += Picos::from_millis(1);
            self.run_until(until)?;
        }
        self.ask_for_counters(until)
    }

    /// Time between two passes over all counters, whoever makes them.
    fn counter_interval(&self) -> Picos {
        let as_it_came = self.board.chip().config().firmware.counter_interval_ms;
        let ms = |ms: u32| Picos::from_millis(ms.into());
        match self.driver_config.habits.counting {
            Counting::Push(interval_ms) => ms(interval_ms.unwrap_or(as_it_came)),
            // It begins with a tick, and is not over with it.
            Counting::Poll(interval_ms) => ms(interval_ms) + TICK,
            Counting::OnDemand => Picos::ZERO,
        }
    }

    /// How long it takes until a driver that collects has looked at every connection that waits for that.
    fn collector_interval(&self) -> Picos {
        let collector = self.driver_config.habits.collector;
        collector.map_or(Picos::ZERO, |config| {
            Picos::from_millis(u64::from(config.every_ms) * 2) + TICK
        })
    }

    /// The last counters, if the driver reads none unless it is asked; until when that took.
    fn ask_for_counters(&mut self, now: Picos) -> Result<Picos, DeviceError> {
        if self.driver_config.habits.counting != Counting::OnDemand {
            return Ok(now);
        }
        let World { memory, cpu, .. } = &mut self.world;
        cpu.now = cpu.now.max(now);
        let mut machine = Machine {
            board: &mut self.board,
            memory,
            cpu,
        };
        self.driver.read_counters(&mut machine, |_| true)?;
        let mut until = now;
        while until < now + SETTLED_WITHIN {
            until += Picos::from_millis(1);
            self.run_until(until)?;
            let gauges = self.driver.gauges(until);
            if gauges.commands + gauges.asks == 0 && !self.driver.is_recovering() {
                break;
            }
        }
        Ok(until)
    }

    /// What the monitors say.
    pub fn verdicts(&self) -> Vec<MonitorVerdict> {
        self.world.watch.verdicts()
    }

    /// When everything had settled.
    pub const fn now(&self) -> Picos {
        self.now
    }
}
