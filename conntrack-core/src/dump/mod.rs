//! How others print connections. One printer, one file.

pub mod conntrack_tools;
