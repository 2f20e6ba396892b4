//! FST, by the `fst-writer` crate.

use crate::Sink;
use crate::signal::{Design, Walk};
use fst_writer::{
    FstBodyWriter, FstFileType, FstHeaderWriter, FstInfo, FstScopeType, FstSignalId, FstSignalType,
    FstVarDirection, FstVarType,
};
use std::fs::File;
use std::io::BufWriter;

/// Value changes held in memory before a block is written, bytes.
const BLOCK_BYTES: usize = 1 << 20;

/// The binary digits of every byte, as text.
static DIGITS: [[u8; 8]; 256] = digits();

const fn digits() -> [[u8; 8]; 256] {
    let mut table = [[b'0'; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[byte][7 - bit] = b'0' + (byte >> bit & 1) as u8;
            bit += 1;
        }
        byte += 1;
    }
    table
}

pub(crate) struct FstSink {
    body: FstBodyWriter<BufWriter<File>>,
    ids: Vec<FstSignalId>,
    last_time: u64,
    since_check: u32,
}

impl FstSink {
    pub(crate) fn new(file: File, design: &Design) -> Result<Self, String> {
        let info = FstInfo {
            start_time: 0,
            timescale_exponent: -12,
            version: concat!("ctnic ", env!("CARGO_PKG_VERSION")).to_owned(),
            // No wall clock: the same run gives the same bytes.
            date: String::new(),
            file_type: FstFileType::Verilog,
        };
        let mut header = FstHeaderWriter::new(BufWriter::new(file), &info).map_err(text)?;
        let mut ids = vec![None; design.widths().len()];
        design
            .walk(&mut |step| {
                match step {
                    Walk::Enter(name) => header.scope(name, "", FstScopeType::Module)?,
                    Walk::Leave => header.up_scope()?,
                    Walk::Signal {
                        index,
                        name,
                        width_bits,
                    } => {
                        let id = header.var(
                            name,
                            FstSignalType::bit_vec(width_bits),
                            FstVarType::Wire,
                            FstVarDirection::Implicit,
                            None,
                        )?;
                        ids[index] = Some(id);
                    }
                }
                Ok::<(), fst_writer::FstWriteError>(())
            })
            .map_err(text)?;
        let mut sink = Self {
            body: header.finish().map_err(text)?,
            ids: ids.into_iter().flatten().collect(),
            last_time: 0,
            since_check: 0,
        };
        sink.body.set_deduplicate(false);
        sink.body.time_change(0).map_err(text)?;
        for (signal, width) in design.widths().into_iter().enumerate() {
            sink.change(signal, width, 0)?;
        }
        Ok(sink)
    }
}

impl Sink for FstSink {
    fn time(&mut self, time_ps: u64) -> Result<(), String> {
        if time_ps <= self.last_time {
            return Ok(());
        }
        self.since_check += 1;
        if self.since_check >= 1 << 10 {
            self.since_check = 0;
            if self.body.size() > BLOCK_BYTES {
                self.body.flush().map_err(text)?;
            }
        }
        self.last_time = time_ps;
        self.body.time_change(time_ps).map_err(text)
    }

    #[inline]
    fn change(&mut self, signal: usize, width: u32, value: u64) -> Result<(), String> {
        let mut digits = [[0u8; 8]; 8];
        for (eight, byte) in digits.iter_mut().zip(value.to_be_bytes()) {
            *eight = DIGITS[usize::from(byte)];
        }
        let digits = &digits.as_flattened()[64 - width as usize..];
        self.body
            .signal_change(self.ids[signal], digits)
            .map_err(text)
    }

    fn finish(mut self: Box<Self>, end_ps: u64) -> Result<(), String> {
        if end_ps > self.last_time {
            self.body.time_change(end_ps).map_err(text)?;
        }
        self.body.finish().map(drop).map_err(text)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
