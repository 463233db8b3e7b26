//! Messages that are nothing but a protobuf `oneof`.

/// Declares a message whose only content is a `oneof`: an enum with one variant for each member.
///
/// The member is always written, even when it equals its default: its presence is the information. A member
/// this version does not know decodes as `Unknown`; of several members the last one wins.
macro_rules! oneof {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident($type:ty) as $wire:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$variant_meta])* $variant($type), )*
            /// No member, or one that this version of the library does not know. Only decoding makes it.
            #[default]
            Unknown,
        }

        $(
            impl From<$type> for $name {
                fn from(member: $type) -> Self {
                    Self::$variant(member)
                }
            }
        )*

        impl $crate::codec::Sealed for $name {}

        impl $crate::codec::Message for $name {
            fn serialize_members<S: serde::ser::SerializeMap>(&self, map: &mut S) -> Result<(), S::Error> {
                match self {
                    $( Self::$variant(member) => map.serialize_entry($wire, &$crate::codec::AsSerialize(member)), )*
                    Self::Unknown => Ok(()),
                }
            }

            fn merge_member<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                map: &mut A,
                input: $crate::codec::Input<'_>,
            ) -> Result<bool, A::Error> {
                #[derive(Clone, Copy)]
                enum Member { $($variant),* }
                const MEMBERS: &[(&str, Member)] = &[$( ($wire, Member::$variant) ),*];

                let Some(member) = map.next_key_seed($crate::codec::NameSeed(MEMBERS))? else {
                    return Ok(false);
                };
                match member {
                    $( Some(Member::$variant) => {
                        let mut value: Option<$type> = None;
                        map.next_value_seed($crate::codec::FieldSeed::new(&mut value, input.0))?;
                        if let Some(value) = value {
                            *self = Self::$variant(value);
                        }
                    } )*
                    None => {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                Ok(true)
            }
        }
    };
}

pub(crate) use oneof;
