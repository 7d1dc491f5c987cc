//! What is counted, for Prometheus. Every label is bounded: models and providers are those of the configuration, all else
//! is a fixed list, and there is a cap on what they can be combined to.

mod histogram;
mod series;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use airside_journal::ModelCall;
use airside_protocols::FrontDoor;

use self::series::Series;
pub(crate) use self::text::Text;

/// How the alias of a call is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alias {
    /// By its name: it is in the configuration.
    Configured,
    /// With all others: anybody can ask for anything.
    Other,
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    series: Mutex<Series>,
    pub(crate) in_flight: AtomicU64,
    pub(crate) streams_in_flight: AtomicU64,
    pub(crate) held_nanousd: AtomicU64,
    pub(crate) refused_keys: AtomicU64,
    pub(crate) holds_exceeded: AtomicU64,
    pub(crate) sockets_opened: AtomicU64,
}

impl Metrics {
    /// Count a call that is over.
    pub(crate) fn count(&self, door: FrontDoor, call: &ModelCall, alias: Alias) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.count(door, call, alias);
    }

    /// Write all of it.
    pub(crate) fn write(&self, out: &mut Text) {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).write(out);
        for (name, count) in [
            ("refused_keys_total", &self.refused_keys),
            ("holds_exceeded_total", &self.holds_exceeded),
            ("sockets_opened_total", &self.sockets_opened),
            ("calls_in_flight", &self.in_flight),
            ("streams_in_flight", &self.streams_in_flight),
            ("held_nanousd", &self.held_nanousd),
        ] {
            out.single(name, count.load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_journal::Attempt;

    fn call(model: &str, provider: &str) -> ModelCall {
        let call = ModelCall::accepted(
            "call_1".into(),
            "2026-11-23T17:52:28Z".into(),
            "p".into(),
            "openai-chat",
        );
        ModelCall {
            model: Some(model.into()),
            provider: Some(provider.into()),
            attempts: vec![Attempt::begun(provider.into(), "m".into(), 0)],
            ..call
        }
    }

    fn text(metrics: &Metrics) -> String {
        let mut out = Text::default();
        metrics.write(&mut out);
        out.finish()
    }

    #[test]
    fn names_that_nobody_configured_share_one_series() {
        let metrics = Metrics::default();
        for number in 0..5_000 {
            let call = ModelCall {
                provider: None,
                ..call(&format!("hostile-{number}\"}}\n"), "p")
            };
            metrics.count(FrontDoor::Chat, &call, Alias::Other);
        }
        let text = text(&metrics);
        assert!(!text.contains("hostile"), "{text}");
        let expected = "airside_gateway_calls_total{model=\"other\",provider=\"none\",front_door=\"openai-chat\",\
                        task=\"none\",outcome=\"cancelled\"} 5000\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("airside_gateway_series 1\n"), "{text}");
    }

    #[test]
    fn even_configured_names_have_a_bound_and_no_call_is_lost() {
        let metrics = Metrics::default();
        for number in 0..3_000 {
            metrics.count(
                FrontDoor::Chat,
                &call(&format!("model-{number}"), &format!("p{number}")),
                Alias::Configured,
            );
        }
        let text = text(&metrics);
        let calls: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("airside_gateway_calls_total{"))
            .collect();
        let sum: u64 = calls
            .iter()
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!((calls.len(), sum), (1_001, 3_000));
        let attempts = text
            .lines()
            .filter(|line| line.starts_with("airside_gateway_attempts_total{"));
        assert_eq!(attempts.count(), 201 * 6);
    }

    #[test]
    fn every_sample_follows_its_type_and_strange_names_are_escaped() {
        let metrics = Metrics::default();
        metrics.count(FrontDoor::Messages, &call("a\"b\\c\nd", "p"), Alias::Configured);
        let text = text(&metrics);
        assert!(text.contains("model=\"a\\\"b\\\\c\\nd\""), "{text}");
        let mut family = "";
        for line in text.lines() {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                family = typed.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family) && !family.is_empty(), "{line}");
            }
        }
    }
}
