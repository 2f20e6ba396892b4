//! Large tables lie in huge pages: a look-up at random then rarely waits for the translation of its address.
//!
//! Linux gives huge pages to those who ask for them (`/sys/kernel/mm/transparent_hugepage/enabled` is `madvise` on most
//! machines), before anything is written there. What that is worth is in `docs/claims.md`. Those who use the tracker or the
//! driver as a library have allocators of their own.

use nix::sys::mman::{
    MRemapFlags, MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, mremap, munmap,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// The system's allocator, and pages of their own for what is as large as a huge one.
#[derive(Debug)]
pub(crate) struct HugePages;

const HUGE_BYTES: usize = 2 << 20;
/// What pages of one's own are aligned to at least.
const PAGE_BYTES: usize = 4_096;

/// The pages that a block takes, if it has pages of its own: a whole number of huge ones, so that Linux aligns it to them.
const fn pages(size: usize, align: usize) -> Option<NonZeroUsize> {
    if size < HUGE_BYTES || align > PAGE_BYTES {
        return None;
    }
    match size.checked_next_multiple_of(HUGE_BYTES) {
        Some(bytes) => NonZeroUsize::new(bytes),
        None => None,
    }
}

fn or_null(at: nix::Result<NonNull<c_void>>) -> *mut u8 {
    at.map_or(std::ptr::null_mut(), |at| at.cast().as_ptr())
}

/// Maps new pages, all zero. That huge ones are refused does not matter.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
fn map(bytes: NonZeroUsize) -> *mut u8 {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
    let at = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_PRIVATE) };
    if let Ok(at) = at {
        // SAFETY: the pages were just mapped, and the advice does not change what they hold.
        unsafe { madvise(at, bytes.get(), MmapAdvise::MADV_HUGEPAGE) }.ok();
    }
    or_null(at)
}

// SAFETY: a block's size and alignment, which the caller gives back with it, tell whether it has pages of its own; all others come
// from the system's allocator and go back to it.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match pages(layout.size(), layout.align()) {
            Some(bytes) => map(bytes),
            // SAFETY: the caller's promises are those that the system's allocator asks for.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match pages(layout.size(), layout.align()) {
            Some(bytes) => map(bytes),
            // SAFETY: as above.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (before, after) = (
            pages(layout.size(), layout.align()),
            pages(size, layout.align()),
        );
        match (before, after, NonNull::new(block.cast())) {
            // SAFETY: as above.
            (None, None, _) => unsafe { System.realloc(block, layout, size) },
            (Some(before), Some(after), Some(_)) if before == after => block,
            (Some(before), Some(after), Some(at)) => {
                let (from, to, may_move) = (before.get(), after.get(), MRemapFlags::MREMAP_MAYMOVE);
                // SAFETY: the block has exactly these pages, and nobody uses it but by the pointer that is returned.
                or_null(unsafe { mremap(at, from, to, may_move, None) })
            }
            _ => {
                // SAFETY: the alignment is that of the block, and the caller has promised that the size fits it.
                let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
                // SAFETY: both blocks hold the bytes that are copied; the old one is given back with its own layout.
                unsafe {
                    let other = self.alloc(new);
                    if !other.is_null() {
                        other.copy_from_nonoverlapping(block, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    other
                }
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match (
            pages(layout.size(), layout.align()),
            NonNull::new(block.cast()),
        ) {
            // SAFETY: the block has exactly these pages, and nobody uses it any more.
            (Some(bytes), Some(at)) => unsafe { munmap(at, bytes.get()) }.unwrap_or(()),
            // SAFETY: as above.
            _ => unsafe { System.dealloc(block, layout) },
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_keep_what_they_hold_while_they_grow_and_shrink() {
        let mut block: Vec<u32> = Vec::new();
        for number in 0..3_000_000 {
            block.push(number);
        }
        assert!(block.iter().copied().eq(0..3_000_000));
        for left in [2_900_000, 1_000_000, 400_000, 10] {
            block.truncate(left);
            block.shrink_to_fit();
            assert!(block.iter().copied().eq(0..left as u32));
        }
    }

    #[test]
    fn blocks_that_are_to_be_zero_are() {
        for _ in 0..3 {
            let mut block = vec![0_u64; 1 << 20];
            assert!(block.iter().all(|word| *word == 0));
            block.fill(u64::MAX);
        }
    }
}
