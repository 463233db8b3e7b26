//! What happens to the keys that are watched.

use std::future::IntoFuture;

use anyetcd::Client;
use anyetcd_benches::Tokio;
use futures_util::future::try_join_all;

/// The key of a watch.
pub(crate) fn key(number: usize) -> String {
    format!("k/{number}")
}

/// Puts to the keys in turn, so that each event hits one watch.
pub(crate) fn write(url: &str, keys: usize, puts: usize) -> Result<(), String> {
    const IN_FLIGHT: usize = 16;
    Tokio::CurrentThread
        .block_on(async {
            let client = Client::builder().endpoint(url).build()?;
            for begin in (0..puts).step_by(IN_FLIGHT) {
                let some =
                    (begin..puts.min(begin + IN_FLIGHT)).map(|n| client.put(key(n % keys), "123456789"));
                try_join_all(some.map(IntoFuture::into_future)).await?;
            }
            Ok(())
        })
        .map_err(|error: anyetcd::Error| error.to_string())
}
