//! The conditions of a transaction.

use bytes::Bytes;

use crate::codec::{message, open_enum};
use crate::key::{IntoBytes, KeyRange};

open_enum! {
    /// How the stored value must relate to the given one.
    pub enum CompareResult {
        /// `stored == given`
        Equal = 0 "EQUAL",
        /// `stored > given`
        Greater = 1 "GREATER",
        /// `stored < given`
        Less = 2 "LESS",
        /// `stored != given`
        NotEqual = 3 "NOT_EQUAL",
    }
}

open_enum! {
    /// Which property of a key is compared.
    pub enum CompareTarget {
        /// The version; 0 for a key that does not exist.
        Version = 0 "VERSION",
        /// The create revision; 0 for a key that does not exist.
        Create = 1 "CREATE",
        /// The mod revision; 0 for a key that does not exist.
        Mod = 2 "MOD",
        /// The value. A key that does not exist satisfies no comparison of values.
        Value = 3 "VALUE",
        /// The lease; 0 for none.
        Lease = 4 "LEASE",
    }
}

message! {
    /// One condition of a [`Txn`](super::Txn). All conditions of a transaction must hold for its first branch.
    ///
    /// Over a range, every key in it must satisfy the condition. A range without keys compares like one absent
    /// key: all zeros, and no value.
    ///
    /// ```
    /// use etcd_core::key::prefix;
    /// use etcd_core::message::Compare;
    ///
    /// let absent = Compare::version("config/mode").eq(0);
    /// let held = Compare::create_revision("locks/a/7").eq(42);
    /// let all_old = Compare::mod_revision(prefix("config/")).lt(100);
    /// # let _ = (absent, held, all_old);
    /// ```
    pub struct Compare {
        /// The relation.
        result: CompareResult,
        /// The property.
        target: CompareTarget,
        /// The first key.
        key: Bytes,
        /// The given version, for [`CompareTarget::Version`].
        version: Option<i64>,
        /// The given revision, for [`CompareTarget::Create`].
        create_revision: Option<i64>,
        /// The given revision, for [`CompareTarget::Mod`].
        mod_revision: Option<i64>,
        /// The given value, for [`CompareTarget::Value`].
        value: Option<Bytes>,
        /// The given lease, for [`CompareTarget::Lease`].
        lease: Option<i64>,
        /// The key after the last one, as in [`Get::range_end`](super::Get::range_end).
        range_end: Bytes,
    }
}

impl Compare {
    /// Compares how often a key was written since its creation; 0 means it does not exist.
    pub fn version(keys: impl Into<KeyRange>) -> Comparison<i64> {
        Comparison::new(keys, CompareTarget::Version, |compare, given| {
            compare.version = Some(given);
        })
    }

    /// Compares the revision that created a key; 0 means it does not exist.
    pub fn create_revision(keys: impl Into<KeyRange>) -> Comparison<i64> {
        Comparison::new(keys, CompareTarget::Create, |compare, given| {
            compare.create_revision = Some(given);
        })
    }

    /// Compares the revision that last changed a key; 0 means it does not exist.
    pub fn mod_revision(keys: impl Into<KeyRange>) -> Comparison<i64> {
        Comparison::new(keys, CompareTarget::Mod, |compare, given| {
            compare.mod_revision = Some(given);
        })
    }

    /// Compares the lease of a key; 0 means none.
    pub fn lease(keys: impl Into<KeyRange>) -> Comparison<i64> {
        Comparison::new(keys, CompareTarget::Lease, |compare, given| {
            compare.lease = Some(given);
        })
    }

    /// Compares the value of a key, byte by byte.
    pub fn value(keys: impl Into<KeyRange>) -> Comparison<Bytes> {
        Comparison::new(keys, CompareTarget::Value, |compare, given| {
            compare.value = Some(given);
        })
    }
}

/// A [`Compare`] that still lacks its relation and the value to compare with.
#[derive(Clone, Debug)]
#[must_use = "a comparison needs one of eq, ne, gt, lt"]
pub struct Comparison<T> {
    compare: Compare,
    set: fn(&mut Compare, T),
}

impl<T> Comparison<T> {
    fn new(keys: impl Into<KeyRange>, target: CompareTarget, set: fn(&mut Compare, T)) -> Self {
        let (key, range_end) = keys.into().into_parts();
        Self {
            compare: Compare {
                target,
                key,
                range_end,
                ..Compare::default()
            },
            set,
        }
    }

    fn with(mut self, result: CompareResult, given: T) -> Compare {
        (self.set)(&mut self.compare, given);
        self.compare.result = result;
        self.compare
    }
}

/// The four relations, for numbers and for bytes alike.
macro_rules! relations {
    ($target:ty, $given:ident: $type:ty => $convert:expr) => {
        // `eq`, `ne`, `gt` and `lt` are the field's words for these relations (etcdctl's, Go's `Compare`), and
        // neither type is compared in Rust's own sense.
        #[allow(clippy::should_implement_trait)]
        impl Comparison<$target> {
            /// Holds if what is stored equals `given`.
            #[must_use]
            pub fn eq(self, $given: $type) -> Compare {
                self.with(CompareResult::Equal, $convert)
            }

            /// Holds if what is stored differs from `given`.
            #[must_use]
            pub fn ne(self, $given: $type) -> Compare {
                self.with(CompareResult::NotEqual, $convert)
            }

            /// Holds if what is stored is greater than `given`.
            #[must_use]
            pub fn gt(self, $given: $type) -> Compare {
                self.with(CompareResult::Greater, $convert)
            }

            /// Holds if what is stored is less than `given`.
            #[must_use]
            pub fn lt(self, $given: $type) -> Compare {
                self.with(CompareResult::Less, $convert)
            }
        }
    };
}

relations!(i64, given: i64 => given);
relations!(Bytes, given: impl IntoBytes => given.into_bytes());
