//! Users and roles in a snapshot.

use etcd_core::message::{Permission, PermissionType};

use super::password::Password;
use super::users::{User, Users};
use crate::snapshot::{Reader, SnapshotError, Writer};

impl Users {
    pub(crate) fn write_snapshot(&self, writer: &mut Writer) {
        writer.flag(self.enabled);
        writer.number(self.revision.cast_signed());
        writer.list(self.users.iter(), |writer, (name, user)| {
            writer.bytes(name.as_bytes());
            writer.flag(user.password.is_some());
            if let Some(password) = &user.password {
                password.write(writer);
            }
            writer.list(user.roles.iter(), |writer, role| writer.bytes(role.as_bytes()));
        });
        writer.list(self.roles.iter(), |writer, (name, permissions)| {
            writer.bytes(name.as_bytes());
            writer.list(permissions.iter(), |writer, permission| {
                writer.number(match permission.permission_type {
                    PermissionType::Write => 1,
                    PermissionType::ReadWrite => 2,
                    _ => 0,
                });
                writer.bytes(&permission.key);
                writer.bytes(&permission.range_end);
            });
        });
    }

    pub(crate) fn read_snapshot(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let enabled = reader.flag()?;
        let revision = reader.number()?.cast_unsigned();
        let users = reader.list(|reader| {
            let name = reader.text()?;
            let password = match reader.flag()? {
                true => Some(Password::read(reader)?),
                false => None,
            };
            let roles = reader.list(Reader::text)?.into_iter().collect();
            Ok((name, User { password, roles }))
        })?;
        let roles = reader.list(|reader| Ok((reader.text()?, reader.list(read_permission)?)))?;
        Ok(Self {
            enabled,
            revision,
            users: users.into_iter().collect(),
            roles: roles.into_iter().collect(),
        })
    }
}

fn read_permission(reader: &mut Reader<'_>) -> Result<Permission, SnapshotError> {
    let mut permission = Permission::default();
    permission.permission_type = match reader.number()? {
        0 => PermissionType::Read,
        1 => PermissionType::Write,
        2 => PermissionType::ReadWrite,
        _ => return Err(SnapshotError::Corrupt),
    };
    permission.key = reader.bytes()?;
    permission.range_end = reader.bytes()?;
    Ok(permission)
}
