//! Moments as the messages between the planes spell them (RFC 3339), in seconds since 1970.
//!
//! The calendar arithmetic is Howard Hinnant's "chrono-compatible low-level date algorithms".

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Seconds in a day of the calendar used here, which knows no leap seconds.
pub const DAY_S: i64 = 86_400;

/// A point in time, in microseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment {
    /// Microseconds since 1970.
    pub micros: i64,
}

impl Moment {
    /// The whole seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.micros.div_euclid(1_000_000)
    }

    /// The moment this many seconds after 1970 began.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self {
            micros: seconds.saturating_mul(1_000_000),
        }
    }

    /// Read RFC 3339 text; a time without a zone is taken as UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once(['T', ' ', 't'])?;
        let mut date = date.splitn(3, '-').map(str::parse::<i64>);
        let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
        let (clock, offset_s) = split_zone(rest)?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut clock = clock.splitn(3, ':').map(str::parse::<i64>);
        let (hour, minute) = (clock.next()?.ok()?, clock.next()?.ok()?);
        let second = clock.next().unwrap_or(Ok(0)).ok()?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let seconds = days_from_civil(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset_s;
        Some(Self {
            micros: seconds * 1_000_000 + micros_of(fraction)?,
        })
    }
}

fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else {
        return Some((text, 0));
    };
    let (clock, zone) = text.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let zone = zone.get(1..)?;
    let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "0"));
    Some((
        clock,
        sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60),
    ))
}

fn micros_of(fraction: &str) -> Option<i64> {
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    digits.parse().ok()
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_S));
        let of_day = seconds.rem_euclid(DAY_S);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let micros = self.micros.rem_euclid(1_000_000);
        // Every call is stamped, so this does without the formatter's machinery.
        let pairs = [
            (year / 100, 0),
            (year % 100, 2),
            (month, 5),
            (day, 8),
            (of_day / 3600, 11),
            (of_day / 60 % 60, 14),
            (of_day % 60, 17),
            (micros / 10_000, 20),
            (micros / 100 % 100, 22),
            (micros % 100, 24),
        ];
        for (value, at) in pairs {
            if let Some([tens, ones]) = text.get_mut(at..at + 2) {
                let value = u8::try_from(value).unwrap_or(0);
                (*tens, *ones) = (b'0' + value / 10 % 10, b'0' + value % 10);
            }
        }
        out.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MomentText;
        impl Visitor<'_> for MomentText {
            type Value = Moment;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an RFC 3339 time")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                Moment::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(MomentText)
    }
}

/// Days since 1970 of a date of the Gregorian calendar.
#[must_use]
pub const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date (year, month, day) this many days after 1970 began.
#[must_use]
pub const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00+00:00", 951_825_600),
            ("2026-11-23T17:52:28.123456Z", 1_795_456_348),
            ("2026-11-23T18:52:28+01:00", 1_795_456_348),
            ("2026-11-23T17:52:28", 1_795_456_348),
        ] {
            assert_eq!(Moment::parse(text).map(Moment::seconds), Some(seconds), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01"] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_moment_is_read_as_it_was_written(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let moment = Moment { micros };
            prop_assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
        }
    }
}
