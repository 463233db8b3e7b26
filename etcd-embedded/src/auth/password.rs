//! Passwords, as far as they are kept.

use etcd_core::codec::Secret;
use sha2::{Digest as _, Sha256};

use crate::snapshot::{Reader, SnapshotError, Writer};

/// What is kept of a password: enough to recognize it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password {
    salt: u64,
    digest: [u8; 32],
}

/// No password has this one, as far as anybody knows.
const NO_DIGEST: [u8; 32] = [0; 32];

impl Password {
    pub(super) fn new(password: &Secret, salt: u64) -> Self {
        Self {
            salt,
            digest: digest(salt, password),
        }
    }

    /// One that no password matches.
    pub(super) fn unusable() -> Self {
        Self {
            salt: 0,
            digest: NO_DIGEST,
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.number(self.salt.cast_signed());
        writer.bytes(&self.digest);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let salt = reader.number()?.cast_unsigned();
        let digest = reader.bytes()?;
        let digest = digest[..].try_into().map_err(|_| SnapshotError::Corrupt)?;
        Ok(Self { salt, digest })
    }

    pub(super) fn matches(&self, password: &Secret) -> bool {
        digest(self.salt, password) == self.digest
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<password>")
    }
}

fn digest(salt: u64, password: &Secret) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt.to_le_bytes())
        .chain_update(password.expose())
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_matches_and_nothing_prints_it() {
        let password = Password::new(&"hunter2".into(), 4);
        assert!(password.matches(&"hunter2".into()));
        assert!(!password.matches(&"hunter".into()));
        assert_ne!(password, Password::new(&"hunter2".into(), 5));
        assert_eq!(format!("{password:?}"), "<password>");
        assert!(!Password::unusable().matches(&"".into()));
    }
}
