//! The document of all claims: a table and a plot for each.

use super::Chapter;
use std::fmt::Write;

/// The document: what it is, then the sections.
pub fn document(chapters: &[Chapter]) -> String {
    let mut out = String::from(
        "# The chip before mathematics and published measurements\n\n\
         Written by `ctnic validate --out docs`; the same command reprints every figure.\n\
         SE: standard errors of the measurement.\n",
    );
    for chapter in chapters {
        out.push_str(&section(chapter));
    }
    out
}

/// The section of a claim.
pub fn section(chapter: &Chapter) -> String {
    let mut out = format!(
        "\n## {}\n\n{}\n\n![{}](validation/{}.svg)\n\n",
        chapter.title, chapter.about, chapter.chart.title, chapter.name
    );
    out.push_str("| | expected | measured | error | allowed | |\n|---|---:|---:|---:|---:|---|\n");
    for row in &chapter.rows {
        // Writing to a String cannot fail.
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            row.what,
            number(row.expected),
            number(row.measured),
            row.error(),
            row.allowed(),
            if row.holds() {
                "holds"
            } else {
                "**does not hold**"
            }
        )
        .ok();
    }
    out
}

/// A number with five digits that mean something.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 1e5 => format!("{value:.0}"),
        v if v >= 1e-3 => {
            let digits = 4 - v.log10().floor() as i32;
            format!("{value:.*}", digits.clamp(0, 8) as usize)
        }
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        let all = [
            0.0,
            0.918_35,
            14.880_952,
            12_345.6,
            1_234_567.0,
            0.000_123_4,
        ]
        .map(number);
        assert_eq!(
            all,
            ["0", "0.91835", "14.881", "12346", "1234567", "1.234e-4"]
        );
    }
}
