//! What each command says, word by word.

use super::{Pending, Unposted, Words};
use crate::entries::Entry;
use crate::offload::Cookie;
use nic_model::clock::Picos;
use nic_model::flow_table::entry::{KeyDirection, VlanAction};
use nic_model::flow_table::{FlowKey, Marking, Rewrite};
use nic_model::host::descriptors::{Command, DumpCommand, MarkingCommand, Opcode, RewriteCommand};
use nic_model::host::memory::DmaAddress;

/// What an insertion says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InsertRequest<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) cookie: Cookie,
    pub(crate) egress: [u8; 2],
    pub(crate) decrement_ttl: bool,
    /// Packets go to the host until none of the flow is on its way through there.
    pub(crate) barrier: bool,
    /// Mark and labels, if it gets any.
    pub(crate) marking: Option<Marking>,
    /// Whether the card is to check windows: the window scales of both sides, by key direction.
    pub(crate) window_scales: Option<[u8; 2]>,
    /// When the driver decided on it.
    pub(crate) since: Picos,
}

/// A command that was not posted yet.
pub(super) const fn waiting(
    opcode: Opcode,
    cookie: Cookie,
    command: Words,
    since: Picos,
) -> Unposted {
    let pending = Pending {
        opcode,
        cookie,
        since,
        sequence: 0,
        number: 0,
        first: 0,
        before: 0,
        posted_at: since,
        again: None,
        stray: false,
    };
    Unposted {
        pending,
        command,
        before: Vec::new(),
    }
}

/// A command about an entry that is in the card.
pub(super) fn about(opcode: Opcode, key: &FlowKey, cookie: Cookie, since: Picos) -> Unposted {
    let command = with_key(Command::new(), key)
        .with_opcode(opcode)
        .with_cookie(cookie.0);
    waiting(opcode, cookie, command.into_bytes(), since)
}

/// A command that reads records from one on, into memory that has room for so many.
pub(super) fn reading(
    opcode: Opcode,
    from: u32,
    (address, most): (DmaAddress, u32),
    since: Picos,
) -> Unposted {
    let command = DumpCommand::new()
        .with_opcode(opcode)
        .with_slot(from)
        .with_records(most)
        .with_address(address.0);
    waiting(opcode, Cookie(0), command.into_bytes(), since)
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

pub(super) fn insert_command(request: &InsertRequest<'_>) -> Command {
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
    let command = with_key(Command::new(), key)
        .with_opcode(Opcode::Insert)
        .with_cookie(request.cookie.0)
        .with_egress_lower_to_higher(request.egress[0])
        .with_egress_higher_to_lower(request.egress[1])
        .with_originator_is_lower(*originator_is_lower)
        .with_decrement_ttl(request.decrement_ttl)
        .with_barrier(request.barrier)
        .with_marked(request.marking.is_some())
        .with_one_way(only.is_some())
        .with_from_higher(*only == Some(KeyDirection::HigherToLower))
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

pub(super) fn rewrite_command(rewrite: &Rewrite, cookie: Cookie) -> Words {
    let words = rewrite.words().0;
    RewriteCommand::new()
        .with_opcode(Opcode::Rewrite)
        .with_cookie(cookie.0)
        .with_word_0(words[0])
        .with_word_1(words[1])
        .with_word_2(words[2])
        .with_word_3(words[3])
        .with_word_4(words[4])
        .with_word_5(words[5])
        .into_bytes()
}

pub(super) fn marking_command(marking: &Marking, cookie: Cookie) -> Words {
    let [_, low, high] = marking.words();
    MarkingCommand::new()
        .with_opcode(Opcode::Marking)
        .with_cookie(cookie.0)
        .with_mark(marking.mark)
        .with_labels_low(low)
        .with_labels_high(high)
        .into_bytes()
}
