//! What every message can do, and the macro that declares one.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};

use super::Arena;

/// A protobuf message in its JSON form. Implemented by the types of [`crate::message`] and by no others.
pub trait Message: Default + PartialEq + Sealed {
    /// Whether a list of these announces its length by the member `mod_revision`, one in each element.
    #[doc(hidden)]
    const HAS_MOD_REVISION: bool = false;

    /// The list that makes messages of this type long, if there is one: its elements can be decoded one by one.
    #[doc(hidden)]
    const LONG_LIST: Option<&'static str> = None;

    /// Decodes an element of [`LONG_LIST`](Self::LONG_LIST) and puts it at the list's end.
    #[doc(hidden)]
    fn append_element<'de, D: Deserializer<'de>>(
        &mut self,
        element: D,
        _: Input<'_>,
    ) -> Result<(), D::Error> {
        IgnoredAny::deserialize(element).map(drop)
    }

    /// Puts the elements that `message` has in [`LONG_LIST`](Self::LONG_LIST) in the place of the list's first.
    #[doc(hidden)]
    fn replace_first_element(&mut self, message: Self) {
        drop(message);
    }

    /// Writes every member that does not hold its default.
    #[doc(hidden)]
    fn serialize_members<S: SerializeMap>(&self, map: &mut S) -> Result<(), S::Error>;

    /// Reads one member and its value; `false` at the end of the object.
    #[doc(hidden)]
    fn merge_member<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        input: Input<'_>,
    ) -> Result<bool, A::Error>;

    /// Writes the message as an object.
    #[doc(hidden)]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.serialize_members(&mut map)?;
        map.end()
    }
}

/// What decoding needs besides the document; opaque outside this crate.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Input<'a>(pub(crate) &'a Arena<'a>);

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}

/// Keeps [`Message`] to this crate, so that it may grow.
#[doc(hidden)]
pub trait Sealed {}

/// Reads a member's name and finds it in a table; `None` for a name the table lacks.
pub(crate) struct NameSeed<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<'de, T: Copy> DeserializeSeed<'de> for NameSeed<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<T: Copy> Visitor<'_> for NameSeed<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_bytes<E: serde::de::Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        let known = self.0.iter().find(|(known, _)| known.as_bytes() == name);
        if known.is_none() && !std::str::from_utf8(name).is_ok_and(|name| !name.contains(char::is_control)) {
            return Err(E::custom("not a name"));
        }
        Ok(known.map(|(_, member)| *member))
    }
}

/// Declares a message: a plain struct with public fields, and its codec.
///
/// A field's wire name is its own, unless `as "name"` gives another. `keyed` marks messages that hold the
/// member `mod_revision`, so that lists of them are allocated at once. `long` names the list that makes a message long.
macro_rules! message {
    (
        $(#[$meta:meta])*
        pub $(($keyed:ident))? struct $name:ident {
            $( $(#[$field_meta:meta])* $field:ident $(as $wire:literal)? : $type:ty ),* $(,)?
        }
        $(long $list:ident)?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl $crate::codec::Sealed for $name {}

        impl $crate::codec::Message for $name {
            $( const HAS_MOD_REVISION: bool = { stringify!($keyed); true }; )?

            $(
                const LONG_LIST: Option<&'static str> = Some(stringify!($list));

                fn append_element<'de, D: serde::Deserializer<'de>>(
                    &mut self,
                    element: D,
                    input: $crate::codec::Input<'_>,
                ) -> Result<(), D::Error> {
                    $crate::codec::append(&mut self.$list, element, input)
                }

                fn replace_first_element(&mut self, message: Self) {
                    let rest = std::mem::replace(&mut self.$list, message.$list);
                    self.$list.extend(rest.into_iter().skip(1));
                }
            )?

            fn serialize_members<S: serde::ser::SerializeMap>(&self, map: &mut S) -> Result<(), S::Error> {
                $( $crate::codec::serialize_member(
                    map, $crate::codec::wire_name!($field $($wire)?), &self.$field,
                )?; )*
                let _ = map;
                Ok(())
            }

            fn merge_member<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                map: &mut A,
                input: $crate::codec::Input<'_>,
            ) -> Result<bool, A::Error> {
                #[allow(non_camel_case_types)]
                #[derive(Clone, Copy)]
                enum Member { $($field),* }
                const MEMBERS: &[(&str, Member)] =
                    &[$( ($crate::codec::wire_name!($field $($wire)?), Member::$field) ),*];

                let Some(member) = map.next_key_seed($crate::codec::NameSeed(MEMBERS))? else {
                    return Ok(false);
                };
                match member {
                    $( Some(Member::$field) => {
                        map.next_value_seed($crate::codec::FieldSeed::new(&mut self.$field, input.0))?;
                    } )*
                    None => {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                let _ = input;
                Ok(true)
            }
        }
    };
}

macro_rules! wire_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $wire:literal) => {
        $wire
    };
}

pub(crate) use {message, wire_name};
