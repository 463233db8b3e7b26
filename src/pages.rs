//! Large ranges, page by page.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use etcd_core::error::{Error, ErrorKind, EtcdError, ProtocolError, Result};
use etcd_core::machine::Pager;
use etcd_core::message::{Get, GetResponse, KeyValue};
use etcd_core::rpc::{Request, RetryClass};
use etcd_core::runtime::BoxFuture;
use futures_core::Stream;

use crate::call::CallOptions;
use crate::{Call, Client};

/// A range as a stream of pages, all of them at one revision. Made by [`Call::pages`].
///
/// The first page pins the revision, so that the pages together are what one read would have returned, however
/// long reading them takes. Pages grow and shrink with the values in them. Each page is a call of its own, with
/// the deadline and the retries of one; the next is asked for when the stream is polled for it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// # client.put("logs/1", "").await?;
/// let mut pages = client.get(anyetcd::prefix("logs/")).pages()?;
/// while let Some(page) = pages.try_next().await? {
///     println!("{} of {:?} keys at revision {}", page.kvs.len(), pages.total(), pages.revision());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// What ends a call ends the stream; reading on after an error asks for the same page again. If history is
/// compacted past the pinned revision, that is [`EtcdError::Compacted`], and only a new stream helps.
#[must_use = "nothing is read until the stream is"]
pub struct Pages {
    client: Client,
    options: CallOptions,
    pager: Pager,
    asked: Option<Asked>,
}

/// A page that was asked for: its request, for a second try, and its call.
struct Asked {
    request: Get,
    call: Option<BoxFuture<'static, Result<GetResponse>>>,
}

impl Pages {
    pub(crate) fn new(client: Client, options: CallOptions, pager: Pager) -> Self {
        Self {
            client,
            options,
            pager,
            asked: None,
        }
    }

    /// Aims at pages of `bytes` bytes of keys and values.
    /// Default [`PAGE_BYTES`](etcd_core::machine::PAGE_BYTES), 1 MiB.
    pub fn page_bytes(mut self, bytes: usize) -> Self {
        self.pager = self.pager.page_bytes(bytes);
        self
    }

    /// The revision that all pages show; 0 until the first page has come, unless the request named one.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.pager.revision()
    }

    /// How many keys the whole range holds at that revision; `None` until the first page has come.
    ///
    /// A page's own [`count`](GetResponse::count) counts from that page on.
    #[must_use]
    pub fn total(&self) -> Option<i64> {
        self.pager.total()
    }

    /// The next page, `None` after the last one.
    ///
    /// Cancel safe: what was under way goes on with the next call.
    ///
    /// # Errors
    ///
    /// See [`Pages`].
    pub async fn try_next(&mut self) -> Result<Option<GetResponse>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// The pairs of all pages, one by one.
    pub fn key_values(self) -> KeyValues {
        KeyValues {
            pages: self,
            page: VecDeque::new(),
        }
    }

    fn call(&self, request: Get) -> BoxFuture<'static, Result<GetResponse>> {
        let call = Call {
            client: self.client.clone(),
            request,
            options: self.options.clone(),
        };
        call.into_future()
    }
}

impl Stream for Pages {
    type Item = Result<GetResponse>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(asked) = &mut this.asked else {
                let Some(request) = this.pager.poll_request() else {
                    return Poll::Ready(None);
                };
                this.asked = Some(Asked { request, call: None });
                continue;
            };
            let Some(call) = &mut asked.call else {
                let request = asked.request.clone();
                let call = this.call(request);
                if let Some(asked) = &mut this.asked {
                    asked.call = Some(call);
                }
                continue;
            };
            match ready!(call.as_mut().poll(cx)) {
                Ok(page) => {
                    this.asked = None;
                    let result = this.pager.handle_page(&page);
                    return Poll::Ready(Some(result.map(|()| page).map_err(describe)));
                }
                Err(error) if is_too_large(&error) && this.pager.handle_too_large() => this.asked = None,
                Err(error) => {
                    asked.call = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

fn describe(error: ProtocolError) -> Error {
    Error::from(error).with_rpc(Get::RPC.name, RetryClass::Read)
}

/// Whether a smaller page would have come through: the client, or gRPC inside the server, refused it for its size.
fn is_too_large(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ResponseTooLarge { .. })
        || error.etcd() == Some(EtcdError::MessageTooLarge)
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

/// The pairs of a range, one by one. Made by [`Pages::key_values`].
#[must_use = "nothing is read until the stream is"]
#[derive(Debug)]
pub struct KeyValues {
    pages: Pages,
    page: VecDeque<KeyValue>,
}

impl KeyValues {
    /// The next pair, `None` after the last one.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// See [`Pages`].
    pub async fn try_next(&mut self) -> Result<Option<KeyValue>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// The revision that all pairs show; see [`Pages::revision`].
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.pages.revision()
    }
}

impl Stream for KeyValues {
    type Item = Result<KeyValue>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(kv) = self.page.pop_front() {
                return Poll::Ready(Some(Ok(kv)));
            }
            match ready!(Pin::new(&mut self.pages).poll_next(cx)) {
                Some(Ok(page)) => self.page = page.kvs.into(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
