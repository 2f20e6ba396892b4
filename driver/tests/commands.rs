//! The command ring: whatever waits, is lost or comes late, no command is written over one that the card has yet to fetch.

use conntrack_core::HashKey;
use driver::device::Layout;
use driver::observer::Blind;
use driver::offload::RefuseCause;
use driver::plain_board::{PlainBoard, ToHost};
use driver::{Driver, DriverConfig, Platform, Progress, TwoPort, policy};
use nic_model::clock::Picos;
use nic_model::config::{KeyConfig, RingConfig};
use nic_model::datapath::trap::Reason;
use nic_model::host::descriptors::CommandCompletion;
use nic_model::host::memory::DmaAddress;
use nic_model::host::registers as reg;
use nic_model::host::seal::seal;
use packet::build::FrameBuilder;

const RING: u32 = 16;

struct World {
    board: PlainBoard,
    driver: Driver,
    connections: u16,
}

impl World {
    fn new(version: u32) -> Self {
        let config = DriverConfig {
            hash_key: HashKey([1, 2]),
            rings: RingConfig {
                receive_entries: 64,
                transmit_entries: 64,
                command_entries: RING,
                event_entries: 16,
                counter_entries: 16,
            },
            ..DriverConfig::default()
        };
        let bytes = Layout::memory_bytes(&config.rings, config.buffer_bytes);
        let board = PlainBoard::new(256, &KeyConfig::default(), bytes);
        let mut board = board.of_version(version);
        let policy = policy::by_name("established").expect("a policy");
        let driver = Driver::start(&mut board, config, policy).expect("it starts");
        Self {
            board,
            driver,
            connections: 0,
        }
    }

    fn work(&mut self) {
        let (board, driver) = (&mut self.board, &mut self.driver);
        while driver.poll(board, &mut TwoPort, &mut Blind).expect("works") == Progress::Worked {}
        board.send();
    }

    /// So many connections of UDP come to be: a packet each way.
    fn connect(&mut self, count: u16) {
        let first = 1_000 + self.connections;
        for port in first..first + count {
            for reply in [false, true] {
                let ends = [([10, 0, 0, 1], port), ([10, 0, 0, 2], 53)];
                let [from, to] = if reply { [ends[1], ends[0]] } else { ends };
                let builder = FrameBuilder::new().ethernet([2; 6], [4; 6]);
                let frame = builder.ipv4(from.0, to.0).udp(from.1, to.1).build();
                let to_host = ToHost {
                    port: reply.into(),
                    frame: &frame,
                    reason: Reason::Miss,
                    hit: None,
                };
                assert!(self.board.give(&to_host, 0));
                self.work();
            }
        }
        self.connections += count;
    }

    /// The card executes so many commands and writes their completions; how many there were.
    fn execute(&mut self, most: u32, lost: bool) -> u32 {
        (0..most)
            .take_while(|_| self.board.execute() && self.board.complete(lost))
            .count() as u32
    }

    fn wait(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.board.now += Picos::from_millis(10);
            let tick = self.driver.tick(&mut self.board, &mut Blind);
            tick.expect("it ticks");
        }
    }
}

#[test]
fn what_was_posted_again_is_not_written_over() {
    for version in [0x0002_0001, 0x0002_0003] {
        let mut world = World::new(version);
        world.connect(6);
        assert_eq!(world.board.waiting().0, 6);
        // The card takes its time, the driver loses its patience, and then the first answers come.
        world.wait(250);
        assert_eq!(world.board.waiting().0, 12);
        assert_eq!(world.execute(6, false), 6);
        world.work();
        assert_eq!(world.driver.installed(), 6);
        world.connect(20);
        let (waiting, _) = world.board.waiting();
        assert!(waiting <= RING, "{waiting} commands in {RING} places");
        world.execute(u32::MAX, false);
        world.work();
        let refused = world.driver.stats().refused;
        assert_eq!(refused[RefuseCause::Duplicate as usize], 0, "{refused:?}");
        // Those that found no room in the ring ask again.
        assert!(world.driver.installed() > 6);
        assert_eq!(
            world.board.entries().count() as u64,
            world.driver.installed()
        );
    }
}

#[test]
fn a_ring_whose_last_answers_were_lost_has_room_again() {
    for version in [0x0002_0001, 0x0002_0003] {
        let mut world = World::new(version);
        world.connect(7);
        world.wait(250);
        assert_eq!(world.board.waiting().0, 14);
        assert_eq!(world.execute(7, false), 7);
        world.work();
        // Those posted again are executed, and nobody hears of it.
        assert_eq!(world.execute(7, true), 7);
        world.wait(500);
        world.connect(u16::try_from(RING).expect("few"));
        world.execute(u32::MAX, false);
        // The hole in the ring is wide: it is found with time.
        world.wait(10);
        world.work();
        assert_eq!(world.driver.installed(), 7 + u64::from(RING));
    }
}

#[test]
fn a_card_that_tells_wild_places_is_not_believed() {
    let mut world = World::new(0x0002_0003);
    world.connect(4);
    assert_eq!(world.execute(4, false), 4);
    let base = world.board.read_register(reg::COMMAND_DONE_LOW);
    let first = DmaAddress(base.into());
    let completion = world.board.memory().read(first).expect("it is there");
    let wild = CommandCompletion::from_bytes(completion).with_place(1 << 30);
    let mut bytes = wild.into_bytes();
    seal(&mut bytes);
    world.board.memory().write(first, &bytes).expect("written");
    world.connect(4);
    world.work();
    world.wait(300);
    world.execute(u32::MAX, false);
    world.work();
    assert_eq!(world.driver.installed(), 8);
    assert_eq!(world.driver.stats().resets.iter().sum::<u64>(), 0);
}
