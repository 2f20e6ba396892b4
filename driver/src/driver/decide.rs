//! What goes into hardware: whom the policy wants, whether there is room, and the insertion's commands.

use super::*;
use crate::entries::{Plan, Ways};
use crate::explain::Why;
use crate::offload::Parts;
use crate::policy::{Candidate, Pressure};
use crate::room::Eviction;
use conntrack_core::protocol::ProtocolState;
use conntrack_core::{Connection, Direction, Status};
use nic_model::flow_table::entry::{KeyDirection, Tunnel, Way};

fn is_assured(connection: &Connection) -> bool {
    connection.status().contains(Status::ASSURED)
}

/// Where packets of one direction come in and leave.
#[derive(Debug, Clone, Copy)]
struct Path {
    ingress: u8,
    egress: u8,
}

impl Path {
    const fn back(self) -> Self {
        Self {
            ingress: self.egress,
            egress: self.ingress,
        }
    }
}

impl Driver {
    /// Should the packet's connection go into hardware, or come out?
    pub(super) fn consider(
        &mut self,
        platform: &mut impl Platform,
        verdict: &Verdict,
        completion: &ReceiveCompletion,
        egress: u8,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let (Some(id), Some(direction)) = (verdict.connection, verdict.direction) else {
            return Ok(());
        };
        if !matches!(
            verdict.ctinfo,
            CtInfo::New | CtInfo::Established | CtInfo::EstablishedReply
        ) || !self.is_wanted(platform, id, completion.wire_bytes())?
        {
            return Ok(());
        }
        // Packets of the other direction come in where these leave, and leave where these came in.
        let here = Path {
            ingress: completion.port(),
            egress,
        };
        let paths = match direction {
            Direction::Original => [here, here.back()],
            Direction::Reply => [here.back(), here],
        };
        let way = self.way(platform, completion)?;
        let ways = paths.map(|path| {
            Way {
                ingress_port: path.ingress,
                ..way
            }
            .seen_by(&self.layout.key)
        });
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(());
        };
        let plan = if self.goes_one_way(connection) {
            Plan::one_way(connection, &self.layout.key, &ways)
        } else {
            Plan::of(connection, &self.layout.key, &ways)
        };
        if let Err(why) = self.find_room(platform, id, plan.len())? {
            self.wait(id, why);
            return Ok(());
        }
        self.install(platform, id, &plan, ways, paths, observer)
    }

    /// Whether a connection in software, one of whose packets has just been tracked, is to go into hardware now. If it is in
    /// hardware and must not be, it comes out.
    fn is_wanted(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        packet_bytes: u32,
    ) -> Result<bool, DeviceError> {
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(false);
        };
        let fit = self.unfit(connection).is_none();
        let now_ms = millis(platform);
        if self.is_recovering() {
            return Ok(false);
        }
        let Some(record) = self.records.of(id) else {
            return Ok(false);
        };
        match record.life {
            Life::Installed if record.closing.is_some() => return Ok(false),
            Life::Installed if !fit => {
                self.remove(platform, id, RemoveCause::StateChanged)?;
                return Ok(false);
            }
            Life::Installed => {
                if self.config.habits.collector.is_some() {
                    record.at_ms = now_ms;
                }
                if record.one_way && is_assured(connection) {
                    self.remove(platform, id, RemoveCause::OneWay)?;
                }
                return Ok(false);
            }
            Life::Software if fit && record.at_ms <= now_ms => {}
            _ => return Ok(false),
        }
        let candidate = Candidate {
            connection,
            id,
            now: self.time(platform),
            packet_bytes,
            pressure: self.pressure(),
        };
        let wanted = self.policy.wants(&candidate).and(self.may_insert(now_ms));
        if let Err(why) = wanted {
            self.wait(id, why);
        }
        Ok(wanted.is_ok())
    }

    /// Whether anything may be put into hardware at all.
    const fn may_insert(&self, now_ms: u32) -> Result<(), Why> {
        if self.stopped {
            return Err(Why::Stopped);
        }
        if now_ms < self.holds_until_ms {
            return Err(Why::Holding);
        }
        Ok(())
    }

    /// A connection stays in software for now.
    fn wait(&mut self, id: ConnectionId, why: Why) {
        self.stats.waits[why as usize] += 1;
        if let Some(record) = self.records.get_mut(id) {
            record.why = Some(why);
        }
    }

    /// How full things are.
    fn pressure(&self) -> Pressure {
        let permille = |part: u64, whole: u32| {
            let whole = u64::from(whole.max(1));
            (part.saturating_mul(1_000) / whole).min(1_000) as u16
        };
        let commands = self.commands.outstanding() as u64;
        Pressure {
            commands_permille: permille(commands, self.layout.command.entries()),
            table_permille: permille(self.records.reserved(), self.layout.table_capacity),
        }
    }

    /// Whether there may be so many entries more for a connection; if the table is as full as it may be, somebody else gives
    /// way first.
    fn find_room(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        entries: usize,
    ) -> Result<Result<(), Why>, DeviceError> {
        let zone = self.tracker.connection(id).map(Connection::zone);
        let zone = zone.map_or(0, |zone| zone.id);
        let limit = self.config.room.limit(zone);
        if limit.is_some_and(|limit| self.records.zones.of_zone(zone) >= limit) {
            return Ok(Err(Why::ZoneLimit));
        }
        let permille = u64::from(self.config.room.high_water_permille);
        let most = u64::from(self.layout.table_capacity) * permille / 1_000;
        let evicts = self.config.room.eviction != Eviction::None;
        while evicts && self.records.reserved() + entries as u64 > most {
            let Some(connection) = self.tracker.connection(id) else {
                break;
            };
            let asks = (connection, millis(platform));
            let among = (&self.records, &self.tracker);
            let (victim, looked_at) = self.hand.victim(&self.config.room, among, asks);
            platform.spend(Work::Expire, looked_at);
            match victim {
                Ok(victim) => self.remove(platform, victim, RemoveCause::Displaced)?,
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(()))
    }

    /// Queues the insertion of all entries of a connection.
    fn install(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        plan: &Plan,
        ways: Ways,
        paths: [Path; 2],
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let (decrement_ttl, barrier) = (self.config.route, self.config.habits.barrier_us > 0);
        let since = platform.now();
        let scales = self.window_scales(id);
        let marking = self.marking_for_card(id);
        let markings = plan.len() as u32 * u32::from(marking.is_some());
        let commands = plan.commands() + markings;
        if !self.commands.has_room(&self.layout, commands) {
            self.refuse(id, RefuseCause::CommandRingFull, platform.now(), observer);
            return Ok(());
        }
        if !self.take_counters(platform, plan.len() as u32) {
            self.refuse(id, RefuseCause::NoCounter, platform.now(), observer);
            self.back_off(platform, id);
            return Ok(());
        }
        if plan.len() > 1 && !self.config.flaws.has(Flaw::OneDirectionOnly) {
            // One direction may pass before the other does: software must not take it for half a connection.
            self.tracker.set_offloaded(id, false);
        }
        let cookie = self.records.enter(id.index(), Life::Inserting);
        self.records.set_ways(id.index(), ways);
        self.records.reserve(id.index(), Parts::first(plan.len()));
        self.count_in_zone(id);
        let posted = if self.config.flaws.has(Flaw::OneDirectionOnly) {
            1
        } else {
            plan.len()
        };
        if let Some((record, _)) = self.records.by_cookie(cookie) {
            record.one_way = plan.one_way;
            record.waiting = posted as u8;
            record.from_higher = Parts::default();
            for (part, entry) in plan.iter() {
                record.originator_is_lower = entry.originator_is_lower;
                if entry.only == Some(KeyDirection::HigherToLower) {
                    record.from_higher.add(part);
                }
            }
        }
        for (part, entry) in plan.iter().take(posted) {
            let alone = plan.len() == 1;
            // Of one entry for both directions, by key direction.
            let by_key = |[original, reply]: [u8; 2]| {
                if entry.originator_is_lower {
                    [original, reply]
                } else {
                    [reply, original]
                }
            };
            let request = InsertRequest {
                entry,
                cookie: cookie.of_part(part),
                egress: if alone {
                    by_key(paths.map(|path| path.egress))
                } else {
                    [paths[part].egress; 2]
                },
                decrement_ttl,
                barrier,
                marking,
                window_scales: scales.filter(|_| alone).map(by_key),
                since,
            };
            self.commands.insert(platform, &self.layout, &request)?;
        }
        Ok(())
    }

    /// Whether a connection goes in with its original direction alone.
    fn goes_one_way(&self, connection: &Connection) -> bool {
        let is_udp = matches!(connection.protocol_state(), ProtocolState::Udp(_));
        self.config.habits.udp_one_way && is_udp && !is_assured(connection)
    }

    /// Takes counters for entries, if counters are things of their own; whether there were any.
    fn take_counters(&mut self, platform: &impl Platform, entries: u32) -> bool {
        self.rest_counters(platform);
        self.pool.as_mut().is_none_or(|pool| pool.take(entries))
    }

    /// Counts a connection in its zone, if that has a limit.
    fn count_in_zone(&mut self, id: ConnectionId) {
        let zone = self.tracker.connection(id).map(Connection::zone);
        if let Some(zone) = zone
            && self.config.room.limit(zone.id).is_some()
        {
            self.records.zones.enter(id.index(), zone.id);
        }
    }

    /// The window scales of a TCP connection's two sides, if the card is to check its windows.
    fn window_scales(&self, id: ConnectionId) -> Option<[u8; 2]> {
        if !self.layout.checks_windows || self.config.conntrack.tcp_be_liberal {
            return None;
        }
        match self.tracker.connection(id)?.protocol_state() {
            ProtocolState::Tcp(tcp) => Some(Direction::ALL.map(|side| tcp.side(side).scale)),
            _ => None,
        }
    }

    /// Which way a packet came, as far as its descriptor and its frame say.
    fn way(
        &self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
    ) -> Result<Way, DeviceError> {
        let mut way = Way {
            ingress_port: completion.port(),
            tunnel: Tunnel::ALL
                .get(usize::from(completion.tunnel()))
                .copied()
                .unwrap_or_default(),
            tunnel_id: completion.tunnel_id(),
            vlan: 0,
        };
        if self.layout.key.vlan {
            let address = self.layout.buffer_address(completion.buffer());
            let length = completion.captured_bytes().min(self.layout.buffer_bytes);
            let frame = platform.memory().slice(address, length as usize)?;
            let ethernet = Ethernet::new(frame).ok();
            let tag = ethernet.and_then(|ethernet| ethernet.vlan_tags().first().copied());
            way.vlan = tag.map_or(0, |tag| tag.id() | Way::TAGGED);
        }
        Ok(way)
    }
}
