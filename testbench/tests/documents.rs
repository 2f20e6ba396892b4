//! Documents made from declarations say what the declarations say now.

use std::path::Path;
use testbench::document::{interface, timing};

fn is_current(name: &str, made: &str, command: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    let document = std::fs::read_to_string(&path).unwrap_or_default();
    let same = document.trim_end() == made.trim_end();
    assert!(same, "docs/{name} is stale: {command} > docs/{name}");
}

#[test]
fn the_hardware_interface() {
    let made = interface::document();
    is_current("hardware-interface.md", &made, "ctnic nic interface");
    assert!(made.contains("| 0x06c | `COMMAND_TAIL` | write |"));
    assert!(made.contains("| 4 | 63:32 | `sequence` |"));
}

#[test]
fn the_timing_model_and_a_frame_that_took_what_it_says() {
    let made = timing::document().expect("presets are valid");
    is_current("timing-model.md", &made, "ctnic nic timing");
    let frames: Vec<&str> = made
        .lines()
        .filter(|line| line.starts_with("A 64-byte frame"))
        .collect();
    assert_eq!(frames.len(), nic_model::config::PRESETS.len());
    for line in frames {
        let times: Vec<&str> = line
            .split(": ")
            .nth(1)
            .expect("times")
            .split(", ")
            .collect();
        let time = |text: &str| {
            text.split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(time(times[0]), time(times[1]), "{line}");
    }
}
