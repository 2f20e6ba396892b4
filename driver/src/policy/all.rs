//! Offload what several policies all want.

use super::{Candidate, Policy};
use crate::explain::Why;

/// All of these; each is asked every time, because each may keep counts.
pub(super) struct All(pub(super) Vec<Box<dyn Policy>>);

impl Policy for All {
    fn name(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|policy| policy.name()).collect();
        names.join("+")
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        let asked: Vec<Result<(), Why>> = self
            .0
            .iter_mut()
            .map(|policy| policy.wants(candidate))
            .collect();
        asked.into_iter().collect()
    }
}
