//! A machine that is suspended, and a runtime whose clock counts that time although its timers do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyetcd::{BoxFuture, Client, LeaseState, LostReason, Runtime};
use etcd_embedded::sim::World;
use futures_util::FutureExt;

use super::{SECOND, deadlines};

/// Counts the time of suspensions, as `CLOCK_BOOTTIME` does; its timers are late by it, as those of `CLOCK_MONOTONIC` are.
#[derive(Debug)]
struct Counting {
    awake: Arc<dyn Runtime>,
    suspended: Arc<AtomicU64>,
}

impl Counting {
    fn suspended(&self) -> Duration {
        Duration::from_secs(self.suspended.load(Ordering::Relaxed))
    }
}

impl Runtime for Counting {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.awake.spawn(task);
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        // What of the past the other clock cannot express is over in any case.
        let deadline = deadline.checked_sub(self.suspended());
        self.awake
            .sleep_until(deadline.unwrap_or_else(|| self.awake.now()))
    }

    fn now(&self) -> Instant {
        self.awake.now() + self.suspended()
    }

    fn entropy(&self) -> u64 {
        self.awake.entropy()
    }
}

#[test]
fn a_runtime_that_counts_the_time_of_a_suspension_tells_of_a_loss_before_any_timer_does() {
    let world = World::new(1);
    let suspended = Arc::new(AtomicU64::new(0));
    let runtime = Counting {
        awake: world.runtime(),
        suspended: suspended.clone(),
    };
    let transport = world.transport();
    let client = Client::builder()
        .endpoints(world.endpoints())
        .transport(Arc::new(runtime), transport.clone())
        .build()
        .unwrap();
    world.block_on(async {
        let lease = client.lease(10 * SECOND).await.unwrap();
        let mut states = lease.states();
        assert!(matches!(states.next().await, Some(LeaseState::Alive { .. })));
        world.sleep(60 * SECOND).await;
        assert!(lease.is_held());

        // From here to the end of the block nothing else runs: no timer, no task, no answer.
        suspended.store(3600, Ordering::Relaxed);
        assert!(
            matches!(
                lease.state(),
                LeaseState::Lost {
                    reason: LostReason::Expired { cause: None }
                }
            ),
            "{lease:?}"
        );
        let told = lease.lost().now_or_never().expect("it need not be waited for");
        assert!(matches!(told.reason(), LostReason::Expired { .. }), "{told:?}");
        let state = states.next().now_or_never().expect("it need not be waited for");
        assert!(matches!(state, Some(LeaseState::Lost { .. })), "{state:?}");

        // And the server has it still, as its clock has not moved here: what is lost stays lost all the same.
        assert_eq!(deadlines(&world).len(), 1);
        world.sleep(20 * SECOND).await;
        assert!(!lease.is_held());
        drop(lease);

        let next = client.lease(10 * SECOND).await.unwrap();
        world.sleep(60 * SECOND).await;
        assert!(
            next.is_held() && deadlines(&world).contains_key(&next.id()),
            "{next:?}"
        );
    });
}
