//! The command as people use it: outputs, exit codes, one-line errors, the same bytes twice.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn ctnic(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ctnic"))
        .args(args)
        .current_dir(folder)
        .output()
        .expect("runs")
}

fn builtin(folder: &Path) -> PathBuf {
    let path = folder.join("builtin.pcap.gz");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/embedded.pcap.gz");
    std::fs::copy(source, &path).expect("copied");
    path
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn run_without_arguments_offloads_most_of_the_built_in_capture() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let output = ctnic(folder.path(), &["run", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let received = summary["packets"]["received"].as_u64().expect("a number");
    assert!(received > 5_000);
    assert!(
        summary["packets"]["hit_rate_bytes"]
            .as_f64()
            .expect("a number")
            > 0.9
    );
    assert_eq!(summary["counters"]["reconciled"], true);
    assert_eq!(summary["monitors"].as_array().map(Vec::len), Some(5));
    for file in [
        "report.html",
        "summary.json",
        "conntrack.txt",
        "wave.fst",
        "wave.gtkw",
        "hit-rate.svg",
        "hit-rate.png",
    ] {
        let length = std::fs::metadata(folder.path().join("ctnic-out").join(file))
            .expect(file)
            .len();
        assert!(length > 500, "{file} has {length} bytes");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("temporary directory");
    for out in ["a", "b"] {
        let output = ctnic(
            folder.path(),
            &["run", "--quiet", "--out", out, "--nic", "fpga-small"],
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let mut compared = 0;
    for entry in std::fs::read_dir(folder.path().join("a")).expect("readable") {
        let name = entry.expect("an entry").file_name();
        let read =
            |out: &str| std::fs::read(folder.path().join(out).join(&name)).expect("readable");
        assert!(read("a") == read("b"), "{} differs", name.to_string_lossy());
        compared += 1;
    }
    assert!(compared >= 15, "{compared} files");
}

#[test]
fn trace_prints_one_object_per_frame_in_file_order() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let capture = builtin(folder.path());
    let capture = capture.to_str().expect("a path");
    for extra in [
        &[][..],
        &["--software-only"],
        &["--time", "flat"],
        &["--software-only", "--time", "flat"],
    ] {
        let output = ctnic(
            folder.path(),
            &[&["trace", "--table", "table.txt", capture], extra].concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).expect("text");
        for (i, line) in text.lines().enumerate() {
            let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(object["n"].as_u64(), Some(i as u64 + 1));
            let hardware = object["path"] == "hw";
            assert!(!hardware || !extra.contains(&"--software-only"));
        }
        assert!(text.lines().count() > 5_000);
        let table = std::fs::read_to_string(folder.path().join("table.txt")).expect("a table");
        assert!(
            table.lines().count() > 100 && table.starts_with("ipv"),
            "{table}"
        );
    }
}

#[test]
fn bad_input_exits_2_with_one_clear_line() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let capture = builtin(folder.path());
    let capture = capture.to_str().expect("a path");
    std::fs::write(folder.path().join("text.pcap"), "this is no capture\n").expect("written");
    std::fs::write(folder.path().join("bad.toml"), "[table]\nbuckest = 4\n").expect("written");
    for (args, expected) in [
        (&["run", "--pcap", "missing.pcap"][..], "missing.pcap"),
        (&["run", "--pcap", "text.pcap"], "looks like text"),
        (&["run", "--pcap", "."], "directory"),
        (&["trace", "text.pcap"], "looks like text"),
        (&["run", "--nic", "cx9"], "fpga-100g"),
        (&["run", "--nic", "bad.toml"], "buckest"),
        (&["run", "--set", "table.buckets=1000"], "power of two"),
        (&["run", "--policy", "always"], "assured"),
        (
            &[
                "trace",
                "--sysctl",
                "net.netfilter.nf_conntrack_tcp_lose=1",
                capture,
            ],
            "did you mean",
        ),
        (
            &["run", "--client-net", "10.0.0.0/40", "--pcap", capture],
            "prefix length",
        ),
    ] {
        let output = ctnic(folder.path(), args);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert!(message.contains(expected), "{args:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{args:?}: {message}");
    }
}

#[test]
fn a_capture_cut_short_is_reported_as_far_as_it_goes() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let mut bytes = Vec::new();
    let file = std::fs::File::open(builtin(folder.path())).expect("there");
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut bytes).expect("gzip");
    std::fs::write(folder.path().join("cut.pcap"), &bytes[..bytes.len() / 2]).expect("written");
    let output = ctnic(folder.path(), &["run", "--pcap", "cut.pcap"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("CUT SHORT") && text.contains("Offload hit rate"),
        "{text}"
    );
    assert!(folder.path().join("ctnic-out/report.html").exists());
}

#[test]
fn every_table_organisation_runs_full_and_keeps_the_invariants() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let run = |settings: &[&str]| {
        let settings: Vec<String> = settings
            .iter()
            .map(|set| format!("--set=table.{set}").replace("table.memory", "memory"))
            .collect();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let common = [
            "run",
            "--quiet",
            "--nic",
            "fpga-small",
            "--set=table.stash_entries=2",
        ];
        let output = ctnic(folder.path(), &[&common[..], &settings].concat());
        assert_eq!(
            output.status.code(),
            Some(0),
            "{settings:?}: {}",
            stderr(&output)
        );
        let path = folder.path().join("ctnic-out/summary.json");
        let text = std::fs::read_to_string(path).expect("written");
        let summary: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let table = &summary["table"];
        ["insert_failed", "evicted", "moves"].map(|name| table[name].as_u64().expect(name))
    };
    let small = "buckets=16";
    let [failed, evicted, moves] = run(&[small, "insertion=random-walk"]);
    assert!(failed > 0 && evicted == 0 && moves > 0);
    let [failed, evicted, _] = run(&[small, "organisation=d-left", "choices=4"]);
    assert!(failed > 0 && evicted == 0);
    for victim in ["victim=lru", "victim=random"] {
        let [failed, evicted, _] = run(&[small, "organisation=set-associative", victim]);
        assert!(failed == 0 && evicted > 0, "{victim}: {failed}, {evicted}");
    }
    let [failed, ..] = run(&["buckets=1", "organisation=chained", "overflow_buckets=3"]);
    assert!(failed > 0);
    for memory in ["memory.kind=dram", "memory.kind=host"] {
        run(&[small, memory, "memory.outstanding=2"]);
        run(&[memory, "memory.cache_sets=16", "memory.tags_on_chip=true"]);
    }
    let [failed, evicted, moves] = run(&["organisation=cam"]);
    assert!(failed > 0 && evicted == 0 && moves == 0);
}

#[test]
fn cards_are_listed_shown_checked_and_explained() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let text = |args: &[&str]| {
        let output = ctnic(folder.path(), &[&["nic"], args].concat());
        assert_eq!(
            output.status.code(),
            Some(0),
            "{args:?}: {}",
            stderr(&output)
        );
        String::from_utf8(output.stdout).expect("text")
    };
    let list = text(&["list"]);
    for line in list.lines() {
        let name = line.split_whitespace().next().expect("a name");
        let file = format!("{name}.toml");
        let shown = text(&["show", name]);
        std::fs::write(folder.path().join(&file), &shown).expect("written");
        assert!(text(&["check", &file]).contains("valid"));
        assert_eq!(shown, text(&["show", &file]), "what is shown is the card");
        std::fs::write(
            folder.path().join(&file),
            text(&["show", "--changed", name]),
        )
        .expect("written");
        assert_eq!(
            shown,
            text(&["show", &file]),
            "and so is what differs from the defaults"
        );
    }
    let explained = text(&["explain", "memory.row_hit_ps"]);
    for part in ["open row", "ps", "73300", "Shuhai"] {
        assert!(explained.contains(part), "{explained}");
    }
    assert!(text(&["explain", "table"]).matches("  source ").count() > 10);
    let output = ctnic(folder.path(), &["nic", "explain", "buckest"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("table, memory"),
        "{}",
        stderr(&output)
    );
}
