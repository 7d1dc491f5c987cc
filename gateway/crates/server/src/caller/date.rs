//! The date that answers bear, spelled once a second.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use httpdate::HttpDate;

use crate::clock::Clock;

/// Of a date in the form of RFC 9110, 5.6.7.
const BYTES: usize = 29;

/// The present second's spelling; one for each worker.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    spelled: Mutex<Option<Spelled>>,
}

#[derive(Debug, Clone, Copy)]
struct Spelled {
    text: [u8; BYTES],
    until: Instant,
}

impl Dates {
    /// The date by this clock.
    pub(super) fn now(&self, clock: &dyn Clock) -> [u8; BYTES] {
        let now = Instant::now();
        let mut spelled = self.spelled.lock().unwrap_or_else(PoisonError::into_inner);
        match *spelled {
            Some(known) if now < known.until => known.text,
            _ => spelled.insert(Spelled::at(clock.now().micros, now)).text,
        }
    }
}

impl Spelled {
    fn at(micros: i64, now: Instant) -> Self {
        let micros = u64::try_from(micros).unwrap_or_default();
        let seconds = Duration::from_secs(micros / 1_000_000);
        // The last year that the form has is 9999.
        let moment = UNIX_EPOCH
            .checked_add(seconds)
            .filter(|_| seconds.as_secs() < 253_402_300_800);
        let mut text = [b' '; BYTES];
        let _ = write!(text.as_mut_slice(), "{}", HttpDate::from(moment.unwrap_or(UNIX_EPOCH)));
        Self {
            text,
            until: now + Duration::from_micros(1_000_000 - micros % 1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_spelled_as_the_rfc_has_it_and_until_it_is_over() {
        let now = Instant::now();
        let spelled = Spelled::at(784_111_777_250_000, now);
        assert_eq!(&spelled.text, b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(spelled.until - now, Duration::from_millis(750));
        assert_eq!(Spelled::at(i64::MIN, now).text.len(), BYTES);
        assert_eq!(&Spelled::at(i64::MAX, now).text, b"Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
