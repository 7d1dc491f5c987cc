//! Calls that are ready at the same time go through each of their stages together.
//!
//! A call runs through more of the program than a processor's innermost cache holds, and so through much of the kernel's
//! network code. One call after the other, each from its request to its answer, would fetch all of it anew each time;
//! stage by stage, only the first of them does. This is the cohort scheduling of Larus and Parkes, "Using Cohort Scheduling
//! to Enhance Server Performance" (2002); what it gives is in benches/README.md.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

/// Fewer are not worth the way through the scheduler.
const LEAST: u32 = 4;
/// Whoever carries more bytes goes on at once: while it waited, the others would drive them out of the cache.
const MOST_CARRIED: u64 = 16 << 10;

/// The connections of one worker, which take turns; used by its own thread only.
#[derive(Debug, Default)]
pub(crate) struct Cohort {
    /// All turns so far, of all connections.
    turns: AtomicU32,
    /// How many others had a turn since the last one of the connection whose turn it is.
    others: AtomicU32,
}

impl Cohort {
    /// A connection of the worker has its turn; `last` is the number of its last one. The number of this one.
    pub(crate) fn turn(&self, last: u32) -> u32 {
        let turn = self.turns.load(Ordering::Relaxed).wrapping_add(1);
        self.turns.store(turn, Ordering::Relaxed);
        self.others
            .store(turn.wrapping_sub(last).wrapping_sub(1), Ordering::Relaxed);
        turn
    }

    /// A stage is over: let the others that are ready finish it too.
    ///
    /// Whoever is alone, or nearly so, goes on at once, and so does whoever carries much into the next stage.
    pub(crate) async fn stage(&self, carries: u64) {
        let mut has_waited = carries > MOST_CARRIED || self.others.load(Ordering::Relaxed) < LEAST;
        poll_fn(|cx| {
            if std::mem::replace(&mut has_waited, true) {
                return Poll::Ready(());
            }
            // Behind all those that are ready already.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Waker};

    use tokio_util::task::TaskTracker;

    const STAGES: u32 = 3;

    /// The stages of so many connections, and whose they are, in the order they are entered.
    fn order_of(connections: u32, carries: u64) -> Vec<(u32, u32)> {
        let (cohort, order) = (Arc::new(Cohort::default()), Arc::new(Mutex::new(Vec::new())));
        // As if each had been there for a while.
        (0..100).for_each(|last| assert_eq!(cohort.turn(last), last + 1));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let tracker = TaskTracker::new();
            for number in 0..connections {
                let (cohort, order) = (Arc::clone(&cohort), Arc::clone(&order));
                tracker.spawn(async move {
                    let mut call = pin!(async {
                        for stage in 0..STAGES {
                            order.lock().unwrap().push((stage, number));
                            cohort.stage(carries).await;
                        }
                    });
                    let mut last = 0;
                    poll_fn(|cx| {
                        last = cohort.turn(last);
                        call.as_mut().poll(cx)
                    })
                    .await;
                });
            }
            tracker.close();
            tracker.wait().await;
        });
        std::mem::take(&mut *order.lock().unwrap())
    }

    #[test]
    fn those_that_are_ready_go_through_each_stage_together() {
        let together: Vec<_> = (0..STAGES)
            .flat_map(|stage| (0..6).map(move |number| (stage, number)))
            .collect();
        assert_eq!(order_of(6, MOST_CARRIED), together);
    }

    #[test]
    fn whoever_carries_much_goes_through_its_stages_at_once() {
        let one_by_one: Vec<_> = (0..6)
            .flat_map(|number| (0..STAGES).map(move |stage| (stage, number)))
            .collect();
        assert_eq!(order_of(6, MOST_CARRIED + 1), one_by_one);
    }

    #[test]
    fn one_that_is_alone_waits_for_nobody() {
        let cohort = Cohort::default();
        let mut last = 0;
        for _ in 0..5 {
            last = cohort.turn(last);
            let mut stage = pin!(cohort.stage(0));
            let polled = stage.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_ready());
        }
    }

    #[test]
    fn few_wait_once_and_then_no_more() {
        // The first stage is waited for, because nobody knows yet how few they are.
        assert_eq!(order_of(2, 0), [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (2, 1)]);
    }
}
