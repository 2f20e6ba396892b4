//! What ends say that talk H.323: random messages of the types that the tracker knows, with addresses that may matter.

use super::super::dice::Dice;
use super::super::wire::Address;
use super::end::End;
use conntrack_core::helper::h323::per::{Field, Size, Type};
use conntrack_core::helper::h323::{h225, h245};

/// What is said between ends that a connection was announced for, in place of a port that is well known.
pub(super) const CONTROL: u16 = 245;

/// The port of RAS.
pub(super) const RAS: u16 = 1_719;

/// The port of Q.931.
pub(super) const CALLS: u16 = 1_720;

/// What matters is said more often.
const LIKED: [&str; 32] = [
    "gatekeeperConfirm",
    "registrationRequest",
    "registrationConfirm",
    "unregistrationRequest",
    "admissionRequest",
    "admissionConfirm",
    "locationConfirm",
    "infoRequestResponse",
    "setup",
    "callProceeding",
    "connect",
    "alerting",
    "facility",
    "progress",
    "request",
    "response",
    "openLogicalChannel",
    "openLogicalChannelAck",
    "h2250LogicalChannelParameters",
    "h2250LogicalChannelAckParameters",
    "data",
    "t120",
    "separateLANStack",
    "separateStack",
    "localAreaAddress",
    "mediaChannel",
    "mediaControlChannel",
    "h245Address",
    "fastStart",
    "h245Control",
    "forwardMultiplexAckParameters",
    "timeToLive",
];

/// A message of RAS.
pub(super) fn ras(end: &End, dice: &mut Dice) -> Vec<u8> {
    message(&h225::RAS_MESSAGE, end, dice)
}

/// A message of H.245, or two.
pub(super) fn control(end: &End, dice: &mut Dice) -> Vec<u8> {
    packets(dice, |dice| message(&h245::CONTROL_MESSAGE, end, dice))
}

/// A message of Q.931, or two.
pub(super) fn call(end: &End, dice: &mut Dice) -> Vec<u8> {
    packets(dice, |dice| {
        let mut out = vec![8, 2, 0, 1, dice.pick(&[5, 2, 7, 1, 0x62, 3, 0x5a])];
        let others: [&[u8]; 4] = [&[4, 3, 0x88, 0x93, 0xa5], &[0xa1], &[0x28, 1, b'x'], &[]];
        out.extend(others[dice.below(others.len())]);
        let information = message(&h225::USER_INFORMATION, end, dice);
        out.push(0x7e);
        out.extend((information.len() as u16 + 1).to_be_bytes());
        out.push(5);
        out.extend(information);
        if dice.chance(10) {
            out.extend([0x28, 1, b'y']);
        }
        out
    })
}

fn packets(dice: &mut Dice, mut message: impl FnMut(&mut Dice) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..1 + usize::from(dice.chance(20)) {
        let text = message(dice);
        out.extend([3, 0]);
        let mut length = text.len() as u16 + 4;
        if dice.chance(3) {
            length = length.wrapping_add(dice.pick(&[1, 4, 0xffff, 0xfffc]));
        }
        out.extend(length.to_be_bytes());
        out.extend(text);
    }
    out
}

fn message(kind: &'static Type, end: &End, dice: &mut Dice) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.value(kind, end, dice);
    writer.bytes
}

/// Writes values bit by bit.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    /// Bits that are not used in the last byte.
    free: u32,
}

impl Writer {
    fn bits(&mut self, value: u32, count: u32) {
        for number in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            let bit = (value >> number & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << self.free;
            }
        }
    }

    fn octets(&mut self, bytes: &[u8]) {
        self.free = 0;
        self.bytes.extend(bytes);
    }

    fn between(&mut self, value: u32, low: u32, high: u32) {
        let raw = value - low;
        match high - low {
            0 => {}
            last @ 1..=254 => self.bits(raw, u32::BITS - last.leading_zeros()),
            255 => self.octets(&[raw as u8]),
            256..=65_535 => self.octets(&(raw as u16).to_be_bytes()),
            last => {
                let octets = raw.checked_ilog2().map_or(1, |log| log / 8 + 1);
                self.between(octets, 1, last.ilog2() / 8 + 1);
                self.octets(&raw.to_be_bytes()[4 - octets as usize..]);
            }
        }
    }

    fn length(&mut self, length: usize) {
        match length {
            0..=127 => self.octets(&[length as u8]),
            _ => self.octets(&(length as u16 | 0x8000).to_be_bytes()),
        }
    }

    /// A message of its own, with its length.
    fn open(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.octets(bytes);
    }

    fn count(&mut self, size: Size, dice: &mut Dice) -> usize {
        match size {
            Size::Any => {
                let count = dice.below(4);
                self.length(count);
                count
            }
            Size::Fixed(count) => count as usize,
            Size::Between(low, high) => {
                let count = (low + dice.below(4) as u32).min(high);
                self.between(count, low, high);
                count as usize
            }
        }
    }

    fn value(&mut self, kind: &'static Type, end: &End, dice: &mut Dice) {
        let (of_h225, of_h245) = (
            std::ptr::eq(kind, &h225::TRANSPORT_ADDRESS),
            std::ptr::eq(kind, &h245::TRANSPORT_ADDRESS),
        );
        if (of_h225 || of_h245) && dice.chance(95) {
            return self.address(of_h245, end, dice);
        }
        match *kind {
            Type::Null => {}
            Type::End => self.octets(&[dice.byte(), dice.byte(), dice.byte()]),
            Type::Boolean => self.bits(dice.below(2) as u32, 1),
            Type::Integer(low, high) => {
                let steps = (high - low).saturating_add(1);
                let value =
                    low + (dice.number() as u32) % dice.pick(&[steps, steps, 300.min(steps)]);
                self.between(value, low, high);
            }
            Type::Seconds => {
                let below = dice.pick(&[4, 300, 5_000, 70_000, 8_000_000]);
                self.between(dice.below(below) as u32, 0, u32::MAX);
            }
            Type::Counted | Type::Object | Type::Open => {
                let bytes: Vec<u8> = (0..dice.below(7)).map(|_| dice.byte()).collect();
                self.open(&bytes);
            }
            Type::Octets(size) => {
                let count = self.count(size, dice);
                let bytes: Vec<u8> = (0..count).map(|_| dice.byte()).collect();
                if matches!(size, Size::Fixed(..=2)) {
                    bytes.iter().for_each(|byte| self.bits((*byte).into(), 8));
                } else {
                    self.octets(&bytes);
                }
            }
            Type::Bits(size) => {
                let count = self.count(size, dice);
                self.free = 0;
                self.bits(dice.number() as u32, count as u32);
            }
            Type::Text(bits, size) => {
                let count = self.count(size, dice);
                self.free = 0;
                for _ in 0..count {
                    self.bits(dice.number() as u32, bits);
                }
            }
            Type::Holds(kind) => {
                let bytes = message(kind, end, dice);
                self.open(&bytes);
            }
            Type::Of(size, kind) => {
                for _ in 0..self.count(size, dice) {
                    self.value(kind, end, dice);
                }
            }
            Type::Sequence(root, more) => self.sequence(root, more, end, dice),
            Type::Choice(root, more) => {
                let all = root.iter().chain(more.unwrap_or(&[]));
                let liked: Vec<usize> = all
                    .enumerate()
                    .filter(|(_, (name, _))| LIKED.contains(name))
                    .map(|(at, _)| at)
                    .collect();
                let any = dice.below(root.len() + more.map_or(0, |more| more.len() + 1));
                let at = if liked.is_empty() || dice.chance(20) {
                    any
                } else {
                    liked[dice.below(liked.len())]
                };
                if more.is_some() {
                    self.bits(u32::from(at >= root.len()), 1);
                }
                if let Some((_, kind)) = root.get(at) {
                    self.between(at as u32, 0, root.len() as u32 - 1);
                    return self.value(kind, end, dice);
                }
                let number = at - root.len();
                self.bits(number as u32, 7);
                let known = more.and_then(|more| more.get(number));
                self.addition(known.map(|(_, kind)| *kind), end, dice);
            }
        }
    }

    fn addition(&mut self, kind: Option<&'static Type>, end: &End, dice: &mut Dice) {
        let bytes = match kind {
            Some(Type::Null) | None => vec![dice.byte(); 1 + dice.below(3)],
            Some(kind) => message(kind, end, dice),
        };
        self.open(&bytes);
    }

    fn sequence(
        &mut self,
        root: &'static [Field],
        more: Option<&'static [Field]>,
        end: &End,
        dice: &mut Dice,
    ) {
        let rare = dice.pick(&[0, 0, 4, 25]);
        let mut wanted = |field: &Field| {
            !field.optional
                || dice.chance(if LIKED.contains(&field.name) {
                    65
                } else {
                    rare
                })
        };
        let present: Vec<bool> = root.iter().map(&mut wanted).collect();
        let mut added: Vec<bool> = more.unwrap_or(&[]).iter().map(wanted).collect();
        if more.is_some() && dice.chance(15) {
            added.extend((0..=dice.below(3)).map(|_| dice.chance(60)));
        }
        if more.is_some() && dice.chance(20) {
            added.clear();
        }
        let extended = !added.is_empty();
        if more.is_some() {
            self.bits(extended.into(), 1);
        }
        let optional = root
            .iter()
            .zip(&present)
            .filter(|(field, _)| field.optional);
        for (_, present) in optional {
            self.bits((*present).into(), 1);
        }
        for (field, _) in root.iter().zip(present).filter(|(_, present)| *present) {
            self.value(field.kind, end, dice);
        }
        if extended {
            self.bits(added.len() as u32 - 1, 7);
            for present in &added {
                self.bits((*present).into(), 1);
            }
            let known = more.unwrap_or(&[]);
            for (number, _) in added.into_iter().enumerate().filter(|(_, there)| *there) {
                let kind = known.get(number).map(|field| field.kind);
                self.addition(kind, end, dice);
            }
        }
    }

    /// An address that may matter.
    fn address(&mut self, of_h245: bool, end: &End, dice: &mut Dice) {
        let (mut address, port) = match dice.below(20) {
            14..17 => end.remote,
            // A call that is forwarded there would not leave Linux.
            17 if end.service == RAS => (Address::V4([127, 0, 0, 1]), end.local.1),
            _ => end.local,
        };
        if dice.chance(5) {
            match &mut address {
                Address::V4([.., last]) | Address::V6([.., last]) => *last ^= 4,
            }
        }
        let port = dice.pick(&[
            port,
            end.local.1,
            CALLS,
            2_000,
            2_001,
            2_002,
            40_000,
            65_535,
            65_534,
            1,
            0,
        ]);
        let v6 = address.is_v6();
        self.bits(0, 1);
        if of_h245 {
            // Unicast or multicast; then which family.
            self.bits(u32::from(dice.chance(4)), 1);
            let multicast = self
                .bytes
                .last()
                .is_some_and(|last| last >> self.free & 1 == 1);
            self.bits(0, 1);
            let (number, bits) = if multicast { (1, 1) } else { (2, 3) };
            self.bits(if v6 { number } else { 0 }, bits);
            self.bits(0, 1);
        } else {
            self.bits(if v6 { 3 } else { 0 }, 3);
            if v6 {
                self.bits(0, 1);
            }
        }
        match address {
            Address::V4(bytes) => self.octets(&bytes),
            Address::V6(bytes) => self.octets(&bytes),
        }
        self.octets(&port.to_be_bytes());
    }
}
