//! Another firmware for the card, while traffic goes on.
//!
//! The image goes in parts into the slot that does not run, is checked there, and begins with a reset of the function, once no
//! command and no report is on its way that would be lost with it: entries stay and go on forwarding, software does the rest
//! meanwhile. Once the table was read with the new firmware it is confirmed; one that does not get that far is given up by the card
//! itself.

use super::*;
use crate::device::{read, write};
use nic_model::host::image::{self, ImageError, PART_BYTES};
use std::fmt;

/// Why the card's firmware was not replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The card cannot do that.
    #[error("the card speaks interface version {}.{}: its firmware cannot be replaced from here", .found >> 16, .found & 0xffff)]
    NotSupported {
        /// Its version.
        found: u32,
    },
    /// Another image is on its way.
    #[error("another update is under way")]
    UnderWay,
    /// It is no image for this card.
    #[error("this is no image for the card: {0}")]
    Image(#[from] ImageError),
    /// The image's firmware speaks a version that this driver does not.
    #[error("the image speaks interface version {}.{}, this driver needs 2.2 or a later 2.x", .found >> 16, .found & 0xffff)]
    Interface {
        /// Its version.
        found: u32,
    },
    /// The card has refused a part of it.
    #[error(
        "the card has refused a part of the image: it is too large, or another one is on trial"
    )]
    PartRefused,
    /// The card found it damaged.
    #[error("the card found the image damaged")]
    Refused,
    /// It began, and was given up before it was confirmed.
    #[error("the card began it and gave it up: it runs {}.{} again", .found >> 16, .found & 0xffff)]
    GivenUp {
        /// What runs.
        found: u32,
    },
}

/// How far an update is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Update {
    /// There was none.
    #[default]
    None,
    /// The image is being written.
    Writing {
        /// Bytes that are in the card.
        written: usize,
    },
    /// All of it is in the card, and is being checked.
    Checking,
    /// It is good: the card begins with it as soon as no command and no report is on its way.
    Accepted,
    /// The card begins afresh with it.
    Beginning,
    /// It runs, and was confirmed.
    Done {
        /// Register FIRMWARE_VERSION.
        version: u32,
    },
    /// It does not run.
    Failed(UpdateError),
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Writing { written } => write!(f, "under way: {written} bytes are in the card"),
            Self::Checking | Self::Accepted => f.write_str("under way: the image is in the card"),
            Self::Beginning => f.write_str("under way: the card begins with it"),
            Self::Done { version } => write!(f, "{}.{} runs", version >> 16, version & 0xffff),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// The update that is under way.
#[derive(Debug, Default)]
pub(super) struct Updating {
    image: Vec<u8>,
    state: Update,
    /// A command of it is under way.
    asked: bool,
    /// The slot that ran when it began: [`reg::IMAGE_B`] or 0.
    slot_before: u32,
}

impl Driver {
    /// Replaces the card's firmware; [`Driver::update`] says how that goes on.
    ///
    /// # Errors
    /// The image is not for this card or this driver, or another one is on its way.
    pub fn update_firmware(
        &mut self,
        platform: &mut impl Platform,
        image: Vec<u8>,
    ) -> Result<(), UpdateError> {
        if self.layout.version < Layout::IMAGES {
            let found = self.layout.version;
            return Err(UpdateError::NotSupported { found });
        }
        if self.is_updating() {
            return Err(UpdateError::UnderWay);
        }
        let found = image::identify(&image)?.interface_version;
        if Layout::check_version(found).is_err() || found < Layout::IMAGES {
            return Err(UpdateError::Interface { found });
        }
        self.updating = Updating {
            image,
            state: Update::Writing { written: 0 },
            asked: false,
            slot_before: read(platform, reg::IMAGE) & reg::IMAGE_B,
        };
        Ok(())
    }

    /// How far the last update is.
    pub const fn update(&self) -> &Update {
        &self.updating.state
    }

    /// Whether an update is under way.
    pub const fn is_updating(&self) -> bool {
        matches!(
            self.updating.state,
            Update::Writing { .. } | Update::Checking | Update::Accepted | Update::Beginning
        )
    }

    /// Posts the next step of an update, unless one is under way.
    pub(super) fn go_on_updating(
        &mut self,
        platform: &mut impl Platform,
    ) -> Result<(), DeviceError> {
        if self.updating.state == Update::Accepted {
            write(platform, reg::AGING, 0);
            self.disagrees();
            return Ok(());
        }
        let (commands, layout) = (&mut self.commands, &self.layout);
        if self.updating.asked || !commands.has_room(layout, 1) {
            return Ok(());
        }
        match self.updating.state {
            Update::Writing { written } => {
                let part = &self.updating.image[written..];
                let part = &part[..part.len().min(PART_BYTES)];
                platform.memory().write(layout.part, part)?;
                self.updating.asked = true;
                commands.write_image(platform, layout, written as u32, part.len() as u32)
            }
            Update::Checking => {
                self.updating.asked = true;
                commands.accept_image(platform, layout)
            }
            _ => Ok(()),
        }
    }

    /// No command is on its way any more: an image that was accepted begins now. Whether there is one, and the card is to be reset.
    pub(super) fn begin_if_accepted(&mut self) -> bool {
        let is_accepted = self.updating.state == Update::Accepted;
        if is_accepted {
            self.updating.state = Update::Beginning;
        }
        is_accepted
    }

    /// The card began afresh: a step that was under way is to be taken again.
    pub(super) const fn take_step_again(&mut self) {
        self.updating.asked = false;
    }

    /// A part of the image is in the card.
    pub(super) fn part_written(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
    ) -> Result<(), DeviceError> {
        let Update::Writing { written } = self.updating.state else {
            return Ok(());
        };
        self.updating.asked = false;
        if completion.status_or_err() != Ok(Status::Done) {
            self.fail_update(UpdateError::PartRefused);
            return Ok(());
        }
        let length = self.updating.image.len();
        let written = written.saturating_add(PART_BYTES).min(length);
        self.updating.state = if written == length {
            Update::Checking
        } else {
            Update::Writing { written }
        };
        self.go_on_updating(platform)
    }

    /// The card has checked the image.
    pub(super) fn image_checked(&mut self, completion: &CommandCompletion) {
        if self.updating.state != Update::Checking {
            return;
        }
        self.updating.asked = false;
        if completion.status_or_err() == Ok(Status::Done) {
            self.updating.state = Update::Accepted;
        } else {
            self.fail_update(UpdateError::Refused);
        }
    }

    /// The table was read, so the firmware that runs does its work: it is confirmed if it is on trial.
    pub(super) fn confirm_firmware(&mut self, platform: &mut impl Platform) {
        if self.layout.version < Layout::IMAGES {
            return;
        }
        let image = read(platform, reg::IMAGE);
        if image & reg::IMAGE_ON_TRIAL != 0 {
            write(platform, reg::IMAGE_CONFIRM, 1);
        }
        if !self.is_updating() {
            return;
        }
        let version = read(platform, reg::FIRMWARE_VERSION);
        if image & reg::IMAGE_B != self.updating.slot_before {
            // Any reset begins an image that was accepted, whether the driver has heard of that or not.
            self.updating.image = Vec::new();
            self.updating.state = Update::Done { version };
        } else if self.updating.state == Update::Beginning {
            self.fail_update(UpdateError::GivenUp { found: version });
        }
    }

    fn fail_update(&mut self, why: UpdateError) {
        self.updating.image = Vec::new();
        self.updating.state = Update::Failed(why);
    }
}
