//! The values a member can have.

use std::fmt;
use std::marker::PhantomData;

use base64::display::Base64Display;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize as _, Serialize};

use super::arena::BASE64;
use super::message::Input;
use super::{Arena, Message};

/// A value in its proto3 JSON form.
pub(crate) trait Field: Default {
    /// Whether the value is the one that absence means.
    fn is_default(&self) -> bool;

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Replaces the value by what the document says.
    fn merge<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        arena: &Arena<'_>,
    ) -> Result<(), D::Error>;

    /// The capacity a list of these should start with, and what to note once it is decoded.
    fn expected_count(_: &Arena<'_>) -> usize {
        0
    }

    fn decoded_count(_: &Arena<'_>, _count: usize) {}
}

/// Writes `value` under `name`, unless it is the default.
pub(crate) fn serialize_member<S: SerializeMap, F: Field>(
    map: &mut S,
    name: &'static str,
    value: &F,
) -> Result<(), S::Error> {
    if value.is_default() {
        return Ok(());
    }
    map.serialize_entry(name, &AsSerialize(value))
}

/// Lends a [`Field`] to serde.
pub(crate) struct AsSerialize<'a, F>(pub(crate) &'a F);

impl<F: Field> Serialize for AsSerialize<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Decodes into a place.
pub(crate) struct FieldSeed<'a, F> {
    place: &'a mut F,
    arena: &'a Arena<'a>,
}

impl<'a, F> FieldSeed<'a, F> {
    pub(crate) fn new(place: &'a mut F, arena: &'a Arena<'a>) -> Self {
        Self { place, arena }
    }
}

impl<'de, F: Field> DeserializeSeed<'de> for FieldSeed<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.place.merge(deserializer, self.arena)
    }
}

/// An integer in any of the forms that servers and proxies write it; `null` is zero.
struct Integer<T>(PhantomData<T>);

impl<T: TryFrom<i128> + std::str::FromStr> Visitor<'_> for Integer<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, as a number or a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::custom("not an integer of this size"))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        T::try_from(number.into()).map_err(|_| E::custom("integer out of range"))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        T::try_from(number.into()).map_err(|_| E::custom("integer out of range"))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<T, E> {
        T::try_from(0).map_err(|_| E::custom("integer out of range"))
    }
}

macro_rules! integer_field {
    ($type:ty, $serialize:expr) => {
        impl Field for $type {
            fn is_default(&self) -> bool {
                *self == 0
            }

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $serialize(serializer, *self)
            }

            fn merge<'de, D: Deserializer<'de>>(
                &mut self,
                deserializer: D,
                _: &Arena<'_>,
            ) -> Result<(), D::Error> {
                *self = deserializer.deserialize_any(Integer(PhantomData))?;
                Ok(())
            }
        }
    };
}

integer_field!(i64, |serializer: S, value: i64| serializer.collect_str(&value));
integer_field!(u64, |serializer: S, value: u64| serializer.collect_str(&value));
integer_field!(u32, |serializer: S, value: u32| serializer.serialize_u32(value));

/// A member of a `oneof`, which is written even when it holds zero.
impl Field for Option<i64> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.unwrap_or_default())
    }

    fn merge<'de, D: Deserializer<'de>>(&mut self, deserializer: D, _: &Arena<'_>) -> Result<(), D::Error> {
        *self = Some(deserializer.deserialize_any(Integer(PhantomData))?);
        Ok(())
    }
}

impl Field for bool {
    fn is_default(&self) -> bool {
        !*self
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self)
    }

    fn merge<'de, D: Deserializer<'de>>(&mut self, deserializer: D, _: &Arena<'_>) -> Result<(), D::Error> {
        *self = Option::deserialize(deserializer)?.unwrap_or_default();
        Ok(())
    }
}

impl Field for String {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }

    fn merge<'de, D: Deserializer<'de>>(&mut self, deserializer: D, _: &Arena<'_>) -> Result<(), D::Error> {
        *self = Option::deserialize(deserializer)?.unwrap_or_default();
        Ok(())
    }
}

impl Field for Bytes {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self, &BASE64))
    }

    fn merge<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        arena: &Arena<'_>,
    ) -> Result<(), D::Error> {
        *self = deserializer.deserialize_option(Base64(arena))?;
        Ok(())
    }
}

/// A member of a `oneof`, which is written even when it is empty.
impl Field for Option<Bytes> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(bytes) => Field::serialize(bytes, serializer),
            None => serializer.serialize_unit(),
        }
    }

    fn merge<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        arena: &Arena<'_>,
    ) -> Result<(), D::Error> {
        *self = Some(deserializer.deserialize_option(Base64(arena))?);
        Ok(())
    }
}

/// Base64, or `null`.
///
/// Asks for the bytes of the text and not for the text: whether they are UTF-8 need not be checked, since base64 is.
struct Base64<'a>(&'a Arena<'a>);

impl<'de> Visitor<'de> for Base64<'_> {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes in base64")
    }

    fn visit_none<E>(self) -> Result<Bytes, E> {
        Ok(Bytes::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Bytes, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_bytes<E: serde::de::Error>(self, text: &[u8]) -> Result<Bytes, E> {
        self.0.decode(text).ok_or_else(|| E::custom("not base64"))
    }
}

impl<F: Field> Field for Vec<F> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut elements = serializer.serialize_seq(Some(self.len()))?;
        for element in self {
            elements.serialize_element(&AsSerialize(element))?;
        }
        elements.end()
    }

    fn merge<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        arena: &Arena<'_>,
    ) -> Result<(), D::Error> {
        *self = deserializer.deserialize_any(List(arena, PhantomData))?;
        Ok(())
    }
}

/// Decodes one element and puts it at the end of a list of which nobody knows how long it will be.
pub(crate) fn append<'de, F: Field, D: Deserializer<'de>>(
    list: &mut Vec<F>,
    element: D,
    input: Input<'_>,
) -> Result<(), D::Error> {
    let mut decoded = F::default();
    decoded.merge(element, input.0)?;
    input.0.take_room(size_of::<F>())?;
    if list.len() == list.capacity() {
        // Not by doubling: such a list may be most of what there is in memory.
        list.reserve_exact((list.len() / 2).max(SHORT_LIST));
    }
    list.push(decoded);
    Ok(())
}

/// A list of up to this many elements is allocated at once, without looking ahead.
const SHORT_LIST: usize = 4;

struct List<'a, F>(&'a Arena<'a>, PhantomData<F>);

impl<'de, F: Field> Visitor<'de> for List<'_, F> {
    type Value = Vec<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<F>, A::Error> {
        let mut list = Vec::new();
        loop {
            let mut element = F::default();
            let Some(()) = elements.next_element_seed(FieldSeed::new(&mut element, self.0))? else {
                break;
            };
            match list.len() {
                // Most lists are short, and counting what is to come costs more than they do.
                0 => list.reserve_exact(SHORT_LIST),
                SHORT_LIST => {
                    let expected = F::expected_count(self.0).min(self.0.room_for(size_of::<F>()));
                    list.reserve_exact(expected.saturating_sub(SHORT_LIST).max(1));
                }
                _ => {}
            }
            self.0.take_room(size_of::<F>())?;
            list.push(element);
        }
        F::decoded_count(self.0, list.len());
        // Several lists of one document share the estimate; only the last one may come close to it.
        if list.capacity() / 2 > list.len() {
            list.shrink_to_fit();
        }
        Ok(list)
    }

    fn visit_unit<E>(self) -> Result<Vec<F>, E> {
        Ok(Vec::new())
    }
}

impl<M: Message> Field for M {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Message::serialize(self, serializer)
    }

    fn merge<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        arena: &Arena<'_>,
    ) -> Result<(), D::Error> {
        *self = Self::default();
        deserializer.deserialize_any(Object(self, arena))
    }

    fn expected_count(arena: &Arena<'_>) -> usize {
        if M::HAS_MOD_REVISION {
            arena.keys_ahead()
        } else {
            0
        }
    }

    fn decoded_count(arena: &Arena<'_>, count: usize) {
        if M::HAS_MOD_REVISION {
            arena.keys_decoded(count);
        }
    }
}

struct Object<'a, M>(&'a mut M, &'a Arena<'a>);

impl<'de, M: Message> Visitor<'de> for Object<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while self.0.merge_member(&mut map, Input(self.1))? {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A message that may be absent; an empty object is present.
impl<M: Message> Field for Option<M> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(message) => Message::serialize(message, serializer),
            None => serializer.serialize_unit(),
        }
    }

    fn merge<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        arena: &Arena<'_>,
    ) -> Result<(), D::Error> {
        *self = deserializer.deserialize_option(Maybe(arena, PhantomData))?;
        Ok(())
    }
}

struct Maybe<'a, M>(&'a Arena<'a>, PhantomData<M>);

impl<'de, M: Message> Visitor<'de> for Maybe<'_, M> {
    type Value = Option<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<Option<M>, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Option<M>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<M>, D::Error> {
        let mut message = M::default();
        message.merge(deserializer, self.0)?;
        Ok(Some(message))
    }
}
