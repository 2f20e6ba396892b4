//! `docs/hardware-interface.md`: registers, descriptors, codes, and the layout of an entry.

use nic_model::chip::DropReason;
use nic_model::datapath::trap::Reason;
use nic_model::datapath::window::WINDOW_FIELDS;
use nic_model::flow_table::entry::{
    KEY_FIELDS, MARKING_FIELDS, REWRITE_FIELDS, STATE_FIELDS, flag,
};
use nic_model::host::descriptors::{
    AgingReport, Command, CommandCompletion, CounterRecord, DumpCommand, Idle, ImageCommand,
    ImageHeader, LogCode, LogRecord, MarkingCommand, Opcode, ReceiveBuffer, ReceiveCompletion,
    RewriteCommand, Status, TableRecord, TransmitDescriptor,
};
use nic_model::host::registers::{Access, INTERFACE_VERSION_VALUE, MAP};
use nic_model::layout::{DescriptorLayout, FieldLayout};
use std::fmt::Write;

const OPENING: &str = "# Hardware interface

Written by `ctnic nic interface` from the declarations that card and driver are compiled from; a test fails when this file says
anything else.

Registers are 32 bits wide and lie in one window. Rings lie in host memory; both sides count descriptors from zero, modulo 2^32, and
the place in the ring is the count modulo the number of entries. What the card writes carries a phase bit, 1 on its first way round
the ring, 0 on the second, and so on, so that software can tell a new descriptor from an old one without reading a register. Fields
of descriptors are little-endian; bit 0 is the lowest bit of the first byte.

Commands and what the firmware writes carry checksums. Commands are executed in the order of their ring; a command whose completion
does not come may be posted again under its sequence number with `retry` set, and is executed once: the firmware remembers the
completions of as many commands as the ring has places. Aging reports and counter records are numbered from zero after each reset;
a number that comes twice is to be ignored, a gap or EVENTS_PRODUCED and COUNTERS_PRODUCED show a lost one, and Dump then shows what
the table holds. After a reset (BOOT_COUNT counts them) the card ignores writes until STATUS says that it is ready; rings must be laid
anew, what was in them is lost.

The card has two slots for images of its firmware (ImageHeader). WriteImage puts an image into the slot that does not run, in parts,
from 0 on; AcceptImage checks it; at the next reset it begins, on trial: unless IMAGE_CONFIRM is written before the reset after that,
that reset brings the other slot's image back. A driver of a major version other than INTERFACE_VERSION's writes FUNCTION_RESET without
confirming. What goes wrong on the card is in its error log (ReadLog, LOG_COUNT), which every reset leaves alone.
";

/// The document.
pub fn document() -> String {
    let mut out = OPENING.to_owned();
    let (major, minor) = (
        INTERFACE_VERSION_VALUE >> 16,
        INTERFACE_VERSION_VALUE & 0xffff,
    );
    write!(out, "\n## Registers (version {major}.{minor})\n\n| offset | name | access | meaning |\n|---|---|---|---|\n").ok();
    for register in MAP {
        let access = match register.access {
            Access::Read => "read",
            Access::Write => "write",
            Access::ReadWrite => "read, write",
        };
        let (offset, name, meaning) = (register.offset, register.name, register.meaning);
        writeln!(out, "| 0x{offset:03x} | `{name}` | {access} | {meaning} |").ok();
    }
    out.push_str("\n## Descriptors\n");
    for layout in [
        ReceiveBuffer::LAYOUT,
        ReceiveCompletion::LAYOUT,
        TransmitDescriptor::LAYOUT,
        Command::LAYOUT,
        RewriteCommand::LAYOUT,
        MarkingCommand::LAYOUT,
        DumpCommand::LAYOUT,
        ImageCommand::LAYOUT,
        ImageHeader::LAYOUT,
        LogRecord::LAYOUT,
        TableRecord::LAYOUT,
        CommandCompletion::LAYOUT,
        AgingReport::LAYOUT,
        CounterRecord::LAYOUT,
    ] {
        descriptor(&mut out, &layout);
    }
    out.push_str("\n## Codes\n");
    for layout in [
        Opcode::LAYOUT,
        Status::LAYOUT,
        Idle::LAYOUT,
        LogCode::LAYOUT,
    ] {
        let rows = layout.values.iter();
        let rows = rows.map(|(code, name, meaning)| (*code, (*name).to_owned(), *meaning));
        codes(&mut out, layout.name, layout.meaning, rows);
    }
    let reasons = Reason::ALL.iter();
    let reasons = reasons.map(|reason| (reason.code(), reason.name().to_owned(), reason.meaning()));
    codes(&mut out, "Reason", "Why a frame came to the host.", reasons);
    let drops = DropReason::ALL.iter();
    let drops = drops.map(|drop| (*drop as u8, drop.name().to_owned(), drop.meaning()));
    codes(
        &mut out,
        "Drop reason",
        "Why the hardware dropped a packet (counted, not given to the host).",
        drops,
    );
    out.push_str("\n## A flow table's entry\n\nOne entry serves both directions: the key holds the endpoints in ascending order of address, then port. On a card with an \
         entry for each direction (KEY_FORMAT) the source comes first.\n");
    fields(&mut out, "Key, 48 bytes", KEY_FIELDS);
    fields(&mut out, "State, 32 bytes", STATE_FIELDS);
    fields(&mut out, "Rewrite, 48 bytes", REWRITE_FIELDS);
    fields(&mut out, "Marking, 24 bytes", MARKING_FIELDS);
    fields(&mut out, "Window, 32 bytes", WINDOW_FIELDS);
    let flags = flag::ALL.iter();
    let flags = flags.map(|(bit, name, meaning)| (*bit, (*name).to_owned(), *meaning));
    codes(&mut out, "Flags", "Bits of the state's flags.", flags);
    out
}

fn descriptor(out: &mut String, layout: &DescriptorLayout) {
    let title = format!("{}, {} bytes", layout.name, layout.bytes);
    writeln!(out, "\n### {title}\n\n{}", layout.meaning).ok();
    table(out, layout.fields);
}

fn fields(out: &mut String, title: &str, fields: &[FieldLayout]) {
    writeln!(out, "\n### {title}").ok();
    table(out, fields);
}

fn table(out: &mut String, fields: &[FieldLayout]) {
    out.push_str("\n| byte | bits | field | meaning |\n|---|---|---|---|\n");
    let mut from = 0;
    for field in fields {
        let to = from + field.bits - 1;
        let bits = if field.bits == 1 {
            format!("{from}")
        } else {
            format!("{to}:{from}")
        };
        let name = if field.name.is_empty() {
            String::new()
        } else {
            format!("`{}`", field.name)
        };
        writeln!(
            out,
            "| {} | {bits} | {name} | {} |",
            from / 8,
            field.meaning
        )
        .ok();
        from = to + 1;
    }
}

fn codes(
    out: &mut String,
    title: &str,
    meaning: &str,
    rows: impl Iterator<Item = (u8, String, &'static str)>,
) {
    write!(
        out,
        "\n### {title}\n\n{meaning}\n\n| value | name | meaning |\n|---|---|---|\n"
    )
    .ok();
    for (code, name, meaning) in rows {
        writeln!(out, "| {code} | `{name}` | {meaning} |").ok();
    }
}
