//! A packet that came to software: tracked, judged by the switch, sent or dropped.

use super::*;
use crate::offload::Record;
use nic_model::flow_table::Marking;
use packet::ethernet::ip_offset;

impl Driver {
    /// A frame the hardware left to software.
    pub(super) fn received<P: Platform, O: Observer>(
        &mut self,
        platform: &mut P,
        completion: ReceiveCompletion,
        switch: &mut impl Switch,
        observer: &mut O,
    ) -> Result<(), DeviceError> {
        self.stats.received += 1;
        let reason = Reason::from_code(completion.reason()).unwrap_or(Reason::Malformed);
        let now = self.time(platform);
        let unseen = self.others_passed(&completion);
        if let Some(id) = unseen {
            self.tracker.passed_unseen(id, now);
        }
        self.before_tracking(platform, &completion, reason, now)?;
        let (address, length) = self.frame_in(&completion);
        let frame = platform.memory().slice(address, length)?;
        let translates = switch.translates() && completion.tunnel() == 0;
        let verdict = packet_of(frame, &completion).map(|packet| {
            if !translates && !switch.marks() {
                return self.tracker.track(&packet, now);
            }
            let (tracker, arrived) = (&mut self.tracker, (&packet, completion.port()));
            translation::track(tracker, arrived, switch, translates, &mut self.chance, now)
        });
        if let Some(id) = unseen {
            // Those that came after it have passed as well: nothing is learnt from this one.
            self.tracker.passed_unseen(id, Time(0));
        }
        let datagram = if reason == Reason::Fragment {
            fragments::datagram_of(frame)
        } else {
            None
        };
        let expired = self.config.route && ttl(frame).is_some_and(|ttl| ttl <= 1);
        let egress = switch.egress(&Received {
            marking: self.marking_of_packet(verdict.as_ref()),
            port: completion.port(),
            frame,
            wire_bytes: completion.wire_bytes(),
            verdict: verdict.as_ref(),
        });
        if let Some(verdict) = &verdict {
            let work = if verdict.created {
                Work::TrackNew
            } else {
                Work::Track
            };
            platform.spend(work, 1);
        }
        let drops_it = reason == Reason::Fragment && self.config.flaws.has(Flaw::FragmentsDropped);
        let disposition = match (&verdict, datagram) {
            _ if drops_it => Disposition::DroppedFragment,
            (Some(verdict), Some(key)) if verdict.ctinfo == CtInfo::Fragment => {
                self.held.hold(key, now, completion);
                Disposition::Held
            }
            (Some(verdict), _) if verdict.ctinfo == CtInfo::Dropped => Disposition::DroppedInvalid,
            _ if expired => Disposition::DroppedTtl,
            _ => match egress {
                Egress::Port(port) => Disposition::Sent(port),
                Egress::Drop => Disposition::DroppedBySwitch,
            },
        };
        let original = verdict
            .and_then(|verdict| verdict.connection)
            .and_then(|id| self.tracker.original_tuple(id));
        let translated = verdict.filter(|_| translates);
        let disposition = self.dispose(platform, &completion, disposition, translated.as_ref())?;
        // Those who watch learn of connections that made way before they learn of the one that took their place.
        self.follow_events(platform, observer)?;
        let report = PacketReport {
            ingress_tag: completion.ingress_tag(),
            reason,
            verdict: verdict.as_ref(),
            original,
            disposition,
        };
        observer.packet(&report, platform.now());
        if let Some(key) = datagram.filter(|_| disposition != Disposition::Held) {
            self.release(platform, &key, disposition, translated.as_ref(), observer)?;
        }
        if let (Some(verdict), Disposition::Sent(port)) = (&verdict, disposition) {
            self.consider(platform, verdict, &completion, port, observer)?;
        }
        Ok(())
    }

    /// Mark and labels of a packet's connection, if anybody asks for them.
    fn marking_of_packet(&self, verdict: Option<&Verdict>) -> Marking {
        if !self.markings_matter {
            return Marking::NONE;
        }
        let id = verdict.and_then(|verdict| verdict.connection);
        let marking = id.and_then(|id| self.tracker.marking(id));
        marking.map_or(Marking::NONE, |(mark, labels)| Marking { mark, labels })
    }

    /// The connection of an entry that a packet hit, if that was in although its completion has not come, or is out by now: other
    /// packets have passed before this one, and after.
    fn others_passed(&self, completion: &ReceiveCompletion) -> Option<ConnectionId> {
        if !completion.hit() || self.config.flaws.has(Flaw::EarlyHitsIgnored) {
            return None;
        }
        let id = self.records.was_hit(Cookie(completion.cookie()))?;
        (self.life(id) != Life::Installed).then_some(id)
    }

    /// A SYN, FIN or RST that hit an entry, or a segment outside its windows, ends the entry's life; software takes over before
    /// it judges the packet, because it has not seen what the hardware forwarded.
    pub(super) fn before_tracking(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        reason: Reason,
        now: Time,
    ) -> Result<(), DeviceError> {
        let cause = match reason {
            Reason::TcpSyn => RemoveCause::TcpSyn,
            Reason::TcpFin => RemoveCause::TcpFin,
            Reason::TcpRst => RemoveCause::TcpRst,
            // The card has missed something, or somebody plays tricks: software judges.
            Reason::Window => RemoveCause::Window,
            _ => return Ok(()),
        };
        if !completion.hit() {
            return Ok(());
        }
        let Some(id) = self.connection_of_cookie(completion.cookie()) else {
            return Ok(());
        };
        if self.life(id) == Life::Installed && !self.stays_at_close(platform, id, cause) {
            if self.config.flaws.has(Flaw::WindowsKept) {
                // Nothing is learnt anew.
            } else if self.records.get(id).is_some_and(Record::is_split) {
                // The other direction still passes.
                self.tracker.passed_unseen(id, now);
            } else {
                self.tracker.resume_software(id, now, now);
            }
            self.remove(platform, id, cause)?;
        }
        Ok(())
    }
}

/// The packet in a frame that its connection is told by; `None` if it is not IP.
pub(super) fn packet_of<'a>(frame: &'a [u8], completion: &ReceiveCompletion) -> Option<Packet<'a>> {
    let begin = tracked_from(frame, completion)?;
    Some(Packet {
        bytes: frame.get(begin..)?,
        wire_len: (completion.wire_bytes() as usize).saturating_sub(begin),
        zone: Zone::new(completion.zone()),
        untracked: false,
        checksum: if completion.checksums_good() {
            ChecksumStatus::Good
        } else {
            ChecksumStatus::Unknown
        },
    })
}

/// Where the IP packet begins that a frame's connection is told by: inside a tunnel that the card has looked into.
fn tracked_from(frame: &[u8], completion: &ReceiveCompletion) -> Option<usize> {
    if completion.tunnel() != 0 {
        return Some(completion.ip_offset().into());
    }
    ip_offset(frame)
}

/// TTL or hop limit of the IP packet in a frame.
fn ttl(frame: &[u8]) -> Option<u8> {
    let ip = &frame[ip_offset(frame)?..];
    match ip.first()? >> 4 {
        4 => ip.get(8).copied(),
        _ => ip.get(7).copied(),
    }
}
