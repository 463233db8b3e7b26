//! Waiting until everything is seen that had been written.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use etcd_core::error::{Error, ErrorKind, Result, Timeout, TimeoutPhase, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::runtime::{BoxFuture, later};

use super::goal::Goal;
use crate::exchange::race;
use crate::{Client, WatchHandle};

/// Reads what a range holds, and has whoever follows the range wait until that was seen, asking the servers meanwhile how
/// far they have got.
#[derive(Debug)]
pub(super) struct CatchUp {
    client: Client,
    keys: KeyRange,
    /// The watch, by number, that is known not to be able to say how far it has got.
    silent: AtomicU64,
}

/// Whoever follows a range by a watch, or by one watch after another.
pub(super) trait Follower {
    /// How many keys it knows.
    fn key_count(&self) -> usize;

    /// Takes in what has come, and is ready once `goal` was seen.
    fn poll_seen(&mut self, goal: Goal, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// How many watches there have been, which is the number of the present one.
    fn watches(&self) -> u64;

    /// What can ask the server how far the present watch has got; `None` while there is none.
    fn watch_handle(&self) -> Option<WatchHandle>;
}

/// A question to the server, how far a watch has got.
#[derive(Default)]
struct Question {
    /// The watch that was asked last, and is not asked again; zero if any can be.
    watch: u64,
    answer: Option<BoxFuture<'static, Result<i64>>>,
}

impl CatchUp {
    pub(super) fn new(client: Client, keys: KeyRange) -> Self {
        Self {
            client,
            keys,
            silent: AtomicU64::new(0),
        }
    }

    pub(super) fn keys(&self) -> &KeyRange {
        &self.keys
    }

    /// Returns once `follower` has seen everything that had been written when this was called, with the revision up to
    /// which that is.
    ///
    /// # Errors
    ///
    /// What ends a read, or `follower`; a timeout if it takes longer than calls of the client may.
    pub(super) async fn run(&self, follower: &mut impl Follower) -> Result<i64> {
        let shared = &self.client.shared;
        let limit = shared.settings.timeout;
        let deadline = later(shared.runtime.now(), limit);
        loop {
            let left = deadline.saturating_duration_since(shared.runtime.now());
            let is_silent = self.is_silent(follower.watches());
            let goal = Goal::read(&self.client, &self.keys, follower.key_count(), is_silent, left).await?;
            let mut question = Question::default();
            let reached = poll_fn(|cx| self.poll_reached(follower, goal, &mut question, cx));
            match race(pin!(reached), pin!(shared.deadlines.reached(deadline))).await {
                Some(Ok(true)) => return Ok(goal.revision),
                // The server cannot say: another goal is needed.
                Some(Ok(false)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Timeout::new(TimeoutPhase::Response).with_limit(limit).into()),
            }
        }
    }

    /// Ready with `false` if the server would have to say how far it has got, and cannot.
    fn poll_reached(
        &self,
        follower: &mut impl Follower,
        goal: Goal,
        question: &mut Question,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool>> {
        loop {
            if follower.poll_seen(goal, cx)?.is_ready() {
                return Poll::Ready(Ok(true));
            }
            let present = follower.watches();
            if question.answer.is_none()
                && question.watch != present
                && !self.is_silent(present)
                && let Some(handle) = follower.watch_handle()
            {
                question.watch = present;
                question.answer = Some(Box::pin(async move { handle.progress().await }));
            }
            let Some(answer) = &mut question.answer else {
                return Poll::Pending;
            };
            let answered = ready!(answer.as_mut().poll(cx));
            question.answer = None;
            match answered {
                // What it is about has been received, and may not have been taken in.
                Ok(_) => question.watch = 0,
                Err(error) if is_progress_unknown(&error) => {
                    self.silent.store(question.watch, Ordering::Relaxed);
                    if goal.needs_progress() {
                        return Poll::Ready(Ok(false));
                    }
                }
                // It is about to be replaced, and the next one can be asked.
                Err(error) if matches!(error.kind(), ErrorKind::Watch(_)) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn is_silent(&self, watch: u64) -> bool {
        watch != 0 && self.silent.load(Ordering::Relaxed) == watch
    }
}

fn is_progress_unknown(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Watch(WatchError::ProgressUnknown))
}
