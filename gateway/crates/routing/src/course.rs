//! One call's way along its candidates: each is asked once; when none is left, one that asked for a short wait is
//! asked once more after it. Nothing else is ever repeated.
//!
//! Candidates stand target by target, and within a target key by key. Another key helps against what concerns a key
//! only (429, 401): after any other failure the remaining keys of that target are passed over.

use std::time::Duration;

use airside_providers::{Failure, Kind, Retry};

use crate::plan::Candidate;

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

/// One candidate, as far as the course goes.
#[derive(Debug, Clone, Copy)]
struct Stage {
    target: usize,
    window: Option<u64>,
    is_open: bool,
}

/// How far along a call is.
#[derive(Debug)]
pub struct Course {
    stages: Vec<Stage>,
    longest_wait: Duration,
    shortest_wait: Option<(Duration, usize)>,
    has_waited: bool,
}

impl Course {
    /// A call at its start. A Retry-After up to `longest_wait` is waited out when nothing else is left.
    #[must_use]
    pub fn new(candidates: &[Candidate<'_>], longest_wait: Duration) -> Self {
        let stages = candidates.iter().map(|candidate| Stage {
            target: candidate.rank,
            window: candidate.target.max_input_tokens,
            is_open: true,
        });
        Self {
            stages: stages.collect(),
            longest_wait,
            shortest_wait: None,
            has_waited: false,
        }
    }

    /// What to do now.
    pub fn next_step(&mut self) -> NextStep {
        if let Some(at) = self.stages.iter().position(|stage| stage.is_open) {
            self.close(|number, _| number == at);
            return NextStep::Ask(at);
        }
        match self.shortest_wait.take() {
            Some((wait, candidate)) if !self.has_waited => {
                self.has_waited = true;
                NextStep::WaitAndAsk(wait, candidate)
            }
            _ => NextStep::GiveUp,
        }
    }

    fn close(&mut self, which: impl Fn(usize, &Stage) -> bool) {
        for (number, stage) in self.stages.iter_mut().enumerate() {
            if which(number, stage) {
                stage.is_open = false;
            }
        }
    }

    /// True when a failure now would not be the last word.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.stages.iter().any(|stage| stage.is_open)
    }

    /// True if the input is too long for this candidate and another one that is left may take more.
    #[must_use]
    pub fn has_wider(&self, candidate: usize) -> bool {
        let Some(narrow) = self.stages.get(candidate) else {
            return false;
        };
        self.stages.iter().any(|stage| stage.is_open && is_wider(stage, narrow))
    }

    /// A candidate said that the input is too long for it: only wider ones are left.
    fn was_too_narrow(&mut self, candidate: usize) {
        if let Some(narrow) = self.stages.get(candidate).copied() {
            self.close(|_, stage| !is_wider(stage, &narrow));
        }
    }

    /// A candidate failed. `may_wait` is false where the provider said that asking again is of no use.
    pub fn failed(&mut self, candidate: usize, failure: &Failure, may_wait: bool) {
        if failure.kind == Kind::TooLong {
            self.was_too_narrow(candidate);
        }
        let concerns_key = matches!(failure.kind, Kind::RateLimited | Kind::CredentialRejected);
        if !concerns_key && let Some(target) = self.stages.get(candidate).map(|stage| stage.target) {
            self.close(|_, stage| stage.target == target);
        }
        let Retry::SameTarget { after } = failure.retry else {
            return;
        };
        let is_short = after <= self.longest_wait && self.shortest_wait.is_none_or(|(shortest, _)| after < shortest);
        if may_wait && is_short {
            self.shortest_wait = Some((after, candidate));
        }
    }
}

/// An unknown window may be wider than a known one; of two unknown ones nothing can be said.
fn is_wider(stage: &Stage, narrow: &Stage) -> bool {
    let may_hold_more = match (stage.window, narrow.window) {
        (Some(window), Some(narrow)) => window > narrow,
        (window, narrow) => window.is_some() || narrow.is_some(),
    };
    stage.target != narrow.target && may_hold_more
}

/// A wait with up to a tenth on top, so that those who were told the same do not come back together.
#[must_use]
pub fn jittered(wait: Duration, dice: u64) -> Duration {
    let thousandths = u32::try_from(dice % 100).unwrap_or_default();
    wait + wait * thousandths / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_providers::Origin;

    fn failure(kind: Kind, after_ms: Option<u64>) -> Failure {
        let retry = after_ms.map_or(Retry::NextTarget, |ms| Retry::SameTarget {
            after: Duration::from_millis(ms),
        });
        Failure {
            kind,
            origin: Origin::Provider,
            retry,
        }
    }

    fn course(stages: &[(usize, Option<u64>)]) -> Course {
        let stage = |(target, window): &(usize, Option<u64>)| Stage {
            target: *target,
            window: *window,
            is_open: true,
        };
        Course {
            stages: stages.iter().map(stage).collect(),
            longest_wait: Duration::from_secs(2),
            shortest_wait: None,
            has_waited: false,
        }
    }

    #[test]
    fn each_candidate_is_asked_once_in_order() {
        let mut course = course(&[(0, None), (1, None)]);
        assert_eq!(course.next_step(), NextStep::Ask(0));
        course.failed(0, &failure(Kind::ServerError, None), true);
        assert!(course.has_next());
        assert_eq!(course.next_step(), NextStep::Ask(1));
        course.failed(1, &failure(Kind::RateLimited, Some(2_001)), true);
        assert!(!course.has_next());
        assert_eq!(course.next_step(), NextStep::GiveUp);
    }

    #[test]
    fn the_shortest_wait_is_waited_out_once_when_nothing_else_is_left() {
        let mut course = course(&[(0, None), (1, None)]);
        course.next_step();
        course.failed(0, &failure(Kind::RateLimited, Some(300)), true);
        course.next_step();
        course.failed(1, &failure(Kind::RateLimited, Some(900)), true);
        assert_eq!(course.next_step(), NextStep::WaitAndAsk(Duration::from_millis(300), 0));
        course.failed(0, &failure(Kind::RateLimited, Some(100)), true);
        assert_eq!(course.next_step(), NextStep::GiveUp);
    }

    #[test]
    fn who_says_that_asking_again_is_of_no_use_is_believed() {
        let mut course = course(&[(0, None)]);
        course.next_step();
        course.failed(0, &failure(Kind::RateLimited, Some(10)), false);
        assert_eq!(course.next_step(), NextStep::GiveUp);
    }

    #[test]
    fn another_key_is_tried_for_what_concerns_a_key_only() {
        let mut limited = course(&[(0, None), (0, None), (1, None)]);
        limited.next_step();
        limited.failed(0, &failure(Kind::RateLimited, None), true);
        assert_eq!(limited.next_step(), NextStep::Ask(1));
        limited.failed(1, &failure(Kind::CredentialRejected, None), true);
        assert_eq!(limited.next_step(), NextStep::Ask(2));
        let mut down = course(&[(0, None), (0, None), (1, None)]);
        down.next_step();
        down.failed(0, &failure(Kind::Connect, None), true);
        assert_eq!(down.next_step(), NextStep::Ask(2));
    }

    #[test]
    fn what_is_too_long_goes_to_wider_targets_only() {
        let mut course = course(&[
            (0, Some(200)),
            (0, Some(200)),
            (1, Some(100)),
            (2, None),
            (3, Some(1_000)),
        ]);
        course.next_step();
        assert!(course.has_wider(0));
        course.was_too_narrow(0);
        assert_eq!(course.next_step(), NextStep::Ask(3));
        course.was_too_narrow(3);
        assert!(course.has_wider(3), "how wide that one was nobody knows");
        assert_eq!(course.next_step(), NextStep::Ask(4));
        assert!(!course.has_wider(4));
    }

    #[test]
    fn a_wait_is_never_shortened_and_hardly_lengthened() {
        for dice in 0..200 {
            let wait = jittered(Duration::from_secs(1), dice);
            assert!((Duration::from_secs(1)..Duration::from_millis(1_100)).contains(&wait));
        }
    }
}
