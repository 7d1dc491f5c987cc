//! How soon each target began to answer lately.

use foldhash::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of each new measure, in the average.
const WEIGHT_OF_NEW: f64 = 0.2;
/// What is older says nothing any more.
const GROWS_STALE_AFTER: Duration = Duration::from_mins(5);
/// While the first call of an unmeasured target is under way, others do not follow it.
const TRIAL: Duration = Duration::from_secs(30);
const MOST_TARGETS: usize = 4_096;

#[derive(Debug, Clone, Copy)]
struct Speed {
    average_us: Option<f64>,
    measured_at: Instant,
    asked_at: Instant,
}

/// The pace of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nobody knows: it is worth a try.
    Unknown,
    /// Nobody knows, but somebody is trying.
    OnTrial,
    /// The average time until its first content, in microseconds.
    Measured(u64),
}

/// The pace of every target, kept over snapshots, by name.
#[derive(Debug, Default)]
pub struct Speeds {
    targets: Mutex<HashMap<String, HashMap<String, Speed>>>,
}

impl Speeds {
    /// A target is asked now.
    pub fn note_asked(&self, provider: &str, model: &str, now: Instant) {
        self.change(provider, model, now, |speed| speed.asked_at = now);
    }

    /// Its first content came after so long. A measure that would have to wait for another one is let go.
    pub fn note_answered(&self, provider: &str, model: &str, after: Duration, now: Instant) {
        let micros = after.as_secs_f64() * 1e6;
        self.change(provider, model, now, |speed| {
            let is_stale = now.saturating_duration_since(speed.measured_at) > GROWS_STALE_AFTER;
            let before = speed.average_us.filter(|_| !is_stale).unwrap_or(micros);
            speed.average_us = Some(before + WEIGHT_OF_NEW * (micros - before));
            speed.measured_at = now;
        });
    }

    fn change(&self, provider: &str, model: &str, now: Instant, change: impl FnOnce(&mut Speed)) {
        let Ok(mut targets) = self.targets.try_lock() else {
            return;
        };
        if let Some(speed) = targets.get_mut(provider).and_then(|models| models.get_mut(model)) {
            change(speed);
            return;
        }
        if targets.values().map(HashMap::len).sum::<usize>() >= MOST_TARGETS {
            targets.clear();
        }
        let mut speed = Speed {
            average_us: None,
            measured_at: now,
            asked_at: now,
        };
        change(&mut speed);
        targets
            .entry(provider.to_owned())
            .or_default()
            .insert(model.to_owned(), speed);
    }

    /// The pace of a target.
    #[must_use]
    pub fn pace(&self, provider: &str, model: &str, now: Instant) -> Pace {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(speed) = targets.get(provider).and_then(|models| models.get(model)) else {
            return Pace::Unknown;
        };
        let age = now.saturating_duration_since(speed.measured_at);
        match speed.average_us {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "`as` saturates, which is wanted"
            )]
            Some(average) if age <= GROWS_STALE_AFTER => Pace::Measured(average as u64),
            _ if now.saturating_duration_since(speed.asked_at) < TRIAL => Pace::OnTrial,
            _ => Pace::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_and_grows_stale() {
        let (speeds, now) = (Speeds::default(), Instant::now());
        assert_eq!(speeds.pace("p", "m", now), Pace::Unknown);
        speeds.note_asked("p", "m", now);
        assert_eq!(speeds.pace("p", "m", now), Pace::OnTrial);
        speeds.note_answered("p", "m", Duration::from_millis(100), now);
        assert_eq!(speeds.pace("p", "m", now), Pace::Measured(100_000));
        speeds.note_answered("p", "m", Duration::from_millis(200), now);
        assert_eq!(speeds.pace("p", "m", now), Pace::Measured(120_000));
        let later = now + Duration::from_secs(301);
        assert_eq!(speeds.pace("p", "m", later), Pace::Unknown);
        speeds.note_answered("p", "m", Duration::from_millis(50), later);
        assert_eq!(
            speeds.pace("p", "m", later),
            Pace::Measured(50_000),
            "nothing of the old is left"
        );
    }
}
