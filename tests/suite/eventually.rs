//! Waiting for what happens some time later.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use anyetcd::{Result, Runtime as _};

/// What has not happened by then does not happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// Calls `probe` until it returns something.
///
/// # Panics
///
/// If that does not happen in time.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T {
    let runtime = crate::harness::runtime();
    let deadline = runtime.now() + DEADLINE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(runtime.now() < deadline, "it did not happen: {what}");
        pause(Duration::from_millis(20)).await;
    }
}

/// What a call has brought; `None` if it failed in a way after which a client may try again, or has to find out.
///
/// # Panics
///
/// If it failed in another way.
pub(crate) fn unless_in_doubt<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(brought) => Some(brought),
        Err(error) => {
            assert!(error.is_retry_safe() || error.is_outcome_unknown(), "{error:?}");
            None
        }
    }
}

/// What a write brings to a cluster that may be electing another leader. It has to be one that may be made twice.
pub(crate) async fn written<T, F: IntoFuture<Output = Result<T>>>(
    what: &str,
    mut write: impl FnMut() -> F,
) -> T {
    eventually(what, || {
        let write = write();
        async { unless_in_doubt(write.await) }
    })
    .await
}

/// Lets time pass.
pub(crate) async fn pause(duration: Duration) {
    let runtime = crate::harness::runtime();
    runtime.sleep_until(runtime.now() + duration).await;
}
