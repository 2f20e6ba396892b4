//! Asking for memory before it is needed.
//!
//! A plain early read does the same, but keeps its place in the processor's window until the memory answers, so that only
//! a few packets ahead are ever asked for: measured at a million connections, 1.5 times the time per packet of connection tracking.

/// Size of a cache line, bytes.
const LINE: usize = 64;

/// Asks for all lines of `value`.
#[inline]
pub fn prefetch<T>(value: &T) {
    for offset in (0..size_of::<T>()).step_by(LINE) {
        line(std::ptr::from_ref(value).wrapping_byte_add(offset).cast());
    }
}

/// Asks for the line `at` lies in; any address will do.
#[inline]
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "there is no safe prefetch")]
fn line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch never faults and changes nothing but the cache.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

/// Nothing: this processor has no stable intrinsic for it.
#[inline]
#[cfg(not(target_arch = "x86_64"))]
fn line(_at: *const u8) {}
