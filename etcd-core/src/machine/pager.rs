//! Pages of a large range.
//!
//! ```text
//!             poll_request                handle_page: more to come
//!   Ready ──────────────────▶ Asked ───────────────────────────────▶ Ready
//!                               │ handle_page: that was all
//!                               └─────────────────────────────────▶ Done
//! ```
//!
//! All pages show the store at one revision: the one asked for, or the one that the first page was read at.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{InvalidArgument, ProtocolError};
use crate::key::KeyRange;
use crate::message::{Get, GetResponse, SortOrder, SortTarget};

/// The keys asked for with the first page, before anything is known about the size of the values.
pub const FIRST_PAGE_KEYS: i64 = 128;

/// The most keys asked for with one page. Go's `mirror` syncer always asks for 1,000.
pub const MAX_PAGE_KEYS: i64 = 10_000;

/// The size in bytes of keys and values that a page is meant to have.
///
/// 1 MiB takes a server some 10 ms, long enough to make the round trip cheap and short enough not to get in the
/// way of other calls.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// Decides what the next page of a range is, and how large.
///
/// ```
/// use etcd_core::key::prefix;
/// use etcd_core::machine::Pager;
/// use etcd_core::message::{Get, GetResponse};
///
/// let mut pager = Pager::new(Get::new(prefix("jobs/")))?;
/// while let Some(request) = pager.poll_request() {
///     let page = answer(request);
///     pager.handle_page(&page)?;
///     // use page.kvs
/// }
/// # fn answer(_: Get) -> GetResponse { GetResponse::default() }
/// # Ok::<(), etcd_core::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pager {
    next: Get,
    /// How many pairs are still wanted, if the request has a limit.
    wanted: Option<i64>,
    page_bytes: usize,
    page_keys: i64,
    total: Option<i64>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Asked,
    Done,
}

impl Pager {
    /// Pages through what `get` asks for; its limit is the limit of all pages together.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument::Conflict`] if it asks only for the count, or for an order other than by key: only
    /// that one can be continued where a page ended.
    pub fn new(get: Get) -> Result<Self, InvalidArgument> {
        if get.count_only {
            return Err(InvalidArgument::Conflict {
                first: "pages",
                second: "count_only",
            });
        }
        // Without an order, too: a server then sorts ascending by any target but the key (`apply/apply.go`).
        if get.sort_target != SortTarget::Key {
            return Err(InvalidArgument::Conflict {
                first: "pages",
                second: "an order other than by key",
            });
        }
        Ok(Self::of(get))
    }

    /// Pages through all pairs of `keys`.
    #[must_use]
    pub fn all(keys: KeyRange) -> Self {
        Self::of(Get::new(keys))
    }

    fn of(get: Get) -> Self {
        Self {
            wanted: (get.limit > 0).then_some(get.limit),
            next: get,
            page_bytes: PAGE_BYTES,
            page_keys: FIRST_PAGE_KEYS,
            total: None,
            state: State::Ready,
        }
    }

    /// Aims at pages of `bytes` bytes of keys and values. Default [`PAGE_BYTES`].
    #[must_use]
    pub fn page_bytes(mut self, bytes: usize) -> Self {
        self.page_bytes = bytes.max(1);
        self
    }

    /// The revision that all pages show, 0 until the first page tells.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.next.revision
    }

    /// How many keys the whole range holds, `None` until the first page tells.
    #[must_use]
    pub fn total(&self) -> Option<i64> {
        self.total
    }

    /// Whether the last page has come, or none can follow.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The request for the next page; `None` after the last one, and while one is under way.
    #[must_use]
    pub fn poll_request(&mut self) -> Option<Get> {
        if self.state != State::Ready {
            return None;
        }
        self.state = State::Asked;
        let limit = self
            .wanted
            .map_or(self.page_keys, |wanted| wanted.min(self.page_keys));
        Some(self.next.clone().limit(limit))
    }

    /// Takes the answer to the last request.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::OutOfRange`] if the page does not lead on: a server that says so without end must not be
    /// asked without end. There is no next page then.
    pub fn handle_page(&mut self, page: &GetResponse) -> Result<(), ProtocolError> {
        debug_assert_eq!(self.state, State::Asked, "a page nobody asked for");
        self.total.get_or_insert(page.count);
        self.state = State::Done;
        if self.next.revision <= 0 {
            self.next.revision = page.header.revision;
        }
        if !page.more {
            return Ok(());
        }
        let asked = KeyRange::from_parts(self.next.key.clone(), self.next.range_end.clone());
        let last = page.kvs.last().filter(|last| asked.contains(&last.key));
        let last = last.ok_or(ProtocolError::OutOfRange)?;
        if let Some(wanted) = &mut self.wanted {
            *wanted -= page.kvs.len() as i64;
            if *wanted <= 0 {
                return Ok(());
            }
        }
        if self.next.sort_order == SortOrder::Descend {
            self.next.range_end = last.key.clone();
        } else {
            self.next.key = successor(&last.key);
        }
        self.adapt(page);
        self.state = State::Ready;
        Ok(())
    }

    /// Takes note that the last request was not answered: asks the same again.
    pub fn handle_failure(&mut self) {
        if self.state == State::Asked {
            self.state = State::Ready;
        }
    }

    /// Takes note that the last page was too large for the client or the server: asks again for half as much.
    ///
    /// `false` if it was a single key, which no paging can make smaller.
    #[must_use]
    pub fn handle_too_large(&mut self) -> bool {
        let asked = self
            .wanted
            .map_or(self.page_keys, |wanted| wanted.min(self.page_keys));
        if self.state != State::Asked || asked <= 1 {
            return false;
        }
        self.page_keys = asked / 2;
        self.state = State::Ready;
        true
    }

    /// Sizes the next page by the average of this one, growing no more than fourfold at a time: the next values
    /// may be larger.
    fn adapt(&mut self, page: &GetResponse) {
        let bytes: usize = page
            .kvs
            .iter()
            .map(|kv| kv.key.len() + kv.value.len())
            .sum::<usize>()
            .max(1);
        let fitting = page.kvs.len().saturating_mul(self.page_bytes) / bytes;
        let fitting = i64::try_from(fitting).unwrap_or(MAX_PAGE_KEYS);
        self.page_keys = fitting.clamp(1, MAX_PAGE_KEYS.min(self.page_keys.saturating_mul(4)));
    }
}

/// The lowest key above `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.put_slice(key);
    next.put_u8(0);
    next.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::prefix;
    use crate::message::KeyValue;

    /// Answers like a server that holds `pairs`, in the order of their keys.
    fn answer(pairs: &[(String, usize)], get: &Get) -> GetResponse {
        let range = |key: &[u8]| key >= &get.key[..] && (get.range_end == "\0" || key < &get.range_end[..]);
        let mut found: Vec<_> = pairs.iter().filter(|(key, _)| range(key.as_bytes())).collect();
        if get.sort_order == SortOrder::Descend {
            found.reverse();
        }
        let mut response = GetResponse::default();
        response.header.revision = 42;
        response.count = found.len() as i64;
        response.more = found.len() as i64 > get.limit;
        response.kvs = found
            .iter()
            .take(get.limit as usize)
            .map(|(key, size)| KeyValue {
                key: key.clone().into(),
                value: vec![0; *size].into(),
                ..KeyValue::default()
            })
            .collect();
        response
    }

    #[test]
    fn a_server_that_goes_round_in_circles_is_not_followed() {
        let page = |key: &'static str| {
            let mut page = GetResponse::default();
            page.kvs.push(KeyValue {
                key: key.into(),
                ..KeyValue::default()
            });
            page.more = true;
            page
        };
        let mut pager = Pager::new(Get::new(prefix("k"))).unwrap();
        let _ = pager.poll_request();
        pager.handle_page(&page("k5")).unwrap();
        for wrong in [
            page("k5"),
            page("k1"),
            page("z"),
            GetResponse {
                more: true,
                ..GetResponse::default()
            },
        ] {
            let mut pager = pager.clone();
            let _ = pager.poll_request();
            assert_eq!(pager.handle_page(&wrong), Err(ProtocolError::OutOfRange));
            assert_eq!(pager.poll_request(), None);
        }
    }

    #[test]
    fn the_total_is_that_of_the_first_page() {
        let mut pager = Pager::new(Get::new(prefix("k"))).unwrap();
        assert_eq!(pager.total(), None);
        while let Some(request) = pager.poll_request() {
            pager
                .handle_page(&answer(&pairs(1000, |_| 10), &request))
                .unwrap();
            assert_eq!(pager.total(), Some(1000));
        }
    }

    /// All keys the pager finds, and the sizes of its pages.
    fn page_through(get: Get, pairs: &[(String, usize)]) -> (Vec<String>, Vec<usize>) {
        let mut pager = Pager::new(get).unwrap().page_bytes(10_000);
        let (mut keys, mut pages) = (Vec::new(), Vec::new());
        while let Some(request) = pager.poll_request() {
            assert!(pager.poll_request().is_none(), "one page at a time");
            assert_eq!(request.revision, if pages.is_empty() { 0 } else { 42 });
            let page = answer(pairs, &request);
            pager.handle_page(&page).unwrap();
            keys.extend(page.kvs.iter().map(|kv| kv.key_str().unwrap().to_owned()));
            pages.push(page.kvs.len());
        }
        (keys, pages)
    }

    fn pairs(count: usize, size: impl Fn(usize) -> usize) -> Vec<(String, usize)> {
        (0..count)
            .map(|index| (format!("k{index:06}"), size(index)))
            .collect()
    }

    #[test]
    fn every_key_comes_once_in_either_direction() {
        let pairs = pairs(5000, |index| index % 300);
        let mut expected: Vec<_> = pairs.iter().map(|(key, _)| key.clone()).collect();
        for range in [prefix("k"), KeyRange::all(), KeyRange::from_key("k")] {
            assert_eq!(page_through(Get::new(range), &pairs).0, expected);
        }
        expected.reverse();
        let descending = Get::new(prefix("k")).sort(SortTarget::Key, SortOrder::Descend);
        assert_eq!(page_through(descending, &pairs).0, expected);
    }

    #[test]
    fn pages_shrink_for_large_values_and_grow_for_small_ones() {
        let (_, large) = page_through(Get::new(prefix("k")), &pairs(1000, |_| 5000));
        assert_eq!(large[0], FIRST_PAGE_KEYS as usize);
        assert!(large[1..].iter().all(|keys| *keys == 1), "{large:?}");
        let (_, small) = page_through(Get::new(prefix("k")), &pairs(5000, |_| 3));
        assert!(small[2] > small[1] && small[1] > small[0], "{small:?}");
        assert!(
            small.windows(2).all(|pages| pages[1] <= 4 * pages[0]),
            "{small:?}"
        );
    }

    #[test]
    fn the_limit_counts_over_all_pages() {
        let pairs = pairs(1000, |_| 10);
        for limit in [1, 127, 128, 129, 999, 1000, 1001] {
            let (keys, _) = page_through(Get::new(prefix("k")).limit(limit), &pairs);
            assert_eq!(keys.len(), 1000.min(limit as usize), "limit {limit}");
        }
    }

    #[test]
    fn the_first_page_tells_the_revision_even_if_it_is_the_last() {
        for count in [0, 1, 1000] {
            let mut pager = Pager::new(Get::new(prefix("k"))).unwrap();
            assert_eq!(pager.revision(), 0);
            let request = pager.poll_request().unwrap();
            pager
                .handle_page(&answer(&pairs(count, |_| 10), &request))
                .unwrap();
            assert_eq!(pager.revision(), 42, "{count} keys");
        }
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_again_by_halves_down_to_one_key() {
        let mut pager = Pager::new(Get::new(prefix("k"))).unwrap();
        let mut limits = Vec::new();
        loop {
            limits.push(pager.poll_request().unwrap().limit);
            if !pager.handle_too_large() {
                break;
            }
        }
        assert_eq!(limits, [128, 64, 32, 16, 8, 4, 2, 1]);
    }

    #[test]
    fn what_cannot_be_paged_is_refused() {
        assert!(Pager::new(Get::new("k").count_only()).is_err());
        let by_value = Get::new("k").sort(SortTarget::Value, SortOrder::Ascend);
        assert!(Pager::new(by_value).is_err());
        let by_value_in_no_order = Get::new("k").sort(SortTarget::Value, SortOrder::None);
        assert!(Pager::new(by_value_in_no_order).is_err());
        assert!(Pager::new(Get::new("k").sort(SortTarget::Key, SortOrder::Ascend)).is_ok());
    }
}
