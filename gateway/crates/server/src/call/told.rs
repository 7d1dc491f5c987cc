//! What a response says of its call, in headers of our own: where it went, why, what was left out and what it cost.

use airside_journal::{AttemptOutcome, ModelCall};
use http::header::{HeaderMap, HeaderName, HeaderValue, TRAILER};

use super::settle::Call;
use crate::reply::tell_id;

const MODEL: HeaderName = HeaderName::from_static("x-airside-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-airside-provider");
const ROUTE: HeaderName = HeaderName::from_static("x-airside-route");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-airside-attempts");
const DROPPED: HeaderName = HeaderName::from_static("x-airside-dropped");
const OVERHEAD: HeaderName = HeaderName::from_static("x-airside-overhead-ms");
const COST: HeaderName = HeaderName::from_static("x-airside-cost-usd");
/// Says, once a window, that a budget has passed its warning level.
const BUDGET_WARNING: HeaderName = HeaderName::from_static("x-airside-budget-warning");
/// Says which model a budget turned the call to, and which budget.
const DOWNGRADED: HeaderName = HeaderName::from_static("x-airside-downgraded");
const COST_NAME: HeaderValue = HeaderValue::from_static("x-airside-cost-usd");

/// What is said of most calls: room for all at once.
const USUAL_HEADERS: usize = 9;
/// Longest value of a header of ours.
const MOST_BYTES: usize = 400;

/// Say of a call what is known when its answer begins.
pub(crate) fn tell(headers: &mut HeaderMap, call: &Call) {
    let record = &call.record;
    headers.reserve(USUAL_HEADERS);
    tell_id(headers, &record.call_id);
    if let Some(model) = &record.provider_model {
        headers.insert(MODEL, sanitised(model));
    }
    if let Some(provider) = &record.provider {
        headers.insert(PROVIDER, sanitised(provider));
    }
    if let Some(route) = route_of(record) {
        headers.insert(ROUTE, sanitised(&route));
    }
    let asked = record
        .attempts
        .iter()
        .filter(|attempt| attempt.outcome != AttemptOutcome::Skipped);
    headers.insert(
        ATTEMPTS,
        match asked.count() {
            // Nearly always.
            1 => HeaderValue::from_static("1"),
            count => HeaderValue::from(count),
        },
    );
    if let Some(translation) = &record.translation {
        let dropped: Vec<&str> = translation.losses().collect();
        if !dropped.is_empty() {
            headers.insert(DROPPED, sanitised(&dropped.join(",")));
        }
    }
    for warning in &call.budget_warnings {
        headers.append(BUDGET_WARNING, sanitised(warning));
    }
    if let (Some(to), Some(because)) = (&record.downgraded_to, &call.downgraded_because) {
        headers.insert(DOWNGRADED, sanitised(&format!("{to}; budget of {because}")));
    }
    let overhead_us = call.gateway_us_of(call.elapsed_us());
    headers.insert(OVERHEAD, of_digits(&decimal(overhead_us, 3)));
}

/// Say what a call costs whose answer is there whole.
pub(crate) fn tell_cost(headers: &mut HeaderMap, nanousd: u64) {
    headers.insert(COST, of_digits(&usd(nanousd)));
}

/// Announce that the cost follows the answer.
pub(crate) fn announce_cost(headers: &mut HeaderMap) {
    headers.insert(TRAILER, COST_NAME);
}

/// What follows a stream.
pub(crate) fn trailers(record: &ModelCall) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    tell_cost(&mut trailers, record.cost_nanousd);
    trailers
}

fn route_of(record: &ModelCall) -> Option<String> {
    let reason = record.route_reason.as_deref();
    match (record.route_step, reason) {
        (Some(step), Some(reason)) => {
            let mut route = String::with_capacity(reason.len() + 32);
            route.push_str("step ");
            route.push_str(itoa::Buffer::new().format(step));
            route.push_str(": ");
            route.push_str(reason);
            Some(route)
        }
        (None, reason) => reason.map(str::to_owned),
        (Some(step), None) => Some(format!("step {step}")),
    }
}

/// A value that is safe in a header whatever it is made of: visible ASCII and spaces, at most `MOST_BYTES`.
fn sanitised(text: &str) -> HeaderValue {
    let is_sign = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let is_trimmed = is_sign(text.as_bytes().first()) && is_sign(text.as_bytes().last());
    let text = if is_trimmed { text } else { text.trim() };
    // Beyond these a header value may hold nothing but tabs.
    let may_be_safe = text.len() <= MOST_BYTES && memchr::memchr(b'\t', text.as_bytes()).is_none();
    if let (true, Ok(value)) = (may_be_safe, HeaderValue::from_str(text)) {
        return value;
    }
    let safe = |sign: char| {
        if sign.is_ascii_graphic() || sign == ' ' {
            sign
        } else {
            '?'
        }
    };
    let text: String = text.chars().take(MOST_BYTES).map(safe).collect();
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

/// A number as it is written here, which is safe as it is.
fn of_digits(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

/// An amount in US dollars, exact to the last digit.
fn usd(nanousd: u64) -> String {
    let mut text = decimal(nanousd, 9);
    let kept = text.trim_end_matches('0').trim_end_matches('.').len();
    text.truncate(kept);
    text
}

/// A number in units of ten to the minus `places`, with all those places.
fn decimal(number: u64, places: usize) -> String {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    let mut text = String::with_capacity(digits.len() + places + 2);
    let (whole, part) = digits.split_at(digits.len().saturating_sub(places));
    text.push_str(if whole.is_empty() { "0" } else { whole });
    text.push('.');
    text.extend(std::iter::repeat_n('0', places - part.len()));
    text.push_str(part);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_is_made_of_the_header_stands_alone() {
        for (text, safe) in [
            ("claude-opus-4", "claude-opus-4"),
            ("a\r\nset-cookie: x=1", "a??set-cookie: x=1"),
            ("modèle\u{0}\u{7f}", "mod?le??"),
            ("  spaced  ", "spaced"),
            ("a\tb", "a?b"),
            ("\ttabbed\t", "tabbed"),
        ] {
            assert_eq!(sanitised(text).to_str().unwrap(), safe);
        }
        assert_eq!(sanitised(&"x".repeat(10_000)).len(), MOST_BYTES);
    }

    #[test]
    fn money_is_written_to_the_last_digit() {
        for (nanousd, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (16_400, "0.0000164"),
            (1_000_000_000, "1"),
            (10_500_000_000, "10.5"),
        ] {
            assert_eq!(usd(nanousd), text);
        }
    }

    #[test]
    fn a_decimal_has_all_its_places() {
        for (number, text) in [
            (0, "0.000"),
            (7, "0.007"),
            (999, "0.999"),
            (1_000, "1.000"),
            (12_345, "12.345"),
        ] {
            assert_eq!(decimal(number, 3), text);
        }
    }
}
