//! A card and somebody who keeps its command ring full: what claims about insertion and update rates are measured with.

use firmware::Board;
use nic_model::clock::Picos;
use nic_model::config::NicConfig;
use nic_model::flow_table::FlowKey;
use nic_model::host::Outside;
use nic_model::host::descriptors::{Command, CommandCompletion, Opcode, Status};
use nic_model::host::memory::{DmaAddress, HostMemory};
use nic_model::host::registers as reg;
use nic_model::host::rings::Ring;
use nic_model::host::seal::seal_command;

/// The host's memory; nobody waits for interrupts.
struct World(HostMemory);

impl Outside for World {
    fn memory(&mut self) -> &mut HostMemory {
        &mut self.0
    }
    fn interrupt(&mut self, _at: Picos) {}
    fn frame_out(&mut self, _port: u8, _at: DmaAddress, _length: usize, _tag: u64, _when: Picos) {}
    fn frame_dropped(&mut self, _ingress_tag: u64, _at: Picos) {}
}

/// The card, its command ring, and how far that is.
pub(super) struct Poster {
    pub(super) board: Board,
    world: World,
    commands: Ring,
    done: Ring,
    posted: u32,
    completed: u32,
    pub(super) now: Picos,
    /// Commands that ended otherwise than well.
    pub(super) refused: u64,
}

impl Poster {
    /// A card with an enabled command ring.
    pub(super) fn new(config: &NicConfig) -> Option<Self> {
        let entries = config.ring.command_entries;
        let mut memory = HostMemory::new(entries as usize * 128 + 4_096);
        let mut ring = |bytes: usize| {
            let base = memory.allocate(entries as usize * bytes)?;
            Some(Ring::new(base, entries, bytes as u32))
        };
        let commands = ring(size_of::<Command>())?;
        let done = ring(size_of::<CommandCompletion>())?;
        let mut board = Board::new(config);
        for (register, value) in [
            (reg::COMMAND_BASE_LOW, commands.address(0).0 as u32),
            (reg::COMMAND_DONE_LOW, done.address(0).0 as u32),
            (reg::COMMAND_ENTRIES, entries),
            (reg::CONTROL, reg::ENABLE),
        ] {
            board.write_register(Picos::ZERO, register, value);
        }
        let mut poster = Self {
            board,
            world: World(memory),
            commands,
            done,
            posted: 0,
            completed: 0,
            now: Picos::ZERO,
            refused: 0,
        };
        poster.run_until(Picos::from_micros(10));
        Some(poster)
    }

    /// Applies everything due by `until`.
    pub(super) fn run_until(&mut self, until: Picos) {
        while self.board.step(until, &mut self.world) {}
        self.now = self.now.max(until);
        self.take_completions();
    }

    /// Posts a command if there is room, and tells the card.
    pub(super) fn post(&mut self, command: Command) -> bool {
        if self.posted.wrapping_sub(self.completed) >= self.commands.entries() {
            return false;
        }
        let address = self.commands.address(self.posted);
        let mut bytes = command.with_sequence(self.posted).into_bytes();
        seal_command(&mut bytes);
        if self.world.0.write(address, &bytes).is_err() {
            return false;
        }
        self.posted = self.posted.wrapping_add(1);
        self.board
            .write_register(self.now, reg::COMMAND_TAIL, self.posted);
        true
    }

    /// Puts commands through, the ring always as full as it can be; how many were completed a second.
    pub(super) fn rate(&mut self, mut commands: impl Iterator<Item = Command>) -> f64 {
        let (began, before) = (self.now, self.completed);
        let mut next = commands.next();
        while next.is_some() || self.completed != self.posted {
            while let Some(command) = next {
                if !self.post(command) {
                    break;
                }
                next = commands.next();
            }
            match self.board.next_due() {
                Some(at) => self.run_until(at.max(self.now)),
                None => break,
            }
        }
        let seconds = (self.now - began).0 as f64 / 1e12;
        f64::from(self.completed.wrapping_sub(before)) / seconds
    }

    fn take_completions(&mut self) {
        while let Ok(bytes) = self.world.0.read(self.done.address(self.completed)) {
            let completion = CommandCompletion::from_bytes(bytes);
            if completion.phase() != self.done.phase(self.completed)
                || self.completed == self.posted
            {
                return;
            }
            self.refused += u64::from(completion.status_or_err() != Ok(Status::Done));
            self.completed = self.completed.wrapping_add(1);
        }
    }
}

/// The key of an IPv4 connection by its number.
pub(super) fn numbered_key(n: u32) -> FlowKey {
    let mixed = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    FlowKey([mixed >> 32, 0, mixed & 0xffff_ffff, 0, 6 << 32 | 4 << 40, 0])
}

/// A command about the entry of a key.
pub(super) fn command(opcode: Opcode, key: &FlowKey, cookie: u32) -> Command {
    Command::new()
        .with_opcode(opcode)
        .with_cookie(cookie)
        .with_egress_lower_to_higher(1)
        .with_egress_higher_to_lower(1)
        .with_key_0(key.0[0])
        .with_key_1(key.0[1])
        .with_key_2(key.0[2])
        .with_key_3(key.0[3])
        .with_key_4(key.0[4])
        .with_key_5(key.0[5])
}
