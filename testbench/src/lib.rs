//! testbench

pub mod frame;
pub mod summary;
