//! A packet's way through the pipeline.

use super::*;
use crate::datapath::classifier::Class;
use crate::datapath::meter::{Excess, Metered};
use crate::datapath::{rewrite, trap};
use crate::frame::FrameBuffer;
use crate::stage::Passage;

impl Chip {
    /// Parses, classifies and hashes a burst of frames and brings their table buckets in; changes nothing but what the
    /// classifier's searches cost.
    ///
    /// `frames` gives the port, the captured bytes and the wire length of each frame.
    pub fn prepare<'a>(
        &mut self,
        frames: impl Iterator<Item = (u8, &'a [u8], u32)>,
        out: &mut Vec<Parsed>,
    ) {
        out.clear();
        for (port, frame, wire_len) in frames {
            let mut parsed = self.parser.parse(port, frame, wire_len);
            if !self.classifier.is_absent() {
                parsed.class = self.classifier.classify(port, frame);
                if self.parser.wants_zone() {
                    parsed.key = parsed.key.in_zone(parsed.class.zone);
                }
            }
            if parsed.to_host.is_none() {
                parsed.hashes = self.table.hash(&parsed.key);
                self.table.prefetch_tags(parsed.hashes);
            }
            out.push(parsed);
        }
        for parsed in out.iter_mut().filter(|parsed| parsed.to_host.is_none()) {
            parsed.hint = self.table.prefetch_entry(parsed.hashes);
        }
    }

    /// A frame reaches a port and walks the pipeline up to the table look-up.
    ///
    /// # Errors
    /// The frame was dropped at the port.
    #[inline]
    pub fn arrive(
        &mut self,
        port: u8,
        arrival: Picos,
        wire_len: u32,
        parsed: &Parsed,
    ) -> Result<Front, DropReason> {
        self.stats.received_frames += 1;
        self.stats.received_bytes += u64::from(wire_len);
        let mac = &mut self.ports[usize::from(port) % PORTS];
        let header_bytes = u32::from(parsed.header_bytes);
        let Some(reception) = mac.receive(arrival, wire_len, header_bytes) else {
            self.stats.count_drop(DropReason::ReceiveFifoFull);
            self.probe.dropped(arrival, DropReason::ReceiveFifoFull);
            return Err(DropReason::ReceiveFifoFull);
        };
        // Stored in whole, it is checked before anything looks at it; cut through, only the host is spared.
        if reception.damaged && self.config.port.store_and_forward {
            self.stats.count_drop(DropReason::BadFcs);
            self.probe.dropped(reception.last_bit, DropReason::BadFcs);
            return Err(DropReason::BadFcs);
        }
        // The bus carries the whole frame through the parser, one beat per cycle.
        let beats = u64::from(wire_len).div_ceil(self.timing.bus_bytes).max(1);
        let interval = Picos(self.timing.cycle.0 * beats);
        // A packet that no look-up can be made for yet waits in the port's FIFO.
        let ready = reception.header_in.max(self.memory.room_at());
        let parse = self.parser_stage.admit(ready, interval);
        mac.taken(parse.start, wire_len);
        let fifo_bytes = mac.receive_fifo_used_bytes();
        let class = &parsed.class;
        let classifier = self.classified(parse.done, class.searches);
        let classified = classifier.done;
        if class.drop {
            self.stats.count_drop(DropReason::Classifier);
            self.probe.dropped(classified, DropReason::Classifier);
            return Err(DropReason::Classifier);
        }
        let hash = self.hash_stage.admit(classified, self.timing.cycle);
        self.probe.front(
            port,
            wire_len,
            fifo_bytes,
            &reception,
            ready,
            interval,
            &parse,
            &classifier,
            &hash,
            parsed,
        );
        Ok(Front {
            first_bit: reception.first_bit,
            last_bit: reception.last_bit,
            lookup_at: hash.done,
            damaged: reception.damaged,
            to_host: parsed.to_host.or(class.host.then_some(Reason::Classifier)),
            mirror_to: class.mirror_to,
        })
    }

    /// The rest of the pipeline: look-up, trap logic, rewrite, counters, egress or the way to the host.
    ///
    /// `ingress_tag` names the frame in descriptors.
    #[expect(
        clippy::too_many_arguments,
        reason = "a frame, what is known of it, and where events go"
    )]
    #[inline]
    pub fn finish(
        &mut self,
        front: &Front,
        parsed: &Parsed,
        port: u8,
        frame: &mut FrameBuffer<'_>,
        wire_len: u32,
        ingress_tag: u64,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Fate {
        if let Some(port) = front.mirror_to {
            self.mirror(front.lookup_at.max(front.last_bit), port, wire_len);
        }
        let (found, looked_up) = self.find(front, parsed);
        let trapped = looked_up + self.timing.trap;
        let (behind, decided) = self.classify_behind(parsed, port, frame.bytes(), found, trapped);
        let verdict = self.look_up(front, parsed, found, &behind, schedule);
        self.probe
            .decided(decided, verdict.err().map(|(reason, _)| reason));
        let (reason, cookie) = match verdict {
            Err(verdict) => verdict,
            Ok(slot) => {
                let hit = (slot, &behind);
                return self.forward(front, parsed, frame, wire_len, hit, decided);
            }
        };
        let in_whole = decided.max(front.last_bit);
        if front.damaged {
            self.stats.count_drop(DropReason::BadFcs);
            self.probe.dropped(in_whole, DropReason::BadFcs);
            return Fate::Dropped(DropReason::BadFcs);
        }
        let metered = Metered {
            reason,
            opens: reason == Reason::Miss && trap::would_open(parsed.tcp_flags),
            flow_hash: front.to_host.is_none().then_some(parsed.hashes.0[0]),
        };
        if let Err(excess) = self.meters.admit(&metered, in_whole) {
            let drop = match excess {
                Excess::Reason | Excess::Opening => DropReason::Metered,
                Excess::Group => DropReason::MeteredGroup,
            };
            self.stats.count_drop(drop);
            self.probe.dropped(in_whole, drop);
            return Fate::Dropped(drop);
        }
        let fate = self.give_to_host(
            in_whole,
            reason,
            cookie,
            port,
            frame.bytes(),
            wire_len,
            front.first_bit,
            parsed,
            ingress_tag,
            schedule,
        );
        match fate {
            Ok(()) => {
                self.stats.count_to_host(reason, wire_len);
                Fate::ToHost(reason)
            }
            Err(drop) => {
                self.stats.count_drop(drop);
                self.probe.dropped(in_whole, drop);
                Fate::Dropped(drop)
            }
        }
    }

    /// The entry of a packet, and when it has been read and compared.
    #[inline]
    fn find(&mut self, front: &Front, parsed: &Parsed) -> (Option<Slot>, Picos) {
        let now = front.lookup_at;
        if front.to_host.is_some() {
            return (None, now + self.timing.lookup);
        }
        self.stats.lookups += 1;
        let found = (self.table).find_near(&parsed.key, parsed.hashes, parsed.hint);
        let in_stash = found.is_some_and(|slot| self.table.is_stash(slot));
        self.table.note_search(&parsed.key, in_stash);
        if self.memory.is_on_chip() {
            let done = now + self.timing.lookup;
            self.show_lookup(now, done, parsed, found, None);
            return (found, done);
        }
        let missed_before = self.memory.stats().misses();
        let read = self
            .memory
            .look_up(now, &self.table, parsed.hashes, found, &mut self.pcie);
        let done = read + self.timing.compare;
        let missed = self.memory.stats().misses() > missed_before;
        if missed && self.config.memory.prefetch_peer {
            self.fetch_peer(read, parsed);
        }
        self.show_lookup(now, done, parsed, found, Some(missed));
        (found, done)
    }

    /// The entry of the other direction is likely to be next: its lines are brought into the cache behind those of this one.
    fn fetch_peer(&mut self, now: Picos, parsed: &Parsed) {
        let peer = parsed.key.reversed();
        let hashes = self.table.hash(&peer);
        let slot = self.table.find(&peer, hashes);
        self.memory
            .reach(now, &self.table, hashes, slot, &mut self.pcie);
    }

    #[inline]
    fn show_lookup(
        &mut self,
        now: Picos,
        done: Picos,
        parsed: &Parsed,
        found: Option<Slot>,
        beyond_chip: Option<bool>,
    ) {
        if self.probe.is_on() {
            let found = found.map(|slot| {
                let cookie = self.table.state(slot).map_or(0, |state| state.cookie());
                (slot, cookie, self.table.is_stash(slot))
            });
            self.probe.lookup(now, done, parsed, found, beyond_chip);
        }
    }

    /// What rules behind the flow table say of a packet that has an entry, if there are any, and when; another memory holds them
    /// than those before it.
    #[inline]
    fn classify_behind(
        &mut self,
        parsed: &Parsed,
        port: u8,
        frame: &[u8],
        found: Option<Slot>,
        trapped: Picos,
    ) -> (Class, Picos) {
        let (Some(slot), Some(chain)) = (found, parsed.class.behind_ct) else {
            return (Class::default(), trapped);
        };
        let marking = self.table.marking(slot);
        let class = (self.classifier).classify_tracked(port, frame, chain, &marking);
        let passage = searched(
            &mut self.behind_stage,
            trapped,
            class.searches,
            &self.timing,
        );
        self.probe
            .behind_ct(trapped, &passage, class.searches, &marking);
        (class, passage.done)
    }

    /// The slot of the entry that forwards the packet; else why not, and the cookie of an entry it hit.
    #[inline]
    fn look_up(
        &mut self,
        front: &Front,
        parsed: &Parsed,
        found: Option<Slot>,
        behind: &Class,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> LookUp {
        let now = front.lookup_at;
        if let Some(reason) = front.to_host {
            return Err((reason, None));
        }
        let protocol = parsed.key.protocol();
        if let Some(slot) = found
            && !behind.host
            && let Some(cookie) = self.outside_window(slot, parsed, now)
        {
            return Err((Reason::Window, Some(cookie)));
        }
        let (trap, mtus) = (&self.config.trap, &self.mtus);
        let format = &self.counter_format;
        let (barriers, at) = (&mut self.barriers, found.unwrap_or(Slot(0)));
        let decide = |state: &mut EntryState| {
            if !state.serves(parsed.direction) {
                return (*state, Some(Reason::Miss));
            }
            let reason = crate::datapath::trap::check(trap, parsed, state, mtus);
            if matches!(reason, Some(Reason::TcpFin | Reason::TcpRst)) {
                state.set(flag::CLOSING);
            }
            if reason.is_none() && state.has(flag::BARRIER) {
                if barriers.holds(state, now) {
                    barriers.enter(state.cookie(), at);
                    state.touch(now);
                    return (*state, Some(Reason::Barrier));
                }
                barriers.end(state.cookie());
                state.clear(flag::BARRIER);
            }
            let reason = reason.or(behind.host.then_some(Reason::Classifier));
            let before = *state;
            if reason.is_none() {
                state.count(parsed.direction, parsed.ip_bytes, now, format);
                state.clear(flag::AGE_REPORTED);
                state.set(flag::DIRTY);
            }
            (before, reason)
        };
        let hit = found.and_then(|slot| Some((slot, self.table.with_state(slot, decide)?)));
        let (slot, before) = match hit {
            None | Some((_, (_, Some(Reason::Miss)))) => return Err((Reason::Miss, None)),
            Some((slot, (state, Some(reason)))) => {
                if matches!(reason, Reason::TcpFin | Reason::TcpRst) {
                    let at = self.aging.watch_closing(slot, now);
                    self.schedule_aging(at, schedule);
                }
                return Err((reason, Some(state.cookie())));
            }
            Some((slot, (before, None))) => (slot, before),
        };
        if before.has(flag::AGE_REPORTED) {
            self.watch_age(slot, protocol, now, schedule);
        }
        Ok((slot, before))
    }

    /// The cookie of an entry that a packet hit, if the packet lies outside its windows; else the checker has learnt from it.
    #[inline]
    fn outside_window(&mut self, slot: Slot, parsed: &Parsed, now: Picos) -> Option<u32> {
        if !self.config.window.check {
            return None;
        }
        let state = self.table.state(slot)?;
        // What is trapped anyway does not move the windows.
        let (trap, mtus) = (&self.config.trap, &self.mtus);
        let trapped = crate::datapath::trap::check(trap, parsed, &state, mtus).is_some();
        if trapped || !state.has(flag::WINDOW) || self.barriers.holds(&state, now) {
            return None;
        }
        let inside = self.table.with_window(slot, |window| window.admits(parsed));
        (inside == Some(false)).then(|| state.cookie())
    }

    /// When the classifier is done with a packet: each chain is a search of its own, one a cycle.
    #[inline]
    fn classified(&mut self, parsed: Picos, searches: u8) -> Passage {
        searched(&mut self.classifier_stage, parsed, searches, &self.timing)
    }

    /// A copy of a frame, as it came, leaves by a port.
    fn mirror(&mut self, ready: Picos, port: u8, wire_len: u32) {
        let sent = self.ports[usize::from(port) % PORTS].transmit(ready, wire_len);
        self.stats.mirrored[usize::from(sent.is_none())] += 1;
        if let Some(departs) = sent {
            self.probe.egress(port, departs, wire_len, None);
        }
    }

    #[inline]
    fn forward(
        &mut self,
        front: &Front,
        parsed: &Parsed,
        frame: &mut FrameBuffer<'_>,
        wire_len: u32,
        ((slot, state), behind): ((Slot, EntryState), &Class),
        decided: Picos,
    ) -> Fate {
        let counted = self
            .counter_stage
            .admit(decided, self.timing.counter_interval);
        self.memory.count(counted.start, slot, &mut self.pcie);
        self.probe.counted(decided, counted.start);
        self.stats.stomped_frames += u64::from(front.damaged);
        self.stats.counted_packets += 1;
        self.stats.counted_bytes += u64::from(parsed.ip_bytes);
        let originator_is_lower = state.has(flag::ORIGINATOR_IS_LOWER);
        let from_originator =
            originator_is_lower == (parsed.direction == KeyDirection::LowerToHigher);
        let cookie = state.cookie();
        if let Some(port) = behind.mirror_to {
            self.mirror(decided.max(front.last_bit), port, wire_len);
        }
        if behind.drop {
            self.stats.count_drop(DropReason::BehindCt);
            self.probe.dropped(decided, DropReason::BehindCt);
            return Fate::NotSent {
                reason: DropReason::BehindCt,
                cookie,
                from_originator,
            };
        }
        if state.has(flag::DECREMENT_TTL) {
            rewrite::decrement_ttl(frame.bytes_mut(), parsed.l3_offset.into());
        }
        let port = state.egress(parsed.direction);
        let wire_len = if state.rewrites() {
            let what = self.table.rewrite(slot).read(state.flags());
            self.probe.rewrites(counted.start, state.flags() >> 8);
            let grown = rewrite::rewrite(frame, parsed, &what, station_address(port));
            wire_len.saturating_add_signed(grown)
        } else {
            wire_len
        };
        let rewritten = counted.start + self.timing.rewrite;
        let ready = if self.config.port.store_and_forward {
            rewritten.max(front.last_bit)
        } else {
            rewritten
        };
        let egress = usize::from(port) % PORTS;
        let departs = if parsed.outer_ip_bytes > self.mtus[egress] {
            Err(DropReason::BeyondMtu)
        } else {
            let departs = self.ports[egress].transmit(ready, wire_len);
            departs.ok_or(DropReason::EgressFull)
        };
        let departs = match departs {
            Ok(departs) => departs,
            Err(reason) => {
                self.stats.count_drop(reason);
                self.probe.dropped(ready, reason);
                return Fate::NotSent {
                    reason,
                    cookie,
                    from_originator,
                };
            }
        };
        self.probe.egress(port, departs, wire_len, Some(rewritten));
        self.stats.forwarded_frames += 1;
        self.stats.forwarded_bytes += u64::from(wire_len);
        Fate::Forwarded {
            port,
            departs,
            cookie,
            from_originator,
        }
    }
}

/// When a memory of rules has been searched so many times for a packet.
#[inline]
fn searched(stage: &mut Stage, ready: Picos, searches: u8, timing: &Timing) -> Passage {
    if searches == 0 {
        return Passage {
            start: ready,
            done: ready,
        };
    }
    let times = |time: Picos| Picos(time.0 * u64::from(searches));
    let passage = stage.admit(ready, times(timing.cycle));
    Passage {
        start: passage.start,
        done: passage.start + times(timing.classify),
    }
}
