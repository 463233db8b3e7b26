//! Text that must not be printed.

use std::fmt;

use serde::de::Deserializer;
use serde::ser::Serializer;

use super::{Arena, Field};

/// A password or a token: travels on the wire, never through `Debug`.
///
/// ```
/// use etcd_core::codec::Secret;
///
/// let password = Secret::from("hunter2");
/// assert_eq!(format!("{password:?}"), "<secret>");
/// assert_eq!(password.expose(), "hunter2");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Field for Secret {
    fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Field::serialize(&self.0, serializer)
    }

    fn merge<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        arena: &Arena<'_>,
    ) -> Result<(), D::Error> {
        self.0.merge(deserializer, arena)
    }
}
