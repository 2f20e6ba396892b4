//! The stages a packet walks, one file each, in the order in which it meets them:
//! [`mac`] in, [`parser`] (headers, key, checksums), table look-up, [`trap`], [`rewrite`], counters, [`mac`] out.

pub mod mac;
pub mod parser;
pub mod rewrite;
pub mod trap;
