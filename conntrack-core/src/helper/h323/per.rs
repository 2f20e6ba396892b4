//! Messages in ASN.1's packed encoding, basic and aligned (X.691): what H.323's protocols are described in and sent as.

use std::cell::Cell;
use std::ops::Range;

/// How many of something there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Any number.
    Any,
    /// Exactly so many.
    Fixed(u32),
    /// From the first number to the second.
    Between(u32, u32),
}

/// A type of ASN.1.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// `NULL`.
    Null,
    /// Nobody asks for it: it is not read, nor its length if it is an alternative that was added.
    End,
    /// What may be of any type, with its length before it. Linux takes the octet for it that reading has come to, also if it
    /// is in the middle of that, and goes on in the middle of another.
    Open,
    /// `BOOLEAN`.
    Boolean,
    /// `INTEGER` from the first number to the second.
    Integer(u32, u32),
    /// `INTEGER` from 1 to 2^32 - 1. Linux reads on behind it, as if its octets came twice, and gives a message up that has
    /// not so many.
    Seconds,
    /// What says first how many octets it has: `INTEGER`, `OCTET STRING` that nobody asks for.
    Counted,
    /// `OBJECT IDENTIFIER`: Linux reads one octet of how many it has.
    Object,
    /// `OCTET STRING`.
    Octets(Size),
    /// `BIT STRING`.
    Bits(Size),
    /// A string of characters, each of so many bits.
    Text(u32, Size),
    /// `OCTET STRING` with another message in it.
    Holds(&'static Self),
    /// `SEQUENCE OF`, `SET OF`.
    Of(Size, &'static Self),
    /// `SEQUENCE` and what versions since the first have added, if they may: as much of it as Linux knows. If the last that is
    /// listed is the end, so are later ones.
    Sequence(&'static [Field], Option<&'static [Field]>),
    /// `CHOICE`, and the alternatives that versions since the first have added, if they may.
    Choice(&'static [Alternative], Option<&'static [Alternative]>),
}

/// A part of a `SEQUENCE`.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static Type,
    /// Whether it may be missing.
    pub optional: bool,
    /// Whether nobody asks for it, nor for what is behind it in its sequence: where it is or would be, that is no longer
    /// read. Like Linux, reading goes on from there with what comes behind the sequence.
    pub ends: bool,
}

impl Field {
    /// The same, but the sequence is not read from there on.
    pub(super) const fn end(self) -> Self {
        Self { ends: true, ..self }
    }
}

/// An alternative of a `CHOICE`: its name and type.
pub type Alternative = (&'static str, &'static Type);

/// A field that is always there.
pub(super) const fn must(name: &'static str, kind: &'static Type) -> Field {
    Field {
        name,
        kind,
        optional: false,
        ends: false,
    }
}

/// A field that may be missing.
pub(super) const fn may(name: &'static str, kind: &'static Type) -> Field {
    Field {
        name,
        kind,
        optional: true,
        ends: false,
    }
}

pub(super) static NULL: Type = Type::Null;
pub(super) static BOOLEAN: Type = Type::Boolean;
pub(super) static COUNTED: Type = Type::Counted;
pub(super) static OBJECT: Type = Type::Object;
pub(super) static END: Type = Type::End;
pub(super) static BYTE: Type = Type::Integer(0, 255);
pub(super) static WORD: Type = Type::Integer(0, 65_535);
/// An addition that nobody asks for: only its length counts.
pub(super) static SKIPPED: Type = Type::Null;

/// An addition that nobody asks for, behind everything that anybody does.
pub(super) const LATER: Field = may("", &Type::Null).end();

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nobody asks for it.
    Other,
    /// A number.
    Number(u32),
    /// A string: where it is in the message.
    Octets(Range<usize>),
    /// Each one.
    List(Vec<Self>),
    /// The fields that are there.
    Sequence(Vec<(&'static str, Self)>),
    /// The alternative that was chosen.
    Choice(&'static str, Box<Self>),
}

impl Value {
    /// A field, if it is there.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Sequence(fields) = self else {
            return None;
        };
        let mut found = fields.iter().filter(|(there, _)| *there == name);
        found.next().map(|(_, value)| value)
    }

    /// What was chosen, if it is this alternative.
    pub fn alternative(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Choice(chosen, value) if *chosen == name => Some(value),
            _ => None,
        }
    }

    /// The values of a list.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }

    /// The number.
    pub const fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Where the string is.
    pub const fn octets(&self) -> Option<&Range<usize>> {
        match self {
            Self::Octets(range) => Some(range),
            _ => None,
        }
    }
}

/// Messages in messages in messages go so deep at most.
const DEEPEST: u32 = 64;

/// The message that a part of `bytes` is; without if it is cut off, or none.
pub fn decode(bytes: &[u8], part: Range<usize>, kind: &Type) -> Option<Value> {
    /// Values for each octet. Parts that lie about their length are read more than once: they must not become many.
    const MOST: usize = 16;
    let left = Cell::new(bytes.get(part.clone())?.len() * MOST);
    let mut reader = Reader {
        bytes,
        at: part.start * 8,
        end: part.end * 8,
        left: &left,
    };
    reader.value(kind, DEEPEST)
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
    end: usize,
    /// Values that may still be read.
    left: &'a Cell<usize>,
}

impl Reader<'_> {
    fn bit(&mut self) -> Option<bool> {
        self.bits(1).map(|bit| bit == 1)
    }

    /// The next bits, 32 at most.
    fn bits(&mut self, count: u32) -> Option<u32> {
        if self.end.checked_sub(self.at)? < count as usize {
            return None;
        }
        let mut out = 0;
        for _ in 0..count {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            out = out << 1 | u32::from(bit);
            self.at += 1;
        }
        Some(out)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// So many octets, from the beginning of one.
    fn octets(&mut self, count: usize) -> Option<Range<usize>> {
        self.align();
        let start = self.at / 8;
        let end = start.checked_add(count)?;
        if end * 8 > self.end {
            return None;
        }
        self.at = end * 8;
        Some(start..end)
    }

    fn number(&mut self, octets: u32) -> Option<u32> {
        self.align();
        self.bits(octets * 8)
    }

    /// A number in a range (X.691, section 13.2).
    fn between(&mut self, low: u32, high: u32) -> Option<u32> {
        let raw = match high - low {
            0 => 0,
            last @ 1..=254 => self.bits(u32::BITS - last.leading_zeros())?,
            255 => self.number(1)?,
            256..=65_535 => self.number(2)?,
            last => {
                let most = last.ilog2() / 8 + 1;
                let octets = self.between(1, most)?;
                self.number(octets)?
            }
        };
        low.checked_add(raw)
    }

    /// How many follow (X.691, section 11.9). It takes one octet or two; Linux wants two to be there. What is sent in fragments
    /// of 16 Ki is no signalling: Linux reads their number as if it were a length.
    fn length(&mut self) -> Option<usize> {
        self.align();
        if self.end.checked_sub(self.at)? < 16 {
            return None;
        }
        let first = self.number(1)?;
        if first & 0x80 == 0 {
            return Some(first as usize);
        }
        let length = (first & 0x3f) << 8 | self.bits(8)?;
        Some(length as usize)
    }

    fn count(&mut self, size: Size) -> Option<usize> {
        match size {
            Size::Any => self.length(),
            Size::Fixed(count) => Some(count as usize),
            Size::Between(low, high) => self.between(low, high).map(|count| count as usize),
        }
    }

    /// A number that is small always (X.691, section 11.6): for greater ones, Linux would not see that they are.
    fn small(&mut self) -> Option<usize> {
        self.bits(7).map(|number| number as usize)
    }

    fn value(&mut self, kind: &Type, depth: u32) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        self.left.set(self.left.get().checked_sub(1)?);
        Some(match *kind {
            Type::Null | Type::End => Value::Other,
            Type::Open => {
                let length = *self.bytes[..self.end / 8].get(self.at / 8)?;
                self.at += (1 + usize::from(length)) * 8;
                Value::Other
            }
            Type::Boolean => Value::Number(self.bits(1)?),
            Type::Integer(low, high) => Value::Number(self.between(low, high)?),
            Type::Seconds => {
                let octets = self.between(1, 4)?;
                let number = self.number(octets)?;
                self.octets(octets as usize)?;
                Value::Number(number.wrapping_add(1))
            }
            Type::Counted => {
                let length = self.length()?;
                self.octets(length)?;
                Value::Other
            }
            Type::Object => {
                let length = self.number(1)?;
                self.octets(length as usize)?;
                Value::Other
            }
            Type::Octets(size) => self.string(size)?,
            Type::Bits(size) => self.text(1, size)?,
            Type::Text(bits, size) => self.text(bits, size)?,
            Type::Holds(kind) => {
                let length = self.length()?;
                let part = self.octets(length)?;
                self.inner(part.start, kind, depth)?
            }
            Type::Of(size, kind) => {
                let mut values = Vec::new();
                for _ in 0..self.count(size)? {
                    values.push(self.value(kind, depth)?);
                }
                Value::List(values)
            }
            Type::Sequence(root, more) => Value::Sequence(self.sequence(root, more, depth)?),
            Type::Choice(root, more) => self.choice(root, more, depth)?,
        })
    }

    /// What is in a part of the message that has a length of its own. Like Linux, it may lie about it.
    fn inner(&self, start: usize, kind: &Type, depth: u32) -> Option<Value> {
        let mut inner = Self {
            at: start * 8,
            ..*self
        };
        inner.value(kind, depth)
    }

    fn string(&mut self, size: Size) -> Option<Value> {
        const NOT_ALIGNED: usize = 2;
        let count = self.count(size)?;
        if matches!(size, Size::Fixed(_)) && count <= NOT_ALIGNED {
            self.bits(count as u32 * 8)?;
            return Some(Value::Other);
        }
        self.octets(count).map(Value::Octets)
    }

    fn text(&mut self, bits: u32, size: Size) -> Option<Value> {
        let length = self.count(size)?.checked_mul(bits as usize)?;
        self.align();
        let end = self.at.checked_add(length)?;
        if end > self.end {
            return None;
        }
        self.at = end;
        Some(Value::Other)
    }

    fn sequence(
        &mut self,
        root: &[Field],
        more: Option<&[Field]>,
        depth: u32,
    ) -> Option<Vec<(&'static str, Value)>> {
        let extended = more.is_some() && self.bit()?;
        let mut present = Vec::with_capacity(root.len());
        for field in root {
            present.push(!field.optional || self.bit()?);
        }
        let mut out = Vec::new();
        for (field, present) in root.iter().zip(present) {
            if field.ends {
                return Some(out);
            }
            if present {
                out.push((field.name, self.value(field.kind, depth)?));
            }
        }
        if extended {
            self.additions(more.unwrap_or(&[]), depth, &mut out)?;
        }
        Some(out)
    }

    /// What later versions have added to a sequence: each with its length, so that what is not known can be skipped.
    fn additions(
        &mut self,
        known: &[Field],
        depth: u32,
        out: &mut Vec<(&'static str, Value)>,
    ) -> Option<()> {
        let count = self.small()? + 1;
        let present = self.which(count)?;
        // Also if none of them is there, Linux goes on at the beginning of an octet.
        self.align();
        for (number, present) in present.into_iter().enumerate() {
            let field = known.get(number);
            if field.or(known.last()).is_some_and(|field| field.ends) {
                break;
            }
            // Linux believes that every addition is there that it does not know.
            if !present && field.is_some() {
                continue;
            }
            let length = self.length()?;
            let part = self.octets(length)?;
            if let Some(field) = field {
                let value = self.inner(part.start, field.kind, depth)?;
                out.push((field.name, value));
            }
        }
        Some(())
    }

    /// Which of so many additions are there: 32 at most, or Linux gives up. Where they end together with the fourth octet,
    /// it forgets that they did not begin with the first one.
    fn which(&mut self, count: usize) -> Option<Vec<bool>> {
        const MOST: usize = 32;
        if count > MOST {
            return None;
        }
        let begun = self.at % 8;
        let skipped = if begun + count == MOST { begun } else { 0 };
        self.at -= skipped;
        let mut present: Vec<bool> = (0..skipped + count)
            .map(|_| self.bit())
            .collect::<Option<_>>()?;
        present.truncate(count);
        Some(present)
    }

    fn choice(
        &mut self,
        root: &[Alternative],
        more: Option<&[Alternative]>,
        depth: u32,
    ) -> Option<Value> {
        if more.is_some() && self.bit()? {
            let number = self.small()?;
            let known = more.unwrap_or(&[]).get(number);
            if matches!(known, Some((_, Type::End))) {
                return Some(Value::Other);
            }
            let length = self.length()?;
            let part = self.octets(length)?;
            let Some((name, kind)) = known else {
                return Some(Value::Other);
            };
            let value = self.inner(part.start, kind, depth)?;
            return Some(Value::Choice(name, Box::new(value)));
        }
        let number = self.between(0, root.len().saturating_sub(1) as u32)?;
        let (name, kind) = root.get(number as usize)?;
        let value = self.value(kind, depth)?;
        Some(Value::Choice(name, Box::new(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{h225, h245};
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits
            .chunks(2)
            .map(|pair| (pair[0] << 4 | pair[1]) as u8)
            .collect()
    }

    fn read(kind: &Type, hex: &str) -> Option<Value> {
        let bytes = bytes(hex);
        decode(&bytes, 0..bytes.len(), kind)
    }

    /// As a protocol analyser (Wireshark 4) and Linux read it.
    #[test]
    fn a_registration_names_where_its_endpoint_can_be_called() {
        let message = "0dc0b4dc028d66000461aae82b06b8e70fab314e0003000aeaa3030000000aeaa3030fa0000aeaa3030fa0\
                       03000aeaa30307d0000aeaa30307d00014000002ffff018001000080004a49007271e52f";
        let message = read(&h225::RAS_MESSAGE, message);
        let request = message
            .as_ref()
            .and_then(|message| message.alternative("registrationRequest"));
        let called = request.and_then(|request| request.field("callSignalAddress"));
        let ports: Vec<_> = called
            .map_or(&[][..], Value::list)
            .iter()
            .filter_map(|address| address.alternative("ipAddress")?.field("port")?.number())
            .collect();
        assert_eq!(ports, [0, 4_000, 4_000]);
    }

    #[test]
    fn a_location_confirmation_is_read_as_far_as_needed() {
        let message = read(&h225::RAS_MESSAGE, "4c 0071 00cb00710b06b8 00cb00710b06b9");
        let confirm = message
            .as_ref()
            .and_then(|message| message.alternative("locationConfirm"));
        let address = confirm
            .and_then(|confirm| confirm.field("callSignalAddress")?.alternative("ipAddress"));
        let port = address.and_then(|address| address.field("port")?.number());
        assert_eq!(port, Some(1_720));
        let octets = address.and_then(|address| address.field("ip")?.octets());
        assert_eq!(octets, Some(&(4..8)));
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        let whole = bytes("4c007100cb00710b06b800cb00710b06b9");
        for length in 0..whole.len() {
            assert_eq!(
                decode(&whole, 0..length, &h225::RAS_MESSAGE),
                None,
                "{length}"
            );
        }
        assert_eq!(decode(&whole, 3..99, &h225::RAS_MESSAGE), None);
    }

    /// Channels that each claim to be nothing, and are read as far as the message goes.
    #[test]
    fn parts_that_overlap_are_not_read_again_and_again() {
        static LISTS: Type = Type::Of(
            Size::Any,
            &Type::Holds(&Type::Of(Size::Any, &Type::Boolean)),
        );
        let mut message = vec![0xa7, 0x10];
        message.resize(40_000, 0);
        for pair in message[2..].chunks_exact_mut(3) {
            pair.copy_from_slice(&[2, 0xbf, 0xff]);
        }
        assert_eq!(decode(&message, 0..message.len(), &LISTS), None);
        // Ten of them do no harm.
        message[..2].copy_from_slice(&[0, 10]);
        message.remove(0);
        assert!(decode(&message, 0..message.len(), &LISTS).is_some());
    }

    /// As seen from Linux (`testbench/tests/recorded/helper-h323.jsonl`).
    #[test]
    fn thirty_two_additions_are_read_and_no_more() {
        static KNOWN: [Field; 40] = [may("", &Type::Null); 40];
        static SEQUENCE: Type = Type::Sequence(&[], Some(&KNOWN));
        // A bit that there are additions, seven of how many more than one, one for each.
        assert!(read(&SEQUENCE, "9f 00000000").is_some());
        assert!(read(&SEQUENCE, "a0 0000000000").is_none());
    }

    #[test]
    fn additions_that_end_with_the_fourth_octet_are_read_from_its_beginning() {
        static KNOWN: [Field; 25] = [may("there", &Type::Boolean); 25];
        static SEQUENCE: Type = Type::Sequence(&[must("", &Type::Boolean)], Some(&KNOWN));
        static PAIR: Type = Type::Sequence(
            &[must("", &Type::Integer(0, 63)), must("pair", &SEQUENCE)],
            None,
        );
        // Six bits, one that there are additions, one that is false, 24 in seven: the 25 begin at the eighth of an octet.
        let additions = |hex: &str| {
            let value = read(&PAIR, hex)?;
            let there = match value.field("pair")? {
                Value::Sequence(fields) => fields.iter().filter(|(name, _)| *name == "there"),
                _ => return None,
            };
            Some(there.count())
        };
        // Of the octet's first seven bits, two are set (24 is 0011000). No addition is there, but two are read.
        assert_eq!(additions("02 30000000 0180 0180 0000"), Some(2));
    }

    #[test]
    fn messages_that_nobody_asks_for_are_not_read() {
        // endSessionCommand, and a request of a later version.
        assert!(read(&h245::CONTROL_MESSAGE, "4a40").is_some());
        assert!(read(&h245::CONTROL_MESSAGE, "40").is_some());
    }
}
