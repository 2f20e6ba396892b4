//! UDP and UDP-Lite: no states, only whether both sides have sent for long enough.

use super::{Context, Outcome, assure};
use crate::connection::Status;
use crate::timeout::Time;

/// After this long a flow with replies is a stream.
const STREAM_AFTER: Time = Time::from_secs(2);

/// What is kept of a UDP flow.
#[derive(Debug, Clone, Copy)]
pub struct UdpState {
    /// When the flow may become a stream.
    pub(crate) stream_at: Time,
    pub(crate) lite: bool,
}

impl UdpState {
    pub(crate) fn new(lite: bool, now: Time) -> Self {
        Self {
            stream_at: now + STREAM_AFTER,
            lite,
        }
    }

    pub(crate) fn packet(
        self,
        status: &mut Status,
        context: &Context<'_>,
        changed: &mut bool,
    ) -> Outcome {
        let config = context.config;
        let stream =
            status.contains(Status::SEEN_REPLY) && (self.lite || context.now > self.stream_at);
        if !stream {
            return Outcome::Accept(config.udp_timeout);
        }
        *changed |= assure(status);
        Outcome::Accept(config.udp_timeout_stream)
    }
}
