//! One call's way along its candidates: each is asked once; when none is left, one that asked for a short wait is
//! asked once more after it. Nothing else is ever repeated.

use std::time::Duration;

use airside_providers::{Failure, Retry};

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Ask this candidate.
    Ask(usize),
    /// Ask this candidate after a while.
    WaitAndAsk(Duration, usize),
    /// Nothing is left.
    GiveUp,
}

/// How far along a call is.
#[derive(Debug)]
pub struct Course {
    candidates: usize,
    asked: usize,
    longest_wait: Duration,
    shortest_wait: Option<(Duration, usize)>,
    has_waited: bool,
}

impl Course {
    /// A call at its start. A Retry-After up to `longest_wait` is waited out when nothing else is left.
    #[must_use]
    pub const fn new(candidates: usize, longest_wait: Duration) -> Self {
        Self {
            candidates,
            asked: 0,
            longest_wait,
            shortest_wait: None,
            has_waited: false,
        }
    }

    /// What to do now.
    pub fn next_step(&mut self) -> NextStep {
        if self.asked < self.candidates {
            self.asked += 1;
            return NextStep::Ask(self.asked - 1);
        }
        match self.shortest_wait.take() {
            Some((wait, candidate)) if !self.has_waited => {
                self.has_waited = true;
                NextStep::WaitAndAsk(wait, candidate)
            }
            _ => NextStep::GiveUp,
        }
    }

    /// True when a failure now would not be the last word.
    #[must_use]
    pub const fn has_next(&self) -> bool {
        self.asked < self.candidates
    }

    /// A candidate failed.
    pub fn failed(&mut self, candidate: usize, failure: &Failure) {
        let Retry::SameTarget { after } = failure.retry else {
            return;
        };
        if after <= self.longest_wait && self.shortest_wait.is_none_or(|(shortest, _)| after < shortest) {
            self.shortest_wait = Some((after, candidate));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_providers::{Kind, Origin};

    fn failure(after_ms: Option<u64>) -> Failure {
        let retry = after_ms.map_or(Retry::NextTarget, |ms| Retry::SameTarget {
            after: Duration::from_millis(ms),
        });
        Failure {
            kind: Kind::RateLimited,
            origin: Origin::Provider,
            retry,
        }
    }

    #[test]
    fn each_candidate_is_asked_once_in_order() {
        let mut course = Course::new(2, Duration::from_secs(2));
        assert_eq!(course.next_step(), NextStep::Ask(0));
        course.failed(0, &failure(None));
        assert!(course.has_next());
        assert_eq!(course.next_step(), NextStep::Ask(1));
        course.failed(1, &failure(Some(2_001)));
        assert!(!course.has_next());
        assert_eq!(course.next_step(), NextStep::GiveUp);
    }

    #[test]
    fn the_shortest_wait_is_waited_out_once_when_nothing_else_is_left() {
        let mut course = Course::new(2, Duration::from_secs(2));
        course.next_step();
        course.failed(0, &failure(Some(300)));
        course.next_step();
        course.failed(1, &failure(Some(900)));
        assert_eq!(course.next_step(), NextStep::WaitAndAsk(Duration::from_millis(300), 0));
        course.failed(0, &failure(Some(100)));
        assert_eq!(course.next_step(), NextStep::GiveUp);
    }
}
