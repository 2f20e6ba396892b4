//! Any conversation of H.323's RAS, translated or not: no panic, right checksums, nothing expected for ever.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ctnic_fuzz::talk::converse("RAS", false, 1_719, data));
