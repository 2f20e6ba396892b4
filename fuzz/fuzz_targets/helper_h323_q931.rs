//! Any conversation of H.323's Q.931, translated or not: no panic, right checksums, nothing expected for ever.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ctnic_fuzz::talk::converse("Q.931", true, 1_720, data));
