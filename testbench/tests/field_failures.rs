//! The stories of `docs/field-failures`: each run as it went wrong, and as it should go.

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// How a story is put right.
struct Story {
    name: &'static str,
    /// What tells that something is wrong.
    tells: Tells,
    /// What makes it right.
    right: &'static [&'static str],
}

/// What tells that something is wrong.
enum Tells {
    /// A monitor.
    Monitor(u64),
    /// Nothing is wrong but slow: the share of bytes in hardware is at most the first; and at least the second where it is right.
    HitRate(f64, f64),
    /// Packets are dropped for this reason, and none where it is right.
    Drops(&'static str),
}

use Tells::{Drops, HitRate, Monitor};

const STORIES: &[Story] = &[
    Story {
        name: "udp-stream-expires",
        tells: Monitor(3),
        right: &["--no-flaws"],
    },
    Story {
        name: "tcp-extension-lost",
        tells: Monitor(3),
        right: &["--no-flaws"],
    },
    Story {
        name: "idle-ssh-dies",
        tells: Monitor(3),
        right: &["--no-flaws"],
    },
    Story {
        name: "fin-consumed",
        tells: Monitor(5),
        right: &[
            "--set",
            "trap.tcp_fin=true",
            "--set",
            "trap.tcp_rst=true",
            "--set",
            "trap.close_latch=true",
        ],
    },
    Story {
        name: "mice-hold-the-table",
        tells: HitRate(0.1, 0.9),
        right: &["--policy", "bytes:20000"],
    },
    Story {
        name: "colliding-flows",
        tells: HitRate(0.2, 0.6),
        right: &["--no-flaws"],
    },
    Story {
        name: "nat-mapping-changed",
        tells: Monitor(5),
        right: &["--no-flaws"],
    },
    Story {
        name: "fragments-disappear",
        tells: Drops("fragment"),
        right: &["--no-flaws"],
    },
    Story {
        name: "path-mtu-black-hole",
        tells: Monitor(5),
        right: &["--set", "trap.mtu=true"],
    },
    Story {
        name: "blocked-goes-on",
        tells: Monitor(5),
        right: &["--no-flaws"],
    },
    Story {
        name: "rule-storm",
        tells: HitRate(0.3, 0.7),
        right: &["--policy", "packets:20"],
    },
    Story {
        name: "one-direction-only",
        tells: Monitor(5),
        right: &["--no-flaws"],
    },
];

fn folder() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/field-failures"
    ))
}

fn run(name: &str, more: &[&str]) -> (Option<i32>, Value) {
    let out = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .arg("run")
        .arg(folder().join(format!("{name}.toml")))
        .args(["--no-wave", "--json", "--out"])
        .arg(out.path())
        .args(more)
        .output()
        .expect("runs");
    let summary = serde_json::from_slice(&output.stdout).expect("a summary");
    (output.status.code(), summary)
}

fn violations(summary: &Value, number: u64) -> u64 {
    let monitors = summary["monitors"].as_array().expect("a list");
    let found = monitors.iter().find(|monitor| monitor["number"] == number);
    found
        .and_then(|monitor| monitor["violations"].as_u64())
        .unwrap_or(0)
}

#[test]
fn every_story_goes_wrong_as_told_and_right_as_told() {
    for story in STORIES {
        let (code, wrong) = run(story.name, &[]);
        let (right_code, right) = run(story.name, story.right);
        assert_eq!(right_code, Some(0), "{}: {}", story.name, right["monitors"]);
        match story.tells {
            Monitor(monitor) => {
                assert_eq!(code, Some(3), "{}", story.name);
                assert!(violations(&wrong, monitor) > 0, "{}", story.name);
            }
            Drops(reason) => {
                let dropped = |summary: &Value| {
                    let mut reasons = summary["dropped"].as_array().into_iter().flatten();
                    let found = reasons.find(|dropped| dropped["reason"] == reason);
                    found.and_then(|dropped| dropped["packets"].as_u64())
                };
                assert!(dropped(&wrong) > Some(100), "{}", story.name);
                assert_eq!(dropped(&right), None, "{}", story.name);
            }
            HitRate(most, least) => {
                let share = |summary: &Value| summary["packets"]["hit_rate_bytes"].as_f64();
                let (wrong, right) = (share(&wrong), share(&right));
                assert!(
                    wrong <= Some(most) && right >= Some(least),
                    "{}: {wrong:?} {right:?}",
                    story.name
                );
            }
        }
    }
}

#[test]
fn every_scenario_has_its_page_and_its_test() {
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder()).expect("the folder") {
        let path = file.expect("a file").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            assert!(path.with_extension("md").exists(), "{}", path.display());
            names.push(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    assert_eq!(names.len(), STORIES.len());
    for story in STORIES {
        assert!(
            names.contains(&Some(story.name.to_owned())),
            "{}",
            story.name
        );
    }
}
