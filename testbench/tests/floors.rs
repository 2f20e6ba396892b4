//! The floors of the house: a crate may use only crates on floors below it.

use std::path::Path;

/// Crates and their floors; the chip must not know connection tracking even though that lies below it.
const FLOORS: [(&str, u32); 7] = [
    ("packet", 0),
    ("conntrack-core", 1),
    ("waveforms", 1),
    ("nic-model", 2),
    ("firmware", 3),
    ("driver", 4),
    ("testbench", 5),
];
const FORBIDDEN: [(&str, &str); 2] = [
    ("nic-model", "conntrack-core"),
    ("firmware", "conntrack-core"),
];

fn floor(name: &str) -> Option<u32> {
    FLOORS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, floor)| *floor)
}

fn manifest(path: &Path) -> toml::Table {
    let text = std::fs::read_to_string(path).expect("a manifest");
    toml::from_str(&text).expect("TOML")
}

#[test]
fn no_crate_depends_upward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let workspace = manifest(&root.join("Cargo.toml"));
    let members: Vec<&str> = workspace["workspace"]["members"]
        .as_array()
        .expect("members")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    assert_eq!(members.len(), FLOORS.len(), "every member has a floor");
    let mut edges = 0;
    for name in members {
        let own = floor(name).unwrap_or_else(|| panic!("{name} has no floor"));
        let manifest = manifest(&root.join(name).join("Cargo.toml"));
        let dependencies = manifest["dependencies"].as_table().expect("dependencies");
        for dependency in dependencies.keys() {
            let Some(other) = floor(dependency) else {
                continue;
            };
            edges += 1;
            assert!(
                other < own,
                "{name} (floor {own}) depends on {dependency} (floor {other})"
            );
            let forbidden = FORBIDDEN.contains(&(name, dependency.as_str()));
            assert!(!forbidden, "{name} must not know {dependency}");
        }
    }
    assert!(
        edges >= 10,
        "only {edges} dependencies between rooms: the test looks at the wrong thing"
    );
}
