//! What is explored: a card, a driver and two connections, what can happen to them, and what must hold in the end.

use conntrack_core::{Config, Connection, ConnectionId, DestroyCause, Direction, HashKey, Tracker};
use driver::observer::{Disposition, Observer, PacketReport};
use driver::offload::{Life, RefuseCause};
use driver::plain_board::{PlainBoard, ToHost};
use driver::{
    Counting, Driver, DriverConfig, Flaws, Habits, Progress, TwoPort, device::Layout, policy,
};
use nic_model::clock::Picos;
use nic_model::config::{Entries, KeyConfig, RingConfig};
use nic_model::datapath::trap::Reason;
use nic_model::flow_table::FlowKey;
use nic_model::flow_table::entry::{Endpoint, KeyDirection};
use packet::{TcpFlags, build::FrameBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The next packet of a connection arrives.
    Packet(usize),
    /// The card executes the next command.
    Execute,
    /// Its completion is written.
    Complete,
    /// Its completion is lost.
    LoseCompletion,
    /// The host looks into its rings until there is nothing left.
    Poll,
    /// The host's timer, a tenth of a second later.
    Tick,
    /// The card reports a connection's entries idle.
    Idle(usize),
    /// Those reports are lost.
    LoseIdle(usize),
    /// The card reports all counters.
    Counters,
    /// A connection is deleted.
    Delete(usize),
    /// A connection gets another mark, and another label.
    Mark(usize),
    /// The card begins afresh; its table stays.
    Reset,
    /// The card begins afresh with an empty table.
    FullReset,
}

use Step::*;

pub(crate) const STEPS: [Step; 18] = [
    Packet(0),
    Packet(1),
    Execute,
    Complete,
    Poll,
    Tick,
    Counters,
    Idle(0),
    Idle(1),
    LoseCompletion,
    LoseIdle(0),
    LoseIdle(1),
    Delete(0),
    Delete(1),
    Mark(0),
    Mark(1),
    Reset,
    FullReset,
];

/// Faults and deletions on one path.
pub(crate) const MOST_FAULTS: usize = 2;
/// Ticks and idle reports on one path.
pub(crate) const MOST_TICKS: usize = 3;
pub(crate) const MOST_IDLE: usize = 2;

impl Step {
    pub(crate) const fn is_fault(self) -> bool {
        matches!(
            self,
            LoseCompletion | LoseIdle(_) | Delete(_) | Reset | FullReset
        )
    }
}

/// What the packets of a connection are: data from both sides, then an end, then a new beginning on the same tuple.
pub(crate) const SCRIPT: [(Direction, TcpFlags); 6] = [
    (Direction::Original, TcpFlags::ACK),
    (Direction::Reply, TcpFlags::ACK),
    (Direction::Original, TcpFlags::ACK),
    (Direction::Original, TcpFlags::RST),
    (Direction::Original, TcpFlags::SYN),
    (Direction::Reply, TcpFlags::SYN),
];

/// What the driver tells.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Packets that connections had counted when they went, and those read after that.
    gone: u64,
    /// Packets that no connection counted: those of none, and those that lay in a ring.
    invalid: u64,
    lost: bool,
    duplicates: u64,
}

impl Observer for Told {
    fn packet(&mut self, report: &PacketReport<'_>, _: Picos) {
        let connection = report.verdict.and_then(|verdict| verdict.connection);
        self.invalid += u64::from(connection.is_none());
    }

    fn released(&mut self, _: u64, _: Disposition, _: Picos) {
        self.invalid += 1;
    }

    fn destroyed(&mut self, _: ConnectionId, last: &Connection, _: DestroyCause, _: Picos) {
        self.gone += counted(last);
    }

    fn synchronised(&mut self, _: ConnectionId, _: Direction, packets: u64, _: u64, found: bool) {
        if !found {
            self.gone += packets;
        }
    }

    fn lost(&mut self, _: ConnectionId, _: Option<&Connection>, _: Picos) {
        self.lost = true;
    }

    fn refused(&mut self, _: ConnectionId, cause: RefuseCause, _: Picos) {
        self.duplicates += u64::from(cause == RefuseCause::Duplicate);
    }
}

pub(crate) fn counted(connection: &Connection) -> u64 {
    Direction::ALL
        .map(|direction| connection.counters(direction).packets)
        .iter()
        .sum()
}

/// What is explored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System {
    pub(crate) entries: Entries,
    pub(crate) flaws: Flaws,
    pub(crate) habits: Habits,
    /// Connections are marked, and entries of the card have marks.
    pub(crate) markings: bool,
}

impl System {
    pub(crate) fn of(entries: Entries) -> Self {
        Self {
            entries,
            flaws: Flaws::default(),
            habits: Habits::default(),
            markings: false,
        }
    }
}

/// Card, driver, and two connections.
pub(crate) struct World {
    pub(crate) board: PlainBoard,
    pub(crate) driver: Driver,
    pub(crate) told: Told,
    system: System,
    /// How far each connection's script is.
    at: [usize; 2],
    /// Packets forwarded or given to the host.
    packets: u64,
    /// Some of them lay in a ring when the card began afresh.
    dropped: bool,
    /// What was written and the host has not looked at.
    unseen: Vec<u64>,
}

pub(crate) fn ends(connection: usize) -> [([u8; 4], u16); 2] {
    [
        ([10, 0, 0, 1], 1_000 + connection as u16),
        ([10, 0, 0, 2], 80),
    ]
}

/// A packet without payload; SYNs begin a second connection on the tuple if they come `again`.
pub(crate) fn frame(
    connection: usize,
    (direction, flags): (Direction, TcpFlags),
    again: bool,
) -> Vec<u8> {
    let [a, b] = ends(connection);
    let begin = if again { 9_000 } else { 100 };
    let (from, to, seq, ack) = match (direction, flags) {
        (Direction::Original, TcpFlags::SYN) => (a, b, begin, 0),
        (Direction::Reply, TcpFlags::SYN) => (b, a, begin + 400, begin + 1),
        (Direction::Original, _) => (a, b, 101, 501),
        (Direction::Reply, _) => (b, a, 501, 101),
    };
    let is_answer = direction == Direction::Reply && flags == TcpFlags::SYN;
    let flags = if is_answer {
        TcpFlags::SYN | TcpFlags::ACK
    } else {
        flags
    };
    FrameBuilder::new()
        .ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(from.0, to.0)
        .tcp(from.1, to.1)
        .seq(seq)
        .ack(ack)
        .window(1_000)
        .flags(flags)
        .build()
}

/// Small rings, and counters on.
pub(crate) fn config(system: System) -> DriverConfig {
    let rings = RingConfig {
        receive_entries: 32,
        transmit_entries: 32,
        command_entries: 16,
        event_entries: 16,
        counter_entries: 16,
    };
    let mut conntrack = Config::default();
    conntrack
        .set("net.netfilter.nf_conntrack_acct", "1")
        .expect("a sysctl");
    DriverConfig {
        conntrack,
        hash_key: HashKey([1, 2]),
        rings,
        buffer_bytes: 256,
        flaws: system.flaws,
        habits: system.habits,
        ..DriverConfig::default()
    }
}

impl World {
    /// Both connections are established; from now on they may be offloaded.
    pub(crate) fn new(system: System) -> Self {
        let entries = system.entries;
        let key = KeyConfig {
            entries,
            zone: true,
            ingress_port: false,
            vlan: false,
            tunnel: false,
        };
        let config = config(system);
        let bytes = Layout::memory_bytes(&config.rings, config.buffer_bytes);
        let mut board = PlainBoard::new(4, &key, bytes);
        if system.markings {
            board = board.with_markings();
        }
        let policy = policy::by_name("established").expect("a policy");
        let mut driver = Driver::start(&mut board, config, policy).expect("it starts");
        driver.set_stopped(true);
        let mut world = Self {
            board,
            driver,
            told: Told::default(),
            system,
            at: [0; 2],
            packets: 0,
            dropped: false,
            unseen: Vec::new(),
        };
        for connection in 0..2 {
            for packet in [
                (Direction::Original, TcpFlags::SYN),
                (Direction::Reply, TcpFlags::SYN),
                (Direction::Original, TcpFlags::ACK),
            ] {
                let bytes = frame(connection, packet, false);
                world.give(&bytes, packet.0, Reason::Miss, None);
                world.poll();
            }
        }
        world.driver.set_stopped(false);
        world
    }

    fn key(&self, connection: usize, direction: Direction) -> (FlowKey, KeyDirection) {
        let [a, b] = ends(connection).map(|(address, port)| Endpoint {
            address: Endpoint::wide_v4(address),
            port,
        });
        let (from, to) = match direction {
            Direction::Original => (a, b),
            Direction::Reply => (b, a),
        };
        match self.system.entries {
            Entries::Both => FlowKey::new(from, to, 6, 4, 0),
            Entries::EachWay => (
                FlowKey::one_way(from, to, 6, 4, 0),
                KeyDirection::LowerToHigher,
            ),
        }
    }

    fn give(&mut self, bytes: &[u8], direction: Direction, reason: Reason, hit: Option<u32>) {
        let frame = ToHost {
            port: direction.index() as u8,
            frame: bytes,
            reason,
            hit,
        };
        if self.board.give(&frame, self.packets) {
            self.packets += 1;
        }
    }

    /// A packet: the card forwards it if it has an entry and the packet ends nothing.
    fn packet(&mut self, connection: usize) {
        let (direction, flags) = SCRIPT[self.at[connection]];
        self.at[connection] += 1;
        let bytes = frame(connection, (direction, flags), true);
        let (key, key_direction) = self.key(connection, direction);
        let entry = self.board.entry(&key).copied();
        let reason = match (entry, flags) {
            (None, _) => Reason::Miss,
            (Some(_), TcpFlags::RST) => Reason::TcpRst,
            (Some(_), TcpFlags::SYN) => Reason::TcpSyn,
            (Some(_), _) => {
                self.board.hit(&key, key_direction, bytes.len() as u32 - 14);
                self.packets += 1;
                return;
            }
        };
        let hit = entry.map(|entry| entry.cookie);
        self.give(&bytes, direction, reason, hit);
        self.unseen.push(10 + connection as u64);
    }

    fn poll(&mut self) {
        let (board, told) = (&mut self.board, &mut self.told);
        while self
            .driver
            .poll(board, &mut TwoPort, told)
            .expect("it polls")
            == Progress::Worked
        {}
        board.send();
        self.unseen.clear();
    }

    /// Whether a step can happen now.
    pub(crate) fn allows(&self, step: Step) -> bool {
        let (commands, completions) = self.board.waiting();
        match step {
            Packet(connection) => self.at[connection] < SCRIPT.len(),
            Execute => commands > 0,
            Complete | LoseCompletion => completions > 0,
            Idle(connection) | LoseIdle(connection) => {
                let (key, _) = self.key(connection, Direction::Original);
                self.board.entry(&key).is_some()
            }
            Delete(connection) => self.lives(connection),
            Mark(connection) => self.system.markings && self.lives(connection),
            Counters => matches!(self.system.habits.counting, Counting::Push(_)),
            Poll | Tick | Reset | FullReset => true,
        }
    }

    fn lives(&self, connection: usize) -> bool {
        let port = ends(connection)[0].1;
        let mut all = self.driver.tracker().iter();
        all.any(|(_, c)| c.tuple(Direction::Original).source_id == port)
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Packet(connection) => self.packet(connection),
            Execute => {
                self.board.execute();
            }
            Complete | LoseCompletion => {
                self.board.complete(step == LoseCompletion);
                self.unseen.push(2 + u64::from(step == LoseCompletion));
            }
            Poll => self.poll(),
            Tick => {
                self.board.now += Picos::from_millis(100);
                let (board, told) = (&mut self.board, &mut self.told);
                self.driver.tick(board, told).expect("it ticks");
            }
            Idle(connection) | LoseIdle(connection) => {
                let lost = matches!(step, LoseIdle(_));
                for direction in Direction::ALL {
                    let (key, _) = self.key(connection, direction);
                    self.board.report_idle(&key, lost);
                }
                self.unseen
                    .push(20 + connection as u64 + 2 * u64::from(lost));
            }
            Counters => {
                let reports = self.board.report_counters(8);
                self.unseen.push(30 + reports as u64);
            }
            Delete(connection) => {
                let port = ends(connection)[0].1;
                let which = |c: &Connection| c.tuple(Direction::Original).source_id == port;
                let (board, told) = (&mut self.board, &mut self.told);
                self.driver.delete(board, told, which).expect("it deletes");
            }
            Mark(connection) => {
                let port = ends(connection)[0].1;
                let (board, told) = (&mut self.board, &mut self.told);
                let change = |tracker: &mut Tracker, now| {
                    let named = |c: &Connection| c.tuple(Direction::Original).source_id == port;
                    let found = tracker.iter().find(|(_, c)| named(c));
                    if let Some((id, mark)) = found.map(|(id, c)| (id, c.mark())) {
                        tracker.set_mark(id, (mark + 1) % 3, now);
                        tracker.set_labels(id, u128::from(mark) << 100, u128::MAX, now);
                    }
                };
                let marked = self.driver.remark(board, told, change);
                marked.expect("it marks");
            }
            Reset | FullReset => {
                self.dropped |= !self.unseen.is_empty();
                self.board.reset(step == FullReset);
                self.unseen.clear();
            }
        }
    }

    pub(crate) fn fingerprint(&mut self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.driver.outline(self.board.now).hash(&mut hasher);
        (self.at, &self.unseen, self.told.lost, self.dropped).hash(&mut hasher);
        self.board.now.0.hash(&mut hasher);
        self.board.waiting().hash(&mut hasher);
        for entry in self.board.entries().copied().collect::<Vec<_>>() {
            let known = self.driver.connection_of_cookie(entry.cookie).is_some();
            let marking = entry.marking.words();
            (entry.key.0, entry.packets, known, marking).hash(&mut hasher);
        }
        for (_, connection) in self.driver.tracker().iter() {
            connection.mark().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Nothing goes wrong any more: everything comes to rest.
    pub(crate) fn settle(&mut self) {
        for _ in 0..60 {
            while self.board.execute() {}
            while self.board.complete(false) {}
            match self.system.habits.counting {
                Counting::Push(_) => drop(self.board.report_counters(8)),
                Counting::Poll(_) => {}
                Counting::OnDemand => {
                    let (driver, board) = (&mut self.driver, &mut self.board);
                    driver.read_counters(board, |_| true).expect("it asks");
                }
            }
            self.poll();
            self.take(Tick);
            let gauges = self.driver.gauges(self.board.now);
            let (sending, commands) = (gauges.transmitting, gauges.commands + gauges.asks);
            let (posted, completions) = self.board.waiting();
            let quiet = sending == 0 && commands == 0 && posted == 0 && completions == 0;
            let late = self.board.now > Picos::from_millis(1_500);
            if quiet && late && !self.driver.is_recovering() {
                self.poll();
                return;
            }
        }
    }

    /// Everything is at rest: what must hold?
    pub(crate) fn judge(&mut self) -> Result<(), String> {
        let commands = self.driver.gauges(self.board.now).commands;
        if commands > 0 || self.driver.is_recovering() {
            let outline = self.driver.outline(self.board.now);
            return Err(format!("it never comes to rest: {outline}"));
        }
        let entries: Vec<_> = self.board.entries().copied().collect();
        for entry in &entries {
            let id = self.driver.connection_of_cookie(entry.cookie);
            let installed = id.is_some_and(|id| {
                let lives = self.driver.tracker().connection(id).is_some();
                lives && self.driver.life(id) == Life::Installed
            });
            if !installed {
                return Err(format!("an entry without a connection: {entry:?}"));
            }
            let connection = id.and_then(|id| self.driver.tracker().connection(id));
            let marking = connection.map(|c| (c.mark(), c.labels()));
            if marking != Some((entry.marking.mark, entry.marking.labels)) {
                return Err(format!("an entry with an old mark, {marking:?}: {entry:?}"));
            }
        }
        let believed = self.driver.entries();
        if entries.len() as u64 != believed {
            let there = entries.len();
            return Err(format!(
                "{there} entries in the card, {believed} as the driver has it"
            ));
        }
        for (id, _) in self.driver.tracker().iter() {
            let life = self.driver.life(id);
            if matches!(life, Life::Inserting | Life::Removing) {
                return Err(format!("a connection is stuck: {life:?}"));
            }
        }
        if self.told.duplicates > 0 {
            return Err("two entries were asked for for one tuple".to_owned());
        }
        let live: u64 = self.driver.tracker().iter().map(|(_, c)| counted(c)).sum();
        let total = live + self.told.gone + self.told.invalid;
        let exact = !self.told.lost && !self.dropped;
        if total > self.packets || exact && total != self.packets {
            return Err(format!("{total} packets counted of {}", self.packets));
        }
        Ok(())
    }
}

pub(crate) fn replay(system: System, path: &[Step]) -> World {
    let mut world = World::new(system);
    path.iter().for_each(|step| world.take(*step));
    world
}
