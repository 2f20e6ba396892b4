//! Any file as a capture: an error or frames, never a panic, never more memory than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbench::capture::Capture;

fuzz_target!(|data: &[u8]| {
    if let Ok(capture) = Capture::read("fuzz", data, 1 << 20) {
        let total: usize = capture
            .frames()
            .iter()
            .map(|frame| capture.bytes(frame).len())
            .sum();
        assert!(total <= 1 << 20);
    }
});
