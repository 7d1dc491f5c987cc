//! Which processor a worker runs on.
//!
//! A kernel may leave two busy threads on one processor, each waiting milliseconds for the other, while another processor
//! is idle for a moment at a time (benches/README.md). So where there is one worker for each processor, a worker that has
//! much to do keeps to one of its own. A worker that has little to do goes where the kernel puts it, which knows best who
//! else is at work on the machine.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Turns of the worker's connections between two looks at the clock.
const TURNS: u32 = 1024;
/// The shortest time that is judged.
const SHORTEST: Duration = Duration::from_millis(50);
/// A thread that runs this part of the time has much to do.
const MUCH: f64 = 0.3;
/// And one that runs no more than this has little.
const LITTLE: f64 = 0.1;

/// The place of one worker; used by its own thread only.
#[derive(Debug)]
pub(crate) struct Seat {
    /// `None` where there is nothing to choose.
    choice: Option<Choice>,
    sitting: Mutex<Sitting>,
}

/// The processor that is this worker's, and all that it may run on.
#[derive(Debug)]
struct Choice {
    own: CpuSet,
    all: CpuSet,
}

#[derive(Debug)]
struct Sitting {
    is_seated: bool,
    looked_at: Instant,
    /// Until then, since the thread began.
    ran: Duration,
}

impl Seat {
    /// The place of worker `number` of so many, for the thread that calls this.
    pub(crate) fn of(number: usize, workers: usize) -> Self {
        Self {
            choice: Choice::of(number, workers),
            sitting: Mutex::new(Sitting {
                is_seated: false,
                looked_at: Instant::now(),
                ran: ran_so_far().unwrap_or_default(),
            }),
        }
    }

    /// A connection of the worker had its turn, the worker's turn of that number.
    pub(crate) fn after(&self, turn: u32) {
        if turn.is_multiple_of(TURNS) {
            self.look();
        }
    }

    /// Sit down or get up, by what was done since the last look.
    pub(crate) fn look(&self) {
        let Some(choice) = &self.choice else { return };
        let mut sitting = self.sitting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sits) = sitting.judge(Instant::now(), ran_so_far) {
            choice.sit(sits);
        }
    }
}

impl Choice {
    fn of(number: usize, workers: usize) -> Option<Self> {
        let all = sched_getaffinity(None).ok()?;
        if workers < 2 || usize::try_from(all.count()) != Ok(workers) {
            return None;
        }
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|processor| all.is_set(*processor));
        let mut own = CpuSet::new();
        own.set(allowed.nth(number)?);
        Some(Self { own, all })
    }

    fn sit(&self, sits: bool) {
        // Where it is forbidden, the kernel goes on choosing.
        let _ = sched_setaffinity(None, if sits { &self.own } else { &self.all });
    }
}

impl Sitting {
    /// True to sit down now, false to get up.
    fn judge(&mut self, now: Instant, ran_so_far: impl FnOnce() -> Option<Duration>) -> Option<bool> {
        let span = now.saturating_duration_since(self.looked_at);
        if span < SHORTEST {
            return None;
        }
        let before = std::mem::replace(&mut self.ran, ran_so_far()?);
        self.looked_at = now;
        let share = self.ran.saturating_sub(before).div_duration_f64(span);
        let sits = share >= if self.is_seated { LITTLE } else { MUCH };
        (std::mem::replace(&mut self.is_seated, sits) != sits).then_some(sits)
    }
}

/// The processor time of this thread; `None` where the kernel does not tell.
fn ran_so_far() -> Option<Duration> {
    ran_of(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// Of the kernel's line: nanoseconds that the thread ran and that it waited, and how often it was chosen.
fn ran_of(line: &str) -> Option<Duration> {
    let nanoseconds = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_worker_sits_down_and_one_with_little_to_do_gets_up() {
        let began = Instant::now();
        let mut sitting = Sitting {
            is_seated: false,
            looked_at: began,
            ran: Duration::ZERO,
        };
        let mut at = |ms: u64, ran_ms: u64| {
            let ran = Duration::from_millis(ran_ms);
            sitting.judge(began + Duration::from_millis(ms), || Some(ran))
        };
        assert_eq!(at(40, 40), None, "too short to be judged");
        assert_eq!(at(200, 50), None, "not busy enough");
        assert_eq!(at(300, 90), Some(true));
        assert_eq!(at(400, 105), None, "still busy enough to stay");
        assert_eq!(at(10_400, 300), Some(false));
        assert_eq!(at(20_400, 320), None);
        assert_eq!(at(20_500, 400), Some(true));
    }

    #[test]
    fn a_seat_is_one_processor_where_there_is_a_worker_for_each() {
        let all = sched_getaffinity(None).unwrap();
        let workers = usize::try_from(all.count()).unwrap();
        assert!(Choice::of(0, workers + 1).is_none(), "left to the kernel");
        let Some(choice) = Choice::of(workers - 1, workers) else {
            assert_eq!(workers, 1);
            return;
        };
        choice.sit(true);
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        choice.sit(false);
        assert_eq!(sched_getaffinity(None).unwrap(), all);
    }

    #[test]
    fn the_kernels_line_is_read() {
        assert_eq!(ran_of("5000000 3000000 12\n"), Some(Duration::from_millis(5)));
        assert_eq!(ran_of(""), None);
    }

    #[test]
    fn the_time_a_thread_ran_grows_while_it_works() {
        let Some(before) = ran_so_far() else { return };
        while ran_so_far().is_some_and(|now| now <= before) {}
    }
}
