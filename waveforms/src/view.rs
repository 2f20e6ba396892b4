//! View files: which signals a viewer shows, and in what groups.

use crate::Captured;
use crate::signal::Design;

/// How signals are shown.
pub struct Style<'a> {
    /// Ends of the names of signals shown in hexadecimal.
    pub hex: &'a [&'a str],
    /// Beginnings of the scopes that are shown closed.
    pub closed: &'a [&'a str],
}

/// A GTKWave save file: every signal of the design, one group per scope, single bits as lines, wider signals as decimal
/// numbers, enumerations by name. The view begins where the recording does, with the marker on the trigger.
pub fn gtkw(design: &Design, wave_file: &str, style: &Style<'_>, captured: &[Captured]) -> String {
    // Trace flags of GTKWave (its manual, "save file" appendix): 0x22 right-justified hexadecimal, 0x24 right-justified
    // decimal, 0x28 binary, 0x820 right-justified ASCII, 0x800200 and
    // 0x1000200 begin and end of a group, 0xc00200 and 0x1401200 of one that is shown closed.
    let first = captured.first();
    let start_ps = first.map_or(0, |first| first.start_ps);
    let mut out = format!(
        "[*] ctnic\n[dumpfile] \"{wave_file}\"\n[timestart] {start_ps}\n[sst_width] 220\n[signals_width] 260\n"
    );
    if let Some(captured) = first {
        // Zoom as a power of two, negative is out; the marker; 26 more that are not used.
        let at = captured.trigger_ps.map_or(-1, |at| at as i64);
        let per_frame = (captured.end_ps - captured.start_ps) / WINDOW_FRAMES;
        let zoom = -f64::from(per_frame.max(1).ilog2());
        out.push_str(&format!("*{zoom:.6} {at}{}\n", " -1".repeat(26)));
    }
    let is_closed = |scope: &str| style.closed.iter().any(|prefix| scope.starts_with(prefix));
    let close = |out: &mut String, scope: Option<String>| {
        if let Some(scope) = scope {
            let end = if is_closed(&scope) {
                "1401200"
            } else {
                "1000200"
            };
            out.push_str(&format!("@{end}\n-{scope}\n"));
        }
    };
    let mut group: Option<String> = None;
    for signal in design.ids() {
        let (path, width) = (design.name(signal), design.width(signal));
        let (scope, name) = path.rsplit_once('.').unwrap_or(("", &path));
        if group.as_deref() != Some(scope) {
            close(&mut out, group.replace(scope.to_owned()));
            let begin = if is_closed(scope) { "c00200" } else { "800200" };
            out.push_str(&format!("@{begin}\n-{scope}\n"));
        }
        let number = match style.hex.iter().any(|suffix| name.ends_with(suffix)) {
            true => "22",
            false => "24",
        };
        let (flags, path, width) = match (design.text(signal), width) {
            (Some((path, width)), _) => ("820", path, width),
            (None, 1) => ("28", path, width),
            (None, _) => (number, path, width),
        };
        out.push_str(&format!("@{flags}\n{path}"));
        if width > 1 {
            out.push_str(&format!("[{}:0]", width - 1));
        }
        out.push('\n');
    }
    close(&mut out, group);
    out
}

/// Width of the window that the view is made for, in GTKWave's frames of 200 pixels.
const WINDOW_FRAMES: u64 = 5;

/// Commands for Surfer (`surfer -c FILE WAVE`): the same signals in the same order, a divider before each scope.
pub fn surfer(design: &Design) -> String {
    let mut out = String::new();
    let mut group = String::new();
    for signal in design.ids() {
        let own = design.name(signal);
        let path = design.text(signal).map_or(own, |(path, _)| path);
        let scope = path.rsplit_once('.').map_or("", |(scope, _)| scope);
        if group != scope {
            group = scope.to_owned();
            out.push_str(&format!("divider_add {scope}\n"));
        }
        out.push_str(&format!("variable_add {path}\n"));
    }
    out.push_str("zoom_fit\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_open_and_close_and_every_signal_is_there() {
        let mut design = Design::new();
        let parser = design.scope("board.parser");
        let hash = design.scope("board.hash");
        design.signal(parser, "valid", 1);
        design.signal(hash, "crc32c", 32);
        let state = design.signal(hash, "state", 2);
        design.enumerate(state, [(0, "idle"), (2, "busy")]);
        let captured = Captured {
            start_ps: 50,
            end_ps: 90,
            trigger_ps: Some(60),
        };
        let style = Style {
            hex: &["crc32c"],
            closed: &[],
        };
        let text = gtkw(&design, "wave.fst", &style, &[captured]);
        assert_eq!(
            text.matches("@800200").count(),
            text.matches("@1000200").count()
        );
        assert!(text.contains("@28\nboard.parser.valid\n"));
        assert!(text.contains("@22\nboard.hash.crc32c[31:0]\n"));
        assert!(text.contains("@820\nboard.hash.state_name[31:0]\n"));
        assert!(text.contains("[timestart] 50\n") && text.contains(" 60 -1"));
        let text = surfer(&design);
        assert!(text.contains("divider_add board.hash\nvariable_add board.hash.crc32c\n"));
    }
}
