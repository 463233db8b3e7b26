//! A value whose changes can be waited for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use crate::client::lock;

/// The latest value of something that changes. Whoever looks seldom misses those in between.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    value: T,
    version: u64,
    is_final: bool,
    wakers: BTreeMap<u64, Waker>,
    next_reader: u64,
}

/// One of those who look.
#[derive(Debug)]
pub(crate) struct Reader {
    id: u64,
    seen: Option<u64>,
}

impl<T: Clone> Latest<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            inner: Mutex::new(Inner {
                value,
                version: 0,
                is_final: false,
                wakers: BTreeMap::new(),
                next_reader: 0,
            }),
        }
    }

    pub(crate) fn get(&self) -> T {
        lock(&self.inner).value.clone()
    }

    pub(crate) fn set(&self, value: T) {
        self.change(|inner| inner.value = value);
    }

    /// Looks at the value.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&lock(&self.inner).value)
    }

    /// Changes the value in its place.
    pub(crate) fn modify(&self, modify: impl FnOnce(&mut T)) {
        self.change(|inner| modify(&mut inner.value));
    }

    /// There will be no other value.
    pub(crate) fn close(&self) {
        self.change(|inner| inner.is_final = true);
    }

    pub(crate) fn reader(&self) -> Reader {
        let mut inner = lock(&self.inner);
        inner.next_reader += 1;
        Reader {
            id: inner.next_reader,
            seen: None,
        }
    }

    /// A value that this reader has not seen yet; `None` if there will be none.
    pub(crate) fn poll(&self, reader: &mut Reader, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut inner = lock(&self.inner);
        if reader.seen != Some(inner.version) {
            reader.seen = Some(inner.version);
            return Poll::Ready(Some(inner.value.clone()));
        }
        if inner.is_final {
            return Poll::Ready(None);
        }
        inner.wakers.insert(reader.id, cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn forget(&self, reader: &Reader) {
        lock(&self.inner).wakers.remove(&reader.id);
    }

    fn change(&self, change: impl FnOnce(&mut Inner<T>)) {
        let wakers = {
            let mut inner = lock(&self.inner);
            let was_final = inner.is_final;
            change(&mut inner);
            if !inner.is_final || was_final {
                inner.version += 1;
            }
            std::mem::take(&mut inner.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }
}
