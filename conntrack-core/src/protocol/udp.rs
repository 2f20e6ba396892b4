//! UDP and UDP-Lite: no states, only whether both sides have sent for long enough.

use super::{Context, Outcome, assure};
use crate::changes::Changes;
use crate::parse::Network;
use crate::reason::Reason;
use crate::status::Status;
use crate::timeout::Time;
use packet::{Protocol, Udp};

/// After this long a flow with replies is a stream.
const STREAM_AFTER: Time = Time::from_secs(2);

/// What is kept of a UDP flow.
#[derive(Debug, Clone, Copy)]
pub struct UdpState {
    /// When the flow may become a stream, nanoseconds: high and low half (words keep the connection small).
    stream_at: [u32; 2],
    pub(crate) lite: bool,
}

impl UdpState {
    pub(crate) fn new(lite: bool, now: Time) -> Self {
        let at = (now + STREAM_AFTER).0;
        Self {
            stream_at: [(at >> 32) as u32, at as u32],
            lite,
        }
    }

    fn stream_at(self) -> Time {
        Time(u64::from(self.stream_at[0]) << 32 | u64::from(self.stream_at[1]))
    }

    pub(crate) fn packet(
        self,
        status: &mut Status,
        context: &Context<'_>,
        changed: &mut Changes,
    ) -> Outcome {
        let config = context.config;
        let stream =
            status.contains(Status::SEEN_REPLY) && (self.lite || context.now > self.stream_at());
        if !stream {
            return Outcome::Accept(config.udp_timeout);
        }
        changed.note(Changes::ASSURED, assure(status));
        Outcome::Accept(config.udp_timeout_stream)
    }
}

/// Length and checksum.
pub(crate) fn check(network: &Network<'_>, verify: bool) -> Result<(), Reason> {
    let udp = Udp::new(network.l4).map_err(|_| Reason::TransportTruncated)?;
    let length = usize::from(udp.length());
    if length < 8 || length > network.l4_len {
        return Err(Reason::TransportLength);
    }
    if verify && udp.checksum() != 0 && !network.checksum_ok(Protocol::UDP) {
        return Err(Reason::TransportChecksum);
    }
    Ok(())
}
