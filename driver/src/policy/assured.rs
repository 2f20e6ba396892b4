//! Offload what is proven to be a conversation: the default, as Linux flow tables do it.

use super::Policy;
use conntrack_core::{Connection, Direction, Status};
use packet::Protocol;

pub(super) struct Assured;

impl Policy for Assured {
    fn name(&self) -> String {
        "assured".to_owned()
    }

    fn wants(&mut self, connection: &Connection) -> bool {
        let needed = if connection.tuple(Direction::Original).protocol() == Protocol::UDP {
            Status::SEEN_REPLY
        } else {
            Status::ASSURED
        };
        connection.status().contains(needed)
    }
}
