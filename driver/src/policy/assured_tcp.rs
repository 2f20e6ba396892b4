//! Offload TCP that is proven to be a conversation and UDP as it comes, as Linux tc's act_ct does.

use super::{Candidate, Policy};
use crate::explain::Why;
use conntrack_core::{Direction, Status};
use packet::Protocol;

pub(super) struct AssuredTcp;

impl Policy for AssuredTcp {
    fn name(&self) -> String {
        "assured-tcp".to_owned()
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        let connection = candidate.connection;
        let is_udp = connection.tuple(Direction::Original).protocol() == Protocol::UDP;
        if is_udp || connection.status().contains(Status::ASSURED) {
            return Ok(());
        }
        Err(Why::NotAssured)
    }
}
