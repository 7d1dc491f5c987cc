//! What a response says of its call, in headers of our own: where it went, why, what was left out and what it cost.

use airside_journal::{AttemptOutcome, ModelCall};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::settle::Call;

/// The id under which a call is in the journal and the logs.
pub(crate) const CALL_ID: &str = "x-airside-call-id";
/// The same, by the name that other gateways' users look for.
const REQUEST_ID: &str = "x-airside-request-id";
const MODEL: &str = "x-airside-model";
const PROVIDER: &str = "x-airside-provider";
const ROUTE: &str = "x-airside-route";
const ATTEMPTS: &str = "x-airside-attempts";
const DROPPED: &str = "x-airside-dropped";
const OVERHEAD: &str = "x-airside-overhead-ms";
const COST: &str = "x-airside-cost-usd";
/// Says, once a window, that a budget has passed its warning level.
const BUDGET_WARNING: &str = "x-airside-budget-warning";
/// Says which model a budget turned the call to, and which budget.
const DOWNGRADED: &str = "x-airside-downgraded";

/// What is said of most calls: room for all at once.
const USUAL_BYTES: usize = 512;
/// Longest value of a header of ours.
const MOST_BYTES: usize = 400;

/// Lines of a response's head, as they are sent: each is said of every call, and a map of headers would cost more than all
/// that is in them.
#[derive(Debug, Default)]
pub(crate) struct Told(Vec<u8>);

impl Told {
    /// Under which id it is in the journal.
    pub(crate) fn id(call_id: &str) -> Self {
        let mut told = Self::default();
        told.say_id(call_id);
        told
    }

    /// What is known of a call when its answer begins.
    pub(super) fn of(call: &mut Call) -> Self {
        let elapsed_us = call.elapsed_us();
        let record = &call.record;
        let mut told = Self(Vec::with_capacity(USUAL_BYTES));
        told.say_id(&record.call_id);
        if let Some(model) = &record.provider_model {
            told.say(MODEL, &[model]);
        }
        if let Some(provider) = &record.provider {
            told.say(PROVIDER, &[provider]);
        }
        told.say_route(record);
        let asked = record
            .attempts
            .iter()
            .filter(|attempt| attempt.outcome != AttemptOutcome::Skipped);
        told.say_number(ATTEMPTS, itoa::Buffer::new().format(asked.count()));
        if let Some(translation) = &record.translation {
            let dropped: Vec<&str> = translation.losses().collect();
            if !dropped.is_empty() {
                told.say(DROPPED, &[&dropped.join(",")]);
            }
        }
        for warning in &call.budget_warnings {
            told.say(BUDGET_WARNING, &[warning]);
        }
        if let (Some(to), Some(because)) = (&record.downgraded_to, &call.downgraded_because) {
            told.say(DOWNGRADED, &[to, "; budget of ", because]);
        }
        let overhead_us = call.gateway_us_of(elapsed_us);
        told.say_number(OVERHEAD, &decimal(overhead_us, 3));
        told
    }

    /// What a call costs whose answer is there whole.
    pub(super) fn say_cost(&mut self, nanousd: u64) {
        self.say_number(COST, &usd(nanousd));
    }

    /// The cost follows the answer.
    pub(super) fn announce_cost(&mut self) {
        self.say_number("trailer", COST);
    }

    /// The lines, each with its end.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.0
    }

    /// The first value of a name, if it is text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.split(|byte| *byte == b'\n');
        let value = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b": "))?;
        std::str::from_utf8(value.trim_ascii()).ok()
    }

    fn say_id(&mut self, call_id: &str) {
        self.say(CALL_ID, &[call_id]);
        self.say(REQUEST_ID, &[call_id]);
    }

    fn say_route(&mut self, record: &ModelCall) {
        let reason = record.route_reason.as_deref();
        match (record.route_step, reason) {
            (Some(step), Some(reason)) => {
                self.say(ROUTE, &["step ", itoa::Buffer::new().format(step), ": ", reason]);
            }
            (None, Some(reason)) => self.say(ROUTE, &[reason]),
            (Some(step), None) => self.say(ROUTE, &["step ", itoa::Buffer::new().format(step)]),
            (None, None) => {}
        }
    }

    /// Say this, made of some parts, in a form that is safe in a header whatever it is made of.
    fn say(&mut self, name: &str, parts: &[&str]) {
        self.begin(name);
        let start = self.0.len();
        for part in parts {
            self.0.extend_from_slice(part.as_bytes());
        }
        sanitise(&mut self.0, start);
        self.0.extend_from_slice(b"\r\n");
    }

    /// Say what is safe as it is.
    fn say_number(&mut self, name: &str, value: &str) {
        self.begin(name);
        self.0.extend_from_slice(value.as_bytes());
        self.0.extend_from_slice(b"\r\n");
    }

    fn begin(&mut self, name: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
    }
}

/// What follows a stream.
pub(crate) fn trailers(record: &ModelCall) -> HeaderMap {
    let cost = HeaderValue::from_str(&usd(record.cost_nanousd));
    let cost = cost.unwrap_or_else(|_| HeaderValue::from_static("?"));
    HeaderMap::from_iter([(HeaderName::from_static(COST), cost)])
}

/// Make of the text that begins there visible ASCII and spaces, at most `MOST_BYTES` of it, without spaces around it.
fn sanitise(line: &mut Vec<u8>, start: usize) {
    let text = line.get(start..).unwrap_or_default();
    let is_visible = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let is_safe = text.len() <= MOST_BYTES
        && is_visible(text.first())
        && is_visible(text.last())
        && text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if is_safe {
        return;
    }
    let text = String::from_utf8_lossy(text).into_owned();
    let safe = |sign: char| {
        if sign.is_ascii_graphic() || sign == ' ' {
            sign
        } else {
            '?'
        }
    };
    let safe: String = text.trim().chars().take(MOST_BYTES).map(safe).collect();
    line.truncate(start);
    line.extend_from_slice(safe.as_bytes());
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
            let mut told = Told::default();
            told.say(MODEL, &[text]);
            assert_eq!(told.lines(), format!("{MODEL}: {safe}\r\n").as_bytes());
            assert_eq!((told.get(MODEL), told.get(PROVIDER)), (Some(safe), None));
        }
        let mut told = Told::default();
        told.say(MODEL, &["x", &"x".repeat(10_000)]);
        assert_eq!(told.get(MODEL).unwrap().len(), MOST_BYTES);
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
