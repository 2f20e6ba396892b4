//! Layouts that are declared once: as types for the code, and as tables for people.

/// One field of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLayout {
    /// Name; empty if the bits are reserved.
    pub name: &'static str,
    /// What it holds.
    pub meaning: &'static str,
    /// Its width.
    pub bits: usize,
}

/// A field that is not part of a descriptor.
pub(crate) const fn field(name: &'static str, bits: usize, meaning: &'static str) -> FieldLayout {
    FieldLayout {
        name,
        meaning,
        bits,
    }
}

/// A descriptor: its fields from the low bits of the first byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorLayout {
    /// Name of the type.
    pub name: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// Its size.
    pub bytes: usize,
    /// Its fields.
    pub fields: &'static [FieldLayout],
}

/// The values of a field that holds a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLayout {
    /// Name of the type.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// Value, name, meaning.
    pub values: &'static [(u8, &'static str, &'static str)],
}

/// Declares descriptors and codes: `BYTES Name "meaning" { field: Type "meaning"; - B4; }` (a line that begins with a dash is
/// reserved), `codes Name "meaning" { Value = 0 "meaning"; }` (four bits).
macro_rules! descriptors {
    (@one codes $name:ident $meaning:literal { $($value:ident = $code:literal $what:literal;)* }) => {
        #[doc = $meaning]
        #[derive(Specifier, Debug, Clone, Copy, PartialEq, Eq)]
        #[bits = 4]
        pub enum $name {
            $(#[doc = $what] $value = $code,)*
        }

        impl $name {
            /// For people.
            pub const LAYOUT: CodeLayout = CodeLayout {
                name: stringify!($name),
                meaning: $meaning,
                values: &[$(($code, stringify!($value), $what),)*],
            };
        }
    };
    (@one $bytes:literal $name:ident $meaning:literal {
        $($(- $gap:ident)? $($field:ident: $type:ident $what:literal)?;)*
    }) => {
        #[doc = $meaning]
        #[bitfield(bytes = $bytes)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $($(#[skip] __: $gap,)? $(#[doc = $what] pub $field: $type,)?)*
        }

        impl $name {
            /// For people.
            pub const LAYOUT: DescriptorLayout = DescriptorLayout {
                name: stringify!($name),
                meaning: $meaning,
                bytes: $bytes,
                fields: &[$(
                    $(FieldLayout { name: "", meaning: "reserved", bits: <$gap as Specifier>::BITS },)?
                    $(FieldLayout { name: stringify!($field), meaning: $what, bits: <$type as Specifier>::BITS },)?
                )*],
            };
        }
    };
    ($($kind:tt $name:ident $meaning:literal { $($inside:tt)* })*) => {
        $(descriptors! { @one $kind $name $meaning { $($inside)* } })*
    };
}
pub(crate) use descriptors;
