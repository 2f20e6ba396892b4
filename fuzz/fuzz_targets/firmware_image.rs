//! Any bytes as an image of the firmware: refused, or as long as its header says and whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nic_model::host::image::{self, HEADER_BYTES};

fuzz_target!(|data: &[u8]| {
    if let Ok(identity) = image::check(data) {
        assert!(data.len() >= HEADER_BYTES);
        assert_eq!(image::identify(data), Ok(identity));
    }
});
