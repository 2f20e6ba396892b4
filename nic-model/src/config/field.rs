//! How a parameter is declared: once, with its unit, default, range, meaning and source; everything else (reading, checking,
//! explaining, the tables in the documents) comes from there.

use std::fmt;

/// A value of a parameter, as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// A switch.
    Flag(bool),
    /// A name.
    Name(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Name(name) => write!(f, "\"{name}\""),
        }
    }
}

/// What a parameter can be.
pub trait Knob {
    /// Its value.
    fn value(&self) -> Value;
}

impl Knob for u32 {
    fn value(&self) -> Value {
        Value::Number((*self).into())
    }
}

impl Knob for u64 {
    fn value(&self) -> Value {
        Value::Number(*self)
    }
}

impl Knob for bool {
    fn value(&self) -> Value {
        Value::Flag(*self)
    }
}

/// Which values a parameter may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// From the first to the last, both included.
    Range(u64, u64),
    /// The powers of two among them.
    PowerOfTwo(u64, u64),
    /// These.
    OneOf(&'static [u64]),
    /// One of these names.
    Names(&'static [&'static str]),
    /// True or false.
    Flag,
}

impl Allowed {
    /// Whether it may have this value.
    pub fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Range(low, high), Value::Number(number)) => (*low..=*high).contains(number),
            (Self::PowerOfTwo(low, high), Value::Number(number)) => {
                number.is_power_of_two() && (*low..=*high).contains(number)
            }
            (Self::OneOf(numbers), Value::Number(number)) => numbers.contains(number),
            (Self::Names(names), Value::Name(name)) => names.contains(name),
            (Self::Flag, Value::Flag(_)) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(low, high) => write!(f, "{low} to {high}"),
            Self::PowerOfTwo(low, high) => write!(f, "a power of two from {low} to {high}"),
            Self::OneOf(numbers) => write!(f, "one of {numbers:?}"),
            Self::Names(names) => write!(f, "one of {}", names.join(", ")),
            Self::Flag => write!(f, "true or false"),
        }
    }
}

/// A parameter and its value in some configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Dotted key.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
    /// Its unit; empty for names, flags and plain numbers.
    pub unit: &'static str,
    /// The values it may have.
    pub allowed: Allowed,
    /// What it is.
    pub meaning: String,
    /// Where its default comes from: a source, or "assumed".
    pub source: &'static str,
}

/// Some parameters that belong together.
pub trait Section {
    /// All of them, in the order of their declaration.
    fn fields(&self) -> Vec<Field>;
}

/// Declares a section: for each parameter its meaning (as documentation), name, type, default, allowed values, unit, and the
/// source of the default.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident, $prefix:literal {
        $($(#[doc = $meaning:literal])+ $field:ident: $type:ty = $default:expr, $allowed:expr, $unit:literal, $source:literal;)*
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[doc = $meaning])+ pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::config::field::Section for $name {
            fn fields(&self) -> Vec<$crate::config::field::Field> {
                #[allow(unused_imports, reason = "a section may have no field of some kind")]
                use $crate::config::field::{Allowed::*, Field, Knob};
                vec![$(Field {
                    key: concat!($prefix, ".", stringify!($field)),
                    value: Knob::value(&self.$field),
                    unit: $unit,
                    allowed: $allowed,
                    meaning: concat!($($meaning,)+).trim().to_owned(),
                    source: $source,
                },)*]
            }
        }
    };
}
pub(crate) use section;

/// Declares a choice among names.
macro_rules! names {
    ($(#[doc = $about:literal])+ $name:ident { $first:ident = $first_text:literal: $first_meaning:literal, $($variant:ident = $text:literal: $meaning:literal,)* }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            #[doc = $first_meaning]
            #[default]
            #[serde(rename = $first_text)]
            $first,
            $(#[doc = $meaning] #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$variant,)*];
            /// Their names.
            pub const NAMES: &'static [&'static str] = &[$first_text, $($text,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl $crate::config::field::Knob for $name {
            fn value(&self) -> $crate::config::field::Value {
                $crate::config::field::Value::Name(self.name())
            }
        }
    };
}
pub(crate) use names;
