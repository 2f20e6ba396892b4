//! nic-model
pub mod clock;
