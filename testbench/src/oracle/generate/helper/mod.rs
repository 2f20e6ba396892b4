//! Conversations of protocols that announce connections. Both ends are simulated: each sees only what the router sends it,
//! so addresses, ports and sequence numbers are those on its side of the translation.

mod end;
mod h323;
mod script;
mod sip;
mod snmp;

use super::dice::Dice;
use super::wire::{Address, ip, with_dscp};
use super::{Family, Hosts, Move};
use crate::oracle::case::{Side, Step};
use crate::oracle::rules::helper::{H323_FROM, HELPERS};
use conntrack_core::{Tracker, Tuple};
use end::{End, Heard};
use packet::Protocol;
use std::net::IpAddr;

/// What conversations of a family of such protocols are about.
pub(super) fn services(family: Family) -> Option<&'static [(u16, Protocol, &'static str)]> {
    let (others, h323) = HELPERS.split_at(H323_FROM);
    match family {
        Family::Helper => Some(others),
        Family::H323 => Some(h323),
        _ => None,
    }
}

/// A conversation and those it leads to.
pub(super) struct Talks {
    hosts: Hosts,
    /// What clients turn to.
    services: &'static [(u16, Protocol, &'static str)],
    ends: Vec<End>,
    /// DSCP of most packets: which rules translate them.
    rule: u8,
    /// GRE packets of calls, sent again and again.
    calls: Vec<Move>,
    /// What is still to be sent of a line that was split: the end it is from.
    rest: Option<(usize, Vec<u8>)>,
}

impl Talks {
    pub(super) fn new(
        hosts: Hosts,
        services: &'static [(u16, Protocol, &'static str)],
        dice: &mut Dice,
    ) -> Self {
        let rule = if dice.chance(40) {
            0
        } else {
            dice.below(64) as u8
        };
        Self {
            hosts,
            services,
            ends: Vec::new(),
            rule,
            calls: Vec::new(),
            rest: None,
        }
    }

    /// The next packet.
    pub(super) fn next(&mut self, dice: &mut Dice, tracker: &Tracker) -> Move {
        let (side, packet) = self.packet(dice, tracker);
        let dscp = if dice.chance(85) {
            self.rule
        } else {
            dice.below(64) as u8
        };
        (side, with_dscp(packet, dscp))
    }

    fn packet(&mut self, dice: &mut Dice, tracker: &Tracker) -> Move {
        if let Some((end, text)) = self.rest.take()
            && dice.chance(90)
        {
            return self.ends[end].say(&text, dice);
        }
        if self.ends.is_empty() || dice.chance(4) {
            return self.open(dice);
        }
        if dice.chance(12)
            && let Some(moved) = self.expected(dice, tracker)
        {
            return moved;
        }
        if dice.chance(8) && !self.calls.is_empty() {
            return self.calls[dice.below(self.calls.len())].clone();
        }
        let at = dice.below(self.ends.len());
        let end = &mut self.ends[at];
        if end.is_tcp() && !end.is_open() {
            return end.shake_hands(dice);
        }
        match dice.below(100) {
            0..60 => {
                let text = script::line(&self.ends[at], dice);
                if text.len() > 2 && dice.chance(8) {
                    let header = dice.chance(30) && text.len() > 4;
                    let cut = if header {
                        4
                    } else {
                        1 + dice.below(text.len() - 1)
                    };
                    self.rest = Some((at, text[cut..].to_vec()));
                    return self.ends[at].say(&text[..cut], dice);
                }
                self.ends[at].say(&text, dice)
            }
            60..82 => self.ends[at].acknowledge(dice),
            82..93 => self.ends[at].again(dice),
            93..97 => self.ends[at].finish(dice),
            _ => self.ends[at].reset(dice),
        }
    }

    /// A client turns to a server.
    fn open(&mut self, dice: &mut Dice) -> Move {
        let (port, protocol, _) = self.services[dice.below(self.services.len())];
        let mut client = self.hosts.client;
        match &mut client {
            Address::V4([.., last]) | Address::V6([.., last]) => *last += 4 * dice.below(2) as u8,
        }
        // SNMP looks at the ports of both ends.
        let own = if port == 162 && dice.chance(20) {
            dice.pick(&[161, 162])
        } else {
            4_000 + dice.below(2) as u16
        };
        let local = (client, own);
        let remote = (self.hosts.server, port);
        let end = End::new(Side::A, protocol, local, remote, port, true, dice);
        self.begin(end, dice)
    }

    fn begin(&mut self, end: End, dice: &mut Dice) -> Move {
        let known = self.ends.iter().position(|there| there.is_same(&end));
        let at = known.unwrap_or(self.ends.len());
        if known.is_none() {
            self.ends.push(end);
        }
        let end = &mut self.ends[at];
        if end.is_tcp() {
            return end.open(dice);
        }
        let text = script::line(end, dice);
        self.ends[at].say(&text, dice)
    }

    /// Somebody does what was announced, or nearly.
    fn expected(&mut self, dice: &mut Dice, tracker: &Tracker) -> Option<Move> {
        let all: Vec<_> = tracker.expectations().collect();
        let (_, expected) = all.get(dice.below(all.len()))?;
        let expectation = &expected.expectation;
        let mut tuple = expectation.tuple;
        // Linux' router sends nothing there.
        let moved = expectation.follow.and_then(|follow| follow.address);
        if [Some(tuple.destination), moved]
            .into_iter()
            .flatten()
            .any(|address| is_nowhere(tuple.family, address))
        {
            return None;
        }
        if dice.chance(10) {
            tuple.destination_id = tuple.destination_id.wrapping_add(1);
        }
        if tuple.protocol() == Protocol::GRE {
            return Some(self.call(&tuple, expected.master_tuple.source == tuple.source));
        }
        if tuple.source_id == 0 {
            tuple.source_id = dice.pick(&[20, 3_000, 3_001]);
        }
        let address = |bytes: [u8; 16]| match tuple.family {
            4 => Address::V4([bytes[0], bytes[1], bytes[2], bytes[3]]),
            _ => Address::V6(bytes),
        };
        let anybody = expectation.mask.address == [0; 16];
        let source = if anybody || dice.chance(5) {
            self.hosts.server
        } else {
            address(tuple.source)
        };
        let is_client = expected.master_tuple.source == source.wide();
        let side = if is_client { Side::A } else { Side::B };
        let local = (source, tuple.source_id);
        let remote = (address(tuple.destination), tuple.destination_id);
        let helper = expectation.helper.and_then(|id| tracker.helper(id));
        let service = match helper.map(|helper| helper.name()) {
            Some("RAS") => h323::RAS,
            Some("Q.931") => h323::CALLS,
            Some("H.245") => h323::CONTROL,
            _ => 0,
        };
        let end = End::new(side, tuple.protocol(), local, remote, service, true, dice);
        Some(self.begin(end, dice))
    }

    /// A packet of a PPTP call.
    fn call(&mut self, tuple: &Tuple, from_client: bool) -> Move {
        let [a, b, c, d, ..] = tuple.source;
        let [e, f, g, h, ..] = tuple.destination;
        let [high, low] = tuple.destination_id.to_be_bytes();
        let body = [
            0x30, 0x81, 0x88, 0x0b, 0, 4, high, low, 0, 0, 0, 1, 1, 2, 3, 4,
        ];
        let (source, destination) = (Address::V4([a, b, c, d]), Address::V4([e, f, g, h]));
        let packet = ip(source, destination, Protocol::GRE, &body);
        let side = if from_client { Side::A } else { Side::B };
        const MOST: usize = 8;
        if self.calls.len() == MOST {
            self.calls.remove(0);
        }
        self.calls.push((side, packet.clone()));
        (side, packet)
    }

    /// What the router sent on of a packet reaches the other end.
    pub(super) fn heard(&mut self, step: &Step, sent: &[u8], dice: &mut Dice) {
        let side = match step.side {
            Side::A => Side::B,
            Side::B => Side::A,
        };
        let Some(heard) = Heard::read(sent) else {
            return;
        };
        let known = self
            .ends
            .iter_mut()
            .find(|end| end.is_addressed(side, &heard));
        if let Some(end) = known {
            return end.hear(&heard);
        }
        const MOST: usize = 12;
        if self.ends.len() < MOST && (heard.protocol == Protocol::UDP || heard.opens()) {
            let (local, remote) = (heard.destination, heard.source);
            // What was announced is met by who was announced.
            let last = self.ends.last().map_or(0, |end| end.service);
            let service = match last {
                h323::CONTROL | h323::RAS | h323::CALLS => last,
                _ => heard.destination.1,
            };
            let protocol = heard.protocol;
            let mut end = End::new(side, protocol, local, remote, service, false, dice);
            end.hear(&heard);
            self.ends.push(end);
        }
    }
}

/// Whether nothing is forwarded to an address.
fn is_nowhere(family: u8, address: [u8; 16]) -> bool {
    let [a, b, c, d, ..] = address;
    let ip = match family {
        4 => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(address),
    };
    // Beyond multicast lies what was kept for later.
    let reserved = family == 4 && (a == 0 || a >= 224);
    reserved || ip.is_loopback() || ip.is_multicast() || ip.is_unspecified()
}
