//! What the driver tells those who watch: logs, monitors, traces.

use crate::offload::{RefuseCause, RemoveCause};
use conntrack_core::{Connection, ConnectionId, DestroyCause, Direction, Tuple, Verdict};
use nic_model::clock::Picos;
use nic_model::datapath::trap::Reason;

/// What became of a packet in software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Handed to the card to be sent by this port.
    Sent(u8),
    /// A fragment, held until its datagram is complete.
    Held,
    /// Dropped: by connection tracking or the IP layer.
    DroppedInvalid,
    /// Dropped: the switch said so.
    DroppedBySwitch,
    /// Dropped: no TTL or hop limit left for another hop.
    DroppedTtl,
    /// Dropped: longer than the MTU of the port it would leave by; its sender is told, by a message in its place.
    Answered,
    /// Dropped: longer than the MTU of the port it would leave by; its sender is not told.
    DroppedTooLong,
    /// Dropped: the transmit ring was full.
    DroppedRingFull,
    /// A held fragment given up: its datagram was never completed, or spoilt.
    DroppedFragment,
    /// It lay in a ring when the card began afresh.
    DroppedReset,
}

/// A step on the way back to order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// The card is told to begin afresh, or has by itself.
    Reset(ResetCause),
    /// The card is ready; its table is read.
    Reading,
    /// The table agrees with the driver's view again.
    Done,
}

/// Why the driver resets the card, or takes note of a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ResetCause {
    /// The card did so by itself.
    ByItself = 0,
    /// A DMA error stopped its rings.
    DmaError = 1,
    /// Its firmware has no heartbeat.
    NoHeartbeat = 2,
    /// It does not answer commands.
    NoCompletion = 3,
    /// It is to begin another image of its firmware.
    Update = 4,
    /// Its firmware is one that this driver cannot work with.
    FirmwareRefused = 5,
}

impl ResetCause {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::ByItself,
        Self::DmaError,
        Self::NoHeartbeat,
        Self::NoCompletion,
        Self::Update,
        Self::FirmwareRefused,
    ];
}

/// A packet that went through software.
#[derive(Debug, Clone, Copy)]
pub struct PacketReport<'a> {
    /// The number the port gave it.
    pub ingress_tag: u64,
    /// Why it came to software.
    pub reason: Reason,
    /// What connection tracking says; `None` if it is not IP.
    pub verdict: Option<&'a Verdict>,
    /// Original tuple of its connection, even if it ended it.
    pub original: Option<Tuple>,
    /// What became of it.
    pub disposition: Disposition,
}

/// Watches a driver. Every method has an empty default.
pub trait Observer {
    /// A packet went through software.
    fn packet(&mut self, report: &PacketReport<'_>, now: Picos) {
        let _ = (report, now);
    }

    /// A fragment that was held is sent or dropped.
    fn released(&mut self, ingress_tag: u64, disposition: Disposition, now: Picos) {
        let _ = (ingress_tag, disposition, now);
    }

    /// A connection is in hardware: its insertion, decided at `since`, completed.
    fn installed(&mut self, connection: ConnectionId, since: Picos, now: Picos) {
        let _ = (connection, since, now);
    }

    /// A connection could not be put into hardware.
    fn refused(&mut self, connection: ConnectionId, cause: RefuseCause, now: Picos) {
        let _ = (connection, cause, now);
    }

    /// The entry of a connection has left the hardware, its final counters are in.
    fn removed(&mut self, connection: ConnectionId, cause: RemoveCause, now: Picos) {
        let _ = (connection, cause, now);
    }

    /// A frame was handed to the card, which began afresh before it said that it has sent it: it may have.
    fn given_up(&mut self, ingress_tag: u64, now: Picos) {
        let _ = (ingress_tag, now);
    }

    /// A connection leaves the hardware, and what an entry of it counted at last is lost with the entry. `connection` is as
    /// software knows it; `None` if it is gone there too.
    fn lost(&mut self, id: ConnectionId, connection: Option<&Connection>, now: Picos) {
        let _ = (id, connection, now);
    }

    /// Something of the driver's own: a reset, the reading of the table.
    fn recovery(&mut self, step: Recovery, now: Picos) {
        let _ = (step, now);
    }

    /// Hardware counts were added to a connection (`found`), or could not be because it is gone.
    fn synchronised(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        packets: u64,
        bytes: u64,
        found: bool,
    ) {
        let _ = (connection, direction, packets, bytes, found);
    }

    /// Entries of a connection are to get another mark or other labels, or to be taken out for that (`on_its_way`); or have them.
    fn marking(&mut self, id: ConnectionId, on_its_way: bool) {
        let _ = (id, on_its_way);
    }

    /// A connection is gone from software, and entries of it are still in the card or on their way: what they counted at last
    /// is to come, until it is removed.
    fn leaving(&mut self, connection: ConnectionId) {
        let _ = connection;
    }

    /// A connection is gone from software.
    fn destroyed(
        &mut self,
        connection: ConnectionId,
        last: &Connection,
        cause: DestroyCause,
        now: Picos,
    ) {
        let _ = (connection, last, cause, now);
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blind;

impl Observer for Blind {}
