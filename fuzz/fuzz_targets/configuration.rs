//! Any text as a card, a scenario or a sysctl: refused in one line or accepted, never a panic.
#![no_main]

use conntrack_core::Config;
use libfuzzer_sys::fuzz_target;
use nic_model::config::NicConfig;
use testbench::scenario::Scenario;

fuzz_target!(|text: &str| {
    if let Ok(nic) = NicConfig::from_toml(text) {
        nic.validate().expect("what was accepted is valid");
    }
    drop(Scenario::parse("fuzz", text));
    if let Some((name, value)) = text.split_once('=') {
        drop(Config::default().set(name, value));
    }
});
