//! Where days begin: a time zone of the IANA database, the machine's own where it has one, else the one built in.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use crate::time::{DAY_S, civil_from_days};

/// A time zone. UTC, which nearly every budget has, needs no table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Zone(Option<TimeZone>);

impl Zone {
    /// The zone of this name, such as `Europe/Berlin`; `None` when there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "UTC" => Some(Self(None)),
            _ => TimeZone::get(name).ok().map(|zone| Self(Some(zone))),
        }
    }

    /// The day it is there at this moment (seconds since 1970), in days since 1970.
    #[must_use]
    pub fn day_of(&self, now_s: i64) -> i64 {
        let offset = self.0.as_ref().and_then(|zone| {
            let now = Timestamp::from_second(now_s).ok()?;
            Some(i64::from(zone.to_offset(now).seconds()))
        });
        (now_s + offset.unwrap_or_default()).div_euclid(DAY_S)
    }

    /// When that day begins there, in seconds since 1970: at midnight, or behind the hour that a change of clocks leaves
    /// out.
    #[must_use]
    pub fn start_of(&self, day: i64) -> i64 {
        let start = self.0.as_ref().and_then(|zone| {
            let (year, month, of_month) = civil_from_days(day);
            let midnight = Date::new(year.try_into().ok()?, month.try_into().ok()?, of_month.try_into().ok()?).ok()?;
            let start = zone.to_timestamp(midnight.at(0, 0, 0, 0)).ok()?;
            Some(start.as_second())
        });
        start.unwrap_or(day * DAY_S)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        let unknown = || {
            serde::de::Error::custom(format!(
                "there is no time zone `{name}`: use a name of the IANA database"
            ))
        };
        Self::named(&name).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Moment;

    #[test]
    fn days_begin_where_the_zone_says() {
        let at = |text: &str| Moment::parse(text).unwrap().seconds();
        for (zone, now, start, end) in [
            (
                "UTC",
                "2026-11-26T12:00:00Z",
                "2026-11-26T00:00:00Z",
                "2026-11-27T00:00:00Z",
            ),
            (
                "Europe/Berlin",
                "2026-11-26T23:30:00Z",
                "2026-11-26T23:00:00Z",
                "2026-11-27T23:00:00Z",
            ),
            // The day on which the clocks go forward has twenty-three hours.
            (
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            (
                "Asia/Kolkata",
                "2026-11-26T18:29:59Z",
                "2026-11-25T18:30:00Z",
                "2026-11-26T18:30:00Z",
            ),
            // There, this day has no midnight: the clocks go from 00:00 to 01:00.
            (
                "America/Santiago",
                "2026-09-06T12:00:00Z",
                "2026-09-06T04:00:00Z",
                "2026-09-07T03:00:00Z",
            ),
        ] {
            let found = Zone::named(zone).unwrap();
            let day = found.day_of(at(now));
            assert_eq!(
                (found.start_of(day), found.start_of(day + 1)),
                (at(start), at(end)),
                "{zone} {now}"
            );
        }
        assert_eq!(Zone::named("Europe/Atlantis"), None);
    }

    #[test]
    fn a_zone_that_there_is_not_is_named() {
        let problem = serde_json::from_str::<Zone>(r#""Mars/Olympus""#)
            .unwrap_err()
            .to_string();
        assert!(problem.contains("there is no time zone `Mars/Olympus`"), "{problem}");
    }
}
