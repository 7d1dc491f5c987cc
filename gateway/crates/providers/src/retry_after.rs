//! When a provider wants to be asked again.

use std::time::Duration;

use airside_snapshot::{DAY_S, days_from_civil};
use http::header::{HeaderMap, HeaderName, RETRY_AFTER};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The wait an answer asks for: `retry-after-ms`, else `retry-after` as seconds or as an HTTP date (RFC 9110, 10.2.3).
#[must_use]
pub fn retry_after(headers: &HeaderMap, now_s: i64) -> Option<Duration> {
    if let Some(millis) = headers.get(&RETRY_AFTER_MS).and_then(|value| value.to_str().ok())
        && let Some(wait) = positive(millis.trim().parse::<f64>().ok().map(|millis| millis / 1000.0))
    {
        return Some(wait);
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return positive(Some(seconds));
    }
    let at = http_date(text)?;
    Some(Duration::from_secs(u64::try_from(at - now_s).unwrap_or(0)))
}

fn positive(seconds: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds?).ok()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that may still be sent.
fn http_date(text: &str) -> Option<i64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let days = days_from_civil(year, i64::try_from(month).ok()? + 1, day);
    Some(days * DAY_S + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers, 784_111_777)
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(
            wait("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            wait("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(wait("retry-after", "124633"), Some(Duration::from_secs(124_633)));
    }

    #[test]
    fn nonsense_is_no_wait() {
        for value in ["", "soon", "-3", "nan", "inf", "1e400", "Sun, 06 Nov"] {
            assert_eq!(wait("retry-after", value), None, "{value}");
        }
    }
}
