//! Events and pairs on one line, whatever bytes they hold.

use std::fmt::{self, Display, Formatter};

use etcd_core::key::KeyRange;
use etcd_core::message::{Event, EventType, KeyValue};

/// Longer keys and values are cut off.
const MAX_BYTES: usize = 48;

struct Show<F>(F);

impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for Show<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0(f)
    }
}

pub(crate) fn bytes(bytes: &[u8]) -> impl Display + '_ {
    Show(move |f: &mut Formatter<'_>| {
        let shown = &bytes[..bytes.len().min(MAX_BYTES)];
        write!(f, "\"{}\"", shown.escape_ascii())?;
        if shown.len() < bytes.len() {
            write!(f, "… ({} bytes)", bytes.len())?;
        }
        Ok(())
    })
}

pub(crate) fn event(event: &Event) -> impl Display + '_ {
    Show(move |f: &mut Formatter<'_>| match event.event_type {
        EventType::Delete => write!(f, "DELETE {} @{}", bytes(&event.kv.key), event.kv.mod_revision),
        _ => write!(f, "PUT {}", pair(Some(&event.kv))),
    })
}

pub(crate) fn event_or_none(one: Option<&Event>) -> impl Display + '_ {
    Show(move |f: &mut Formatter<'_>| match one {
        Some(one) => write!(f, "{}", event(one)),
        None => f.write_str("nothing"),
    })
}

pub(crate) fn pair(pair: Option<&KeyValue>) -> impl Display + '_ {
    Show(move |f: &mut Formatter<'_>| {
        let Some(pair) = pair else {
            return f.write_str("nothing");
        };
        write!(
            f,
            "{} = {} @{} (created @{}, version {}, lease {})",
            bytes(&pair.key),
            bytes(&pair.value),
            pair.mod_revision,
            pair.create_revision,
            pair.version,
            pair.lease
        )
    })
}

pub(crate) fn keys(keys: &KeyRange) -> impl Display + '_ {
    Show(move |f: &mut Formatter<'_>| match &keys.range_end()[..] {
        b"" => write!(f, "{}", bytes(keys.key())),
        b"\0" => write!(f, "{}..", bytes(keys.key())),
        end => write!(f, "{}..{}", bytes(keys.key()), bytes(end)),
    })
}
