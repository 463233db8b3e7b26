//! Writes the parts of a snapshot.

use etcd_core::message::KeyValue;

#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.length(items.len());
        for item in items {
            write(self, item);
        }
    }

    pub(crate) fn pair(&mut self, pair: &KeyValue) {
        self.bytes(&pair.key);
        self.bytes(&pair.value);
        for number in [pair.create_revision, pair.mod_revision, pair.version, pair.lease] {
            self.number(number);
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&(length as u64).to_le_bytes());
    }
}
