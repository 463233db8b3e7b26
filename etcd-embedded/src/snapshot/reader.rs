//! Reads the parts of a snapshot.

use bytes::Bytes;
use etcd_core::message::KeyValue;

use super::SnapshotError;

#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn number(&mut self) -> Result<i64, SnapshotError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, SnapshotError> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(SnapshotError::Corrupt),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, SnapshotError> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(SnapshotError::Corrupt)?;
        self.0 = rest;
        Ok(Bytes::copy_from_slice(bytes))
    }

    pub(crate) fn text(&mut self) -> Result<String, SnapshotError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| SnapshotError::Corrupt)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(SnapshotError::Corrupt)?;
        self.0 = rest;
        Ok(*array)
    }

    /// Reads a list without trusting its length: room is made as items come.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, SnapshotError>,
    ) -> Result<Vec<T>, SnapshotError> {
        let length = self.length()?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub(crate) fn pair(&mut self) -> Result<KeyValue, SnapshotError> {
        let mut pair = KeyValue::default();
        pair.key = self.bytes()?;
        pair.value = self.bytes()?;
        pair.create_revision = self.number()?;
        pair.mod_revision = self.number()?;
        pair.version = self.number()?;
        pair.lease = self.number()?;
        Ok(pair)
    }

    fn length(&mut self) -> Result<usize, SnapshotError> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| SnapshotError::Corrupt)
    }
}
