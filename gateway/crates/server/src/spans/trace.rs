//! A call's place in a trace (W3C Trace Context): the caller's span above it, its own span, and what goes to the provider.

use std::fmt::Write as _;

use airside_snapshot::Moment;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::identifiers::Identifiers;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Ids in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: String,
    pub(crate) span: String,
    /// The caller's span, if it said one.
    pub(crate) parent: Option<String>,
    /// Microseconds since 1970.
    pub(crate) started_us: u64,
    flags: String,
}

impl Trace {
    /// Go on with the caller's trace, or begin one.
    pub(crate) fn begin(headers: &HeaderMap, identifiers: &Identifiers, now: Moment) -> Self {
        let said = headers.get(TRACEPARENT).and_then(|value| parse(value.to_str().ok()?));
        let (id, parent, flags) = said.map_or_else(
            || (random(identifiers, &mut [0; 16]), None, "01".to_owned()),
            |(id, parent, flags)| (id, Some(parent), flags),
        );
        Self {
            id,
            span: random(identifiers, &mut [0; 8]),
            parent,
            started_us: now.micros.unsigned_abs(),
            flags,
        }
    }

    /// Make a provider's span the child of ours, where the caller told of a trace at all: nobody else learns of it.
    pub(crate) fn hand_on(&self, headers: &mut HeaderMap) {
        let ours = format!("00-{}-{}-{}", self.id, self.span, self.flags);
        if self.parent.is_some()
            && let Ok(value) = HeaderValue::from_str(&ours)
        {
            headers.insert(TRACEPARENT, value);
        }
    }
}

/// Trace, span and flags; `None` for what is none (W3C Trace Context, 3.2).
fn parse(text: &str) -> Option<(String, String, String)> {
    let mut parts = text.split('-');
    let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length
            && text
                .bytes()
                .all(|sign| sign.is_ascii_digit() || (b'a'..=b'f').contains(&sign))
    };
    let is_nothing = |text: &str| text.bytes().all(|sign| sign == b'0');
    let is_valid = is_hex(version, 2) && version != "ff" && is_hex(id, 32) && is_hex(span, 16) && is_hex(flags, 2);
    let is_valid = is_valid && !is_nothing(id) && !is_nothing(span);
    is_valid.then(|| (id.to_owned(), span.to_owned(), flags.to_owned()))
}

fn random(identifiers: &Identifiers, bytes: &mut [u8]) -> String {
    identifiers.draw(bytes);
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(text: Option<&'static str>) -> (Trace, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.extend(text.map(|text| (TRACEPARENT, HeaderValue::from_static(text))));
        let trace = Trace::begin(&headers, &Identifiers::default(), Moment { micros: 5 });
        trace.hand_on(&mut headers);
        (trace, headers)
    }

    #[test]
    fn a_callers_trace_goes_on_and_the_provider_is_below_us() {
        let (trace, headers) = begun(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
        assert_eq!(trace.id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.parent.as_deref(), Some("b7ad6b7169203331"));
        let handed_on = format!("00-0af7651916cd43dd8448eb211c80319c-{}-00", trace.span);
        assert_eq!(headers.get(TRACEPARENT).unwrap().to_str().unwrap(), handed_on);
    }

    #[test]
    fn without_one_a_trace_begins_that_nobody_else_learns_of() {
        for text in [
            None,
            Some("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
            Some("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ] {
            let (trace, headers) = begun(text);
            assert_eq!(
                (trace.id.len(), trace.span.len(), trace.parent.as_deref()),
                (32, 16, None)
            );
            assert_eq!(headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()), text);
        }
    }
}
