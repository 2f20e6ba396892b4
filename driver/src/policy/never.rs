//! Offload nothing.

use super::{Candidate, Policy};
use crate::explain::Why;

/// Nothing is offloaded.
pub struct Never;

impl Policy for Never {
    fn name(&self) -> String {
        "never".to_owned()
    }

    fn wants(&mut self, _candidate: &Candidate<'_>) -> Result<(), Why> {
        Err(Why::Never)
    }
}
