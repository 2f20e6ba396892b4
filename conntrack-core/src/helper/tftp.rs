//! TFTP (RFC 1350): the answer to a request comes from another port of the server.

use super::{Helper, Policy, Talk};
use crate::expectation::{Expectation, Follow};
use crate::nat::Manip;
use crate::reason::Reason;
use crate::tuple::Direction;
use packet::Protocol;

/// The helper.
#[derive(Debug, Clone, Copy)]
pub struct Tftp;

impl Helper for Tftp {
    fn name(&self) -> &'static str {
        "tftp"
    }

    fn protocol(&self) -> Protocol {
        Protocol::UDP
    }

    fn policies(&self) -> &[Policy] {
        const { &[Policy::only(1, 300)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        const READ: u8 = 1;
        const WRITE: u8 = 2;
        if !matches!(talk.payload(), [0, READ | WRITE, ..]) {
            return Ok(());
        }
        let reply = *talk.tuple(Direction::Reply);
        let mut expectation = Expectation::new(
            Protocol::UDP,
            reply.family,
            Some(reply.source),
            reply.destination,
            reply.destination_id,
        );
        if talk.is_translated() {
            let id = talk.tuple(Direction::Original).source_id;
            let follow = Follow::master(Direction::Reply, id, Manip::Destination);
            expectation.follow = Some(follow);
        }
        talk.expect(expectation).map_err(|_| Reason::HelperRefused)
    }
}
