//! The stretches of time a budget is for. With a control plane their bounds come with each lease; without one they are
//! reckoned here, in the zone that the budget names.

use airside_snapshot::{BudgetWindow, Zone, civil_from_days, days_from_civil};

/// One stretch, in seconds since 1970. A budget that never starts afresh has start 0 and no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first second in it.
    pub start: i64,
    /// The first second after it.
    pub end: Option<i64>,
}

impl Window {
    /// The one that never ends.
    pub const TOTAL: Self = Self { start: 0, end: None };

    /// True if this moment lies in it.
    #[must_use]
    pub fn holds(&self, now_s: i64) -> bool {
        self.start <= now_s && self.end.is_none_or(|end| now_s < end)
    }
}

/// The window of this kind that holds this moment. Days begin at midnight of the zone, weeks on Monday.
#[must_use]
pub fn window_at(kind: BudgetWindow, zone: &Zone, now_s: i64) -> Window {
    let fixed = |length: i64| {
        let start = now_s.div_euclid(length) * length;
        Window {
            start,
            end: Some(start + length),
        }
    };
    let days = |first: i64, behind_last: i64| Window {
        start: zone.start_of(first),
        end: Some(zone.start_of(behind_last)),
    };
    match kind {
        BudgetWindow::Minute => fixed(60),
        BudgetWindow::Hour => fixed(3600),
        BudgetWindow::Day => {
            let day = zone.day_of(now_s);
            days(day, day + 1)
        }
        BudgetWindow::Week => {
            // The first of January 1970 was a Thursday, so the first Monday came four days later.
            let monday = (zone.day_of(now_s) - 4).div_euclid(7) * 7 + 4;
            days(monday, monday + 7)
        }
        BudgetWindow::Month => {
            let (year, month, _) = civil_from_days(zone.day_of(now_s));
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            days(
                days_from_civil(year, month, 1),
                days_from_civil(next_year, next_month, 1),
            )
        }
        BudgetWindow::Total => Window::TOTAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_snapshot::Moment;

    #[test]
    fn windows_begin_and_end_where_the_calendar_says() {
        // Half a minute before the new year, whose first day is a Friday; in Berlin it has begun.
        let now = Moment::parse("2026-12-31T23:59:30Z").unwrap().seconds();
        let text = |seconds| Moment::from_seconds(seconds).to_string()[..16].to_owned();
        for (zone, kind, start, end) in [
            ("UTC", BudgetWindow::Minute, "2026-12-31T23:59", "2027-01-01T00:00"),
            ("UTC", BudgetWindow::Hour, "2026-12-31T23:00", "2027-01-01T00:00"),
            ("UTC", BudgetWindow::Day, "2026-12-31T00:00", "2027-01-01T00:00"),
            ("UTC", BudgetWindow::Week, "2026-12-28T00:00", "2027-01-04T00:00"),
            ("UTC", BudgetWindow::Month, "2026-12-01T00:00", "2027-01-01T00:00"),
            (
                "Europe/Berlin",
                BudgetWindow::Hour,
                "2026-12-31T23:00",
                "2027-01-01T00:00",
            ),
            (
                "Europe/Berlin",
                BudgetWindow::Day,
                "2026-12-31T23:00",
                "2027-01-01T23:00",
            ),
            (
                "Europe/Berlin",
                BudgetWindow::Week,
                "2026-12-27T23:00",
                "2027-01-03T23:00",
            ),
            (
                "Europe/Berlin",
                BudgetWindow::Month,
                "2026-12-31T23:00",
                "2027-01-31T23:00",
            ),
        ] {
            let window = window_at(kind, &Zone::named(zone).unwrap(), now);
            assert!(window.holds(now), "{zone} {kind:?}");
            let bounds = (text(window.start), window.end.map(text));
            assert_eq!(bounds, (start.to_owned(), Some(end.to_owned())), "{zone} {kind:?}");
        }
        let total = window_at(BudgetWindow::Total, &Zone::default(), now);
        assert!(total.holds(now) && total == Window::TOTAL);
    }
}
