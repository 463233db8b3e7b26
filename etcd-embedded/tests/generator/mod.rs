//! Generated requests; the same seed gives the same ones.

use bytes::Bytes;
use etcd_core::message::*;

/// Requests over few keys, so that they meet.
pub struct Generator {
    state: u64,
    /// Whether there are ranges whose end does not come after their key.
    pub reverses: bool,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            reverses: true,
        }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn small(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).unwrap()
    }

    pub fn key(&mut self) -> Bytes {
        let keys: [&'static [u8]; 8] = [b"a", b"ab", b"b", b"b\0", b"c", b"\xff", b"\0", b"ca"];
        Bytes::from_static(keys[usize::try_from(self.below(8)).unwrap()])
    }

    /// The range end to go with `key`.
    pub fn range_end(&mut self, key: &Bytes) -> Bytes {
        let end = match self.below(4) {
            0 | 1 => return Bytes::new(),
            2 => return Bytes::from_static(b"\0"),
            _ => self.key(),
        };
        if self.reverses || end > key {
            end
        } else {
            Bytes::from_static(b"\0")
        }
    }

    pub fn get(&mut self, revision: i64) -> Get {
        let mut get = Get::default();
        get.key = self.key();
        get.range_end = self.range_end(&get.key);
        if self.one_in(3) {
            get.limit = self.small(5) - 1;
        }
        if self.one_in(3) {
            get.revision = self.small(u64::try_from(revision).unwrap() + 3) - 1;
        }
        get.keys_only = self.one_in(5);
        get.count_only = self.one_in(8);
        get.sort_target = match self.below(8) {
            0 => SortTarget::Version,
            1 => SortTarget::Create,
            2 => SortTarget::Mod,
            3 => SortTarget::Value,
            _ => SortTarget::Key,
        };
        get.sort_order = match self.below(4) {
            0 => SortOrder::Ascend,
            1 => SortOrder::Descend,
            _ => SortOrder::None,
        };
        if self.one_in(6) {
            get.min_mod_revision = self.small(20);
            get.max_create_revision = self.small(40);
        }
        if self.one_in(8) {
            get.max_mod_revision = self.small(40);
            get.min_create_revision = self.small(20);
        }
        get
    }

    pub fn put(&mut self) -> Put {
        let mut put = Put::default();
        put.key = self.key();
        put.ignore_value = self.one_in(6);
        if !put.ignore_value {
            put.value = Bytes::from(vec![b'v'; usize::try_from(self.below(4)).unwrap()]);
        }
        put.ignore_lease = self.one_in(8);
        if !put.ignore_lease && self.one_in(3) {
            put.lease = self.small(4);
        }
        put.prev_kv = self.one_in(2);
        put
    }

    pub fn delete(&mut self) -> Delete {
        let mut delete = Delete::default();
        delete.key = self.key();
        delete.range_end = self.range_end(&delete.key);
        delete.prev_kv = self.one_in(2);
        delete
    }

    pub fn compare(&mut self) -> Compare {
        let mut compare = Compare::default();
        compare.key = self.key();
        if self.one_in(3) {
            compare.range_end = self.range_end(&compare.key);
        }
        let number = self.small(6);
        match self.below(5) {
            0 => compare.version = Some(number),
            1 => (compare.target, compare.create_revision) = (CompareTarget::Create, Some(number)),
            2 => (compare.target, compare.mod_revision) = (CompareTarget::Mod, Some(number)),
            3 => (compare.target, compare.lease) = (CompareTarget::Lease, Some(number)),
            _ => (compare.target, compare.value) = (CompareTarget::Value, Some(Bytes::from_static(b"vv"))),
        }
        compare.result = match self.below(4) {
            0 => CompareResult::Equal,
            1 => CompareResult::NotEqual,
            2 => CompareResult::Greater,
            _ => CompareResult::Less,
        };
        compare
    }

    pub fn txn(&mut self, revision: i64, depth: u64) -> Txn {
        let mut txn = Txn::default();
        for _ in 0..self.below(3) {
            txn.compare.push(self.compare());
        }
        for _ in 0..self.below(4) {
            txn.success.push(self.operation(revision, depth));
        }
        for _ in 0..self.below(4) {
            txn.failure.push(self.operation(revision, depth));
        }
        txn
    }

    pub fn operation(&mut self, revision: i64, depth: u64) -> TxnOp {
        match self.below(8) {
            0..=2 => self.get(revision).into(),
            3..=4 => self.put().into(),
            5..=6 => self.delete().into(),
            _ if depth > 0 => self.txn(revision, depth - 1).into(),
            _ => self.get(revision).into(),
        }
    }
}
