//! Waiting until everything is seen that had been written.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use etcd_core::error::{Error, ErrorKind, Result, Timeout, TimeoutPhase, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::runtime::{BoxFuture, later};

use super::goal::Goal;
use crate::client::lock;
use crate::exchange::race;
use crate::{Client, WatchHandle};

/// For how long a watch is not asked that could not say how far it has got: it may be with another server by then.
const SILENT_FOR: Duration = Duration::from_secs(600);

/// Reads what a range holds, and has whoever follows the range wait until that was seen, asking the servers meanwhile how
/// far they have got.
#[derive(Debug)]
pub(super) struct CatchUp {
    client: Client,
    keys: KeyRange,
    /// The watch, by number, that could not say how far it has got, and until when it is not asked again. Whoever catches up at
    /// the same time finds that out for all.
    silent: Mutex<Option<(u64, Instant)>>,
}

/// Whoever follows a range by a watch, or by one watch after another.
pub(super) trait Follower {
    /// How many keys it knows.
    fn key_count(&self) -> usize;

    /// Takes in what has come, and is ready once `goal` was seen.
    fn poll_seen(&mut self, goal: Goal, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// How many watches there have been, which is the number of the present one; 0 before the first.
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
            silent: Mutex::new(None),
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
                // Somebody else may have found that out since the goal was chosen.
                return if goal.needs_progress() && self.is_silent(present) {
                    Poll::Ready(Ok(false))
                } else {
                    Poll::Pending
                };
            };
            let answered = ready!(answer.as_mut().poll(cx));
            question.answer = None;
            match answered {
                // What it is about has been received, and may not have been taken in.
                Ok(_) => question.watch = 0,
                Err(error) if is_progress_unknown(&error) => {
                    let until = self.client.shared.runtime.now() + SILENT_FOR;
                    *lock(&self.silent) = Some((question.watch, until));
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
        let now = self.client.shared.runtime.now();
        lock(&self.silent).is_some_and(|(silent, until)| silent == watch && now < until)
    }
}

fn is_progress_unknown(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Watch(WatchError::ProgressUnknown))
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use etcd_core::error::Result;
    use etcd_core::message::GetResponse;

    use super::*;

    /// Has a watch, and sees nothing.
    struct Blind {
        watches: u64,
    }

    impl Follower for Blind {
        fn key_count(&self) -> usize {
            0
        }

        fn poll_seen(&mut self, _: Goal, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Pending
        }

        fn watches(&self) -> u64 {
            self.watches
        }

        fn watch_handle(&self) -> Option<WatchHandle> {
            None
        }
    }

    /// Two that catch up at once: one asks, and the other has to learn what became of it.
    #[tokio::test(start_paused = true)]
    async fn what_another_has_found_out_calls_for_another_goal() {
        let client = Client::embedded().unwrap();
        let catch_up = CatchUp::new(client.clone(), KeyRange::single("k"));
        let mut cx = Context::from_waker(Waker::noop());
        let by_revision = Goal::of_revision(7);
        let mut newest = GetResponse::default();
        (newest.header.revision, newest.count) = (7, 1);
        let by_newest = Goal::found(&newest);
        let mut poll = |goal, watches| {
            let (follower, question) = (&mut Blind { watches }, &mut Question::default());
            catch_up.poll_reached(follower, goal, question, &mut cx)
        };
        assert!(poll(by_revision, 1).is_pending());

        let until = client.shared.runtime.now() + SILENT_FOR;
        *lock(&catch_up.silent) = Some((1, until));
        assert!(matches!(poll(by_revision, 1), Poll::Ready(Ok(false))));
        assert!(poll(by_newest, 1).is_pending(), "it can be seen without a word");
        assert!(poll(by_revision, 2).is_pending(), "the next one can be asked");
        tokio::time::sleep(SILENT_FOR).await;
        assert!(poll(by_revision, 1).is_pending(), "it may be with another server");
    }
}
