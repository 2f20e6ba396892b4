//! Any SIP conversation over TCP, translated or not: no panic, right checksums, nothing expected for ever.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ctnic_fuzz::talk::converse("sip", true, 5_060, data));
