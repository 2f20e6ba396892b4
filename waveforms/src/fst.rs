//! FST, by the `fst-writer` crate.

use crate::Sink;
use crate::signal::{Design, Names, Walk};
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
    widths: Vec<u32>,
    /// Beside the enumerations.
    texts: Vec<Option<(FstSignalId, u32)>>,
    names: Vec<Option<Names>>,
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
        let mut texts = vec![None; ids.len()];
        let wire = |header: &mut FstHeaderWriter<_>, name: &str, width_bits| {
            let kind = FstSignalType::bit_vec(width_bits);
            header.var(
                name,
                kind,
                FstVarType::Wire,
                FstVarDirection::Implicit,
                None,
            )
        };
        design
            .walk(&mut |step| {
                match step {
                    Walk::Enter(name) => header.scope(name, "", FstScopeType::Module)?,
                    Walk::Leave => header.up_scope()?,
                    Walk::Signal {
                        index,
                        name,
                        width_bits,
                    } => ids[index] = Some(wire(&mut header, name, width_bits)?),
                    Walk::Text {
                        index,
                        name,
                        width_bits,
                    } => texts[index] = Some((wire(&mut header, name, width_bits)?, width_bits)),
                }
                Ok::<(), fst_writer::FstWriteError>(())
            })
            .map_err(text)?;
        let mut sink = Self {
            body: header.finish().map_err(text)?,
            ids: ids.into_iter().flatten().collect(),
            widths: design.widths(),
            texts,
            names: design.names(),
            last_time: 0,
            since_check: 0,
        };
        sink.body.set_deduplicate(false);
        sink.body.time_change(0).map_err(text)?;
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
    fn change(&mut self, signal: usize, value: u64) -> Result<(), String> {
        let mut digits = [[0u8; 8]; 8];
        for (eight, byte) in digits.iter_mut().zip(value.to_be_bytes()) {
            *eight = DIGITS[usize::from(byte)];
        }
        let digits = &digits.as_flattened()[64 - self.widths[signal] as usize..];
        self.body
            .signal_change(self.ids[signal], digits)
            .map_err(text)?;
        if let (Some((id, _)), Some(names)) = (&self.texts[signal], &self.names[signal]) {
            let digits = names.digits(value);
            self.body.signal_change(*id, digits).map_err(text)?;
        }
        Ok(())
    }

    fn unknown(&mut self, signal: usize) -> Result<(), String> {
        let own = (self.ids[signal], self.widths[signal]);
        for (id, width) in [Some(own), self.texts[signal]].into_iter().flatten() {
            let digits = vec![b'x'; width as usize];
            self.body.signal_change(id, &digits).map_err(text)?;
        }
        Ok(())
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
