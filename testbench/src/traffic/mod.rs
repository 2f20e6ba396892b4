//! Where frames come from. One generator, one file.

pub mod replay;
