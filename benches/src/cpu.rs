//! How much CPU time was used.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// In user and in system mode together: by all threads of this process, or by all processes that it has waited for.
pub fn used(who: UsageWho) -> Duration {
    let usage = getrusage(who).expect("a process may ask for its own usage");
    [usage.user_time(), usage.system_time()]
        .map(|time| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000))
        .iter()
        .sum()
}
