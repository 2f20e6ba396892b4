//! Any text as a card, a scenario, a sysctl or a trigger: refused in one line or accepted, never a panic.
#![no_main]

use conntrack_core::Config;
use libfuzzer_sys::fuzz_target;
use nic_model::config::NicConfig;
use nic_model::datapath::classifier::Classifier;
use nic_model::probe::Probe;
use testbench::scenario::Scenario;

fuzz_target!(|text: &str| {
    if let Ok(nic) = NicConfig::from_toml(text) {
        nic.validate().expect("what was accepted is valid");
        Classifier::new(&nic.classifier).classify(0, text.as_bytes());
    }
    drop(Scenario::parse("fuzz", text));
    drop(Probe::trigger(text));
    if let Some((name, value)) = text.split_once('=') {
        drop(Config::default().set(name, value));
    }
});
