//! What happened to connections, for those who follow.

use crate::changes::Changes;
use crate::connection::Connection;
use crate::expectation::Expected;
use crate::id::ConnectionId;
use crate::timeout::Time;

/// Why a connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestroyCause {
    /// Its timeout ran out.
    Timeout,
    /// Somebody asked for it.
    Deleted,
    /// Its tuple was used again for a new connection.
    Reopened,
    /// A reset before any reply.
    Reset,
    /// Removed early to make room.
    EarlyDrop,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// It was confirmed.
    New,
    /// Something of it changed.
    Update(Changes),
    /// It announced a connection.
    Expect(Box<Expected>),
    /// What it announced is not expected any longer, perhaps because it came.
    Unexpect(Box<Expected>),
    /// It is gone.
    Destroy {
        /// Why.
        cause: DestroyCause,
        /// As it was at the end.
        last: Box<Connection>,
    },
}

/// Something that happened to a connection.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Time,
    /// To which.
    pub connection: ConnectionId,
    /// What.
    pub kind: EventKind,
}
