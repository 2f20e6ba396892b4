//! Two slots for images of the firmware: one runs, the other can be written meanwhile.
//!
//! ```text
//!          written        accepted          the card begins afresh          confirmed
//! empty -----------> whole -------> accepted ---------------------> on trial ---------> runs
//!                                                                      |
//!                                        the card begins afresh again  |
//!                                            the other one runs <------+
//! ```

use crate::processor::{FirmwareEvent, Processor, Scheduler};
use nic_model::chip::Chip;
use nic_model::clock::Picos;
use nic_model::config::FirmwareConfig;
use nic_model::host::descriptors::{Command, CommandCompletion, ImageCommand, LogCode, Status};
use nic_model::host::image::{self, Identity, ImageError, PART_BYTES};
use nic_model::host::memory::DmaAddress;
use nic_model::host::{Outside, registers as reg};

/// Body of the image that a card comes with, bytes.
const FACTORY_BODY_BYTES: usize = 1_024;

/// The slots.
#[derive(Debug, Clone)]
pub(crate) struct Flash {
    slots: [Vec<u8>; 2],
    room: usize,
    write_us_per_kib: u32,
    running: usize,
    identity: Identity,
    on_trial: bool,
    accepted: bool,
    given_up: bool,
    /// Until when something is being written.
    busy_until: Picos,
    /// Sequence number of the command whose part is on its way.
    part_of: Option<u32>,
}

impl Flash {
    /// As a card comes: an image in slot A, nothing in slot B.
    pub(crate) fn new(config: &FirmwareConfig) -> Self {
        let factory = image::build(&image::FACTORY, FACTORY_BODY_BYTES);
        Self {
            slots: [factory, Vec::new()],
            room: config.image_kib as usize * 1_024,
            write_us_per_kib: config.flash_write_us_per_kib,
            running: 0,
            identity: image::FACTORY,
            on_trial: false,
            accepted: false,
            given_up: false,
            busy_until: Picos::ZERO,
            part_of: None,
        }
    }

    /// What runs.
    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Register [`reg::IMAGE`].
    pub(crate) fn register(&self) -> u32 {
        let bits = [
            (self.running == 1, reg::IMAGE_B),
            (self.on_trial, reg::IMAGE_ON_TRIAL),
            (self.accepted, reg::IMAGE_ACCEPTED),
            (self.given_up, reg::IMAGE_GIVEN_UP),
        ];
        let set = bits.into_iter().filter(|(is, _)| *is);
        set.map(|(_, bit)| bit).sum()
    }

    /// The slot that does not run.
    pub(crate) const fn other(&self) -> usize {
        1 - self.running
    }

    /// A part of an image comes into the slot that does not run; when it is written, or `None` if it does not fit there, or if that
    /// slot holds what is to run again should the image on trial be given up. Without what comes before it the image will not
    /// be whole: nobody needs to see to that.
    fn write(&mut self, now: Picos, offset: usize, part: &[u8]) -> Option<Picos> {
        let end = offset.checked_add(part.len())?;
        if self.on_trial || end > self.room || part.len() > PART_BYTES {
            return None;
        }
        self.accepted = false;
        let other = self.other();
        let slot = &mut self.slots[other];
        if offset == 0 {
            slot.clear();
        }
        if slot.len() < end {
            slot.resize(end, 0xff);
        }
        slot[offset..end].copy_from_slice(part);
        let kib = part.len().div_ceil(1_024) as u64;
        let takes = Picos::from_micros(kib * u64::from(self.write_us_per_kib));
        self.busy_until = self.busy_until.max(now) + takes;
        Some(self.busy_until)
    }

    /// A part is written, and another may come.
    pub(crate) const fn part_is_written(&mut self) {
        self.part_of = None;
    }

    /// Checks the image in the slot that does not run.
    fn accept(&mut self) -> Result<(), ImageError> {
        self.accepted = false;
        image::check(&self.slots[self.other()])?;
        self.accepted = true;
        Ok(())
    }

    /// The image that runs is good.
    pub(crate) const fn confirm(&mut self) {
        self.on_trial = false;
    }

    /// The card begins afresh: which image runs from now on. The slot of the one that was given up, if one was.
    pub(crate) fn boot(&mut self) -> Option<usize> {
        self.part_of = None;
        let before = self.running;
        let given_up = self.on_trial;
        if given_up {
            (self.on_trial, self.given_up) = (false, true);
            self.running = self.other();
        } else if self.accepted {
            (self.accepted, self.given_up, self.on_trial) = (false, false, true);
            self.running = self.other();
        }
        if self.running != before {
            // Only what was accepted is begun, and nothing is written into a slot that runs.
            self.identity = image::identify(&self.slots[self.running]).unwrap_or(image::FACTORY);
        }
        given_up.then_some(before)
    }
}

/// Asks for a part of an image by DMA; the completion, if there is no sense in that. A command that is posted again while its part
/// is on its way is completed with that.
pub(crate) fn fetch_part(
    processor: &mut Processor,
    now: Picos,
    command: &Command,
    completion: CommandCompletion,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> Option<CommandCompletion> {
    let command = ImageCommand::from_bytes(command.into_bytes());
    let length = command.part_bytes() as usize;
    if length == 0 || length > PART_BYTES {
        return Some(completion.with_status(Status::Invalid));
    }
    let sequence = Some(command.sequence());
    if command.retry() && processor.flash.part_of == sequence {
        return None;
    }
    processor.flash.part_of = sequence;
    let done = chip.dma_read(now, DmaAddress(command.address()), length);
    schedule.schedule(done, FirmwareEvent::PartFetched(command, completion));
    None
}

/// A part of an image has come: it is written, and its command completes when that is done.
pub(crate) fn part_fetched(
    processor: &mut Processor,
    now: Picos,
    command: &ImageCommand,
    completion: CommandCompletion,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
    outside: &mut impl Outside,
) {
    let (address, length) = (DmaAddress(command.address()), command.part_bytes() as usize);
    let Ok(part) = outside.memory().slice(address, length) else {
        return chip.dma_failed();
    };
    let offset = command.offset() as usize;
    let (completion, at) = match processor.flash.write(now, offset, part) {
        Some(at) => (completion, at),
        None => (completion.with_status(Status::Invalid), now),
    };
    schedule.schedule(at, FirmwareEvent::PartWritten(completion));
}

/// Checks the image in the slot that does not run; what that takes.
pub(crate) fn accept(
    processor: &mut Processor,
    now: Picos,
    completion: CommandCompletion,
) -> (CommandCompletion, Picos) {
    let other = processor.flash.other();
    let kib = processor.flash.slots[other].len().div_ceil(1_024) as u64;
    let cycles = kib * u64::from(processor.config.image_check_cycles_per_kib);
    let takes = processor.after(now, cycles) - now;
    match processor.flash.accept() {
        Ok(()) => (completion, takes),
        Err(_) => {
            processor.errors.note(now, LogCode::ImageBad, other as u32);
            (completion.with_status(Status::BadImage), takes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nic_model::host::image::FACTORY;

    fn flash() -> Flash {
        Flash::new(&FirmwareConfig::default())
    }

    fn download(flash: &mut Flash, image: &[u8]) {
        for (number, part) in image.chunks(PART_BYTES).enumerate() {
            let written = flash.write(Picos::ZERO, number * PART_BYTES, part);
            assert!(written.is_some());
        }
    }

    fn newer() -> Identity {
        Identity {
            firmware_version: FACTORY.firmware_version + 1,
            ..FACTORY
        }
    }

    #[test]
    fn an_image_runs_for_good_once_it_is_confirmed() {
        let mut flash = flash();
        download(&mut flash, &image::build(&newer(), 9_000));
        assert_eq!(flash.accept(), Ok(()));
        assert_eq!(flash.register(), reg::IMAGE_ACCEPTED);
        assert_eq!(flash.boot(), None);
        assert_eq!(flash.register(), reg::IMAGE_B | reg::IMAGE_ON_TRIAL);
        assert_eq!(flash.identity(), &newer());
        flash.confirm();
        assert_eq!(flash.boot(), None);
        assert_eq!(
            (flash.register(), *flash.identity()),
            (reg::IMAGE_B, newer())
        );
    }

    #[test]
    fn an_image_that_is_not_confirmed_is_given_up() {
        let mut flash = flash();
        download(&mut flash, &image::build(&newer(), 9_000));
        assert_eq!(
            (flash.accept(), flash.boot(), flash.boot()),
            (Ok(()), None, Some(1))
        );
        assert_eq!(
            (flash.register(), *flash.identity()),
            (reg::IMAGE_GIVEN_UP, FACTORY)
        );
        assert_eq!(flash.boot(), None);
        assert_eq!(*flash.identity(), FACTORY);
    }

    #[test]
    fn nothing_is_written_over_what_may_have_to_run_again() {
        let mut flash = flash();
        download(&mut flash, &image::build(&newer(), 9_000));
        assert_eq!((flash.accept(), flash.boot()), (Ok(()), None));
        assert_eq!(flash.write(Picos::ZERO, 0, &[0; 64]), None);
        flash.boot();
        assert_eq!(*flash.identity(), FACTORY);
        assert!(flash.write(Picos::ZERO, 0, &[0; 64]).is_some());
    }

    #[test]
    fn what_is_not_whole_never_begins() {
        let mut flash = flash();
        assert_eq!(flash.accept(), Err(ImageError::Header));
        let mut image = image::build(&newer(), 9_000);
        image[8_000] ^= 1;
        download(&mut flash, &image);
        assert_eq!(flash.accept(), Err(ImageError::Body));
        assert_eq!(flash.boot(), None);
        assert_eq!(*flash.identity(), FACTORY);
    }

    #[test]
    fn a_part_written_after_the_check_takes_the_acceptance_back() {
        let mut flash = flash();
        download(&mut flash, &image::build(&newer(), 9_000));
        assert_eq!(flash.accept(), Ok(()));
        assert!(flash.write(Picos::ZERO, 8_000, &[0]).is_some());
        assert_eq!((flash.register(), flash.boot()), (0, None));
        assert_eq!(*flash.identity(), FACTORY);
    }

    #[test]
    fn parts_take_their_time_one_after_the_other_and_must_fit() {
        let mut flash = flash();
        let each = Picos::from_micros(4 * u64::from(flash.write_us_per_kib));
        let part = [0; PART_BYTES];
        assert_eq!(flash.write(Picos::ZERO, 0, &part), Some(each));
        assert_eq!(flash.write(Picos(5), PART_BYTES, &part), Some(each + each));
        assert_eq!(flash.write(Picos::ZERO, flash.room - 1, &part), None);
        assert_eq!(flash.write(Picos::ZERO, usize::MAX, &part), None);
    }
}
