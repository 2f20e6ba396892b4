//! Offload what is proven to be a conversation: the default, as Linux flow tables do it.

use super::{Candidate, Policy};
use crate::explain::Why;
use conntrack_core::{Direction, Status};
use packet::Protocol;

pub(super) struct Assured;

impl Policy for Assured {
    fn name(&self) -> String {
        "assured".to_owned()
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        let connection = candidate.connection;
        let is_udp = connection.tuple(Direction::Original).protocol() == Protocol::UDP;
        let (needed, otherwise) = if is_udp {
            (Status::SEEN_REPLY, Why::NoReply)
        } else {
            (Status::ASSURED, Why::NotAssured)
        };
        if connection.status().contains(needed) {
            return Ok(());
        }
        Err(otherwise)
    }
}
