//! Whether a set of permissions allows an access.

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

/// Whether the union of `permissions` covers `wanted`.
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
    if granted.iter().any(|span| span.covers(wanted)) {
        return true;
    }
    // Walk over the grants in the order of their keys, pushing forward what is covered so far.
    granted.sort_by(|a, b| a.key().cmp(b.key()));
    let mut covered = wanted.key().clone();
    for span in &granted {
        if *span.key() > covered {
            break;
        }
        match span.end() {
            None => return true,
            Some(end) if end > covered => covered = end,
            Some(_) => {}
        }
        if wanted.end().is_some_and(|end| covered >= end) {
            return true;
        }
    }
    false
}

/// Whether a permission's range makes sense (`isValidPermissionRange`).
pub(super) fn is_valid(permission: &Permission) -> bool {
    !permission.key.is_empty() && !Span::new(&permission.key, &permission.range_end).is_empty()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
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
