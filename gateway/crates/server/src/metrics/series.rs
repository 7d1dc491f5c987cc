//! What is counted by model, provider, front door and task. Models and providers are those of the configuration; whatever
//! else is asked for, and whatever is beyond the bound, goes by `other`.

use std::collections::BTreeMap;
use std::sync::Arc;

use airside_journal::{AttemptOutcome, ModelCall, Outcome};
use airside_protocols::FrontDoor;

use super::Alias;
use super::histogram::Histogram;
use super::text::Text;

/// Combinations of model, provider, front door and task that are told apart.
const MOST_SERIES: usize = 1_000;
const MOST_PROVIDERS: usize = 200;
const OTHER: &str = "other";
const NONE: &str = "none";

const TOKEN_KINDS: [&str; 6] = [
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
];

/// Calls of one front door and task.
type Counts = [u64; Outcome::ALL.len()];

/// What is counted by model and provider.
#[derive(Debug, Default)]
struct Group {
    calls: BTreeMap<(&'static str, &'static str), Counts>,
    tokens: [u64; TOKEN_KINDS.len()],
    cost_nanousd: u64,
    cache_breaks_nanousd: u64,
    fallbacks: u64,
    translated: u64,
    total: Histogram,
    first_token: Histogram,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Series {
    groups: BTreeMap<Box<str>, BTreeMap<Box<str>, Group>>,
    /// How many there are.
    count: usize,
    attempts: BTreeMap<Arc<str>, [u64; AttemptOutcome::ALL.len()]>,
    errors: BTreeMap<&'static str, u64>,
    added: Histogram,
    queue: Histogram,
}

impl Series {
    /// Count a call that is over.
    pub(crate) fn count(&mut self, door: FrontDoor, call: &ModelCall, alias: Alias) {
        let model = match (call.model.as_deref(), alias) {
            (None, _) => NONE,
            (Some(model), Alias::Configured) => model,
            (Some(_), Alias::Other) => OTHER,
        };
        let task = call.task.unwrap_or(NONE);
        let provider = call.provider.as_deref().unwrap_or(NONE);
        if let Some(group) = self.group_of((model, provider), (door.name(), task)) {
            group.count(door.name(), task, call);
        }
        if let Some(code) = call.error_code {
            *self.errors.entry(code).or_default() += 1;
        }
        self.added.observe(call.timings.gateway_us);
        self.queue.observe(call.timings.queue_us);
        self.count_attempts(call);
    }

    /// Where calls of this model and provider, front door and task are counted.
    fn group_of(&mut self, names: (&str, &str), kind: (&'static str, &'static str)) -> Option<&mut Group> {
        let is_known = self.has(names, kind);
        let is_told_apart = is_known || self.count < MOST_SERIES;
        let (model, provider) = if is_told_apart { names } else { (OTHER, OTHER) };
        if !is_known && !self.has((model, provider), kind) {
            self.count += 1;
            let of_model = self.groups.entry(model.into()).or_default();
            let group = of_model.entry(provider.into()).or_default();
            group.calls.insert(kind, Counts::default());
        }
        self.groups.get_mut(model)?.get_mut(provider)
    }

    fn has(&self, (model, provider): (&str, &str), kind: (&'static str, &'static str)) -> bool {
        let group = self.groups.get(model).and_then(|of_model| of_model.get(provider));
        group.is_some_and(|group| group.calls.contains_key(&kind))
    }

    fn count_attempts(&mut self, call: &ModelCall) {
        for attempt in &call.attempts {
            let is_known = self.attempts.contains_key(&attempt.provider);
            let name = if is_known || self.attempts.len() < MOST_PROVIDERS {
                Arc::clone(&attempt.provider)
            } else {
                OTHER.into()
            };
            let counts = self.attempts.entry(name).or_default();
            add(&AttemptOutcome::ALL, counts, &attempt.outcome);
        }
    }

    /// Write all of it.
    pub(crate) fn write(&self, out: &mut Text) {
        self.write_calls(out);
        out.begin("tokens_total");
        self.each(|labels, group| {
            for (kind, count) in TOKEN_KINDS.iter().zip(group.tokens) {
                let [model, provider] = labels;
                out.sample("tokens_total", "", &[model, provider, ("kind", kind)], None, count);
            }
        });
        self.write_sums(out, "cost_nanousd_total", |group| group.cost_nanousd);
        self.write_sums(out, "cache_breaks_nanousd_total", |group| group.cache_breaks_nanousd);
        self.write_sums(out, "fallbacks_total", |group| group.fallbacks);
        self.write_sums(out, "translated_total", |group| group.translated);
        out.begin("errors_total");
        for (code, count) in &self.errors {
            out.sample("errors_total", "", &[("code", code)], None, count);
        }
        out.begin("attempts_total");
        for (provider, counts) in &self.attempts {
            for (outcome, count) in AttemptOutcome::ALL.iter().zip(counts) {
                let labels = [("provider", provider.as_ref()), ("outcome", outcome.name())];
                out.sample("attempts_total", "", &labels, None, count);
            }
        }
        out.begin("call_seconds");
        self.each(|labels, group| group.total.write(out, "call_seconds", &labels));
        out.begin("first_token_seconds");
        self.each(|labels, group| group.first_token.write(out, "first_token_seconds", &labels));
        out.begin("added_seconds");
        self.added.write(out, "added_seconds", &[]);
        out.begin("queue_seconds");
        self.queue.write(out, "queue_seconds", &[]);
        out.single("series", self.count as u64);
    }

    fn write_calls(&self, out: &mut Text) {
        out.begin("calls_total");
        self.each(|[model, provider], group| {
            for ((door, task), counts) in &group.calls {
                for (outcome, count) in Outcome::ALL.iter().zip(counts).filter(|(_, count)| **count > 0) {
                    let labels = [
                        model,
                        provider,
                        ("front_door", door),
                        ("task", task),
                        ("outcome", outcome.name()),
                    ];
                    out.sample("calls_total", "", &labels, None, count);
                }
            }
        });
    }

    fn write_sums(&self, out: &mut Text, name: &str, sum: impl Fn(&Group) -> u64) {
        out.begin(name);
        self.each(|labels, group| out.sample(name, "", &labels, None, sum(group)));
    }

    fn each(&self, mut write: impl FnMut([(&str, &str); 2], &Group)) {
        for (model, of_model) in &self.groups {
            for (provider, group) in of_model {
                write([("model", model), ("provider", provider)], group);
            }
        }
    }
}

impl Group {
    fn count(&mut self, door: &'static str, task: &'static str, call: &ModelCall) {
        add(
            &Outcome::ALL,
            self.calls.entry((door, task)).or_default(),
            &call.outcome,
        );
        let usage = &call.usage;
        let counts = [
            usage.input_uncached,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.output.saturating_sub(call.reasoning_tokens.unwrap_or(0)),
            call.reasoning_tokens.unwrap_or(0),
        ];
        for (total, count) in self.tokens.iter_mut().zip(counts) {
            *total = total.saturating_add(count);
        }
        self.cost_nanousd = self.cost_nanousd.saturating_add(call.cost_nanousd);
        let broken = call.cache_break_nanousd.unwrap_or(0);
        self.cache_breaks_nanousd = self.cache_breaks_nanousd.saturating_add(broken);
        let has_failed = |outcome| call.attempts.iter().any(|attempt| attempt.outcome == outcome);
        self.fallbacks += u64::from(has_failed(AttemptOutcome::Failed) && call.provider.is_some());
        self.translated += u64::from(call.translation.is_some() && call.provider.is_some());
        self.total.observe(call.timings.total_us);
        if let Some(first_byte_us) = call.timings.first_byte_us {
            self.first_token.observe(first_byte_us);
        }
    }
}

/// Add one where this value stands.
fn add<T: PartialEq>(all: &[T], counts: &mut [u64], value: &T) {
    for (_, count) in all.iter().zip(counts).filter(|(known, _)| *known == value) {
        *count += 1;
    }
}
