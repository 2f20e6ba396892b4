//! VCD, by the `vcd` crate.

use crate::Sink;
use crate::signal::{Design, Walk};
use std::fs::File;
use std::io::{self, BufWriter};
use vcd::{IdCode, SimulationCommand, TimescaleUnit, Value, VarType, Writer};

pub(crate) struct VcdSink {
    writer: Writer<BufWriter<File>>,
    ids: Vec<IdCode>,
    last_time: u64,
}

impl VcdSink {
    pub(crate) fn new(file: File, design: &Design) -> io::Result<Self> {
        let mut writer = Writer::new(BufWriter::new(file));
        writer.version(concat!("ctnic ", env!("CARGO_PKG_VERSION")))?;
        writer.timescale(1, TimescaleUnit::PS)?;
        let mut ids = vec![None; design.widths().len()];
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
            }
            Ok::<(), io::Error>(())
        })?;
        writer.enddefinitions()?;
        writer.timestamp(0)?;
        let ids: Vec<IdCode> = ids.into_iter().flatten().collect();
        writer.begin(SimulationCommand::Dumpvars)?;
        for (id, width) in ids.iter().zip(design.widths()) {
            write_value(&mut writer, *id, width, 0)?;
        }
        writer.end()?;
        Ok(Self {
            writer,
            ids,
            last_time: 0,
        })
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

    fn change(&mut self, signal: usize, width: u32, value: u64) -> Result<(), String> {
        write_value(&mut self.writer, self.ids[signal], width, value)
            .map_err(|error| error.to_string())
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
    value: u64,
) -> io::Result<()> {
    let bit = |i: u32| {
        if value >> i & 1 == 1 {
            Value::V1
        } else {
            Value::V0
        }
    };
    if width == 1 {
        return writer.change_scalar(id, bit(0));
    }
    writer.change_vector(id, (0..width).rev().map(bit))
}
