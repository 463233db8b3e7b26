//! One timer for the deadlines of all calls.
//!
//! Almost no call reaches its deadline, yet each would set a timer of the runtime and take it back; on async-io, the
//! reactor of smol and async-std, that is two or three system calls and a thread woken for nothing. Here one task
//! sleeps until the earliest deadline there was when it last looked. Calls that end in time only leave a list.
//!
//! ```text
//!            first deadline                    nothing is waiting any more
//!   Idle ─────────────────────▶ Sleeping(t) ──────────────────────────────▶ Idle
//!                                 │     ▲
//!        t, or an earlier deadline│     │ wakes those that are due, sleeps until the next
//!                                 └─────┘
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use etcd_core::runtime::{BoxFuture, Runtime};

use crate::client::lock;

/// The deadlines of a client's calls.
pub(crate) struct Deadlines {
    runtime: Arc<dyn Runtime>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    /// By deadline, and by order of coming where that is the same.
    wakers: BTreeMap<Key, Waker>,
    next: u64,
    /// What the task sleeps until; `None` while there is no task.
    sleeping_until: Option<Instant>,
    /// Wakes the task.
    task: Option<Waker>,
    /// Nobody is left who could add a deadline.
    closed: bool,
}

type Key = (Instant, u64);

impl Deadlines {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime,
            waiting: Arc::default(),
        }
    }

    /// Is ready once `deadline` has come.
    pub(crate) fn reached(&self, deadline: Instant) -> Reached<'_> {
        Reached {
            deadlines: self,
            deadline,
            key: None,
        }
    }

    /// Sees to it that the task wakes up in time for `deadline`.
    fn attend(&self, mut waiting: std::sync::MutexGuard<'_, Waiting>, deadline: Instant) {
        match waiting.sleeping_until {
            None => {
                waiting.sleeping_until = Some(deadline);
                drop(waiting);
                self.runtime.spawn(Box::pin(Sleeper {
                    runtime: self.runtime.clone(),
                    waiting: self.waiting.clone(),
                    sleep: None,
                    is_over: false,
                }));
            }
            Some(until) if deadline < until => {
                waiting.sleeping_until = Some(deadline);
                let task = waiting.task.take();
                drop(waiting);
                if let Some(task) = task {
                    task.wake();
                }
            }
            Some(_) => {}
        }
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        let task = {
            let mut waiting = lock(&self.waiting);
            waiting.closed = true;
            waiting.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// A deadline somebody waits for.
pub(crate) struct Reached<'d> {
    deadlines: &'d Deadlines,
    deadline: Instant,
    /// Its place in the list, once it was polled.
    key: Option<Key>,
}

impl Future for Reached<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadlines = self.deadlines;
        if let Some(key) = self.key {
            return match lock(&deadlines.waiting).wakers.get_mut(&key) {
                Some(waker) => {
                    waker.clone_from(cx.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            };
        }
        if self.deadline <= deadlines.runtime.now() {
            return Poll::Ready(());
        }
        let mut waiting = lock(&deadlines.waiting);
        let key = (self.deadline, waiting.next);
        waiting.next += 1;
        waiting.wakers.insert(key, cx.waker().clone());
        deadlines.attend(waiting, self.deadline);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Reached<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            lock(&self.deadlines.waiting).wakers.remove(&key);
        }
    }
}

/// The task.
struct Sleeper {
    runtime: Arc<dyn Runtime>,
    waiting: Arc<Mutex<Waiting>>,
    sleep: Option<(Instant, BoxFuture<'static, ()>)>,
    /// It has said so, and another may have taken its place.
    is_over: bool,
}

impl Sleeper {
    /// Takes out whoever is due; and when to look again, `None` if the task is over.
    fn look(&self, task: &Waker) -> (Vec<Waker>, Option<Instant>) {
        let now = self.runtime.now();
        let mut waiting = lock(&self.waiting);
        let mut due = Vec::new();
        while let Some(entry) = waiting.wakers.first_entry().filter(|entry| entry.key().0 <= now) {
            due.push(entry.remove());
        }
        let next = waiting.wakers.first_key_value().map(|(key, _)| key.0);
        // A sleep that was begun goes on, even if its deadline is gone: under steady load others have come.
        let begun = waiting
            .sleeping_until
            .filter(|until| *until > now && !waiting.closed);
        let until = next.into_iter().chain(begun).min();
        waiting.sleeping_until = until;
        waiting.task = until.is_some().then(|| task.clone());
        (due, until)
    }
}

impl Future for Sleeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (due, until) = self.look(cx.waker());
            due.into_iter().for_each(Waker::wake);
            let Some(until) = until else {
                self.is_over = true;
                return Poll::Ready(());
            };
            if self.sleep.as_ref().is_none_or(|(set, _)| *set != until) {
                self.sleep = Some((until, self.runtime.sleep_until(until)));
            }
            if let Some((_, sleep)) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
            }
            self.sleep = None;
        }
    }
}

impl Drop for Sleeper {
    /// A runtime may drop a task; the next deadline then gets another.
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = lock(&self.waiting);
            waiting.sleeping_until = None;
            waiting.task = None;
        }
    }
}

#[cfg(test)]
mod tests;
