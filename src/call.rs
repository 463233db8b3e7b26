//! One call: a request, its options, and the future that makes it.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use etcd_core::endpoint::Endpoint;
use etcd_core::error::{InvalidArgument, Result};
use etcd_core::machine::Pager;
use etcd_core::message::{
    Compact, Delete, Get, LeaseGrant, LeaseTimeToLive, MemberAdd, MemberList, Put, SortOrder, SortTarget,
};
use etcd_core::rpc::Request;
use etcd_core::runtime::BoxFuture;

use crate::{Client, ConditionalDelete, ConditionalPut, Pages, exchange};

/// A call that is made when it is awaited.
///
/// Besides what every call has ([`timeout`](Self::timeout), [`endpoint`](Self::endpoint)) it has the options of
/// its request, as methods of the same names.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// use std::time::Duration;
///
/// client.put("key", "value").prev_kv().timeout(Duration::from_secs(1)).await?;
/// # Ok(())
/// # }
/// ```
///
/// Where a future is wanted rather than something to await (`join!`, `select!`), [`IntoFuture::into_future`]
/// makes it one.
///
/// # Errors
///
/// Awaiting it fails with [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) before anything is sent if no server could accept the
/// request, and otherwise with what went wrong last before the deadline. See [`Error`](crate::Error) for whose
/// fault it is, and what became of a write.
///
/// # Cancel safety
///
/// Dropping the future closes the connection the call was using; a write may or may not have been applied then.
#[must_use = "a call is made when it is awaited"]
#[derive(Clone)]
pub struct Call<R> {
    pub(crate) client: Client,
    pub(crate) request: R,
    pub(crate) options: CallOptions,
}

/// What every call has.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) endpoint: Option<Result<Endpoint, InvalidArgument>>,
    /// Makes the call without a token, and without logging in for it.
    pub(crate) anonymous: bool,
}

impl<R: Request> Call<R> {
    pub(crate) fn new(client: Client, request: R) -> Self {
        Self {
            client,
            request,
            options: CallOptions::default(),
        }
    }

    /// How long this call may take, attempts, pauses and logins included. Default: as the client is set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Makes the call at this endpoint and no other, which need not be one of the client's. It gets the client's
    /// token like any other.
    pub fn endpoint<E>(mut self, endpoint: E) -> Self
    where
        E: TryInto<Endpoint>,
        E::Error: Into<InvalidArgument>,
    {
        self.options.endpoint = Some(endpoint.try_into().map_err(Into::into));
        self
    }

    /// The request as it stands.
    pub fn request(&self) -> &R {
        &self.request
    }

    pub(crate) fn anonymous(mut self) -> Self {
        self.options.anonymous = true;
        self
    }

    fn map(mut self, change: impl FnOnce(R) -> R) -> Self {
        self.request = change(self.request);
        self
    }
}

impl<R: Request> IntoFuture for Call<R> {
    type Output = Result<R::Response>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { exchange::unary(&self.client.shared, &self.request, &self.options).await })
    }
}

impl<R: fmt::Debug> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request", &self.request)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Call<Put> {
    /// Writes the key only if it does not exist.
    pub fn if_absent(self) -> ConditionalPut {
        ConditionalPut::if_absent(self)
    }

    /// Writes the key only if `revision` is the one that last changed it: nobody has written it since.
    pub fn if_mod_revision(self, revision: i64) -> ConditionalPut {
        ConditionalPut::if_mod_revision(self, revision)
    }

    /// Writes the key only if it has this value: compare and swap.
    pub fn if_value(self, value: impl crate::IntoBytes) -> ConditionalPut {
        ConditionalPut::if_value(self, value)
    }
}

impl Call<Delete> {
    /// Deletes the key only if `revision` is the one that last changed it: nobody has written it since.
    pub fn if_mod_revision(self, revision: i64) -> ConditionalDelete {
        ConditionalDelete::if_mod_revision(self, revision)
    }

    /// Deletes the key only if it has this value.
    pub fn if_value(self, value: impl crate::IntoBytes) -> ConditionalDelete {
        ConditionalDelete::if_value(self, value)
    }
}

impl Call<Get> {
    /// Reads the range in pages, all of them at one revision, each about 1 MiB large.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument::Conflict`] for a count, or an order other than by key.
    pub fn pages(self) -> Result<Pages> {
        let pager = Pager::new(self.request)?;
        Ok(Pages::new(self.client, self.options, pager))
    }
}

/// Lends the options of requests to their calls.
macro_rules! forward {
    ($( $request:ident { $( $option:ident($($argument:ident: $type:ty),*); )* } )*) => {
        $(
            impl Call<$request> {
                $(
                    #[doc = concat!("See [`", stringify!($request), "::", stringify!($option), "`].")]
                    pub fn $option(self, $($argument: $type),*) -> Self {
                        self.map(|request| request.$option($($argument),*))
                    }
                )*
            }
        )*
    };
}

forward! {
    Put {
        lease(id: i64);
        prev_kv();
        ignore_value();
        ignore_lease();
    }
    Get {
        limit(limit: i64);
        revision(revision: i64);
        sort(target: SortTarget, order: SortOrder);
        serializable();
        keys_only();
        count_only();
        min_mod_revision(revision: i64);
        max_mod_revision(revision: i64);
        min_create_revision(revision: i64);
        max_create_revision(revision: i64);
    }
    Delete {
        prev_kv();
    }
    Compact {
        physical();
    }
    LeaseGrant {
        id(id: i64);
    }
    LeaseTimeToLive {
        keys();
    }
    MemberAdd {
        learner();
    }
    MemberList {
        serializable();
    }
}
