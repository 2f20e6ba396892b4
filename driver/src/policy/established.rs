//! Offload as early as the hardware could take the connection.

use super::Policy;
use conntrack_core::Connection;

pub(super) struct Established;

impl Policy for Established {
    fn name(&self) -> String {
        "established".to_owned()
    }

    fn wants(&mut self, _connection: &Connection) -> bool {
        true
    }
}
