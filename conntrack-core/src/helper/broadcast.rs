//! NetBIOS name service (RFC 1002) and SNMP (RFC 3417): the host itself asks everybody in a network, and any of them may
//! answer.
//!
//! Only questions of the host's own are answered to it: the tracker must know its addresses
//! ([`Tracker::set_own_networks`](crate::Tracker::set_own_networks)).

use super::{Helper, Policy, Talk};
use crate::expectation::{Expectation, SourceMask};
use crate::reason::Reason;
use crate::timeout::Time;
use crate::tuple::Direction;
use packet::Protocol;

/// The helper, for one of the protocols.
#[derive(Debug, Clone, Copy)]
pub struct Broadcast {
    name: &'static str,
    /// Where answers come from.
    port: u16,
    /// How long answers are expected (module parameter `timeout`).
    span: Time,
    policies: [Policy; 1],
}

impl Broadcast {
    const fn new(name: &'static str, port: u16, seconds: u64) -> Self {
        Self {
            name,
            port,
            span: Time::from_secs(seconds),
            policies: [Policy::only(1, seconds)],
        }
    }

    /// NetBIOS name service.
    pub const fn netbios() -> Self {
        Self::new("netbios-ns", 137, 3)
    }

    /// SNMP.
    pub const fn snmp() -> Self {
        Self::new("snmp", 161, 30)
    }
}

impl Helper for Broadcast {
    fn name(&self) -> &'static str {
        self.name
    }

    fn protocol(&self) -> Protocol {
        Protocol::UDP
    }

    fn family(&self) -> Option<u8> {
        Some(4)
    }

    fn policies(&self) -> &[Policy] {
        &self.policies
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        let Some(address) = talk.broadcast_mask() else {
            return Ok(());
        };
        let reply = talk.tuple(Direction::Reply);
        let mut expectation = Expectation::new(
            Protocol::UDP,
            4,
            Some(reply.source),
            reply.destination,
            reply.destination_id,
        );
        expectation.tuple.source_id = self.port;
        expectation.mask = SourceMask {
            address,
            id: u16::MAX,
        };
        expectation.permanent = true;
        // One that cannot be expected does no harm.
        talk.expect(expectation).ok();
        talk.refresh(self.span);
        Ok(())
    }
}
