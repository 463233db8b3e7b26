use std::process::Child;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Stops a child with SIGSTOP. Returns once it has stopped, or ended.
///
/// # Panics
///
/// If it was waited for already.
pub fn freeze(child: &Child) {
    signal(child, Signal::STOP);
    // Sent is not stopped: a busy machine may run it a little longer.
    let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(Pid::from_child(child)), options).expect("a child of ours can be waited for");
}

/// Lets a child go on after [`freeze`], with SIGCONT.
///
/// # Panics
///
/// If it was waited for already.
pub fn thaw(child: &Child) {
    signal(child, Signal::CONT);
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal)
        .unwrap_or_else(|e| panic!("cannot send {signal:?} to {}: {e}", child.id()));
}
