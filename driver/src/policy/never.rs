//! Offload nothing.

use super::Policy;
use conntrack_core::Connection;

pub(super) struct Never;

impl Policy for Never {
    fn name(&self) -> String {
        "never".to_owned()
    }

    fn wants(&mut self, _connection: &Connection) -> bool {
        false
    }
}
