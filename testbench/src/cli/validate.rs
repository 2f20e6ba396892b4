//! `ctnic validate`: the chip before mathematics and published measurements.

use super::progress::work_bar;
use crate::validate::{Chapter, Effort, document, names, number, validate};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ValidateArgs {
    /// Claims to check; all without any
    claims: Vec<String>,
    /// List the claims
    #[arg(long)]
    list: bool,
    /// A fraction of the work, with bounds as much wider
    #[arg(long)]
    quick: bool,
    /// Seed of all that is random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write validation.md and validation/CLAIM.svg into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  ctnic validate                     every claim: expected, measured, error
  ctnic validate cuckoo cache        these two
  ctnic validate --out docs          write docs/validation.md and its plots again

The same seed gives the same figures on every machine.
Exit codes: 0 all within their bounds, 2 bad input, 3 some are not.";

pub(super) fn run(args: &ValidateArgs) -> Result<bool, String> {
    if args.list {
        names().into_iter().for_each(|name| say!("{name}"));
        return Ok(true);
    }
    let effort = Effort {
        quick: args.quick,
        seed: args.seed,
    };
    let total = match args.claims.len() {
        0 => names().len(),
        count => count,
    };
    let bar = work_bar(total as u64, "claims");
    let chapters = validate(&args.claims, &effort, |_| bar.inc(1))?;
    bar.finish_and_clear();
    for chapter in &chapters {
        print(chapter);
    }
    if let Some(directory) = &args.out {
        write(directory, &chapters)?;
        say!("{}", directory.join("validation.md").display());
    }
    Ok(chapters.iter().all(Chapter::holds))
}

fn print(chapter: &Chapter) {
    say!("{}: {}", chapter.name, chapter.title);
    for row in &chapter.rows {
        say!(
            "  {:<68} {:>12} {:>12} {:>10}  {:<8} {}",
            row.what,
            number(row.expected),
            number(row.measured),
            row.error(),
            row.allowed(),
            if row.holds() { "" } else { "NOT WITHIN" }
        );
    }
}

fn write(directory: &Path, chapters: &[Chapter]) -> Result<(), String> {
    let fail = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let plots = directory.join("validation");
    std::fs::create_dir_all(&plots).map_err(|error| fail(&plots, error))?;
    for chapter in chapters {
        let path = plots.join(format!("{}.svg", chapter.name));
        std::fs::write(&path, chapter.chart.svg()?).map_err(|error| fail(&path, error))?;
    }
    let path = directory.join("validation.md");
    std::fs::write(&path, document(chapters)).map_err(|error| fail(&path, error))
}
