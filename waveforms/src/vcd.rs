//! VCD, by the `vcd` crate.

use crate::Sink;
use crate::signal::{Design, Names, Walk};
use std::fs::File;
use std::io::{self, BufWriter};
use vcd::{IdCode, SimulationCommand, TimescaleUnit, Value, VarType, Writer};

pub(crate) struct VcdSink {
    writer: Writer<BufWriter<File>>,
    ids: Vec<IdCode>,
    widths: Vec<u32>,
    /// Beside the enumerations.
    texts: Vec<Option<(IdCode, usize)>>,
    names: Vec<Option<Names>>,
    last_time: u64,
}

impl VcdSink {
    pub(crate) fn new(file: File, design: &Design) -> io::Result<Self> {
        let mut writer = Writer::new(BufWriter::new(file));
        writer.version(concat!("ctnic ", env!("CARGO_PKG_VERSION")))?;
        writer.timescale(1, TimescaleUnit::PS)?;
        let mut ids = vec![None; design.widths().len()];
        let mut texts = vec![None; ids.len()];
        design.walk(&mut |step| {
            match step {
                Walk::Enter(name) => writer.add_module(name)?,
                Walk::Leave => writer.upscope()?,
                Walk::Signal {
                    index,
                    name,
                    width_bits,
                } => {
                    ids[index] = Some(writer.add_var(VarType::Wire, width_bits, name, None)?);
                }
                Walk::Text {
                    index,
                    name,
                    width_bits,
                } => {
                    let id = writer.add_var(VarType::Wire, width_bits, name, None)?;
                    texts[index] = Some((id, width_bits as usize));
                }
            }
            Ok::<(), io::Error>(())
        })?;
        writer.enddefinitions()?;
        writer.timestamp(0)?;
        let ids: Vec<IdCode> = ids.into_iter().flatten().collect();
        writer.begin(SimulationCommand::Dumpvars)?;
        for (id, width) in ids.iter().zip(design.widths()) {
            write_value(&mut writer, *id, width, None)?;
        }
        for (id, width) in texts.iter().flatten() {
            writer.change_vector(*id, std::iter::repeat_n(Value::X, *width))?;
        }
        writer.end()?;
        Ok(Self {
            writer,
            ids,
            widths: design.widths(),
            texts,
            names: design.names(),
            last_time: 0,
        })
    }
}

impl VcdSink {
    fn write(&mut self, signal: usize, value: Option<u64>) -> Result<(), String> {
        let (id, width) = (self.ids[signal], self.widths[signal]);
        write_value(&mut self.writer, id, width, value)
            .and_then(|()| self.write_name(signal, value))
            .map_err(|error| error.to_string())
    }

    fn write_name(&mut self, signal: usize, value: Option<u64>) -> io::Result<()> {
        let (Some((id, width)), Some(names)) = (&self.texts[signal], &self.names[signal]) else {
            return Ok(());
        };
        let Some(value) = value else {
            let unknown = std::iter::repeat_n(Value::X, *width);
            return self.writer.change_vector(*id, unknown);
        };
        let bit = |digit: &u8| if *digit == b'1' { Value::V1 } else { Value::V0 };
        self.writer
            .change_vector(*id, names.digits(value).iter().map(bit))
    }
}

impl Sink for VcdSink {
    fn time(&mut self, time_ps: u64) -> Result<(), String> {
        if time_ps > self.last_time {
            self.last_time = time_ps;
            self.writer
                .timestamp(time_ps)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn change(&mut self, signal: usize, value: u64) -> Result<(), String> {
        self.write(signal, Some(value))
    }

    fn unknown(&mut self, signal: usize) -> Result<(), String> {
        self.write(signal, None)
    }

    fn finish(mut self: Box<Self>, end_ps: u64) -> Result<(), String> {
        if end_ps > self.last_time {
            self.writer
                .timestamp(end_ps)
                .map_err(|error| error.to_string())?;
        }
        self.writer.flush().map_err(|error| error.to_string())
    }
}

fn write_value(
    writer: &mut Writer<BufWriter<File>>,
    id: IdCode,
    width: u32,
    value: Option<u64>,
) -> io::Result<()> {
    let bit = |i: u32| match value {
        None => Value::X,
        Some(value) if value >> i & 1 == 1 => Value::V1,
        Some(_) => Value::V0,
    };
    if width == 1 {
        return writer.change_scalar(id, bit(0));
    }
    writer.change_vector(id, (0..width).rev().map(bit))
}
