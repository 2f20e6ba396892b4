//! The running kernel in a network namespace of its own: two TUN devices, a router between them, and connection tracking.
//!
//! Everything lives in the namespace of one thread, so it is gone with the thread, however the program ends.

mod entry;
mod netlink;
mod setup;
mod tun;

pub use entry::{Entry, Expected};

use super::case::{Ruleset, Side, dscp, from_hex, hex, to_hex};
use conntrack_core::{Tuple, Zone};
use netlink::{ACK, DUMP, Message, Netlink, attribute};
use packet::checksum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tun::Tun;

/// Why the kernel cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Something a judge needs is not there.
    #[error("cannot ask the kernel here: {0}")]
    Missing(String),
    /// A system call failed.
    #[error("cannot {0}: {1}")]
    Io(&'static str, #[source] std::io::Error),
}

/// How a rule after connection tracking saw a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// `ct state new`.
    New,
    /// `ct state established`, original direction.
    Established,
    /// `ct state established`, reply direction.
    EstablishedReply,
    /// `ct state related`, original direction.
    Related,
    /// `ct state related`, reply direction.
    RelatedReply,
    /// `ct state invalid`.
    Invalid,
    /// `ct state untracked`.
    Untracked,
}

impl Seen {
    /// All, with the DSCP that the rules of the judge mark them with, their state and their direction in nft's words.
    const MARKS: [(Self, u8, &'static str, Option<&'static str>); 7] = [
        (Self::New, 1, "new", None),
        (Self::Established, 2, "established", Some("original")),
        (Self::EstablishedReply, 10, "established", Some("reply")),
        (Self::Related, 3, "related", Some("original")),
        (Self::RelatedReply, 11, "related", Some("reply")),
        (Self::Invalid, 4, "invalid", None),
        (Self::Untracked, 5, "untracked", None),
    ];

    fn of_packet(packet: &[u8]) -> Option<Self> {
        let dscp = dscp(packet);
        let mark = Self::MARKS.iter().find(|(_, mark, ..)| *mark == dscp);
        mark.map(|(seen, ..)| *seen)
    }
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// It was made.
    New,
    /// It changed.
    Update,
    /// It is gone.
    Destroy,
    /// Another one is expected.
    Expect,
    /// It is expected no longer.
    Unexpect,
}

/// What became of an injected packet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fate {
    /// How the rules saw it; `None` if it did not reach them.
    pub seen: Option<Seen>,
    /// Events, with the original tuple of the connection.
    pub events: Vec<(Happened, String)>,
    /// What was sent, as [`normal`] makes it, where rules translate.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "to_hex",
        deserialize_with = "from_hex"
    )]
    pub sent: Vec<u8>,
}

/// A forwarded packet without what the router and the judge change: hops left, DSCP, the IPv4 header's checksum if it is
/// right; and without padding.
pub fn normal(mut packet: Vec<u8>) -> Vec<u8> {
    const DSCP: u8 = 0xfc;
    match packet.first().map(|first| first >> 4) {
        Some(4) if packet.len() >= 20 => {
            packet.truncate(usize::from(u16::from_be_bytes([packet[2], packet[3]])));
            let header = usize::from(packet[0] & 15) * 4;
            let right = packet
                .get(..header)
                .is_some_and(|header| checksum::checksum(header) == 0);
            if right {
                packet[10..12].fill(0);
            }
            packet[1] &= !DSCP;
            packet[8] = 0;
        }
        Some(6) if packet.len() >= 40 => {
            let payload = u16::from_be_bytes([packet[4], packet[5]]);
            if payload != 0 {
                packet.truncate(usize::from(payload) + 40);
            }
            packet[0] &= 0xf0;
            packet[1] &= 0x3f;
            packet[7] = 0;
        }
        _ => {}
    }
    packet
}

/// A namespace to inject packets into.
pub struct Kernel {
    tuns: [Tun; 2],
    queries: Netlink,
    events: Netlink,
    rules: Ruleset,
    /// Sysctls changed since the beginning, and what they are now.
    changed: BTreeMap<String, String>,
}

const SUBSYSTEM: u8 = 1;
/// `NFNL_SUBSYS_CTNETLINK_EXP`.
const EXPECTATIONS: u8 = 2;
const NEW: u8 = 0;
const GET: u8 = 1;
const DELETE: u8 = 2;
const GET_STATS_CPU: u8 = 4;

impl Kernel {
    /// Runs `work` with a kernel whose connection tracking has these sysctls (by full kernel name), on a thread of its own.
    ///
    /// # Errors
    /// There is no right, module or tool for it.
    pub fn with<T: Send>(
        sysctls: &[(String, String)],
        rules: Ruleset,
        work: impl FnOnce(&mut Self) -> Result<T, KernelError> + Send,
    ) -> Result<T, KernelError> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| work(&mut Self::start(sysctls, rules)?));
            thread
                .join()
                .map_err(|_| KernelError::Missing("the judge's thread failed".into()))?
        })
    }

    fn start(sysctls: &[(String, String)], rules: Ruleset) -> Result<Self, KernelError> {
        setup::enter_namespace()?;
        let tuns = [
            Tun::create(setup::DEVICES[0])?,
            Tun::create(setup::DEVICES[1])?,
        ];
        setup::configure(sysctls, rules)?;
        let mut kernel = Self {
            tuns,
            queries: Netlink::open(0)?,
            events: Netlink::open(0b11_1111)?,
            rules,
            changed: BTreeMap::new(),
        };
        kernel.settle()?;
        Ok(kernel)
    }

    /// Lets the devices' own first packets pass.
    fn settle(&mut self) -> Result<(), KernelError> {
        for tun in &mut self.tuns {
            while tun.take()?.is_some() {}
        }
        self.flush()
    }

    /// Sets sysctls, and those of `usual` that are not among them to their usual values.
    ///
    /// # Errors
    /// One of them does not exist or cannot be set.
    pub fn set_sysctls<'a>(
        &mut self,
        usual: impl Iterator<Item = (&'a str, &'a str)>,
        wanted: &[(String, String)],
    ) -> Result<(), KernelError> {
        let given = |name: &str| wanted.iter().any(|(given, _)| given == name);
        let usual: Vec<(String, String)> = usual
            .filter(|(name, _)| self.changed.contains_key(*name) && !given(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in usual.iter().chain(wanted) {
            if self.changed.get(name) != Some(value) {
                setup::sysctl(name, value)?;
                self.changed.insert(name.clone(), value.clone());
            }
        }
        Ok(())
    }

    /// Injects a packet and tells what became of it.
    ///
    /// # Errors
    /// A system call failed.
    pub fn inject(&mut self, side: Side, packet: &[u8]) -> Result<Fate, KernelError> {
        let [a, b] = &mut self.tuns;
        let (into, out) = match side {
            Side::A => (a, b),
            Side::B => (b, a),
        };
        into.inject(packet)?;
        let (mut seen, mut forwarded) = (None, Vec::new());
        while let Some(sent) = out.take()? {
            let translated = self.rules.translates() && same_kind(sent, packet);
            if seen.is_none() && (translated || same_addresses(sent, packet)) {
                seen = Seen::of_packet(sent);
                if translated {
                    forwarded = normal(sent.to_vec());
                }
            }
        }
        // Errors and resets of the router itself.
        while into.take()?.is_some() {}
        let events = self.events.drain()?.iter().filter_map(event).collect();
        Ok(Fate {
            seen,
            events,
            sent: forwarded,
        })
    }

    /// The connection with this original tuple.
    ///
    /// # Errors
    /// A system call failed.
    pub fn entry(&mut self, original: &Tuple, zone: Zone) -> Result<Option<Entry>, KernelError> {
        let query = entry::query(original, zone);
        let family = family(original.family);
        let answer = self.queries.request(SUBSYSTEM, GET, 0, family, &query)?;
        Ok(answer.and_then(|messages| entry::read(&messages.first()?.attributes)))
    }

    /// As if so many seconds passed for the connections with these original tuples. Gives the original tuples of those that
    /// had expired before, in their order.
    ///
    /// # Errors
    /// A system call failed.
    pub fn pass(
        &mut self,
        seconds: u32,
        connections: &[(Tuple, Zone)],
    ) -> Result<Vec<String>, KernelError> {
        // Whoever lists the table finds what has expired, and destroys it.
        self.table()?;
        let mut destroyed = self.destroyed()?;
        destroyed.sort();
        for (tuple, zone) in connections {
            let left = self.entry(tuple, *zone)?.and_then(|entry| entry.timeout_s);
            let Some(left) = left else {
                continue;
            };
            let query = entry::with_timeout(tuple, *zone, left.saturating_sub(seconds));
            let family = family(tuple.family);
            self.queries.request(SUBSYSTEM, NEW, ACK, family, &query)?;
        }
        Ok(destroyed)
    }

    /// Original tuples of the connections that were destroyed since the last packet: the kernel looks for expired ones
    /// whenever it likes. What else happened since is forgotten.
    ///
    /// # Errors
    /// A system call failed.
    pub fn destroyed(&mut self) -> Result<Vec<String>, KernelError> {
        let events = self.events.drain()?;
        let destroyed = events
            .iter()
            .filter_map(event)
            .filter(|(happened, _)| *happened == Happened::Destroy)
            .map(|(_, what)| what);
        Ok(destroyed.collect())
    }

    /// The reply tuple of the connection with this original tuple.
    ///
    /// # Errors
    /// A system call failed.
    pub fn reply(&mut self, original: &Tuple, zone: Zone) -> Result<Option<Tuple>, KernelError> {
        let query = entry::query(original, zone);
        let family = family(original.family);
        let answer = self.queries.request(SUBSYSTEM, GET, 0, family, &query)?;
        Ok(answer.and_then(|messages| entry::reply(&messages.first()?.attributes)))
    }

    /// All connections, in the order of their tuples.
    ///
    /// # Errors
    /// A system call failed.
    pub fn table(&mut self) -> Result<Vec<Entry>, KernelError> {
        let messages = self
            .queries
            .request(SUBSYSTEM, GET, DUMP, 0, &[])?
            .unwrap_or_default();
        let mut table: Vec<Entry> = messages
            .iter()
            .filter_map(|message| entry::read(&message.attributes))
            .collect();
        table.sort_by(|a, b| a.tuples.cmp(&b.tuples));
        Ok(table)
    }

    /// The same, but only where rules give connections helpers: without, nothing is expected.
    ///
    /// # Errors
    /// A system call failed.
    pub fn expectations_if_any(&mut self) -> Result<Vec<Expected>, KernelError> {
        match self.rules {
            Ruleset::Helper => self.expectations(),
            _ => Ok(Vec::new()),
        }
    }

    /// What is expected, in the order of its description.
    ///
    /// # Errors
    /// A system call failed.
    pub fn expectations(&mut self) -> Result<Vec<Expected>, KernelError> {
        let messages = self
            .queries
            .request(EXPECTATIONS, GET, DUMP, 0, &[])?
            .unwrap_or_default();
        let read = |message: &Message| entry::read_expected(&message.attributes);
        let mut all: Vec<Expected> = messages.iter().filter_map(read).collect();
        all.sort();
        Ok(all)
    }

    /// Forgets all connections, and the events of their end.
    ///
    /// # Errors
    /// A system call failed.
    pub fn flush(&mut self) -> Result<(), KernelError> {
        self.queries.request(SUBSYSTEM, DELETE, ACK, 0, &[])?;
        self.events.drain().map(drop)
    }

    /// What a program prints in the namespace.
    ///
    /// # Errors
    /// It is not there, or fails.
    pub fn tool(&mut self, program: &str, arguments: &[&str]) -> Result<String, KernelError> {
        setup::run(program, arguments, None)
    }

    /// `/proc/net/nf_conntrack` of the namespace.
    ///
    /// # Errors
    /// The kernel does not have it.
    pub fn proc_table(&mut self) -> Result<String, KernelError> {
        std::fs::read_to_string("/proc/thread-self/net/nf_conntrack")
            .map_err(|error| KernelError::Io("read /proc/net/nf_conntrack", error))
    }

    /// `/proc/net/nf_conntrack_expect` of the namespace.
    ///
    /// # Errors
    /// The kernel does not have it.
    pub fn proc_expectations(&mut self) -> Result<String, KernelError> {
        std::fs::read_to_string("/proc/thread-self/net/nf_conntrack_expect")
            .map_err(|error| KernelError::Io("read /proc/net/nf_conntrack_expect", error))
    }

    /// Counters as `conntrack -S` shows them, summed over processors.
    ///
    /// # Errors
    /// A system call failed.
    pub fn stats(&mut self) -> Result<BTreeMap<&'static str, u64>, KernelError> {
        /// `CTA_STATS_*` that are compared.
        const NAMES: [(u16, &str); 6] = [
            (4, "invalid"),
            (9, "insert_failed"),
            (10, "drop"),
            (11, "early_drop"),
            (12, "error"),
            (14, "clash_resolve"),
        ];
        let messages = self
            .queries
            .request(SUBSYSTEM, GET_STATS_CPU, DUMP, 0, &[])?
            .unwrap_or_default();
        let sum = |kind: u16| -> u64 {
            let of_processor = |message: &Message| {
                let value = attribute(&message.attributes, kind)?.first_chunk()?;
                Some(u64::from(u32::from_be_bytes(*value)))
            };
            messages.iter().filter_map(of_processor).sum()
        };
        Ok(NAMES
            .iter()
            .map(|(kind, name)| (*name, sum(*kind)))
            .collect())
    }
}

/// An expectation in words: tuple, mask of the source, master, class, flags and helper, direction, address and port of the
/// translation.
pub fn describe_expected(
    tuple: &Tuple,
    mask: ([u8; 16], u16),
    master: &Tuple,
    (class, flags, helper): (u32, u32, &str),
    translation: Option<(u32, [u8; 16], u16)>,
) -> String {
    let length = if tuple.family == 4 { 4 } else { 16 };
    let address = hex(&mask.0[..length]);
    let real = translation.filter(|(_, address, _)| *address != [0; 16]);
    let real = real.map_or_else(String::new, |(_, address, _)| {
        format!(" at {}", hex(&address[..length]))
    });
    let translation = translation.map(|(direction, _, port)| (direction, port));
    format!(
        "{tuple} mask {address} {:#x} master {master} class {class} flags {flags} helper {helper} nat {translation:?}{real}",
        mask.1
    )
}

const fn family(version: u8) -> u8 {
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    if version == 4 { AF_INET } else { AF_INET6 }
}

/// The router sends other packets too (neighbour discovery, errors): only those with the same addresses are answers.
fn same_addresses(sent: &[u8], injected: &[u8]) -> bool {
    let addresses = |packet: &[u8]| match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(12..20).map(<[u8]>::to_vec),
        _ => packet.get(8..40).map(<[u8]>::to_vec),
    };
    addresses(sent) == addresses(injected)
}

/// The same for translated packets: the same protocol, to a single host.
fn same_kind(sent: &[u8], injected: &[u8]) -> bool {
    let kind = |packet: &[u8]| match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(9).copied().map(|protocol| (4, protocol)),
        _ => packet.get(6).copied().map(|next| (6, next)),
    };
    let group = sent[0] >> 4 == 6 && sent.get(24) == Some(&0xff);
    kind(sent) == kind(injected) && !group
}

fn event(message: &Message) -> Option<(Happened, String)> {
    /// `NLM_F_CREATE`.
    const CREATE: u16 = 0x400;
    if message.subsystem == EXPECTATIONS {
        let happened = if message.kind == NEW {
            Happened::Expect
        } else {
            Happened::Unexpect
        };
        return Some((
            happened,
            entry::expected_tuple(&message.attributes)?.to_string(),
        ));
    }
    let happened = match message.kind {
        NEW if message.flags & CREATE != 0 => Happened::New,
        NEW => Happened::Update,
        DELETE => Happened::Destroy,
        _ => return None,
    };
    Some((happened, entry::original(&message.attributes)?.to_string()))
}
