//! One end of a TCP or UDP conversation: what it has sent and heard.

use super::super::Move;
use super::super::dice::Dice;
use super::super::wire::{Address, ip, mend_transport};
use crate::oracle::case::Side;
use packet::Protocol;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// An address and a port.
type Socket = (Address, u16);

/// One end.
pub(super) struct End {
    side: Side,
    protocol: Protocol,
    pub(super) local: Socket,
    pub(super) remote: Socket,
    /// The well-known port of what is being talked; 0 for connections that were announced.
    pub(super) service: u16,
    /// Whether it began.
    pub(super) is_client: bool,
    next: u32,
    heard: u32,
    opened: bool,
    answered: bool,
    sent: Vec<Vec<u8>>,
    /// The last text it heard.
    pub(super) told: Vec<u8>,
}

/// What an end hears.
pub(super) struct Heard {
    pub(super) protocol: Protocol,
    pub(super) source: Socket,
    pub(super) destination: Socket,
    flags: u8,
    /// The sequence number after it.
    end: u32,
    text: Vec<u8>,
}

impl Heard {
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let v4 = packet.first()? >> 4 == 4;
        let header = if v4 { 20 } else { 40 };
        let protocol = Protocol(*packet.get(if v4 { 9 } else { 6 })?);
        if protocol != Protocol::TCP && protocol != Protocol::UDP {
            return None;
        }
        let transport = packet.get(header..)?;
        let word = |at: usize| Some(u16::from_be_bytes(*transport.get(at..)?.first_chunk()?));
        let address = |at: usize| {
            let bytes = packet.get(at..)?;
            Some(if v4 {
                Address::V4(*bytes.first_chunk()?)
            } else {
                Address::V6(*bytes.first_chunk()?)
            })
        };
        let (source, destination) = if v4 { (12, 16) } else { (8, 24) };
        let (mut flags, mut end) = (0, 0);
        let mut text = transport.get(8..)?.to_vec();
        if protocol == Protocol::TCP {
            flags = *transport.get(13)?;
            let header = usize::from(transport[12] >> 4) * 4;
            text = transport.get(header..)?.to_vec();
            let length = text.len();
            let marks = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
            let seq = u32::from_be_bytes(*transport.get(4..)?.first_chunk()?);
            end = seq.wrapping_add(length as u32).wrapping_add(marks);
        }
        Some(Self {
            protocol,
            source: (address(source)?, word(0)?),
            destination: (address(destination)?, word(2)?),
            flags,
            end,
            text,
        })
    }

    /// Whether it begins a TCP connection.
    pub(super) const fn opens(&self) -> bool {
        self.flags & (SYN | ACK) == SYN
    }
}

impl End {
    pub(super) fn new(
        side: Side,
        protocol: Protocol,
        local: Socket,
        remote: Socket,
        service: u16,
        is_client: bool,
        dice: &mut Dice,
    ) -> Self {
        let next = match dice.below(3) {
            0 => u32::MAX - dice.below(60) as u32,
            1 => 0x7fff_ff80 + dice.below(128) as u32,
            _ => dice.number() as u32,
        };
        Self {
            side,
            protocol,
            local,
            remote,
            service,
            is_client,
            next,
            heard: 0,
            opened: false,
            answered: false,
            sent: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.side == other.side
            && self.protocol == other.protocol
            && self.local == other.local
            && self.remote == other.remote
    }

    pub(super) fn is_addressed(&self, side: Side, heard: &Heard) -> bool {
        self.side == side
            && self.protocol == heard.protocol
            && self.local == heard.destination
            && self.remote == heard.source
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.protocol == Protocol::TCP
    }

    /// Whether both ends have shown their sequence numbers.
    pub(super) const fn is_open(&self) -> bool {
        self.opened && self.answered
    }

    /// Takes note of a packet.
    pub(super) fn hear(&mut self, heard: &Heard) {
        if !heard.text.is_empty() {
            self.told.clone_from(&heard.text);
        }
        if heard.flags & SYN != 0 {
            self.answered = true;
            self.heard = heard.end;
        } else if (heard.end.wrapping_sub(self.heard) as i32) > 0 {
            self.heard = heard.end;
        }
    }

    /// A SYN.
    pub(super) fn open(&mut self, dice: &mut Dice) -> Move {
        if self.opened {
            return self.again(dice);
        }
        self.segment(SYN, &[], dice)
    }

    /// The next step of the handshake.
    pub(super) fn shake_hands(&mut self, dice: &mut Dice) -> Move {
        match (self.opened, self.answered) {
            (false, true) => self.segment(SYN | ACK, &[], dice),
            _ => self.open(dice),
        }
    }

    /// Some text.
    pub(super) fn say(&mut self, text: &[u8], dice: &mut Dice) -> Move {
        if self.is_tcp() {
            return self.segment(ACK, text, dice);
        }
        let mut datagram = self.ports();
        datagram.extend(((text.len() + 8) as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(text);
        if dice.chance(90) {
            let (from, to) = (self.local.0, self.remote.0);
            mend_transport(from, to, Protocol::UDP, &mut datagram, 6);
        }
        self.send(&datagram)
    }

    /// An acknowledgment, perhaps with SACK blocks.
    pub(super) fn acknowledge(&mut self, dice: &mut Dice) -> Move {
        if self.is_tcp() {
            return self.segment(ACK, &[], dice);
        }
        self.say(&[], dice)
    }

    /// One of the last packets once more.
    pub(super) fn again(&mut self, dice: &mut Dice) -> Move {
        const RECENT: usize = 4;
        let recent = &self.sent[self.sent.len().saturating_sub(RECENT)..];
        match recent.get(dice.below(recent.len())) {
            Some(packet) => (self.side, packet.clone()),
            None => self.acknowledge(dice),
        }
    }

    pub(super) fn finish(&mut self, dice: &mut Dice) -> Move {
        if self.is_tcp() {
            return self.segment(FIN | ACK, &[], dice);
        }
        self.say(&[0], dice)
    }

    pub(super) fn reset(&mut self, dice: &mut Dice) -> Move {
        if self.is_tcp() {
            return self.segment(RST | ACK, &[], dice);
        }
        self.say(&[1], dice)
    }

    fn ports(&self) -> Vec<u8> {
        let ports = [self.local.1, self.remote.1];
        ports.iter().flat_map(|port| port.to_be_bytes()).collect()
    }

    fn segment(&mut self, flags: u8, text: &[u8], dice: &mut Dice) -> Move {
        let mut options = Vec::new();
        if flags & SYN != 0 && dice.chance(60) {
            // SACK permitted, window scale.
            options.extend([4, 2, 1, 3, 3, 5, 0, 0]);
        } else if flags == ACK && text.is_empty() && dice.chance(25) {
            let from = self.heard.wrapping_sub(dice.below(40) as u32);
            // Always at an even place: at an odd one Linux 6.18 spoils the checksum, and we do not.
            options.extend([1, 1, 5, 10]);
            options.extend(from.to_be_bytes());
            options.extend(from.wrapping_add(5).to_be_bytes());
        }
        options.resize(options.len().next_multiple_of(4), 0);
        let mut segment = self.ports();
        segment.extend(self.next.to_be_bytes());
        let ack = if flags & ACK == 0 { 0 } else { self.heard };
        let ack = if dice.chance(8) {
            ack.wrapping_sub(dice.below(30) as u32)
        } else {
            ack
        };
        segment.extend(ack.to_be_bytes());
        segment.extend([
            ((5 + options.len() / 4) << 4) as u8,
            flags,
            0x20,
            0,
            0,
            0,
            0,
            0,
        ]);
        segment.extend(&options);
        segment.extend(text);
        mend_transport(self.local.0, self.remote.0, Protocol::TCP, &mut segment, 16);
        self.opened |= flags & SYN != 0;
        let marks = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        // Now and then a hole is left.
        let skipped = if dice.chance(2) { 5 } else { 0 };
        self.next = self
            .next
            .wrapping_add(text.len() as u32)
            .wrapping_add(marks)
            .wrapping_add(skipped);
        self.send(&segment)
    }

    fn send(&mut self, transport: &[u8]) -> Move {
        let packet = ip(self.local.0, self.remote.0, self.protocol, transport);
        self.sent.push(packet.clone());
        (self.side, packet)
    }
}
