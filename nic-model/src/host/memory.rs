//! Host memory the card may reach by DMA: one region, every access checked.

/// An address in host memory as the card sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct DmaAddress(pub u64);

impl DmaAddress {
    /// The address `bytes` further on.
    #[must_use]
    pub const fn offset(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

/// An access outside the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("DMA access to {length} bytes at {address:#x} is outside the host's region")]
pub struct DmaError {
    /// Where.
    pub address: u64,
    /// How many bytes.
    pub length: usize,
}

/// A region of host memory from which the driver allocates rings and buffers.
#[derive(Debug)]
pub struct HostMemory {
    bytes: Vec<u8>,
    used: usize,
}

impl HostMemory {
    /// Where the region begins; address 0 stays invalid, so that an unset base register is found out.
    pub const BASE: u64 = 0x1000_0000;

    /// A zeroed region of `size` bytes.
    pub fn new(size: usize) -> Self {
        Self {
            bytes: vec![0; size],
            used: 0,
        }
    }

    /// Its size, bytes.
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Takes `size` bytes aligned to 64; `None` if the region is used up.
    pub fn allocate(&mut self, size: usize) -> Option<DmaAddress> {
        let start = self.used.checked_next_multiple_of(64)?;
        let end = start.checked_add(size)?;
        if end > self.bytes.len() {
            return None;
        }
        self.used = end;
        Some(DmaAddress(Self::BASE + start as u64))
    }

    /// Takes everything back, and fills it with zeros: a process has ended.
    pub fn free_all(&mut self) {
        self.used = 0;
        self.bytes.fill(0);
    }

    /// `length` bytes at `address`.
    #[inline]
    pub fn slice(&self, address: DmaAddress, length: usize) -> Result<&[u8], DmaError> {
        let start = self.index(address, length)?;
        Ok(&self.bytes[start..start + length])
    }

    /// `length` bytes at `address`, to change.
    #[inline]
    pub fn slice_mut(&mut self, address: DmaAddress, length: usize) -> Result<&mut [u8], DmaError> {
        let start = self.index(address, length)?;
        Ok(&mut self.bytes[start..start + length])
    }

    /// Copies `data` to `address`.
    #[inline]
    pub fn write(&mut self, address: DmaAddress, data: &[u8]) -> Result<(), DmaError> {
        self.slice_mut(address, data.len())?.copy_from_slice(data);
        Ok(())
    }

    /// The `N` bytes at `address`, where they lie.
    #[inline]
    pub fn array<const N: usize>(&self, address: DmaAddress) -> Result<&[u8; N], DmaError> {
        let error = DmaError {
            address: address.0,
            length: N,
        };
        self.slice(address, N)?.first_chunk().ok_or(error)
    }

    /// The `N` bytes at `address`.
    #[inline]
    pub fn read<const N: usize>(&self, address: DmaAddress) -> Result<[u8; N], DmaError> {
        self.array(address).copied()
    }

    fn index(&self, address: DmaAddress, length: usize) -> Result<usize, DmaError> {
        let error = DmaError {
            address: address.0,
            length,
        };
        let start = address.0.checked_sub(Self::BASE).ok_or(error)?;
        let start = usize::try_from(start).map_err(|_| error)?;
        match start.checked_add(length) {
            Some(end) if end <= self.bytes.len() => Ok(start),
            _ => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_aligned_and_end_with_the_region() {
        let mut memory = HostMemory::new(256);
        let a = memory.allocate(10).expect("fits");
        let b = memory.allocate(64).expect("fits");
        assert_eq!(b.0 - a.0, 64);
        assert_eq!(memory.allocate(256), None);
    }

    #[test]
    fn accesses_outside_are_errors() {
        let mut memory = HostMemory::new(64);
        let end = DmaAddress(HostMemory::BASE + 60);
        assert!(memory.write(end, &[1; 4]).is_ok());
        assert_eq!(memory.read::<4>(end), Ok([1; 4]));
        assert!(memory.write(end, &[1; 5]).is_err());
        assert!(memory.slice(DmaAddress(0), 1).is_err());
        assert!(memory.slice(DmaAddress(u64::MAX), 2).is_err());
    }
}
