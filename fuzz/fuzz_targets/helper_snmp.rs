//! Any SNMP conversation, translated or not: no panic, right checksums, nothing expected for ever.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ctnic_fuzz::talk::converse(
    "snmp_trap",
    false,
    162,
    data
));
