//! The card's error log, read whenever it has grown.

use super::*;
use crate::device::read;
use nic_model::host::descriptors::{LogCode, LogRecord};
use nic_model::host::seal::is_whole;
use std::fmt;

/// Entries that the driver keeps.
const KEPT: usize = 256;

/// An entry of the card's error log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardError {
    /// When, nanoseconds on the card's clock.
    pub at_ns: u64,
    /// What it is about.
    pub code: LogCode,
    /// See [`LogCode`].
    pub value: u32,
}

impl fmt::Display for CardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = |value: u32| ["A", "B"][(value & reg::IMAGE_B) as usize];
        let value = self.value;
        match self.code {
            LogCode::Began => {
                let on_trial = value & reg::IMAGE_ON_TRIAL != 0;
                let trial = if on_trial { ", on trial" } else { "" };
                write!(
                    f,
                    "began afresh with the image of slot {}{trial}",
                    slot(value)
                )
            }
            LogCode::Watchdog => {
                write!(
                    f,
                    "the watchdog found the firmware standing still for {value} ms"
                )
            }
            LogCode::CommandDamaged => write!(f, "command {value} came damaged"),
            LogCode::CommandInvalid => write!(f, "command {value} made no sense"),
            LogCode::DmaError => f.write_str("a DMA error stopped the rings"),
            LogCode::EntryDamaged => write!(f, "the entry of cookie {value:#010x} was damaged"),
            LogCode::EventRingFull => {
                write!(f, "{value} reports wait for room in the event ring")
            }
            LogCode::ImageBad => write!(f, "the image in slot {} was not accepted", slot(value)),
            LogCode::ImageGivenUp => {
                write!(
                    f,
                    "the image in slot {} was given up: nobody confirmed it",
                    slot(value)
                )
            }
        }
    }
}

/// What was read of it.
#[derive(Debug, Default)]
pub(super) struct CardLog {
    entries: VecDeque<CardError>,
    /// Entries since the card's power-on that were read, or that the card had forgotten by then.
    read: u32,
    /// A command that reads more is under way.
    asked: bool,
}

impl Driver {
    /// The card's error log: what the driver has read of it and not forgotten, oldest first.
    pub fn card_log(&self) -> impl Iterator<Item = &CardError> {
        self.card_log.entries.iter()
    }

    /// Asks for what is new in the log, if something is.
    pub(super) fn follow_log(&mut self, platform: &mut impl Platform) -> Result<(), DeviceError> {
        if self.layout.version < Layout::IMAGES || self.card_log.asked {
            return Ok(());
        }
        let written = read(platform, reg::LOG_COUNT);
        if written == self.card_log.read || !self.commands.has_room(&self.layout, 1) {
            return Ok(());
        }
        self.card_log.asked = true;
        let from = self.card_log.read;
        self.commands.read_log(platform, &self.layout, from)
    }

    /// The card began afresh: what was asked for will not come.
    pub(super) const fn give_log_up(&mut self) {
        self.card_log.asked = false;
    }

    /// Entries of the log have come.
    pub(super) fn log_came(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
    ) -> Result<(), DeviceError> {
        self.card_log.asked = false;
        for number in 0..completion.records().min(Layout::LOG_RECORDS) {
            let offset = u64::from(number) * size_of::<LogRecord>() as u64;
            let bytes: [u8; 32] = platform.memory().read(self.layout.log.offset(offset))?;
            let record = LogRecord::from_bytes(bytes);
            let Some(code) = record.code_or_err().ok().filter(|_| is_whole(&bytes)) else {
                // It did not come whole: it is asked for again.
                return Ok(());
            };
            self.card_log.read = record.number().wrapping_add(1);
            let log = &mut self.card_log.entries;
            if log.len() == KEPT {
                log.pop_front();
            }
            log.push_back(CardError {
                at_ns: record.at_ns(),
                code,
                value: record.value(),
            });
        }
        Ok(())
    }
}
