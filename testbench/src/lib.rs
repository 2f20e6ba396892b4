//! Traffic, simulation, monitors and reports around the board and its driver.

pub mod action;
pub mod bench;
pub mod bridge;
pub mod capture;
pub mod cli;
pub mod document;
pub mod fault;
pub mod frame;
pub mod host_cpu;
#[cfg(target_os = "linux")]
mod huge_pages;
pub mod marks;
pub mod metrics;
pub mod monitor;
#[cfg(target_os = "linux")]
pub mod oracle;
pub mod plot;
pub mod report;
pub mod scenario;
pub mod simulation;
pub mod soak;
pub mod summary;
pub mod traffic;
pub mod validate;
pub mod vectors;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: huge_pages::HugePages = huge_pages::HugePages;
