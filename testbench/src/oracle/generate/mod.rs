//! Conversations that begin as real ones do and then go wrong in every way that matters. One family, one file.

mod dice;
mod dress;
mod fragment;
mod gre;
mod helper;
mod icmp;
mod sctp;
mod tcp;
mod translated;
mod udp;
mod wire;

pub use dice::Dice;

use super::case::{Ruleset, Side, Step};
use super::clock;
use conntrack_core::{Time, Tracker};
use std::fmt;
use std::str::FromStr;
use wire::Address;

/// A packet and where it comes from.
type Move = (Side, Vec<u8>);

/// What a conversation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// TCP.
    Tcp,
    /// UDP and UDP-Lite.
    Udp,
    /// ICMP and ICMPv6, with what their errors quote.
    Icmp,
    /// SCTP.
    Sctp,
    /// GRE and protocols without a tracker.
    Gre,
    /// Fragments, options, extension headers.
    Frag,
    /// All of them between the same hosts.
    Mixed,
    /// The same, with rules that put packets into zones, mark their connections, or keep them from being tracked.
    Zones,
    /// The same from several clients, with rules that translate.
    Nat,
    /// Protocols whose connections announce others, with and without translation.
    Helper,
    /// The same of H.323.
    H323,
}

impl Family {
    /// All, with their names.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Tcp, "tcp"),
        (Self::Udp, "udp"),
        (Self::Icmp, "icmp"),
        (Self::Sctp, "sctp"),
        (Self::Gre, "gre"),
        (Self::Frag, "frag"),
        (Self::Mixed, "mixed"),
        (Self::Zones, "zones"),
        (Self::Nat, "nat"),
        (Self::Helper, "helper"),
        (Self::H323, "h323"),
    ];

    /// The rules its conversations are for.
    pub const fn rules(self) -> Ruleset {
        match self {
            Self::Zones => Ruleset::ByDscp,
            Self::Nat => Ruleset::Nat,
            Self::Helper | Self::H323 => Ruleset::Helper,
            _ => Ruleset::Plain,
        }
    }

    /// How many rules there are, DSCP 0 included.
    const fn rule_count(self) -> usize {
        match self {
            Self::Nat => 64,
            _ => 10,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(family, _)| *family == self)
            .map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(_, name)| *name == text);
        let names: Vec<&str> = Self::ALL.into_iter().map(|(_, name)| name).collect();
        found.map(|(family, _)| family).ok_or_else(|| {
            format!(
                "there is no family \"{text}\"; there are: {}",
                names.join(", ")
            )
        })
    }
}

/// Which IP versions conversations use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// IPv4 mostly, IPv6 in a quarter of all.
    Both,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The two ends, and a router on the way.
#[derive(Debug, Clone, Copy)]
struct Hosts {
    client: Address,
    server: Address,
    third: Address,
    /// The lower one of two ports that clients use.
    port: u16,
}

impl Hosts {
    fn new(versions: Versions, dice: &mut Dice) -> Self {
        let v6 = match versions {
            Versions::Both => dice.chance(25),
            Versions::V4 => false,
            Versions::V6 => true,
        };
        let (client, server) = (1 + dice.below(3) as u8, 1 + dice.below(2) as u8);
        // The kernel keeps fragments of earlier conversations for a while: these must be other hosts'.
        let (net_a, net_b) = (dice.byte(), dice.byte());
        if !v6 {
            return Self {
                client: Address::V4([10, net_a, net_b, client]),
                server: Address::V4([20, 0, 0, server]),
                third: Address::V4([30, 0, 0, 9]),
                port: 1_000,
            };
        }
        let address = |subnet, host| {
            let mut address = [0; 16];
            address[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
            address[6] = net_a;
            address[7] = net_b;
            address[14] = subnet;
            address[15] = host;
            Address::V6(address)
        };
        Self {
            client: address(1, client),
            server: address(2, server),
            third: address(3, 9),
            port: 1_000,
        }
    }

    /// Who sends to whom, and from which side.
    fn ends(&self, dice: &mut Dice) -> (Side, Address, Address) {
        if dice.chance(45) {
            (Side::B, self.server, self.client)
        } else {
            (Side::A, self.client, self.server)
        }
    }

    /// Source and destination port of a packet from `side`.
    fn ports(&self, side: Side, server: u16, dice: &mut Dice) -> [u16; 2] {
        let client = self.port + dice.below(2) as u16;
        let [client, server] = if dice.chance(3) {
            [7, 7]
        } else {
            [client, server]
        };
        match side {
            Side::A => [client, server],
            Side::B => [server, client],
        }
    }
}

/// Two hosts, and what they are saying.
struct Party {
    hosts: Hosts,
    tcp: tcp::TcpFlow,
    sctp: sctp::SctpFlow,
}

impl Party {
    fn new(hosts: Hosts, dice: &mut Dice) -> Self {
        Self {
            hosts,
            tcp: tcp::TcpFlow::new(hosts, dice),
            sctp: sctp::SctpFlow::new(dice),
        }
    }
}

/// Clients that use the same ports, and talk to the same server.
fn neighbours(hosts: Hosts, dice: &mut Dice) -> Vec<Party> {
    let port = dice.pick(&[1_000, 1_000, 300, 511, 1_023, 40_000]);
    (0..1 + dice.below(4))
        .map(|number| {
            let mut hosts = Hosts { port, ..hosts };
            match &mut hosts.client {
                Address::V4([.., last]) | Address::V6([.., last]) => *last += 4 * number as u8,
            }
            Party::new(hosts, dice)
        })
        .collect()
}

/// A conversation in the making.
pub struct Conversation {
    family: Family,
    parties: Vec<Party>,
    talks: Option<helper::Talks>,
    history: Vec<Vec<u8>>,
    /// DSCP of most packets.
    rule: u8,
    left: usize,
    now: Time,
    pauses: u32,
}

impl Conversation {
    /// A conversation of up to 45 packets or so.
    pub fn new(family: Family, versions: Versions, dice: &mut Dice) -> Self {
        let hosts = Hosts::new(versions, dice);
        let mut parties = vec![Party::new(hosts, dice)];
        if family == Family::Nat {
            parties = neighbours(hosts, dice);
        }
        Self {
            family,
            parties,
            talks: helper::services(family)
                .map(|services| helper::Talks::new(hosts, services, dice)),
            history: Vec::new(),
            now: super::ours::START,
            pauses: 0,
            rule: dice.below(family.rule_count()) as u8,
            left: 5 + dice.below(if helper::services(family).is_some() {
                120
            } else {
                40
            }),
        }
    }

    /// The next packet, or the fragments of one; `tracker` has seen all before. Empty at the end.
    pub fn next(&mut self, dice: &mut Dice, tracker: &Tracker) -> Vec<Step> {
        if self.left == 0 {
            return Vec::new();
        }
        self.left -= 1;
        if let Some(talks) = &mut self.talks {
            let (side, bytes) = talks.next(dice, tracker);
            return vec![Step {
                after_s: 0,
                side,
                bytes,
            }];
        }
        let (side, packet) = self.packet(dice, tracker);
        let packets = match self.family {
            Family::Zones => vec![wire::with_dscp(packet, self.usual_rule(dice))],
            Family::Nat => vec![self.translated(side, packet, dice, tracker)],
            Family::Frag if dice.chance(50) => fragment::cut(&packet, dice),
            Family::Frag if dice.chance(50) => vec![dress::dress(&packet, dice)],
            _ => vec![packet],
        };
        for packet in &packets {
            self.note(packet);
        }
        let mut after_s = self.pause(dice, tracker);
        packets
            .into_iter()
            .map(|bytes| Step {
                after_s: std::mem::take(&mut after_s),
                side,
                bytes,
            })
            .collect()
    }

    /// Seconds that pass before the next packet: mostly none, now and then as many as make a difference to some connection.
    fn pause(&mut self, dice: &mut Dice, tracker: &Tracker) -> u32 {
        // What expired in another zone may be met on the way, and is destroyed then.
        let zones = self.family == Family::Zones;
        if zones || self.pauses == clock::MOST || !dice.chance(4) {
            return 0;
        }
        let left: Vec<u64> = clock::remaining(tracker, self.now).collect();
        if left.is_empty() {
            return 0;
        }
        let some = left[dice.below(left.len())];
        let seconds = match dice.below(6) {
            0 => 1 + dice.below(5) as u64,
            1 => some / 2,
            2 | 3 => some + clock::MARGIN + 1,
            4 => some.saturating_sub(clock::MARGIN + 1),
            _ => 100_000,
        };
        let passes = seconds > 0 && clock::can_pass(tracker, self.now, seconds);
        if !passes {
            return 0;
        }
        self.pauses += 1;
        self.now = self.now + Time::from_secs(seconds);
        seconds as u32
    }

    /// The router sent a packet on.
    pub fn heard(&mut self, step: &Step, sent: &[u8], dice: &mut Dice) {
        if let Some(talks) = &mut self.talks {
            talks.heard(step, sent, dice);
        }
    }

    fn packet(&mut self, dice: &mut Dice, tracker: &Tracker) -> Move {
        let kind = match self.family {
            Family::Icmp if dice.chance(50) => dice.below(3),
            Family::Icmp => 3,
            Family::Frag => dice.below(5),
            Family::Mixed | Family::Zones | Family::Nat => dice.below(7),
            Family::Tcp | Family::Helper | Family::H323 => 0,
            Family::Udp => 1 + 4 * dice.below(2),
            Family::Sctp => 2,
            Family::Gre => 4 + 2 * dice.below(2),
        };
        let count = self.parties.len();
        let party = &mut self.parties[if count > 1 { dice.below(count) } else { 0 }];
        let hosts = &party.hosts;
        match kind {
            0 => party.tcp.next(dice, tracker),
            1 => udp::udp(hosts, dice),
            2 => party.sctp.next(hosts, dice),
            3 => icmp::icmp(hosts, &self.history, dice),
            4 => gre::gre(hosts, dice),
            5 => udp::udplite(hosts, dice),
            _ => gre::generic(hosts, dice),
        }
    }

    /// A packet with the rules it meets; one of a server as it is beyond the translation.
    fn translated(
        &mut self,
        side: Side,
        packet: Vec<u8>,
        dice: &mut Dice,
        tracker: &Tracker,
    ) -> Vec<u8> {
        let packet = wire::with_dscp(packet, self.usual_rule(dice));
        if side == Side::A || dice.chance(10) {
            return packet;
        }
        let seen = translated::from_server(&packet, tracker, dice);
        self.note(&packet);
        seen
    }

    /// The rule a packet meets: that of the conversation mostly, so that connections come about in its zone.
    fn usual_rule(&self, dice: &mut Dice) -> u8 {
        if dice.chance(70) {
            self.rule
        } else {
            dice.below(self.family.rule_count()) as u8
        }
    }

    /// Remembers a packet for errors to quote.
    fn note(&mut self, packet: &[u8]) {
        const LONGEST: usize = 30;
        if self.history.len() == LONGEST {
            self.history.remove(0);
        }
        if !packet.is_empty() {
            self.history.push(packet.to_vec());
        }
    }
}
