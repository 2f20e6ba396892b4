//! Amanda: the server's answer names the ports its client will connect to.

use super::{Helper, Policy, Talk, text};
use crate::expectation::Expectation;
use crate::reason::Reason;
use crate::timeout::Time;
use crate::tuple::Direction;
use packet::Protocol;

/// The helper.
#[derive(Debug, Clone, Copy)]
pub struct Amanda {
    /// How long the connection lives after an answer (module parameter `master_timeout`).
    pub master_span: Time,
}

impl Default for Amanda {
    fn default() -> Self {
        Self {
            master_span: Time::from_secs(300),
        }
    }
}

impl Helper for Amanda {
    fn name(&self) -> &'static str {
        "amanda"
    }

    fn protocol(&self) -> Protocol {
        Protocol::UDP
    }

    fn policies(&self) -> &[Policy] {
        const { &[Policy::only(4, 180)] }
    }

    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
        const CONNECT: &[u8] = b"CONNECT ";
        const STREAMS: [&[u8]; 4] = [b"DATA ", b"MESG ", b"INDEX ", b"STATE "];
        if talk.direction() == Direction::Original {
            return Ok(());
        }
        talk.refresh(self.master_span);
        let payload = talk.payload();
        let Some(start) = text::find(payload, CONNECT).map(|at| at + CONNECT.len()) else {
            return Ok(());
        };
        let Some(length) = text::find(&payload[start..], b"\n") else {
            return Ok(());
        };
        let mut result = Ok(());
        for stream in STREAMS {
            // Where the line ends is not looked up again when a port becomes longer or shorter.
            let payload = talk.payload();
            let line = &payload[start..payload.len().min(start + length)];
            let Some(at) = text::find(line, stream).map(|at| at + stream.len()) else {
                continue;
            };
            /// Digits that are looked at.
            const DIGITS: usize = 5;
            let digits = &line[at..line.len().min(at + DIGITS)];
            let (number, length) = text::leading_number(digits);
            let port = number as u16;
            if port == 0 {
                break;
            }
            // One that cannot be expected does not keep the others from being so.
            let announced = announce(talk, port, start + at..start + at + length);
            if announced.is_err() || talk.is_translated() {
                result = announced;
            }
        }
        result
    }
}

fn announce(talk: &mut Talk<'_>, port: u16, part: std::ops::Range<usize>) -> Result<(), Reason> {
    let original = *talk.tuple(Direction::Original);
    let expectation = Expectation::new(
        Protocol::TCP,
        original.family,
        Some(original.source),
        original.destination,
        port,
    );
    if !talk.is_translated() {
        return talk.expect(expectation).map_err(|_| Reason::HelperRefused);
    }
    let port = talk
        .expect_translated(expectation, Direction::Original)
        .map_err(|_| Reason::HelperRefused)?;
    talk.replace(part, port.to_string().as_bytes())
}
