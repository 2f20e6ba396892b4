//! Commands: what each does to the table, and what it costs.

use crate::processor::{Processor, Scheduler};
use crate::{dump, error_log, flash};
use nic_model::chip::Chip;
use nic_model::clock::Picos;
use nic_model::config::FirmwareConfig;
use nic_model::flow_table::entry::{EntryAction, KeyDirection, RewriteWords, VlanAction, flag};
use nic_model::flow_table::{EntryCounters, InsertError, Marking, Rewrite, Slot};
use nic_model::host::descriptors::{
    Command, CommandCompletion, LogCode, MarkingCommand, Opcode, RewriteCommand, Status,
};
use nic_model::host::registers as reg;
use nic_model::host::rings::Ring;
use nic_model::host::seal::is_whole_command;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Cycles a command takes before its result is known. Search and moves of an insertion come on top, when they
/// have turned out to be needed.
pub fn cost_cycles(command: &Command, config: &FirmwareConfig) -> u64 {
    let own = match command.opcode_or_err() {
        Ok(Opcode::Insert) => config.insert_cycles,
        Ok(Opcode::Update | Opcode::Mark) => config.update_cycles,
        Ok(Opcode::Delete) => config.delete_cycles,
        Ok(Opcode::ReadCounters | Opcode::Touch) => config.counter_read_cycles,
        Ok(
            Opcode::Nop
            | Opcode::Rewrite
            | Opcode::Marking
            | Opcode::Dump
            | Opcode::ReadLog
            | Opcode::WriteImage
            | Opcode::AcceptImage,
        )
        | Err(_) => 0,
    };
    u64::from(config.decode_cycles) + u64::from(own)
}

/// The ring of command completions.
pub fn completion_ring(chip: &Chip) -> Ring {
    let bytes = size_of::<CommandCompletion>();
    chip.ring(reg::COMMAND_DONE_LOW, reg::COMMAND_ENTRIES, bytes)
}

/// Executes a command; its completion, and the time that comes on top: search, moves, and what the table's memory takes if it is
/// not on the chip. `None` if it completes later, by itself.
pub(crate) fn execute(
    processor: &mut Processor,
    now: Picos,
    (place, command): (u32, &Command),
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> Option<(CommandCompletion, Picos)> {
    processor.stats.commands += 1;
    let completion = CommandCompletion::new()
        .with_era(chip.told_time().era())
        .with_place(place)
        .with_sequence(command.sequence())
        .with_cookie(command.cookie());
    let done = if !is_whole_command(&command.into_bytes()) {
        (completion.with_status(Status::Damaged), Picos::ZERO)
    } else if let Ok(opcode) = command.opcode_or_err() {
        let completion = completion.with_opcode(opcode);
        execute_opcode(
            processor,
            now,
            (opcode, command),
            completion,
            chip,
            schedule,
        )?
    } else {
        (completion.with_status(Status::Invalid), Picos::ZERO)
    };
    match done.0.status_or_err() {
        Ok(Status::Damaged) => {
            // What was said for a command that does not come is for no later one.
            (processor.rewrite, processor.marking) = (None, None);
            processor.note(now, LogCode::CommandDamaged, command.sequence());
        }
        Ok(Status::Invalid) => processor.note(now, LogCode::CommandInvalid, command.sequence()),
        _ => {}
    }
    Some(done)
}

fn execute_opcode(
    processor: &mut Processor,
    now: Picos,
    (opcode, command): (Opcode, &Command),
    completion: CommandCompletion,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> Option<(CommandCompletion, Picos)> {
    Some(match opcode {
        Opcode::Nop => (completion, Picos::ZERO),
        Opcode::Insert => insert(processor, now, command, completion, chip, schedule),
        Opcode::Rewrite => {
            processor.rewrite = Some((command.cookie(), words_of(command)));
            (completion, Picos::ZERO)
        }
        Opcode::Marking | Opcode::Mark if !chip.config().table.marking => {
            (completion.with_status(Status::Invalid), Picos::ZERO)
        }
        Opcode::Marking => {
            processor.marking = Some((command.cookie(), marking_of(command)));
            (completion, Picos::ZERO)
        }
        Opcode::Dump => dump::dump(processor, now, command, completion, chip, schedule),
        Opcode::ReadLog => error_log::read(processor, now, command, completion, chip, schedule),
        Opcode::AcceptImage => flash::accept(processor, now, completion),
        Opcode::WriteImage => {
            let part = flash::fetch_part(processor, now, command, completion, chip, schedule)?;
            (part, Picos::ZERO)
        }
        Opcode::Delete | Opcode::ReadCounters | Opcode::Touch | Opcode::Update | Opcode::Mark => {
            on_entry(
                processor,
                now,
                (opcode, command),
                completion,
                chip,
                schedule,
            )
        }
    })
}

/// Executes a command about an entry that is in the table.
fn on_entry(
    processor: &mut Processor,
    now: Picos,
    (opcode, command): (Opcode, &Command),
    completion: CommandCompletion,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> (CommandCompletion, Picos) {
    let slot = find(command, chip);
    let reached = chip.reach(now, &command.key(), slot) - now;
    let Some(slot) = slot else {
        (processor.rewrite, processor.marking) = (None, None);
        return (completion.with_status(Status::NotFound), reached);
    };
    let completion = match opcode {
        Opcode::Delete => delete(now, slot, completion, chip, schedule),
        Opcode::Update => update(processor, now, slot, command, completion, chip),
        Opcode::Mark => match take_marking(processor, command) {
            Some(marking) => {
                chip.mark(now, slot, marking);
                completion.with_slot(slot.0)
            }
            None => completion.with_status(Status::Invalid),
        },
        Opcode::Touch => {
            chip.touch(now, slot, schedule);
            completion
        }
        _ => match chip.read_counters(now, slot) {
            Some((counters, _)) => with_counters(completion, slot, &counters, chip),
            None => completion.with_status(Status::NotFound),
        },
    };
    (completion, reached)
}

fn words_of(command: &Command) -> RewriteWords {
    let command = RewriteCommand::from_bytes(command.into_bytes());
    RewriteWords([
        command.word_0(),
        command.word_1(),
        command.word_2(),
        command.word_3(),
        command.word_4(),
        command.word_5(),
    ])
}

fn marking_of(command: &Command) -> Marking {
    let command = MarkingCommand::from_bytes(command.into_bytes());
    let [low, high] = [command.labels_low(), command.labels_high()];
    Marking::of_words([command.mark().into(), low, high])
}

/// Mark and labels that were said for a command, if they were.
fn take_marking(processor: &mut Processor, command: &Command) -> Option<Marking> {
    let marking = processor.marking.take();
    let marking = marking.filter(|(cookie, _)| *cookie == command.cookie());
    marking.map(|(_, marking)| marking)
}

/// What an insertion's entry writes into packets; `None` if nobody has said what.
fn rewrite_of(command: &Command, words: Option<RewriteWords>) -> Option<Rewrite> {
    let mut flags = 0;
    for (set, mask) in [
        (command.rewrite_source(), flag::SOURCE),
        (command.rewrite_destination(), flag::DESTINATION),
        (command.rewrite_mac(), flag::MAC),
        (command.vlan_pop(), flag::VLAN_POP),
        (command.vlan_push(), flag::VLAN_PUSH),
    ] {
        flags |= if set { mask } else { 0 };
    }
    let rewrite = words.unwrap_or_default().read(flags);
    let needs_words = !matches!(
        rewrite,
        Rewrite {
            source: None,
            destination: None,
            mac: None,
            vlan: VlanAction::Keep | VlanAction::Pop,
        }
    );
    (!needs_words || words.is_some()).then_some(rewrite)
}

fn insert(
    processor: &mut Processor,
    now: Picos,
    command: &Command,
    completion: CommandCompletion,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> (CommandCompletion, Picos) {
    let key = command.key();
    let is_key = matches!(key.ip_version(), 4 | 6) && matches!(key.protocol(), TCP | UDP);
    let Some(action) = action_of(processor, command).filter(|_| is_key) else {
        return (completion.with_status(Status::Invalid), Picos::ZERO);
    };
    let reached = chip.reach(now, &key, None);
    let config = &processor.config;
    let search =
        |buckets: u32| u64::from(buckets.saturating_sub(1)) * u64::from(config.search_cycles);
    let waited = reached - now;
    match chip.insert(now, key, &action, schedule) {
        Ok(inserted) => {
            let moves = inserted.moves.min(u16::MAX.into()) as u16;
            let searched = search(inserted.visited_buckets);
            let moved = u64::from(inserted.moves) * u64::from(config.move_cycles);
            let cycles = searched + moved;
            let (searched, moved) = (processor.after(now, searched), processor.after(now, cycles));
            let searched = (inserted.visited_buckets, searched);
            chip.probe
                .insertion(now, searched, (inserted.moves, moved), false);
            let completion = match inserted.evicted {
                Some((_, state)) => with_counters(
                    completion,
                    inserted.slot,
                    &chip.final_counters(now, inserted.slot, &state),
                    chip,
                )
                .with_evicted(true)
                .with_evicted_cookie(state.cookie()),
                None => completion.with_slot(inserted.slot.0),
            };
            let beyond = processor.after(waited, cycles);
            (completion.with_moves(moves), beyond)
        }
        Err(InsertError::Duplicate { slot }) => {
            let there = chip.table().state(slot).map(|state| state.cookie());
            let again = command.retry() && there == Some(command.cookie());
            let status = if again {
                Status::Done
            } else {
                Status::Duplicate
            };
            (completion.with_status(status).with_slot(slot.0), waited)
        }
        Err(InsertError::Full { visited_buckets }) => {
            let cycles = search(visited_buckets);
            processor.stats.table_full += 1;
            let searched = processor.after(now, cycles);
            chip.probe
                .insertion(now, (visited_buckets, searched), (0, searched), true);
            let beyond = processor.after(waited, cycles);
            (completion.with_status(Status::TableFull), beyond)
        }
    }
}

/// What an entry is to do; `None` if nobody has said what it writes into packets, or which mark and labels it has.
fn action_of(processor: &mut Processor, command: &Command) -> Option<EntryAction> {
    let words = processor.rewrite.take();
    let words = words.filter(|(cookie, _)| *cookie == command.cookie());
    let rewrite = rewrite_of(command, words.map(|(_, words)| words))?;
    let said = take_marking(processor, command);
    let marking = if command.marked() {
        said?
    } else {
        Marking::NONE
    };
    let only = command.one_way().then_some(if command.from_higher() {
        KeyDirection::HigherToLower
    } else {
        KeyDirection::LowerToHigher
    });
    Some(EntryAction {
        egress: [
            command.egress_lower_to_higher(),
            command.egress_higher_to_lower(),
        ],
        cookie: command.cookie(),
        decrement_ttl: command.decrement_ttl(),
        originator_is_lower: command.originator_is_lower(),
        only,
        rewrite,
        marking,
        barrier: command.barrier(),
        window_scales: command
            .check_window()
            .then_some([command.scale_lower(), command.scale_higher()]),
    })
}

/// The slot of the entry with the command's key, if it carries the command's cookie.
fn find(command: &Command, chip: &Chip) -> Option<Slot> {
    let key = command.key();
    let table = chip.table();
    let slot = table.find(&key, table.hash(&key))?;
    let state = table.state(slot)?;
    (state.cookie() == command.cookie()).then_some(slot)
}

fn delete(
    now: Picos,
    slot: Slot,
    completion: CommandCompletion,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> CommandCompletion {
    match chip.remove(now, slot, schedule) {
        Some((_, state)) => {
            let counters = chip.final_counters(now, slot, &state);
            with_counters(completion, slot, &counters, chip)
        }
        None => completion.with_status(Status::NotFound),
    }
}

fn update(
    processor: &mut Processor,
    now: Picos,
    slot: Slot,
    command: &Command,
    completion: CommandCompletion,
    chip: &mut Chip,
) -> CommandCompletion {
    let Some(action) = action_of(processor, command) else {
        return completion.with_status(Status::Invalid);
    };
    chip.update(now, slot, &action);
    completion.with_slot(slot.0)
}

fn with_counters(
    completion: CommandCompletion,
    slot: Slot,
    counters: &EntryCounters,
    chip: &Chip,
) -> CommandCompletion {
    completion
        .with_slot(slot.0)
        .with_packets_0(counters.packets[0])
        .with_packets_1(counters.packets[1])
        .with_bytes_0(counters.bytes[0])
        .with_bytes_1(counters.bytes[1])
        .with_last_seen_ns(chip.told_time().ns_up(counters.last_seen))
}
