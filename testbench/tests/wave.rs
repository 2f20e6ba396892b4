//! What `--wave-window` and `--wave-trigger` leave out changes nothing in what they keep.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

fn ctnic(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(arguments)
        .output()
        .expect("ctnic runs")
}

/// By time, the signals that change and what they change to.
type Changes = BTreeMap<u64, Vec<(String, String)>>;

/// The changes in a VCD by path, `x` where nothing is known, and all paths.
fn read(path: &Path) -> (Changes, Vec<String>) {
    let text = std::fs::read_to_string(path).expect("a VCD");
    let (mut scopes, mut names) = (Vec::new(), BTreeMap::new());
    let (mut now, mut changes) = (0, Changes::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["$scope", _, name, ..] => scopes.push((*name).to_owned()),
            ["$upscope", ..] => drop(scopes.pop()),
            ["$var", _, _, code, name, ..] => {
                names.insert((*code).to_owned(), format!("{}.{name}", scopes.join(".")));
            }
            [time] if time.starts_with('#') => now = time[1..].parse().expect("a time"),
            [value, code] if value.starts_with('b') => {
                let change = (
                    names[*code].clone(),
                    value[1..].trim_start_matches('0').to_owned(),
                );
                changes.entry(now).or_default().push(change);
            }
            [one] if one.starts_with(['0', '1', 'x']) => {
                let change = (
                    names[&one[1..]].clone(),
                    one[..1].trim_start_matches('0').to_owned(),
                );
                changes.entry(now).or_default().push(change);
            }
            _ => {}
        }
    }
    (changes, names.into_values().collect())
}

#[test]
fn a_window_shows_what_the_whole_wave_shows_then() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let out = folder.path().to_str().expect("a name");
    let (whole, part) = (
        folder.path().join("whole.vcd"),
        folder.path().join("part.vcd"),
    );
    let run = |wave: &Path, more: &[&str]| {
        let wave = wave.to_str().expect("a name");
        let done = ctnic(&[&["run", "--quiet", "--out", out, "--wave", wave], more].concat());
        assert!(done.status.success(), "{done:?}");
    };
    run(&whole, &[]);
    let (all, names) = read(&whole);
    let times: Vec<u64> = all.keys().copied().collect();
    let (from, to) = (times[times.len() / 3] + 1, times[times.len() / 2]);
    run(&part, &["--wave-window", &format!("{from}ps..{to}ps")]);
    let (kept, _) = read(&part);
    assert!(kept.len() > 100, "{} times in the window", kept.len());
    assert!(
        kept.keys()
            .all(|time| *time == 0 || (from..=to).contains(time))
    );
    let (mut in_part, mut in_whole) = (BTreeMap::new(), BTreeMap::new());
    let mut whole = all.iter().peekable();
    for (time, changes) in kept.iter().filter(|(time, _)| **time > 0) {
        in_part.extend(changes.iter().cloned());
        while let Some((_, changes)) = whole.next_if(|(at, _)| *at <= time) {
            in_whole.extend(changes.iter().cloned());
        }
        assert!(
            in_part == in_whole,
            "at {time} ps:\n{in_part:?}\n{in_whole:?}"
        );
    }
    for name in [
        "board.trap.reason_name",
        "board.insertion.state",
        "board.lookup.occupancy",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn a_trigger_records_what_lies_around_it_and_the_same_every_time() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let wave = out.join("wave.vcd");
        let (out, wave) = (
            out.to_str().expect("a name"),
            wave.to_str().expect("a name").to_owned(),
        );
        let done = ctnic(&[&["run", "--quiet", "--out", out, "--wave", &wave], more].concat());
        assert!(done.status.success(), "{done:?}");
        (done, std::fs::read(wave))
    };
    let fin = [
        "--wave-trigger",
        "trap.reason==fin",
        "--wave-before",
        "5us",
        "--wave-after",
        "20us",
    ];
    let (_, one) = run("one", &fin);
    let (_, other) = run("other", &fin);
    let (one, other) = (one.expect("a wave"), other.expect("a wave"));
    assert_eq!(one, other);
    let (changes, _) = read(&folder.path().join("one/wave.vcd"));
    let times: Vec<u64> = changes.keys().copied().filter(|time| *time > 0).collect();
    let length = times[times.len() - 1] - times[0];
    assert!((5_000_000..=25_000_000).contains(&length), "{length} ps");
    let names: Vec<&String> = changes.values().flatten().map(|(name, _)| name).collect();
    assert!(names.iter().any(|name| *name == "board.trap.reason"));
    let (done, wave) = run("never", &["--wave-trigger", "drop.reason==egress-full"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("never came true") && wave.is_err(), "{said}");
    let refused = ctnic(&["run", "--wave-trigger", "trap.reason==fine"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("tcp-fin, tcp-rst"), "{said}");
    assert_eq!(refused.status.code(), Some(2));
}
