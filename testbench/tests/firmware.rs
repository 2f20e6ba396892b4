//! The card's firmware is replaced while traffic goes on, or cannot be; what went wrong is in the card's error log.

mod common;

use serde_json::Value;

/// Traffic for a second and a half, and what is the matter with it.
fn run(more: &str) -> Value {
    let text = format!(
        r#"
name = "firmware"
description = "short"
check_equivalence = true
[stop]
duration_ms = 1_500
[[traffic]]
kind = "tcp-sessions"
sessions_per_second = 200
clients = 100
servers = 8
requests_per_session_mean = 6
think_time_ms_mean = 60
[[traffic]]
kind = "udp-queries"
queries_per_second = 300
clients = 50
servers = 2
{more}"#
    );
    common::holds_as(&text)
}

fn update(quality: &str) -> String {
    format!(
        "[[action]]\nkind = \"update-firmware\"\nat_ms = 200\nimage = {{ minor = 7, kib = 40, quality = \"{quality}\" }}\n"
    )
}

fn log(run: &Value) -> Vec<&str> {
    let entries = run["card"]["log"].as_array().expect("a log");
    let what = entries.iter().map(|entry| entry["what"].as_str());
    what.map(|what| what.expect("words")).collect()
}

#[test]
fn a_good_image_runs() {
    let run = run(&update("good"));
    assert_eq!(run["card"]["firmware"], "2.7");
    assert_eq!(run["card"]["update"], "2.7 runs");
    let began = "began afresh with the image of slot B, on trial";
    assert_eq!(log(&run), [began]);
    // Only the slow path pauses, and only for as long as the card takes to begin.
    let dropped = run["packets"]["dropped"].as_u64().expect("a number");
    let received = run["packets"]["received"].as_u64().expect("a number");
    assert!(dropped * 100 < received, "{dropped} of {received}");
}

#[test]
fn a_damaged_image_never_begins() {
    let run = run(&update("damaged"));
    assert_eq!(run["card"]["firmware"], "2.4");
    assert_eq!(
        run["card"]["update"],
        "failed: the card found the image damaged"
    );
    assert_eq!(log(&run), ["the image in slot B was not accepted"]);
    assert_eq!(run["packets"]["dropped"], 0);
}

#[test]
fn an_image_that_stands_still_is_given_up() {
    let run = run(&update("stands-still"));
    assert_eq!(run["card"]["firmware"], "2.4");
    let update = run["card"]["update"].as_str().expect("words");
    assert!(update.contains("gave it up: it runs 2.4 again"), "{update}");
    let expected = [
        "began afresh with the image of slot B, on trial",
        "the image in slot B was given up: nobody confirmed it",
        "began afresh with the image of slot A",
    ];
    assert_eq!(log(&run), expected);
}

#[test]
fn an_image_for_another_driver_is_not_sent() {
    let run = run(&update("next-interface"));
    let update = run["card"]["update"].as_str().expect("words");
    assert!(
        update.contains("not begun") && update.contains("3.4"),
        "{update}"
    );
    assert!(log(&run).is_empty());
}

/// Whatever happens to its commands, an image comes in whole.
#[test]
fn an_image_survives_faults_on_its_way() {
    let faults = r#"
[[fault]]
kind = "lose-completion"
one_in = 4
[[fault]]
kind = "corrupt-completion"
one_in = 9
[[fault]]
kind = "reset"
at_ms = 215
"#;
    let run = run(&(update("good") + faults));
    assert_eq!(run["card"]["update"], "2.7 runs");
    assert_eq!(log(&run).len(), 2);
}

/// Other commands complete while a slow flash writes; none of its parts is written twice for that.
#[test]
fn a_slow_flash_is_waited_for() {
    let run = run(&(update("good") + "[nic.firmware]\nflash_write_us_per_kib = 10_000\n"));
    assert_eq!(run["card"]["update"], "2.7 runs");
    let entries = run["card"]["log"].as_array().expect("a log");
    let began = entries.first().and_then(|entry| entry["at_ms"].as_f64());
    let began = began.expect("a time");
    // It is written from the driver's next look on, in 40 times 10 ms, and begins at the second look after that.
    assert!((700.0..900.0).contains(&began), "{began}");
}

#[test]
fn faults_are_in_the_log() {
    let faults = r#"
[[fault]]
kind = "dma-error"
at_ms = 300
[[fault]]
kind = "table-bit-flip"
at_ms = 700
count = 2
[[fault]]
kind = "hang"
at_ms = 900
for_ms = 0
[nic.memory]
protection = "ecc"
[nic.firmware]
watchdog_ms = 120
"#;
    let run = run(faults);
    let log = log(&run).join("; ");
    for what in [
        "a DMA error stopped the rings; began afresh with the image of slot A;",
        "was damaged; the watchdog found the firmware standing still for 120 ms; began afresh",
    ] {
        assert!(log.contains(what), "{log}");
    }
}
