//! `docs/timing-model.md`: what every stage of every card costs, and a packet sent through to see that it does.

use nic_model::chip::{Chip, ChipEvent, Fate};
use nic_model::clock::Picos;
use nic_model::config::{ConfigError, MemoryKind, NicConfig, PRESETS, Rule, RuleAction};
use nic_model::datapath::parser::Parser;
use nic_model::event::EventQueue;
use nic_model::flow_table::entry::{EntryAction, EntryState};
use nic_model::flow_table::{FlowKey, FlowTable};
use nic_model::frame::FrameBuffer;
use nic_model::host::pcie::PcieLink;
use nic_model::memory::TableMemory;
use packet::build::FrameBuilder;
use std::fmt::Write;

const OPENING: &str = "# Timing model

Written by `ctnic nic timing` from the cards' parameters; a test fails when this file says anything else.

A stage is a resource: a packet starts at max(arrival, when the stage is free), keeps it for the *interval* and leaves one *latency*
after its start. What an idle card adds for one frame is therefore the sum of the latencies, and its rate is that of the longest
interval. Each table ends with a frame that was really sent through the model of that card, and what it took.

What is exact by construction: Ethernet's rates, PCIe's bytes and their time, the order of events, the occupancy of every FIFO, cache
sets and ways. What is approximate: latencies marked \"assumed\" in `ctnic nic explain` (none of them is from a data sheet); DRAM has
banks, rows and a busy bus but no refresh and no reordering; PCIe has no credits and a constant round trip; the firmware is a cost in
cycles per operation, not a program; the host is one core with a cost per packet. How far the queues and the memory are from theory is
in [validation.md](validation.md); the look-up agrees with Verilated RTL to the cycle (`nic-model/rtl`).
";

/// One line of the table.
struct Row {
    stage: &'static str,
    latency: Picos,
    interval: String,
    what: &'static str,
}

/// The document.
///
/// # Errors
/// A preset is not valid.
pub fn document() -> Result<String, ConfigError> {
    let mut out = OPENING.to_owned();
    for (name, _) in PRESETS {
        card(&mut out, &NicConfig::preset(name)?);
    }
    Ok(out)
}

/// The table of one card.
pub fn card(out: &mut String, config: &NicConfig) {
    write!(out, "\n## {}\n\n{}\n\n", config.name, config.description).ok();
    out.push_str("| stage | latency | interval | of what |\n|---|---|---|---|\n");
    let rows = rows(config);
    for row in &rows {
        let (stage, latency, interval, what) = (row.stage, row.latency, &row.interval, row.what);
        writeln!(out, "| {stage} | {latency} | {interval} | {what} |").ok();
    }
    let sum = rows.iter().fold(Picos::ZERO, |sum, row| sum + row.latency);
    let sent = match pass(config) {
        Some(time) => format!("{time} sent through"),
        None => "and sent through it was not forwarded".to_owned(),
    };
    writeln!(
        out,
        "\nA 64-byte frame of an installed connection, first bit in to first bit out: {sum} by the table, {sent}."
    )
    .ok();
}

/// A TCP frame of 60 bytes (64 with FCS).
fn frame() -> Vec<u8> {
    let mut frame = FrameBuilder::new()
        .ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .tcp(40_000, 80)
        .build();
    frame.resize(60, 0);
    frame
}

fn rows(config: &NicConfig) -> Vec<Row> {
    let (clock, p) = (config.pipeline_clock(), &config.pipeline);
    let cycles = |cycles: u32| clock.cycles(cycles.into());
    let cycle = clock.period().to_string();
    let beats = 60u32.div_ceil(p.bus_bytes);
    let row = |stage, latency, interval: String, what| Row {
        stage,
        latency,
        interval,
        what,
    };
    let byte = Picos(8_000 / u64::from(config.port.rate_gbps));
    let wire = Picos(byte.0 * 84);
    let mut rows = vec![
        row(
            "MAC in",
            Picos(byte.0 * 54),
            wire.to_string(),
            "54 bytes of headers; 84 bytes with preamble, FCS and gap",
        ),
        row(
            "parser",
            cycles(p.parser_latency_cycles),
            cycles(beats).to_string(),
            "a beat of the bus for each interval",
        ),
    ];
    if !config.classifier.rule.is_empty() {
        rows.push(row(
            "classifier",
            cycles(p.classifier_search_cycles),
            cycle.clone(),
            "one chain; each further chain is another search",
        ));
    }
    rows.push(row(
        "hash",
        cycles(p.hash_latency_cycles),
        cycle.clone(),
        "all choices at once",
    ));
    rows.extend(look_up(config, &cycle));
    rows.push(row(
        "trap",
        cycles(p.trap_latency_cycles),
        cycle.clone(),
        "flags, TTL, MTU, options",
    ));
    let goes_on = |rule: &Rule| rule.action == RuleAction::Ct && rule.chain_to != 0;
    if config.classifier.rule.iter().any(goes_on) {
        rows.push(row(
            "behind ct",
            cycles(p.classifier_search_cycles),
            cycle.clone(),
            "rules of one chain, by mark and labels too; each further chain is another search",
        ));
    }
    rows.extend([
        row(
            "counters",
            Picos::ZERO,
            cycles(p.counter_interval_cycles).to_string(),
            "read, modify, write; the packet does not wait for its own",
        ),
        row(
            "rewrite",
            cycles(p.rewrite_latency_cycles),
            cycle,
            "TTL and checksum",
        ),
        row(
            "MAC out",
            Picos::ZERO,
            wire.to_string(),
            if config.port.store_and_forward {
                "when the port is free and the last bit is in"
            } else {
                "when the port is free (cut-through)"
            },
        ),
    ]);
    rows
}

fn look_up(config: &NicConfig, cycle: &str) -> Vec<Row> {
    let (clock, p, memory) = (config.pipeline_clock(), &config.pipeline, &config.memory);
    let compare = Row {
        stage: "compare",
        latency: clock.cycles(p.compare_cycles.into()),
        interval: cycle.to_owned(),
        what: "keys, and which choice it is",
    };
    let read = match memory.kind {
        MemoryKind::Sram => Row {
            stage: "table read",
            latency: clock.cycles(p.table_read_cycles.into()),
            interval: cycle.to_owned(),
            what: "all choices at once, from memories of their own",
        },
        MemoryKind::Dram | MemoryKind::Host => Row {
            stage: "table read",
            latency: read_time(config),
            interval: format!("{} at once", memory.outstanding),
            what: "tags, then the entry, each missing the cache if there is one",
        },
    };
    vec![read, compare]
}

/// How long an idle memory takes for an entry that it has not read before.
fn read_time(config: &NicConfig) -> Picos {
    let mut table = FlowTable::new(&config.table);
    let mut memory = TableMemory::new(config, table.shape());
    let key = key();
    let state = EntryState::new(EntryAction::default(), Picos::ZERO);
    let slot = table.insert(key, state).ok().map(|inserted| inserted.slot);
    let start = Picos::from_micros(1);
    let mut link = PcieLink::new(&config.pcie);
    memory.look_up(start, &table, table.hash(&key), slot, &mut link) - start
}

fn key() -> FlowKey {
    let config = NicConfig::default();
    Parser::new(&config).parse(0, &frame(), 60).key
}

/// How long an idle card takes for a frame of an installed connection.
fn pass(config: &NicConfig) -> Option<Picos> {
    let mut chip = Chip::new(config);
    let mut queue: EventQueue<ChipEvent> = EventQueue::default();
    let mut frame = frame();
    let length = frame.len() as u32;
    let mut parsed = Vec::new();
    chip.prepare([(0, frame.as_slice(), length)].into_iter(), &mut parsed);
    let parsed = parsed[0];
    let action = EntryAction {
        egress: [1, 1],
        ..EntryAction::default()
    };
    chip.insert(Picos::ZERO, parsed.key, &action, &mut queue)
        .ok()?;
    chip.cool_memory();
    let arrival = Picos::from_micros(10);
    let front = chip.arrive(0, arrival, length, &parsed).ok()?;
    let mut buffer = FrameBuffer::new(&mut frame, 0);
    match chip.finish(&front, &parsed, 0, &mut buffer, length, 0, &mut queue) {
        Fate::Forwarded { departs, .. } => Some(departs - arrival),
        _ => None,
    }
}
