//! What GTKWave's own reader (`fst2vcd`) finds in an FST file is what was recorded.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::process::Command;
use waveforms::{Capture, Design, Recorder};

/// Changes of a VCD: time, name, value.
fn changes(text: &[u8]) -> Vec<(u64, String, u64)> {
    let mut parser = vcd::Parser::new(text);
    let header = parser.parse_header().expect("a header");
    let name = |code| {
        ["valid", "length"]
            .into_iter()
            .find(|name| {
                header
                    .find_var(&["board", "parser", name])
                    .is_some_and(|var| var.code == code)
            })
            .expect("a declared signal")
    };
    let (mut time, mut out) = (0, Vec::new());
    for command in parser {
        match command.expect("well-formed") {
            vcd::Command::Timestamp(at) => time = at,
            vcd::Command::ChangeScalar(code, value) => {
                out.push((
                    time,
                    name(code).to_owned(),
                    u64::from(value == vcd::Value::V1),
                ));
            }
            vcd::Command::ChangeVector(code, value) => {
                let digits = value.to_string();
                out.push((
                    time,
                    name(code).to_owned(),
                    u64::from_str_radix(&digits, 2).expect("binary"),
                ));
            }
            _ => {}
        }
    }
    out.retain(|(time, _, _)| *time > 0);
    out.sort();
    out
}

#[test]
fn gtkwave_reads_what_was_recorded() {
    if Command::new("fst2vcd").arg("--help").output().is_err() {
        assert!(
            std::env::var_os("CTNIC_REQUIRE_TOOLS").is_none(),
            "fst2vcd is required here: install gtkwave"
        );
        eprintln!("SKIPPED: fst2vcd is not installed (Debian package gtkwave)");
        return;
    }
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("wave.fst");
    let mut design = Design::new();
    let parser = design.scope("board.parser");
    let (valid, length) = (
        design.signal(parser, "valid", 1),
        design.signal(parser, "length", 18),
    );
    let mut recorder = Recorder::create(&path, &design, Capture::default()).expect("created");
    let mut expected = Vec::new();
    for packet in 0..10_000u64 {
        let start = 1_000 + packet * 4_000;
        // The end of a pulse is reported before its beginning, as a model that does not tick may do.
        recorder.change(valid, start + 1_500, 0);
        recorder.change(valid, start, 1);
        recorder.change(length, start, packet + 1);
        recorder.advance(start);
        expected.push((start, "length".to_owned(), packet + 1));
        expected.push((start, "valid".to_owned(), 1));
        expected.push((start + 1_500, "valid".to_owned(), 0));
    }
    recorder.finish(50_000_000).expect("finished");
    let output = Command::new("fst2vcd").arg(&path).output().expect("runs");
    assert!(output.status.success());
    expected.sort();
    assert_eq!(changes(&output.stdout), expected);
}
