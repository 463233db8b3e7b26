//! Waiting for what happens some time later.

use std::future::Future;
use std::time::Duration;

use anyetcd::Runtime as _;

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

/// Lets time pass.
pub(crate) async fn pause(duration: Duration) {
    let runtime = crate::harness::runtime();
    runtime.sleep_until(runtime.now() + duration).await;
}
