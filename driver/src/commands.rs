//! Commands to the firmware and their completions.

use crate::device::{DeviceError, Layout, write};
use crate::entries::Entry;
use crate::offload::Cookie;
use crate::platform::{Platform, Work};
use nic_model::clock::Picos;
use nic_model::flow_table::entry::{KeyDirection, VlanAction};
use nic_model::flow_table::{FlowKey, Rewrite};
use nic_model::host::descriptors::{Command, CommandCompletion, Opcode, RewriteCommand};
use nic_model::host::registers as reg;
use std::collections::VecDeque;

/// A command on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) opcode: Opcode,
    pub(crate) cookie: Cookie,
    /// When the driver decided on it.
    pub(crate) since: Picos,
}

/// What an insertion says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InsertRequest {
    pub(crate) entry: Entry,
    pub(crate) cookie: Cookie,
    pub(crate) egress: [u8; 2],
    pub(crate) decrement_ttl: bool,
    /// Whether the card is to check windows: the window scales of both sides, by key direction.
    pub(crate) window_scales: Option<[u8; 2]>,
    /// When the driver decided on it.
    pub(crate) since: Picos,
}

/// The command ring and what waits for room in it.
#[derive(Debug, Default)]
pub(crate) struct CommandQueue {
    posted: u32,
    announced: u32,
    completed: u32,
    pending: VecDeque<Pending>,
    /// Deletions that found the ring full. Bounded by the number of entries: each is of another entry.
    backlog: VecDeque<(Command, Pending)>,
}

impl CommandQueue {
    /// Whether so many commands can be queued: deletions that wait go first.
    pub(crate) fn has_room(&self, layout: &Layout, commands: u32) -> bool {
        self.backlog.is_empty() && self.free(layout) >= commands
    }

    fn free(&self, layout: &Layout) -> u32 {
        layout.command.entries() - self.posted.wrapping_sub(self.completed)
    }

    /// Commands that were not completed yet.
    pub(crate) fn outstanding(&self) -> usize {
        self.pending.len() + self.backlog.len()
    }

    /// Queues an insertion; there must be room.
    pub(crate) fn insert(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        request: &InsertRequest,
    ) -> Result<(), DeviceError> {
        let pending = |opcode| Pending {
            opcode,
            cookie: request.cookie,
            since: request.since,
        };
        let (first, second) = (pending(Opcode::Rewrite), pending(Opcode::Insert));
        let rewrite = &request.entry.rewrite;
        if *rewrite != Rewrite::default() {
            let words = rewrite_command(rewrite, request.cookie);
            self.post(platform, layout, words, first)?;
        }
        self.post(platform, layout, insert_command(request), second)
    }

    /// Queues a deletion, now or when there is room.
    pub(crate) fn delete(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        key: &FlowKey,
        cookie: Cookie,
    ) -> Result<(), DeviceError> {
        let (command, pending) = about(Opcode::Delete, key, cookie, platform.now());
        if self.has_room(layout, 1) {
            return self.post(platform, layout, command, pending);
        }
        self.backlog.push_back((command, pending));
        Ok(())
    }

    /// Queues a request to keep an idle entry; `false` if there is no room.
    pub(crate) fn touch(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        key: &FlowKey,
        cookie: Cookie,
    ) -> Result<bool, DeviceError> {
        let (command, pending) = about(Opcode::Touch, key, cookie, platform.now());
        if !self.has_room(layout, 1) {
            return Ok(false);
        }
        self.post(platform, layout, command, pending)?;
        Ok(true)
    }

    fn post(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        command: Command,
        pending: Pending,
    ) -> Result<(), DeviceError> {
        platform.spend(Work::Command, 1);
        let command = command.with_sequence(self.posted);
        let address = layout.command.address(self.posted);
        platform.memory().write(address, &command.into_bytes())?;
        self.posted = self.posted.wrapping_add(1);
        self.pending.push_back(pending);
        Ok(())
    }

    /// Tells the card about commands it does not know of.
    pub(crate) fn announce(&mut self, platform: &mut impl Platform) {
        if self.posted != self.announced {
            self.announced = self.posted;
            write(platform, reg::COMMAND_TAIL, self.posted);
        }
    }

    /// Whether a completion has come.
    pub(crate) fn is_ready(
        &self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<bool, DeviceError> {
        Ok(self.peek(platform, layout)?.is_some())
    }

    fn peek(
        &self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<Option<CommandCompletion>, DeviceError> {
        let ring = &layout.command_done;
        let bytes = platform.memory().read(ring.address(self.completed))?;
        let completion = CommandCompletion::from_bytes(bytes);
        let has_come = completion.phase() == ring.phase(self.completed);
        Ok(has_come.then_some(completion))
    }

    /// The next completion and the command it is of.
    pub(crate) fn take(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<Option<(CommandCompletion, Pending)>, DeviceError> {
        let Some(completion) = self.peek(platform, layout)? else {
            return Ok(None);
        };
        let Some(pending) = self.pending.pop_front() else {
            return Ok(None);
        };
        platform.spend(Work::Completion, 1);
        self.completed = self.completed.wrapping_add(1);
        while self.free(layout) > 0 {
            let Some((command, pending)) = self.backlog.pop_front() else {
                break;
            };
            self.post(platform, layout, command, pending)?;
        }
        Ok(Some((completion, pending)))
    }
}

/// A command about an entry that is in the card.
fn about(opcode: Opcode, key: &FlowKey, cookie: Cookie, since: Picos) -> (Command, Pending) {
    let command = with_key(Command::new(), key)
        .with_opcode(opcode)
        .with_cookie(cookie.0);
    let pending = Pending {
        opcode,
        cookie,
        since,
    };
    (command, pending)
}

fn with_key(command: Command, key: &FlowKey) -> Command {
    command
        .with_key_0(key.0[0])
        .with_key_1(key.0[1])
        .with_key_2(key.0[2])
        .with_key_3(key.0[3])
        .with_key_4(key.0[4])
        .with_key_5(key.0[5])
}

fn insert_command(request: &InsertRequest) -> Command {
    let Entry {
        rewrite,
        only,
        key,
        originator_is_lower,
    } = request.entry;
    let (mut pop, mut push) = (false, false);
    match rewrite.vlan {
        VlanAction::Keep => {}
        VlanAction::Pop => pop = true,
        VlanAction::Push(_) => push = true,
        VlanAction::Set(_) => (pop, push) = (true, true),
    }
    let command = with_key(Command::new(), &key)
        .with_opcode(Opcode::Insert)
        .with_cookie(request.cookie.0)
        .with_egress_lower_to_higher(request.egress[0])
        .with_egress_higher_to_lower(request.egress[1])
        .with_originator_is_lower(originator_is_lower)
        .with_decrement_ttl(request.decrement_ttl)
        .with_one_way(only.is_some())
        .with_from_higher(only == Some(KeyDirection::HigherToLower))
        .with_rewrite_source(rewrite.source.is_some())
        .with_rewrite_destination(rewrite.destination.is_some())
        .with_rewrite_mac(rewrite.mac.is_some())
        .with_vlan_pop(pop)
        .with_vlan_push(push);
    match request.window_scales {
        Some([lower, higher]) => command
            .with_check_window(true)
            .with_scale_lower(lower.min(14))
            .with_scale_higher(higher.min(14)),
        None => command,
    }
}

fn rewrite_command(rewrite: &Rewrite, cookie: Cookie) -> Command {
    let words = rewrite.words().0;
    let command = RewriteCommand::new()
        .with_opcode(Opcode::Rewrite)
        .with_cookie(cookie.0)
        .with_word_0(words[0])
        .with_word_1(words[1])
        .with_word_2(words[2])
        .with_word_3(words[3])
        .with_word_4(words[4])
        .with_word_5(words[5]);
    Command::from_bytes(command.into_bytes())
}
