//! The wall clock, taken as an argument so that tests can move it. Durations use the runtime's own clock.

use airside_snapshot::Moment;

/// Where the time of day comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> Moment;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that all others are given")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| since.as_micros());
        Moment {
            micros: i64::try_from(micros).unwrap_or(i64::MAX),
        }
    }
}
