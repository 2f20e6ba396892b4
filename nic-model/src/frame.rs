//! The bytes of a frame in the chip, with room in front for a tag that is put on.

/// A frame in a buffer that begins before it.
#[derive(Debug)]
pub struct FrameBuffer<'a> {
    buffer: &'a mut [u8],
    start: usize,
}

impl<'a> FrameBuffer<'a> {
    /// Bytes that should be free before a frame: one VLAN tag.
    pub const HEADROOM: usize = 4;

    /// The frame that begins `start` bytes into a buffer and goes on to its end.
    #[inline]
    pub fn new(buffer: &'a mut [u8], start: usize) -> Self {
        let start = start.min(buffer.len());
        Self { buffer, start }
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Its bytes, to change.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..]
    }

    /// Moves the first `header` bytes forward by `bytes`, into the room before the frame; whether there was room.
    pub fn widen(&mut self, header: usize, bytes: usize) -> bool {
        let (Some(start), true) = (self.start.checked_sub(bytes), header <= self.bytes().len())
        else {
            return false;
        };
        self.buffer
            .copy_within(self.start..self.start + header, start);
        self.start = start;
        true
    }

    /// Moves the first `header` bytes back by `bytes`, over what is there; whether there was so much.
    pub fn narrow(&mut self, header: usize, bytes: usize) -> bool {
        if header + bytes > self.bytes().len() {
            return false;
        }
        self.buffer
            .copy_within(self.start..self.start + header, self.start + bytes);
        self.start += bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_widened_is_narrowed_again() {
        let mut buffer = [0, 0, 1, 2, 3, 4, 5];
        let mut frame = FrameBuffer::new(&mut buffer, 2);
        assert!(frame.widen(3, 2));
        assert_eq!(frame.bytes(), [1, 2, 3, 2, 3, 4, 5]);
        assert!(!frame.widen(3, 1), "no room is left");
        assert!(frame.narrow(3, 2));
        assert_eq!(frame.bytes(), [1, 2, 3, 4, 5]);
        assert!(!frame.narrow(4, 2), "there is not so much");
        assert!(FrameBuffer::new(&mut [1], 5).bytes().is_empty());
    }
}
