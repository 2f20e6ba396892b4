//! GRE: keyed only in version 1 (PPTP); a flow with replies is a stream.

use super::{Context, Outcome, assure};
use crate::changes::Changes;
use crate::status::Status;

pub(crate) fn packet(status: &mut Status, context: &Context<'_>, changed: &mut Changes) -> Outcome {
    if !status.contains(Status::SEEN_REPLY) {
        return Outcome::Accept(context.config.gre_timeout);
    }
    changed.note(Changes::ASSURED, assure(status));
    Outcome::Accept(context.config.gre_timeout_stream)
}
