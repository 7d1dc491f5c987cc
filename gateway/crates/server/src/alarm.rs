//! Timers that are set for wait after wait, and told to the runtime only when they ring too early.
//!
//! Nearly every wait is over long before its time. To enter each into the runtime's wheel and take it out again costs
//! far more than to let one timer stand where it is, and set it anew in the rare case that it rings.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for one wait at a time.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Alarm {
    /// Ready once this moment has come. Until then whoever asks is woken then, and perhaps once before.
    pub(crate) fn poll_at(&mut self, moment: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(moment)));
        let is_for = |waker: &Waker| waker.will_wake(cx.waker());
        if sleep.deadline() > moment {
            sleep.as_mut().reset(moment);
        } else if !sleep.is_elapsed() && self.waker.as_ref().is_some_and(is_for) {
            // It stands, and will wake this same task.
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        ready!(sleep.as_mut().poll(cx));
        if sleep.deadline() < moment {
            // Set for an earlier wait.
            sleep.as_mut().reset(moment);
            return sleep.as_mut().poll(cx);
        }
        Poll::Ready(())
    }
}

/// A wait of so long, which begins when something has to be waited for: what is there already costs no look at a clock.
#[derive(Debug)]
pub(crate) struct Wait {
    longest: Duration,
    deadline: Option<Instant>,
    began: Option<Instant>,
}

impl Wait {
    pub(crate) const fn of(longest: Duration) -> Self {
        Self {
            longest,
            deadline: None,
            began: None,
        }
    }

    /// The same, over at this moment at the latest.
    pub(crate) fn by(longest: Duration, deadline: std::time::Instant) -> Self {
        Self {
            deadline: Some(deadline.into()),
            ..Self::of(longest)
        }
    }

    /// How long it lasted until now.
    pub(crate) fn lasted(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// True if its deadline comes before it is too long by itself.
    pub(crate) fn is_cut_short(&self) -> bool {
        let end = self.began.and_then(|began| began.checked_add(self.longest));
        self.deadline
            .is_some_and(|deadline| end.is_none_or(|end| deadline <= end))
    }

    /// Ready once the wait has been too long.
    pub(crate) fn poll(&mut self, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<()> {
        let began = *self.began.get_or_insert_with(Instant::now);
        // Further off than a clock can say is never.
        let end = began.checked_add(self.longest);
        let until = self
            .deadline
            .map_or(end, |deadline| Some(end.map_or(deadline, |end| end.min(deadline))));
        until.map_or(Poll::Pending, |until| alarm.poll_at(until, cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// A wait that ends before its time, as nearly all do.
    async fn set_in_vain(alarm: &mut Alarm, wait: Duration) {
        let moment = Instant::now() + wait;
        poll_fn(|cx| {
            assert!(alarm.poll_at(moment, cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn whatever_it_was_set_for_before_an_alarm_rings_at_its_moment() {
        let (mut alarm, an_hour) = (Alarm::default(), 3_600_000);
        for (before, pause, wait) in [(20, 0, 40), (20, 40, 20), (an_hour, 1, 20), (40, 1, 40)] {
            set_in_vain(&mut alarm, ms(before)).await;
            tokio::time::sleep(ms(pause)).await;
            let began = Instant::now();
            poll_fn(|cx| alarm.poll_at(began + ms(wait), cx)).await;
            let after = began.elapsed();
            assert!(
                after >= ms(wait) && after < ms(an_hour),
                "{before} {pause} {wait}: {after:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_wait_begins_when_it_is_first_asked_about() {
        let (mut alarm, mut wait) = (Alarm::default(), Wait::of(ms(30)));
        tokio::time::sleep(ms(40)).await;
        let began = Instant::now();
        poll_fn(|cx| wait.poll(&mut alarm, cx)).await;
        assert!(began.elapsed() >= ms(30) && wait.lasted() >= ms(30) && !wait.is_cut_short());
        let mut forever = Wait::of(Duration::MAX);
        poll_fn(|cx| {
            assert!(forever.poll(&mut alarm, cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn a_deadline_cuts_a_wait_short() {
        let (mut alarm, hour) = (Alarm::default(), ms(3_600_000));
        let now = std::time::Instant::now();
        for (longest, left, is_cut_short) in [
            (hour, ms(20), true),
            (ms(20), hour, false),
            (Duration::MAX, ms(1), true),
        ] {
            let mut wait = Wait::by(longest, now + left);
            assert_eq!(wait.lasted(), Duration::ZERO);
            poll_fn(|cx| wait.poll(&mut alarm, cx)).await;
            assert!(
                wait.is_cut_short() == is_cut_short && wait.lasted() < hour,
                "{longest:?}"
            );
        }
    }
}
