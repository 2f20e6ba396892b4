//! Images of the firmware: a header that says what they are, and a body, each with a checksum.

use super::descriptors::ImageHeader;
use super::registers as reg;
use super::seal::{is_whole, seal, sum_of};

/// The first word of an image.
pub const MAGIC: u32 = 0x6374_6677;
/// Length of an image's header, bytes.
pub const HEADER_BYTES: usize = size_of::<ImageHeader>();
/// Most bytes of a part that is written at once.
pub const PART_BYTES: usize = 4_096;

/// Why bytes are no image for this card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// They do not begin with a whole header.
    #[error("it does not begin with an image's header, or that is damaged")]
    Header,
    /// It is for other cards.
    #[error("it is for cards of DEVICE_ID {0:#010x}")]
    OtherCard(u32),
    /// Its body is not as the header says.
    #[error("its body is damaged or not complete")]
    Body,
}

/// What an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// As in [`reg::FIRMWARE_VERSION`].
    pub firmware_version: u32,
    /// As in [`reg::INTERFACE_VERSION`].
    pub interface_version: u32,
    /// An image for tests, whose firmware never gets to work.
    pub stands_still: bool,
}

/// The image that cards come with.
pub const FACTORY: Identity = Identity {
    firmware_version: reg::FIRMWARE_VERSION_VALUE,
    interface_version: reg::INTERFACE_VERSION_VALUE,
    stands_still: false,
};

/// An image with a body of so many bytes. The model's firmware is not in it: a body is any bytes, told apart by the version.
pub fn build(identity: &Identity, body_bytes: usize) -> Vec<u8> {
    let body: Vec<u8> = (0..body_bytes as u32)
        .map(|at| (at ^ at >> 8).wrapping_add(identity.firmware_version) as u8)
        .collect();
    let header = ImageHeader::new()
        .with_magic(MAGIC)
        .with_card(reg::DEVICE_ID_VALUE)
        .with_firmware_version(identity.firmware_version)
        .with_interface_version(identity.interface_version)
        .with_body_bytes(body_bytes as u32)
        .with_body_crc(sum_of(&body))
        .with_stands_still(identity.stands_still);
    let mut image = header.into_bytes();
    seal(&mut image);
    [&image[..], &body].concat()
}

fn header(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    let first = bytes.first_chunk::<HEADER_BYTES>();
    let whole = first.filter(|bytes| is_whole(bytes)).copied();
    let header = whole.map(ImageHeader::from_bytes);
    let header = header.filter(|header| header.magic() == MAGIC);
    let header = header.ok_or(ImageError::Header)?;
    if header.card() != reg::DEVICE_ID_VALUE {
        return Err(ImageError::OtherCard(header.card()));
    }
    Ok(header)
}

/// What an image says it is; its body is not looked at.
///
/// # Errors
/// There is no header, or it is for other cards.
pub fn identify(bytes: &[u8]) -> Result<Identity, ImageError> {
    let header = header(bytes)?;
    Ok(Identity {
        firmware_version: header.firmware_version(),
        interface_version: header.interface_version(),
        stands_still: header.stands_still(),
    })
}

/// What an image is, if all of it is as it was built. What lies behind its body does not matter.
///
/// # Errors
/// As [`identify`], or the body is damaged.
pub fn check(bytes: &[u8]) -> Result<Identity, ImageError> {
    let header = header(bytes)?;
    let body = bytes[HEADER_BYTES..].get(..header.body_bytes() as usize);
    let body = body.ok_or(ImageError::Body)?;
    if sum_of(body) != header.body_crc() {
        return Err(ImageError::Body);
    }
    identify(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_what_it_was_built_as() {
        let identity = Identity {
            firmware_version: 0x0002_0007,
            interface_version: 0x0002_0002,
            stands_still: true,
        };
        let mut image = build(&identity, 10_000);
        image.extend([0xff; 100]);
        assert_eq!(check(&image), Ok(identity));
    }

    #[test]
    fn every_damage_shows() {
        let image = build(&FACTORY, 200);
        for at in 0..image.len() {
            let mut damaged = image.clone();
            damaged[at] ^= 0x10;
            assert!(check(&damaged).is_err(), "byte {at}");
        }
        for length in 0..image.len() {
            assert!(check(&image[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn an_image_for_another_card_is_told_as_such() {
        let header = ImageHeader::new().with_magic(MAGIC).with_card(7);
        let mut bytes = header.into_bytes();
        seal(&mut bytes);
        assert_eq!(identify(&bytes), Err(ImageError::OtherCard(7)));
    }
}
