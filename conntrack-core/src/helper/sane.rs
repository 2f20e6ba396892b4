//! SANE, scanners on the network: the answer to NET_START names the port that pictures come from.

use super::{Helper, Policy, Talk};
use crate::expectation::Expectation;
use crate::reason::Reason;
use crate::tuple::Direction;
use packet::Protocol;

/// The helper.
#[derive(Debug, Clone, Copy)]
pub struct Sane;

impl Helper for Sane {
    fn name(&self) -> &'static str {
        "sane"
    }

    fn protocol(&self) -> Protocol {
        Protocol::TCP
    }

    fn policies(&self) -> &[Policy] {
        const { &[Policy::only(1, 300)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        const NET_START: [u8; 4] = [0, 0, 0, 7];
        if !talk.is_established() || talk.payload().is_empty() {
            return Ok(());
        }
        if talk.direction() == Direction::Original {
            // A request is its code and a handle.
            if let [code @ .., _, _, _, _] = talk.payload()
                && code.len() == 4
            {
                let starts = code == NET_START;
                talk.memory()[0] = u32::from(starts);
            }
            return Ok(());
        }
        if std::mem::take(&mut talk.memory()[0]) == 0 {
            return Ok(());
        }
        // Status, which must be good, a word that must be zero, and the port.
        let &[0, 0, 0, 0, 0, 0, high, low, ..] = talk.payload() else {
            return Ok(());
        };
        let original = *talk.tuple(Direction::Original);
        let expectation = Expectation::new(
            Protocol::TCP,
            original.family,
            Some(original.source),
            original.destination,
            u16::from_be_bytes([high, low]),
        );
        talk.expect(expectation).map_err(|_| Reason::HelperRefused)
    }
}
