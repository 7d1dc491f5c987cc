//! Prometheus text: every metric with its type and a line of help, from one list that the reference is tested against.

use std::fmt::{Display, Write as _};

/// Every metric there is: name behind `airside_gateway_`, type, help.
const CATALOGUE: [(&str, &str, &str); 31] = [
    ("calls_total", "counter", "Calls that ended."),
    (
        "tokens_total",
        "counter",
        "Tokens billed, by kind; the kinds do not overlap.",
    ),
    (
        "cost_nanousd_total",
        "counter",
        "What calls cost, in billionths of a US dollar.",
    ),
    (
        "cache_breaks_nanousd_total",
        "counter",
        "What leaving a session's prompt cache cost, in billionths of a US dollar.",
    ),
    (
        "fallbacks_total",
        "counter",
        "Calls answered by a target after another one had failed.",
    ),
    (
        "translated_total",
        "counter",
        "Calls answered by a provider of another family than the caller's.",
    ),
    (
        "errors_total",
        "counter",
        "Calls that ended with an error of the gateway's own, by its code.",
    ),
    (
        "attempts_total",
        "counter",
        "Requests to providers, and targets passed over.",
    ),
    (
        "refused_keys_total",
        "counter",
        "Requests whose key or token was not accepted.",
    ),
    (
        "holds_exceeded_total",
        "counter",
        "Calls that cost more than was reserved for them.",
    ),
    ("sockets_opened_total", "counter", "WebSocket connections opened."),
    ("call_seconds", "histogram", "From the acceptance of a call to its end."),
    (
        "first_token_seconds",
        "histogram",
        "From the acceptance of a call to the first content for its caller.",
    ),
    (
        "added_seconds",
        "histogram",
        "What the gateway added: everything but waiting for a provider or the caller.",
    ),
    (
        "queue_seconds",
        "histogram",
        "Waiting to be admitted: for a lease, for room in a rate limit.",
    ),
    ("calls_in_flight", "gauge", "Calls under way."),
    ("streams_in_flight", "gauge", "Of those, streams."),
    (
        "held_nanousd",
        "gauge",
        "Set aside for calls under way, in billionths of a US dollar.",
    ),
    (
        "provider_cooling",
        "gauge",
        "1 while a provider is left alone after failures, else 0.",
    ),
    ("leased_scopes", "gauge", "Budgets that this gateway has a lease of."),
    ("snapshot_version", "gauge", "The configuration in force."),
    ("journal_sequence", "gauge", "The last record written."),
    (
        "journal_acknowledged",
        "gauge",
        "The last record the control plane has.",
    ),
    ("journal_bytes", "gauge", "Journal on disk."),
    ("journal_unfinished", "gauge", "Records opened and not finished."),
    (
        "bodies_kept_total",
        "counter",
        "Calls whose bodies were taken over to be written.",
    ),
    (
        "bodies_dropped_total",
        "counter",
        "Calls whose bodies were wanted and not written.",
    ),
    (
        "bodies_bytes",
        "gauge",
        "Bodies on disk that the control plane does not have yet.",
    ),
    ("spans_exported_total", "counter", "Spans the collector took."),
    (
        "spans_dropped_total",
        "counter",
        "Spans nobody took: the queue was full, or the collector did not answer.",
    ),
    (
        "series",
        "gauge",
        "Combinations of labels that calls are counted under; at most 1000.",
    ),
];

/// Text in the making.
#[derive(Debug, Default)]
pub(crate) struct Text {
    out: String,
}

impl Text {
    /// What comes next are samples of this metric.
    pub(crate) fn begin(&mut self, name: &str) {
        if let Some((name, kind, help)) = CATALOGUE.iter().find(|(known, _, _)| *known == name) {
            let _ = writeln!(
                self.out,
                "# HELP airside_gateway_{name} {help}\n# TYPE airside_gateway_{name} {kind}"
            );
        }
    }

    /// One sample. `bound` is a bucket's.
    pub(crate) fn sample(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &[(&str, &str)],
        bound: Option<&str>,
        value: impl Display,
    ) {
        let _ = write!(self.out, "airside_gateway_{name}{suffix}");
        let bound = bound.map(|bound| ("le", bound));
        let mut opening = '{';
        for (label, value) in labels.iter().copied().chain(bound) {
            let _ = write!(self.out, "{opening}{label}=\"");
            self.escape(value);
            self.out.push('"');
            opening = ',';
        }
        if opening == ',' {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    /// A metric of one sample without labels.
    pub(crate) fn single(&mut self, name: &str, value: u64) {
        self.begin(name);
        self.sample(name, "", &[], None, value);
    }

    fn escape(&mut self, value: &str) {
        for sign in value.chars() {
            match sign {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                sign => self.out.push(sign),
            }
        }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}
