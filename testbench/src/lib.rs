//! Traffic, simulation, monitors and reports around the board and its driver.

pub mod capture;
pub mod frame;
pub mod summary;
pub mod traffic;
