//! Marks and labels of connections, which entries carry if the card can: rules behind its flow table ask for them.
//!
//! One request about a connection is on its way at a time; what changes meanwhile is sent after it.

use super::*;
use crate::entries::Plan;
use crate::explain::{Why, unfit};
use crate::switch::marking_of;
use conntrack_core::{Changes, Connection};
use nic_model::flow_table::Marking;
use nic_model::host::descriptors::TableRecord;

impl Driver {
    /// Why hardware must not forward packets of a connection; `None` if it may.
    pub(super) fn unfit(&self, connection: &Connection) -> Option<Why> {
        let blind = self.markings_matter && !self.layout.carries_markings;
        let marked = || blind && !marking_of(connection).is_none();
        unfit(connection).or_else(|| marked().then_some(Why::Marked))
    }

    /// What an insertion says of a connection's mark and labels.
    pub(super) fn marking_for_card(&self, id: ConnectionId) -> Option<Marking> {
        let connection = self.tracker.connection(id)?;
        let marking = marking_of(connection);
        (self.layout.carries_markings && !marking.is_none()).then_some(marking)
    }

    /// Something of a connection changed in software: if it is its mark or its labels, its entries learn of it.
    pub(super) fn follow_marking(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        changes: Changes,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let changed = changes.contains(Changes::MARK) || changes.contains(Changes::LABEL);
        if !changed || self.config.flaws.has(Flaw::MarkingNotFollowed) {
            return Ok(());
        }
        if !self.layout.carries_markings {
            let fits = |connection| self.unfit(connection).is_none();
            if !self.tracker.connection(id).is_some_and(fits) {
                observer.marking(id, self.is_engaged(id));
                self.remove(platform, id, RemoveCause::StateChanged)?;
            }
            return Ok(());
        }
        if !self.is_engaged(id) {
            return Ok(());
        }
        observer.marking(id, true);
        self.send_marking(platform, id)
    }

    /// Whether a connection is in hardware, or on its way there.
    fn is_engaged(&self, id: ConnectionId) -> bool {
        matches!(self.life(id), Life::Installed | Life::Inserting)
    }

    /// Gives all entries of a connection its mark and labels, now or when the request before is done.
    pub(super) fn send_marking(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
    ) -> Result<(), DeviceError> {
        let recovering = self.is_recovering();
        let ways = self.records.ways(id.index());
        let connection = self.tracker.connection(id);
        let (Some(record), Some(connection)) = (self.records.get_mut(id), connection) else {
            return Ok(());
        };
        if record.marks > 0 || recovering {
            record.marks_again = true;
            return Ok(());
        }
        let to = match record.life {
            Life::Inserting => record.wanted,
            _ => record.present,
        };
        record.marks = to.len();
        record.marks_again = false;
        let first = record.cookie(id.index());
        let marking = marking_of(connection);
        let plan = Plan::of(connection, &self.layout.key, &ways);
        for (part, entry) in plan.iter().filter(|(part, _)| to.has(*part)) {
            let cookie = first.of_part(part);
            let what = (&entry.key, cookie, &marking);
            self.commands.mark(platform, &self.layout, what)?;
        }
        self.stats.marks_sent += u64::from(to.len());
        Ok(())
    }

    /// An entry has got its mark and labels, or the card has not understood which.
    pub(super) fn marked(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        completion: &CommandCompletion,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let not_understood = completion.status_or_err() == Ok(Status::Invalid);
        let Some(record) = self.records.get_mut(id) else {
            return Ok(());
        };
        record.marks = record.marks.saturating_sub(1);
        record.marks_again |= not_understood;
        if record.marks > 0 {
            return Ok(());
        }
        let stays = matches!(record.life, Life::Installed | Life::Inserting);
        if record.marks_again && stays {
            return self.send_marking(platform, id);
        }
        observer.marking(id, false);
        Ok(())
    }

    /// An entry that the table's reading has come by: has it the mark and labels that it should have?
    pub(super) fn compare_marking(&mut self, id: ConnectionId, entry: &TableRecord) {
        if !self.layout.carries_markings || self.config.flaws.has(Flaw::MarkingNotFollowed) {
            return;
        }
        let connection = self.tracker.connection(id);
        let wanted = connection.map_or(0, |connection| marking_of(connection).checksum());
        if wanted != entry.marking_crc()
            && let Some(record) = self.records.get_mut(id)
        {
            record.marks_again = true;
        }
    }

    /// The table was read: entries whose mark or labels are old get new ones.
    pub(super) fn settle_marking(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let Some(record) = self.records.get(id) else {
            return Ok(());
        };
        if record.marks_again && record.life == Life::Installed {
            observer.marking(id, true);
            return self.send_marking(platform, id);
        }
        observer.marking(id, false);
        Ok(())
    }
}
