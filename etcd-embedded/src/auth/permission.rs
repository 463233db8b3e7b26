//! Whether a set of permissions allows an access.

use std::cmp::Ordering;

use bytes::Bytes;
use etcd_core::message::{Permission, PermissionType};

use crate::span::Span;

/// What a call does with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Access {
    fn granted_by(self, permission: &PermissionType) -> bool {
        match permission {
            PermissionType::ReadWrite => true,
            PermissionType::Read => self == Self::Read,
            PermissionType::Write => self == Self::Write,
            _ => false,
        }
    }
}

/// Whether the union of `permissions` covers `wanted`: `Contains` of etcd's interval tree, which finds that a range whose
/// end comes before its key lies within what begins before the one and ends after the other.
pub(super) fn permits<'a>(
    permissions: impl Iterator<Item = &'a Permission>,
    access: Access,
    wanted: &Span,
) -> bool {
    let mut granted: Vec<Span> = permissions
        .filter(|permission| access.granted_by(&permission.permission_type))
        .map(|permission| Span::new(&permission.key, &permission.range_end))
        .filter(|span| !span.is_empty())
        .collect();
    if wanted.single().is_some() {
        return granted.iter().any(|span| span.contains(wanted.key()));
    }
    let wanted_end = End(wanted.end());
    granted.retain(|span| wanted_end.is_after(span.key()) && End(span.end()).is_after(wanted.key()));
    granted.sort_by(|a, b| a.key().cmp(b.key()));
    let Some(first) = granted.first() else {
        return false;
    };
    if first.key() > wanted.key() {
        return false;
    }
    // Walk over the grants in the order of their keys, pushing forward what is covered so far.
    let mut covered = End(first.end());
    for span in &granted {
        if covered.is_before(span.key()) {
            return false;
        }
        covered = covered.max(End(span.end()));
    }
    covered >= wanted_end
}

/// The end of a range; `None` is after every key.
#[derive(PartialEq, Eq)]
struct End(Option<Bytes>);

impl End {
    fn is_after(&self, key: &Bytes) -> bool {
        self.0.as_ref().is_none_or(|end| end > key)
    }

    fn is_before(&self, key: &Bytes) -> bool {
        self.0.as_ref().is_some_and(|end| end < key)
    }
}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one.cmp(other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        }
    }
}

/// Whether a permission's range makes sense (`isValidPermissionRange`).
pub(super) fn is_valid(permission: &Permission) -> bool {
    !permission.key.is_empty() && !Span::new(&permission.key, &permission.range_end).is_empty()
}

#[cfg(test)]
mod tests {
    use etcd_core::key::prefix;

    use super::*;

    fn wanted(key: &'static str, range_end: &'static str) -> Span {
        Span::new(
            &Bytes::from_static(key.as_bytes()),
            &Bytes::from_static(range_end.as_bytes()),
        )
    }

    #[test]
    fn a_permission_allows_its_own_kind_of_access() {
        let read = [Permission::read(prefix("a/"))];
        assert!(permits(read.iter(), Access::Read, &wanted("a/1", "")));
        assert!(!permits(read.iter(), Access::Write, &wanted("a/1", "")));
        let both = [Permission::read_write("k")];
        assert!(permits(both.iter(), Access::Read, &wanted("k", "")));
        assert!(permits(both.iter(), Access::Write, &wanted("k", "")));
    }

    #[test]
    fn adjacent_permissions_add_up() {
        let permissions = [
            Permission::read("b".."d"),
            Permission::read("a".."b"),
            Permission::read("x"..),
        ];
        assert!(permits(permissions.iter(), Access::Read, &wanted("a", "d")));
        assert!(!permits(permissions.iter(), Access::Read, &wanted("a", "e")));
        assert!(permits(permissions.iter(), Access::Read, &wanted("y", "\0")));
        assert!(!permits(permissions.iter(), Access::Read, &wanted("c", "\0")));
    }

    #[test]
    fn a_reversed_range_lies_within_what_spans_both_its_ends() {
        for (permission, permitted) in [
            (Permission::read("a".."z"), true),
            (Permission::read("b".."d"), false),
            (Permission::read("c".."z"), false),
            (Permission::read("a".."c"), false),
            (Permission::read("a"..), true),
        ] {
            assert_eq!(
                permits([&permission].into_iter(), Access::Read, &wanted("d", "b")),
                permitted
            );
        }
    }

    #[test]
    fn a_range_must_not_be_empty() {
        let permission = |key: &'static str, end: &'static str| {
            let mut permission = Permission::default();
            (permission.key, permission.range_end) = (key.into(), end.into());
            permission
        };
        assert!(
            is_valid(&permission("a", ""))
                && is_valid(&permission("a", "\0"))
                && is_valid(&permission("a", "b"))
        );
        assert!(!is_valid(&permission("", "")) && !is_valid(&permission("b", "a")));
    }
}
