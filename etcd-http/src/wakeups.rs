//! Keeps hyper from waking the task that is driving it this very moment.
//!
//! hyper's connection and those who use it talk through channels, and each word wakes the other side. Here both sides are
//! one task, so that almost every wake-up would be one of itself: a request would cost a second, idle poll of the whole
//! task, and on a runtime with several threads the waking of another thread to look for work.
//!
//! ```text
//!              mute, poll                      poll: ready, or pending without a wake-up
//!   Resting ───────────────▶ Driving ──────────────────────────────────────────────────▶ Resting
//!   a wake-up wakes            │  ▲  │
//!   the task                   └──┘  │ poll: woken in pass after pass
//!                 woken: another     └───────────────▶ Resting, and the task wakes itself after all
//!                 pass
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// The bits of a state.
const DRIVING: u8 = 1;
const WOKEN: u8 = 2;

/// How often a poll begins anew because it was woken. One exchange takes two passes; a runtime that wants its thread back
/// (Tokio's cooperative budget) answers each poll with a wake-up, and must get it.
const MAX_PASSES: u32 = 4;

/// What wakes the task that drives a connection, from outside.
pub(crate) struct Wakeups {
    shared: Arc<Shared>,
    /// What hyper gets to see.
    waker: Waker,
}

struct Shared {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wakeups {
    pub(crate) fn new() -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU8::new(0),
            task: AtomicWaker::new(),
        });
        Self {
            waker: Waker::from(shared.clone()),
            shared,
        }
    }

    /// Until the next [`poll`](Self::poll), which has to follow at once, nothing is woken.
    pub(crate) fn mute(&self) {
        self.shared.state.store(DRIVING, Ordering::Release);
    }

    /// Polls with `pass`, again and again while that wakes itself.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut pass: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let state = &self.shared.state;
        self.shared.task.register(cx.waker());
        self.mute();
        let mut own = Context::from_waker(&self.waker);
        let mut passes = 0;
        loop {
            let polled = pass(&mut own);
            if polled.is_ready() {
                state.store(0, Ordering::Release);
                return polled;
            }
            passes += 1;
            if passes == MAX_PASSES || state.fetch_and(!WOKEN, Ordering::AcqRel) & WOKEN == 0 {
                break;
            }
        }
        // Whoever wakes from here on wakes the task; who did since the last look is not forgotten.
        if state.swap(0, Ordering::AcqRel) & WOKEN != 0 {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(WOKEN, Ordering::AcqRel) & DRIVING == 0 {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls with `pass` and returns how often that woke the task.
    fn woken(wakeups: &Wakeups, pass: impl FnMut(&mut Context<'_>) -> Poll<()>) -> (Poll<()>, u32) {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let polled = wakeups.poll(&mut Context::from_waker(&waker), pass);
        (polled, counter.0.load(Ordering::Relaxed))
    }

    #[test]
    fn a_poll_that_wakes_itself_is_polled_again_and_wakes_nobody() {
        let mut passes = 0;
        let polled = woken(&Wakeups::new(), |cx| {
            passes += 1;
            if passes == 1 {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        });
        assert_eq!((polled, passes), ((Poll::Pending, 0), 2));
    }

    #[test]
    fn a_poll_that_never_stops_waking_itself_gives_way_and_is_woken() {
        let mut passes = 0;
        let polled = woken(&Wakeups::new(), |cx| {
            passes += 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!((polled, passes), ((Poll::Pending, 1), MAX_PASSES));
    }

    #[test]
    fn what_is_woken_while_muted_is_polled_for_once() {
        let wakeups = Wakeups::new();
        let mut seen = None;
        let _ = woken(&wakeups, |cx| {
            seen = Some(cx.waker().clone());
            Poll::Pending
        });
        wakeups.mute();
        seen.unwrap().wake();
        let mut passes = 0;
        let polled = woken(&wakeups, |_| {
            passes += 1;
            Poll::Pending
        });
        assert_eq!((polled, passes), ((Poll::Pending, 0), 1));
    }

    #[test]
    fn a_wake_up_between_two_polls_wakes_the_task_that_polled_last() {
        let wakeups = Wakeups::new();
        let (earlier, later) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
        let mut seen = None;
        for counter in [&earlier, &later] {
            let waker = Waker::from(counter.clone());
            let _ = wakeups.poll(&mut Context::from_waker(&waker), |cx| {
                seen = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
        }
        seen.unwrap().wake();
        assert_eq!(earlier.0.load(Ordering::Relaxed), 0);
        assert_eq!(later.0.load(Ordering::Relaxed), 1);
    }

    /// The moment between the last look for wake-ups and the end of a poll is what counts.
    #[test]
    fn wake_ups_from_another_thread_are_never_lost() {
        let wakeups = Wakeups::new();
        let mut waker = None;
        let _ = woken(&wakeups, |cx| {
            waker = Some(cx.waker().clone());
            Poll::Pending
        });
        let waker = waker.unwrap();
        let said = Arc::new(AtomicU32::new(0));
        const WORDS: u32 = 20_000;
        let speaker = std::thread::spawn({
            let said = said.clone();
            move || {
                for _ in 0..WORDS {
                    said.fetch_add(1, Ordering::Release);
                    waker.wake_by_ref();
                }
            }
        });
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let own = Waker::from(Arc::new(Unpark(std::thread::current())));
        while wakeups
            .poll(&mut Context::from_waker(&own), |_| {
                match said.load(Ordering::Acquire) {
                    WORDS => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })
            .is_pending()
        {
            // A lost wake-up would leave this waiting for ever.
            std::thread::park();
        }
        speaker.join().unwrap();
    }
}
