//! The register window: every register's offset, access and meaning, declared once.
//!
//! Registers are 32 bits wide. Ring base addresses take two registers, low half first; the pair takes effect
//! when the ring is enabled by [`CONTROL`].

use crate::config::{CounterConfig, Entries, KeyConfig, NicConfig, Overflow, PortConfig};

/// How software may use a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Write only; reads as zero.
    Write,
    /// Read and write.
    ReadWrite,
}

/// One register of the map.
#[derive(Debug, Clone, Copy)]
pub struct Register {
    /// Name.
    pub name: &'static str,
    /// Byte offset in the window.
    pub offset: u32,
    /// How software may use it.
    pub access: Access,
    /// What it is for.
    pub meaning: &'static str,
}

macro_rules! register_map {
    ($($offset:literal $access:ident $name:ident $meaning:literal)*) => {
        $(#[doc = $meaning] pub const $name: u32 = $offset;)*
        /// All registers in ascending order of offset.
        pub const MAP: &[Register] = &[
            $(Register { name: stringify!($name), offset: $offset, access: Access::$access, meaning: $meaning },)*
        ];
    };
}

register_map! {
    0x000 Read      DEVICE_ID            "Identifies the card: 0x6374_6e69 (\"ctni\")."
    0x004 Read      INTERFACE_VERSION    "Version of this interface, major in the high half, minor in the low half."
    0x008 Read      PORTS                "Number of Ethernet ports."
    0x00c Read      TABLE_CAPACITY       "Entries the flow table can hold, stash included."
    0x010 ReadWrite CONTROL              "Bit 0: enable receive, transmit, command, event and counter rings: setting it begins all of them at 0, whatever their doorbells said before. Clearing it stops all DMA. Bit 1: function reset: rings, DMA and firmware begin afresh, the table stays. Bit 2: full reset: the table is empty too."
    0x014 Read      STATUS               "Bit 0: enabled. Bit 1: a DMA error stopped the rings. Bit 2: ready: after a reset the card ignores writes until it is."
    0x018 Read      KEY_FORMAT           "What keys hold. Bit 0: one direction alone (two entries a connection). Bits 1 to 4: zone, ingress port, VLAN, tunnel."
    0x01c Read      COUNTER_FORMAT       "Bits 7:0: width of packet counters. Bits 15:8: width of byte counters. Bit 16: they saturate. Bit 17: reading clears them."
    0x020 ReadWrite RECEIVE_BASE_LOW     "Receive buffer ring, address bits 31:0."
    0x024 ReadWrite RECEIVE_BASE_HIGH    "Receive buffer ring, address bits 63:32."
    0x028 ReadWrite RECEIVE_ENTRIES      "Receive buffer ring and receive completion ring, entries, a power of two."
    0x02c Write     RECEIVE_TAIL         "Doorbell: buffers posted so far, modulo 2^32."
    0x030 ReadWrite RECEIVE_DONE_LOW     "Receive completion ring, address bits 31:0."
    0x034 ReadWrite RECEIVE_DONE_HIGH    "Receive completion ring, address bits 63:32."
    0x040 ReadWrite TRANSMIT_BASE_LOW    "Transmit ring, address bits 31:0."
    0x044 ReadWrite TRANSMIT_BASE_HIGH   "Transmit ring, address bits 63:32."
    0x048 ReadWrite TRANSMIT_ENTRIES     "Transmit ring, entries, a power of two."
    0x04c Write     TRANSMIT_TAIL        "Doorbell: descriptors posted so far, modulo 2^32."
    0x050 ReadWrite TRANSMIT_HEAD_LOW    "Where the card writes the number of descriptors it is done with (32 bits), address bits 31:0."
    0x054 ReadWrite TRANSMIT_HEAD_HIGH   "The same, address bits 63:32."
    0x060 ReadWrite COMMAND_BASE_LOW     "Command ring, address bits 31:0."
    0x064 ReadWrite COMMAND_BASE_HIGH    "Command ring, address bits 63:32."
    0x068 ReadWrite COMMAND_ENTRIES      "Command ring and command completion ring, entries, a power of two."
    0x06c Write     COMMAND_TAIL         "Doorbell: commands posted so far, modulo 2^32."
    0x070 ReadWrite COMMAND_DONE_LOW     "Command completion ring, address bits 31:0."
    0x074 ReadWrite COMMAND_DONE_HIGH    "Command completion ring, address bits 63:32."
    0x080 ReadWrite EVENT_BASE_LOW       "Event ring (aging reports), address bits 31:0."
    0x084 ReadWrite EVENT_BASE_HIGH      "Event ring, address bits 63:32."
    0x088 ReadWrite EVENT_ENTRIES        "Event ring, entries, a power of two."
    0x08c Write     EVENT_HEAD           "Events consumed so far, modulo 2^32; the card never overwrites what lies beyond."
    0x0a0 ReadWrite COUNTER_BASE_LOW     "Counter ring, address bits 31:0."
    0x0a4 ReadWrite COUNTER_BASE_HIGH    "Counter ring, address bits 63:32."
    0x0a8 ReadWrite COUNTER_ENTRIES      "Counter ring, entries, a power of two."
    0x0ac Write     COUNTER_HEAD         "Counter records consumed so far, modulo 2^32."
    0x0b0 Read      CLOCK_LOW            "The card's clock, nanoseconds, bits 31:0 (read CLOCK_HIGH before and after it). Times in what the card writes are of this clock (since 2.4)."
    0x0b4 Read      CLOCK_HIGH           "Bits 63:32."
    0x0b8 Read      CLOCK_STEPS          "How often the clock was stepped, modulo 2^32. Messages with times carry the lowest bits of it, as it was when they were written: their era."
    0x0c0 Write     INTERRUPT_ARM        "Writing any value allows one interrupt: at once if something was delivered since the last one."
    0x0c4 Read      PORT_MTU             "Largest IP packet a port sends, bytes. Bits 15:0: port 0. Bits 31:16: port 1. What is longer is dropped there. 0: not known."
    0x0d0 Read      FEATURES             "Bit 0: the card checks TCP windows. Bit 1: entries have a mark and labels (since 2.4)."
    0x0d4 Read      HEARTBEAT            "Milliseconds of the firmware's life: stands still when it hangs."
    0x0d8 Read      BOOT_COUNT           "How often the card began afresh: by request, by its watchdog, or otherwise."
    0x0dc Read      FIRMWARE_VERSION     "Version of the firmware, major in the high half, minor in the low half."
    0x0e0 Read      EVENTS_PRODUCED      "Aging reports written so far, modulo 2^32."
    0x0e4 Read      COUNTERS_PRODUCED    "Counter records written so far, modulo 2^32."
    0x0e8 ReadWrite COUNTER_INTERVAL     "Milliseconds between two passes of the counter service over the table; 0: none. What was written before the rings are enabled holds until they are enabled again; a reset brings back what the card came with."
    0x0ec ReadWrite AGING                "Bit 0: the aging engine looks for idle entries. A reset sets it."
    0x0f0 ReadWrite BARRIER              "An entry that was inserted with a barrier begins to forward when its packets that went to the host were all sent on (transmit descriptors with barred), or when none has come for so many microseconds. A reset clears it: barriers end."
    0x0f4 Read      IMAGE                "Images of the firmware. Bit 0: the slot (0: A, 1: B) of the one that runs. Bit 1: it is on trial: if it is not confirmed before the next reset, that begins the other one. Bit 2: the other slot's image was accepted and begins at the next reset. Bit 3: the last image on trial was given up."
    0x0f8 Write     IMAGE_CONFIRM        "Any value: the image that runs is good, its trial is over."
    0x0fc Read      LOG_COUNT            "Entries of the error log since power-on, modulo 2^32. The card keeps the last 64 of them (ReadLog), through every reset."
}

/// Registers that tell how far a ring is, and the one that arms the interrupt.
pub const DOORBELLS: [u32; 6] = [
    RECEIVE_TAIL,
    TRANSMIT_TAIL,
    COMMAND_TAIL,
    EVENT_HEAD,
    COUNTER_HEAD,
    INTERRUPT_ARM,
];

/// Value of [`DEVICE_ID`].
pub const DEVICE_ID_VALUE: u32 = 0x6374_6e69;
/// Value of [`INTERFACE_VERSION`] with the image that a card comes with: 2.4.
pub const INTERFACE_VERSION_VALUE: u32 = 0x0002_0004;
/// Value of [`FIRMWARE_VERSION`] with the image that a card comes with: 2.4.
pub const FIRMWARE_VERSION_VALUE: u32 = 0x0002_0004;
/// Bit of [`CONTROL`] and [`STATUS`].
pub const ENABLE: u32 = 1 << 0;
/// Bit of [`CONTROL`].
pub const FUNCTION_RESET: u32 = 1 << 1;
/// Bit of [`CONTROL`].
pub const FULL_RESET: u32 = 1 << 2;
/// Bit of [`STATUS`].
pub const DMA_ERROR: u32 = 1 << 1;
/// Bit of [`STATUS`].
pub const READY: u32 = 1 << 2;

/// Bit of [`AGING`].
pub const AGING_ON: u32 = 1 << 0;

/// Bit of [`IMAGE`]: slot B.
pub const IMAGE_B: u32 = 1 << 0;
/// Bit of [`IMAGE`].
pub const IMAGE_ON_TRIAL: u32 = 1 << 1;
/// Bit of [`IMAGE`].
pub const IMAGE_ACCEPTED: u32 = 1 << 2;
/// Bit of [`IMAGE`].
pub const IMAGE_GIVEN_UP: u32 = 1 << 3;

/// Bit of [`FEATURES`].
pub const WINDOW_CHECKER: u32 = 1 << 0;
/// Bit of [`FEATURES`].
pub const MARKING: u32 = 1 << 1;

/// The value of [`FEATURES`].
pub const fn features(config: &NicConfig) -> u32 {
    let mut features = 0;
    if config.window.check {
        features |= WINDOW_CHECKER;
    }
    if config.table.marking {
        features |= MARKING;
    }
    features
}

/// The value of [`PORT_MTU`].
pub const fn port_mtu(port: &PortConfig) -> u32 {
    let [first, second] = port.mtus();
    first & 0xffff | second << 16
}

/// What a value of [`PORT_MTU`] says; as good as none where the card does not know.
pub const fn port_mtus(value: u32) -> [u32; 2] {
    const fn mtu(bytes: u32) -> u32 {
        if bytes == 0 { u32::MAX } else { bytes }
    }
    [mtu(value & 0xffff), mtu(value >> 16)]
}

/// The value of [`KEY_FORMAT`].
pub fn key_format(key: &KeyConfig) -> u32 {
    let bits = [
        key.entries == Entries::EachWay,
        key.zone,
        key.ingress_port,
        key.vlan,
        key.tunnel,
    ];
    let bit = |(at, set): (usize, bool)| u32::from(set) << at;
    bits.into_iter().enumerate().map(bit).sum()
}

/// The value of [`COUNTER_FORMAT`].
pub fn counter_format(counter: &CounterConfig) -> u32 {
    counter.packet_bits
        | counter.byte_bits << 8
        | u32::from(counter.overflow == Overflow::Saturate) << 16
        | u32::from(counter.clear_on_read) << 17
}

/// What a value of [`COUNTER_FORMAT`] says; widths that no counter has become the next possible ones.
pub fn counter_config(format: u32) -> CounterConfig {
    CounterConfig {
        packet_bits: (format & 0xff).clamp(4, 32),
        byte_bits: (format >> 8 & 0xff).clamp(16, 48),
        overflow: if format >> 16 & 1 == 1 {
            Overflow::Saturate
        } else {
            Overflow::Wrap
        },
        clear_on_read: format >> 17 & 1 == 1,
        ..CounterConfig::default()
    }
}

/// What a value of [`KEY_FORMAT`] says.
pub fn key_config(format: u32) -> KeyConfig {
    let bit = |at: u32| format >> at & 1 == 1;
    KeyConfig {
        entries: if bit(0) {
            Entries::EachWay
        } else {
            Entries::Both
        },
        zone: bit(1),
        ingress_port: bit(2),
        vlan: bit(3),
        tunnel: bit(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_format_says_what_keys_hold() {
        for format in 0..32 {
            assert_eq!(key_format(&key_config(format)), format);
        }
    }

    #[test]
    fn a_port_may_have_an_mtu_of_its_own() {
        let mut port = PortConfig::default();
        assert_eq!(port_mtus(port_mtu(&port)), [1_500; 2]);
        port.mtu_1_bytes = 1_280;
        assert_eq!(port_mtus(port_mtu(&port)), [1_500, 1_280]);
        assert_eq!(port_mtus(0), [u32::MAX; 2]);
    }

    #[test]
    fn a_counter_format_says_how_counters_count() {
        for format in [0x2_3020, 0x1_1004, 0x3020] {
            assert_eq!(counter_format(&counter_config(format)), format);
        }
    }

    #[test]
    fn offsets_are_aligned_ascending_and_unique() {
        assert!(MAP.iter().all(|register| register.offset % 4 == 0));
        assert!(MAP.windows(2).all(|pair| pair[0].offset < pair[1].offset));
    }
}
