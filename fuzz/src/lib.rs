//! What several targets share.

pub mod talk;
