//! Enums that keep values they do not know.

use std::fmt;
use std::sync::Arc;

/// A value of an enum that this version of the library has no name for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnumValue {
    /// The server sent a number.
    Number(i32),
    /// The server sent a name.
    Name(Arc<str>),
}

impl fmt::Display for EnumValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Declares a protobuf enum: its known values by number and name, and room for those of newer servers.
///
/// The first value is the default, which JSON leaves out.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $(#[$first_meta:meta])* $first:ident = $first_number:literal $first_wire:literal,
            $( $(#[$variant_meta:meta])* $variant:ident = $number:literal $wire:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $( $(#[$variant_meta])* $variant, )*
            /// A value that this version of the library does not know.
            Other($crate::codec::EnumValue),
        }

        impl $name {
            fn from_number(number: i32) -> Self {
                match number {
                    $first_number => Self::$first,
                    $( $number => Self::$variant, )*
                    _ => Self::Other($crate::codec::EnumValue::Number(number)),
                }
            }

            fn from_name(name: &str) -> Self {
                match name {
                    $first_wire => Self::$first,
                    $( $wire => Self::$variant, )*
                    _ => Self::Other($crate::codec::EnumValue::Name(name.into())),
                }
            }
        }

        impl $crate::codec::Field for $name {
            fn is_default(&self) -> bool {
                *self == Self::$first
            }

            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::$first => serializer.serialize_str($first_wire),
                    $( Self::$variant => serializer.serialize_str($wire), )*
                    Self::Other($crate::codec::EnumValue::Number(number)) => serializer.serialize_i32(*number),
                    Self::Other($crate::codec::EnumValue::Name(name)) => serializer.serialize_str(name),
                }
            }

            fn merge<'de, D: serde::Deserializer<'de>>(
                &mut self,
                deserializer: D,
                _: &$crate::codec::Arena<'_>,
            ) -> Result<(), D::Error> {
                *self = match deserializer.deserialize_any($crate::codec::EnumVisitor)? {
                    $crate::codec::EnumValue::Number(number) => Self::from_number(number),
                    $crate::codec::EnumValue::Name(name) => Self::from_name(&name),
                };
                Ok(())
            }
        }
    };
}
pub(crate) use open_enum;

/// Reads a name or a number; `null` is number 0.
pub(crate) struct EnumVisitor;

impl serde::de::Visitor<'_> for EnumVisitor {
    type Value = EnumValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an enum, as a name or a number")
    }

    fn visit_str<E>(self, name: &str) -> Result<EnumValue, E> {
        Ok(EnumValue::Name(name.into()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<EnumValue, E> {
        number
            .try_into()
            .map(EnumValue::Number)
            .map_err(|_| E::custom("enum number out of range"))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<EnumValue, E> {
        number
            .try_into()
            .map(EnumValue::Number)
            .map_err(|_| E::custom("enum number out of range"))
    }

    fn visit_unit<E>(self) -> Result<EnumValue, E> {
        Ok(EnumValue::Number(0))
    }
}
