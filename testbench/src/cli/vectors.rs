//! `ctnic vectors`: operations and answers for people who verify RTL.

use crate::vectors;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct VectorsArgs {
    /// Operations for each block, at least
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    count: usize,
    /// Seed of the operations
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Directory that BLOCK.txt and BLOCK.h are written into
    #[arg(long, value_name = "DIR", default_value = "vectors")]
    out: PathBuf,
}

const EXAMPLES: &str = "Each line of BLOCK.txt is a cycle: W SLOT KEY writes an entry, E SLOT empties a slot, L KEY HIT SLOT looks a key
up and says what must come, as many cycles later as the header says. BLOCK.h has the same as a C array, for DPI.

Examples:
  ctnic vectors --out vectors
  make -C nic-model/rtl VECTORS=$PWD/vectors     the blocks of this repository, in Verilator";

pub(super) fn run(args: &VectorsArgs) -> Result<bool, String> {
    std::fs::create_dir_all(&args.out)
        .map_err(|error| format!("{}: {error}", args.out.display()))?;
    for block in vectors::all(args.count, args.seed) {
        for (ending, text) in [("txt", block.text()), ("h", block.header())] {
            let path = args.out.join(format!("{}.{ending}", block.block));
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            say!("{}: {} operations", path.display(), block.operations.len());
        }
    }
    Ok(true)
}
