//! The stages a packet walks, one file each, in the order in which it meets them:
//! [`mac`] in, [`parser`] (headers, key, checksums), [`classifier`], table look-up, [`trap`] (and barriers), [`rewrite`], counters, [`mac`] out; [`meter`]s on
//! the way to the host.

pub(crate) mod barrier;
pub mod classifier;
pub mod counter;
pub mod mac;
pub mod meter;
pub mod parser;
pub mod rewrite;
pub mod trap;
pub mod window;
