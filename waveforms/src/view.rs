//! View files: which signals a viewer shows, and in what groups.

use crate::signal::Design;

/// A GTKWave save file that shows every signal of the design, one group per scope, single bits as lines and
/// wider signals as decimal numbers; names that end in one of `hex` are shown in hexadecimal.
pub fn gtkw(design: &Design, wave_file: &str, hex: &[&str]) -> String {
    // Trace flags of GTKWave (its manual, "save file" appendix): 0x22 right-justified hexadecimal,
    // 0x24 right-justified decimal, 0x28 binary, 0xc00200 / 0x1401200 begin and end of a group.
    let mut out = format!(
        "[*] ctnic\n[dumpfile] \"{wave_file}\"\n[timestart] 0\n[sst_width] 220\n[signals_width] 260\n"
    );
    let mut group: Option<String> = None;
    for (path, width) in design.signals() {
        let (scope, name) = path.rsplit_once('.').unwrap_or(("", &path));
        if group.as_deref() != Some(scope) {
            if let Some(open) = group.replace(scope.to_owned()) {
                out.push_str(&format!("@1401200\n-{open}\n"));
            }
            out.push_str(&format!("@c00200\n-{scope}\n"));
        }
        let flags = match width {
            1 => "28",
            _ if hex.iter().any(|suffix| name.ends_with(suffix)) => "22",
            _ => "24",
        };
        let range = if width > 1 {
            format!("[{}:0]", width - 1)
        } else {
            String::new()
        };
        out.push_str(&format!("@{flags}\n{path}{range}\n"));
    }
    if let Some(open) = group {
        out.push_str(&format!("@1401200\n-{open}\n"));
    }
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
        let text = gtkw(&design, "wave.fst", &["crc32c"]);
        assert_eq!(
            text.matches("@c00200").count(),
            text.matches("@1401200").count()
        );
        assert!(text.contains("@28\nboard.parser.valid\n"));
        assert!(text.contains("@22\nboard.hash.crc32c[31:0]\n"));
    }
}
