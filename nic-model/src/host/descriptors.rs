//! The bit layouts of everything that crosses PCIe in a ring. The first field named lies in the low bits of
//! the first byte; multi-byte fields are little-endian.
//!
//! Rings written by the card carry a phase bit: it is 1 on the card's first way round the ring, 0 on the
//! second, and so on, so that software can tell a new descriptor from an old one without reading a register.
//!
//! What the two sides tell each other beside packets carries a checksum ([`super::seal`]); reports are numbered, so that a
//! lost and a doubled one show.

use crate::flow_table::FlowKey;
use crate::layout::{CodeLayout, DescriptorLayout, FieldLayout, descriptors};
use modular_bitfield::prelude::*;

descriptors! {
    16 ReceiveBuffer "What the driver posts in the receive buffer ring: one empty buffer." {
        address: B64 "Where the frame is to be written.";
        length_bytes: B32 "Room in the buffer, bytes.";
        buffer: B32 "The driver's name for the buffer; comes back in the completion.";
    }

    48 ReceiveCompletion "One received frame." {
        phase: bool "Phase of the ring.";
        reason: B7 "Why the frame came to the host: a `datapath::trap::Reason` code.";
        port: B8 "Port it arrived at.";
        checksums_good: bool "IP header checksum and TCP, UDP, ICMP checksum were verified and are right.";
        hit: bool "The frame hit a flow entry: `cookie` is valid.";
        - B14;
        buffer: B32 "The buffer it lies in.";
        captured_bytes: B32 "Bytes in the buffer.";
        wire_bytes: B32 "Length on the wire without FCS.";
        cookie: B32 "Cookie of the entry it hit.";
        zone: B16 "Conntrack zone that the classifier gave it.";
        ip_offset: B16 "Where the IP header begins that its connection is told by: inside a tunnel, if it came in one.";
        arrival_ns: B64 "First bit at the port, nanoseconds on the card's clock.";
        ingress_tag: B64 "Number the port gave the frame; to be copied into the transmit descriptor if the frame is sent on.";
        tunnel: B8 "What it came in: 0 nothing, 1 VXLAN, 2 Geneve, 3 GRE.";
        - B24;
        tunnel_id: B32 "VXLAN or Geneve VNI, GRE key.";
    }

    32 TransmitDescriptor "One frame to send." {
        address: B64 "Where the frame lies.";
        captured_bytes: B32 "Bytes to send.";
        wire_bytes: B32 "Length on the wire without FCS (longer than `captured_bytes` only for frames cut by a capture).";
        port: B8 "Port to send it by.";
        barred: bool "It was received with reason barrier: gives it back to the entry of this cookie.";
        - B23;
        cookie: B32 "See barred.";
        ingress_tag: B64 "The received frame's tag, or all ones.";
    }

    codes Opcode "What a command asks for." {
        Nop = 0 "Does nothing and completes.";
        Insert = 1 "Puts an entry into the table.";
        Delete = 2 "Takes an entry out and reads its final counters.";
        ReadCounters = 3 "Reads the counters of an entry.";
        Rewrite = 4 "Says what the entry of the next insertion writes into packets (a RewriteCommand).";
        Touch = 5 "Restarts the idle time of an entry, as if a packet had hit it.";
        Update = 6 "Changes what an entry does, as an insertion would have it; its counters and its age stay, and its mark and labels.";
        Dump = 7 "Writes records of the table's entries to host memory (a DumpCommand).";
        ReadLog = 8 "Writes entries of the error log to host memory (a DumpCommand; `slot` is the number of the first, from 0).";
        WriteImage = 9 "Writes a part of a firmware image into the slot that does not run (an ImageCommand). Not while an image is on trial.";
        AcceptImage = 10 "Checks the image in the slot that does not run; if it is whole and for this card, it begins at the next reset.";
        Marking = 11 "Says the mark and labels of the next insertion's entry, or for the next Mark (a MarkingCommand; since 2.4).";
        Mark = 12 "Gives an entry the mark and labels that the Marking before it has said (since 2.4).";
    }

    64 Command "A command to the firmware." {
        opcode: Opcode "What to do.";
        retry: bool "The command was posted before with this sequence number: if it was executed then, that completion is written again.";
        - B3;
        decrement_ttl: bool "Insert: decrement TTL or hop limit.";
        originator_is_lower: bool "Insert: the originator is the key's lower endpoint.";
        one_way: bool "Insert: only packets of one direction are forwarded: from the key's lower endpoint, or with from_higher from the higher.";
        from_higher: bool "Insert: see one_way.";
        rewrite_source: bool "Insert: source address and port are rewritten.";
        rewrite_destination: bool "Insert: destination address and port are rewritten.";
        rewrite_mac: bool "Insert: the destination MAC address is rewritten, and the source becomes that of the egress port.";
        vlan_pop: bool "Insert: the outermost VLAN tag is taken off; with vlan_push, its identifier changes.";
        vlan_push: bool "Insert: a VLAN tag is put on; with vlan_pop, the identifier of the tag there is changes.";
        check_window: bool "Insert: TCP segments outside the windows go to the host (on a card with a window checker).";
        scale_lower: B4 "Insert: window scale of the key's lower endpoint.";
        scale_higher: B4 "Insert: window scale of the key's higher endpoint.";
        barrier: bool "Insert: packets go to the host until none of the flow is on its way through there (register BARRIER).";
        marked: bool "Insert: the entry gets the mark and labels that the Marking before it has said (since 2.4).";
        - B4;
        sequence: B32 "Comes back in the completion.";
        cookie: B32 "Insert: name of the entry. All others: the entry must carry this name.";
        egress_lower_to_higher: B8 "Insert: egress port of packets from the key's lower endpoint.";
        egress_higher_to_lower: B8 "Insert: egress port of packets from the key's higher endpoint.";
        crc: B16 "CRC-16 (IBM-3740) of the other 62 bytes.";
        key_0: B64 "Flow key, word 0.";
        key_1: B64 "Flow key, word 1.";
        key_2: B64 "Flow key, word 2.";
        key_3: B64 "Flow key, word 3.";
        key_4: B64 "Flow key, word 4.";
        key_5: B64 "Flow key, word 5.";
    }

    64 RewriteCommand "A command (opcode Rewrite) that says what the next insertion's entry writes into packets." {
        opcode: Opcode "Rewrite.";
        retry: bool "As in Command.";
        - B27;
        sequence: B32 "Comes back in the completion.";
        cookie: B32 "The cookie of that insertion: no other uses it.";
        - B16;
        crc: B16 "As in Command.";
        word_0: B64 "Word 0 of the entry's rewrite.";
        word_1: B64 "Word 1.";
        word_2: B64 "Word 2.";
        word_3: B64 "Word 3.";
        word_4: B64 "Word 4.";
        word_5: B64 "Word 5.";
    }

    64 MarkingCommand "A command (opcode Marking) that says mark and labels for the next insertion or Mark." {
        opcode: Opcode "Marking.";
        retry: bool "As in Command.";
        - B27;
        sequence: B32 "Comes back in the completion.";
        cookie: B32 "The cookie of that command: no other uses it.";
        - B16;
        crc: B16 "As in Command.";
        mark: B32 "The mark.";
        - B32;
        labels_low: B64 "Labels 0 to 63.";
        labels_high: B64 "Labels 64 to 127.";
        - B64;
        - B128;
    }

    64 DumpCommand "A command (opcode Dump) that reads the table." {
        opcode: Opcode "Dump.";
        retry: bool "As in Command.";
        - B27;
        sequence: B32 "Comes back in the completion.";
        cookie: B32 "Comes back in the completion.";
        - B16;
        crc: B16 "As in Command.";
        slot: B32 "The first slot of interest.";
        records: B32 "How many records there is room for.";
        address: B64 "Where they are to be written.";
        - B128;
        - B128;
    }

    64 ImageCommand "A command (opcode WriteImage) that writes a part of a firmware image. What lies behind it in the slot stays; part 0 begins a new image." {
        opcode: Opcode "WriteImage.";
        retry: bool "As in Command.";
        - B27;
        sequence: B32 "Comes back in the completion.";
        cookie: B32 "Comes back in the completion.";
        - B16;
        crc: B16 "As in Command.";
        offset: B32 "Where in the image the part begins, bytes.";
        part_bytes: B32 "Its length, at most 4,096.";
        address: B64 "Where it lies in host memory.";
        - B128;
        - B128;
    }

    64 ImageHeader "The first 64 bytes of a firmware image; its body follows." {
        magic: B32 "0x6374_6677 (\"ctfw\").";
        card: B32 "DEVICE_ID of the cards it is for.";
        firmware_version: B32 "As in FIRMWARE_VERSION.";
        interface_version: B32 "As in INTERFACE_VERSION.";
        body_bytes: B32 "Length of the body.";
        body_crc: B32 "CRC-32C of the body.";
        stands_still: bool "An image for tests: its firmware never gets to work.";
        - B31;
        - B128;
        - B128;
        crc: B32 "CRC-32C of the first 60 bytes.";
    }

    codes LogCode "What an entry of the error log is about, and what its `value` is." {
        Began = 1 "The card began afresh: IMAGE as it was then.";
        Watchdog = 2 "The firmware stood still: for so many milliseconds.";
        CommandDamaged = 3 "A command came damaged: its sequence number, as far as it can be read.";
        CommandInvalid = 4 "A command made no sense: its sequence number.";
        DmaError = 5 "A DMA error stopped the rings: 0.";
        EntryDamaged = 6 "An entry of the table was damaged: its cookie.";
        EventRingFull = 7 "Reports wait for room in the event ring: reports waiting.";
        ImageBad = 8 "An image was not accepted: its slot.";
        ImageGivenUp = 9 "An image on trial was not confirmed: its slot.";
    }

    32 LogRecord "An entry of the error log, in answer to ReadLog." {
        code: LogCode "What it is about.";
        - B28;
        number: B32 "Entries before it since power-on, modulo 2^32.";
        at_ns: B64 "When, nanoseconds since power-on.";
        value: B32 "See the code.";
        - B64;
        crc: B32 "CRC-32C of the first 28 bytes.";
    }

    96 TableRecord "An entry of the table, in answer to Dump." {
        key_0: B64 "Flow key, word 0.";
        key_1: B64 "Flow key, word 1.";
        key_2: B64 "Flow key, word 2.";
        key_3: B64 "Flow key, word 3.";
        key_4: B64 "Flow key, word 4.";
        key_5: B64 "Flow key, word 5.";
        cookie: B32 "The entry's name.";
        slot: B32 "Where it lies.";
        packets_0: B32 "Packets lower to higher, modulo 2^32; the counters are not cleared.";
        packets_1: B32 "Packets higher to lower, modulo 2^32.";
        bytes_0: B48 "Bytes lower to higher, modulo 2^48.";
        bytes_1: B48 "Bytes higher to lower, modulo 2^48.";
        last_seen_ns: B64 "No packet hit the entry after this time, nanoseconds.";
        idle: bool "It was reported idle and was not hit since.";
        era: B3 "Era of its times (since 2.4).";
        - B28;
        marking_crc: B32 "CRC-32C of its mark and labels, 24 bytes as they lie in the entry; 0 if it has none (since 2.4).";
        crc: B32 "CRC-32C of the first 92 bytes.";
    }

    codes Status "How a command ended." {
        Done = 0 "Done.";
        TableFull = 1 "Insert: no place for the entry.";
        Duplicate = 2 "Insert: an entry with this key is there already.";
        NotFound = 3 "All but insert: no entry with this key and cookie.";
        Invalid = 4 "The command's opcode or fields make no sense.";
        Damaged = 5 "The command's checksum is wrong: nothing was done. Its sequence number may be wrong too.";
        BadImage = 6 "AcceptImage: what lies in the slot is no whole image for this card.";
    }

    64 CommandCompletion "Completion of a command; counters are those of the entry at that moment (delete, read), or of the one that gave way (insert)." {
        phase: bool "Phase of the ring.";
        era: B3 "Era of its times: CLOCK_STEPS modulo 8 (since 2.4).";
        status: Status "How the command ended.";
        opcode: Opcode "What it was.";
        evicted: bool "Insert: another entry gave way; counters and last-seen time are its final ones.";
        - B3;
        moves: B16 "Entries moved to make room.";
        sequence: B32 "The command's sequence number.";
        cookie: B32 "The command's cookie.";
        slot: B32 "Where the entry lies or lay.";
        packets_0: B32 "Packets lower to higher, modulo 2^32.";
        packets_1: B32 "Packets higher to lower, modulo 2^32.";
        bytes_0: B48 "Bytes lower to higher, modulo 2^48.";
        bytes_1: B48 "Bytes higher to lower, modulo 2^48.";
        place: B32 "Commands before it in the ring since that was enabled, modulo 2^32 (since 2.3): up to there, all have been fetched.";
        last_seen_ns: B64 "No packet hit the entry after this time, nanoseconds.";
        evicted_cookie: B32 "Insert: the cookie of the entry that gave way.";
        records: B32 "Dump, ReadLog: records written; `slot` is where to go on, all ones at the end of the table, or of the log.";
        moved: B32 "Dump: how often an entry was moved so far, modulo 2^32: one that moves while the table is read may be missed.";
        crc: B32 "CRC-32C of the first 60 bytes.";
    }

    codes Idle "What becomes of an idle entry." {
        Reported = 0 "Nothing, until the host takes it out: it is not reported again unless a packet hits it.";
        Evicted = 1 "It was taken out; the report has its final counters.";
        Asked = 2 "Nothing, until the host takes it out or touches it.";
        Damaged = 3 "It was not idle: its memory was damaged. It was taken out, and what it counted since its last record is lost.";
    }

    64 AgingReport "An idle entry, reported by the aging engine." {
        phase: bool "Phase of the ring.";
        idle: Idle "What becomes of it.";
        era: B3 "Era of its times (since 2.4).";
        - B24;
        cookie: B32 "The entry's name.";
        last_seen_ns: B64 "No packet hit the entry after this time, nanoseconds.";
        slot: B32 "Where it lies or lay.";
        packets_0: B32 "Evicted: packets lower to higher.";
        packets_1: B32 "Evicted: packets higher to lower.";
        bytes_0: B48 "Evicted: bytes lower to higher.";
        bytes_1: B48 "Evicted: bytes higher to lower.";
        sequence: B32 "Reports so far, modulo 2^32: a gap shows a lost one.";
        - B128;
        crc: B32 "CRC-32C of the first 60 bytes.";
    }

    64 CounterRecord "Counters of an entry that was hit since its last record." {
        phase: bool "Phase of the ring.";
        era: B3 "Era of its times (since 2.4).";
        - B28;
        cookie: B32 "The entry's name.";
        packets_0: B32 "Packets lower to higher, modulo 2^32.";
        packets_1: B32 "Packets higher to lower, modulo 2^32.";
        bytes_0: B48 "Bytes lower to higher, modulo 2^48.";
        bytes_1: B48 "Bytes higher to lower, modulo 2^48.";
        - B32;
        last_seen_ns: B64 "No packet hit the entry after this time, nanoseconds.";
        sequence: B32 "Records so far, modulo 2^32: a gap shows a lost one.";
        - B128;
        crc: B32 "CRC-32C of the first 60 bytes.";
    }
}

impl TransmitDescriptor {
    /// Tag of a frame that was not received, but made by the host.
    pub const NO_TAG: u64 = u64::MAX;
}

impl Command {
    /// The flow key that the command is about.
    pub fn key(&self) -> FlowKey {
        FlowKey([
            self.key_0(),
            self.key_1(),
            self.key_2(),
            self.key_3(),
            self.key_4(),
            self.key_5(),
        ])
    }
}
