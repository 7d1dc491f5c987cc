//! What would become of a call, without making it: the rule it follows, the targets in order, those left out and why,
//! what it may cost, and what a translation would lose. The same code as for a real call decides.

mod imagined;
mod said;

use airside_metering::CallBound;
use airside_snapshot::{Compiled, CredentialKind, Model, ProviderIndex, ProviderKey, Target};
use serde::Serialize;

use crate::estimate::expected_cost;
use crate::health::HealthNote;

use crate::plan::{Asked, Candidate, NoTarget, Plan, Readiness, Surroundings, plan};
use crate::sessions::SessionView;
use crate::speed::Pace;

use self::said::left_out;

pub use imagined::{Imagined, ImaginedAgent, NotImaginable};

/// One step of the route, as this call sees it.
#[derive(Debug, Serialize)]
struct StepNote<'a> {
    step: usize,
    when: Option<&'a str>,
    strategy: &'static str,
    /// `None`: never asked, because an earlier step was the one.
    holds: Option<bool>,
    problem: Option<String>,
}

/// One target that would be asked.
#[derive(Debug, Serialize)]
struct CandidateNote<'a> {
    provider: &'a str,
    model: &'a str,
    family: &'static str,
    key: usize,
    translated: bool,
    /// It is left alone for now, and asked only after the others.
    rests: bool,
    expected_nanousd: u64,
    bound_nanousd: u64,
    context_window: Option<u64>,
    first_content_us: Option<u64>,
    /// What translation and the vendor would leave out; only where a body was given.
    losses: Option<Vec<String>>,
    /// Why it cannot be said there at all.
    untranslatable: Option<String>,
}

/// One target that would not be asked.
#[derive(Debug, Serialize)]
struct RejectedNote<'a> {
    provider: &'a str,
    model: &'a str,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct HealthLine {
    provider: String,
    key: Option<usize>,
    state: &'static str,
    for_ms: u64,
    failures: u32,
}

impl From<HealthNote> for HealthLine {
    fn from(note: HealthNote) -> Self {
        Self {
            provider: note.provider,
            key: note.key,
            state: note.state,
            for_ms: note.for_ms,
            failures: note.failures,
        }
    }
}

#[derive(Debug, Serialize)]
struct SessionNote {
    provider: Option<String>,
    model: Option<String>,
    pinned: bool,
    cached_tokens: u64,
}

#[derive(Debug, Serialize)]
struct Explanation<'a> {
    model: &'a str,
    snapshot_version: u64,
    door: &'static str,
    task: &'static str,
    input_tokens: u64,
    steps: Vec<StepNote<'a>>,
    /// Which step applies, from 0.
    step: Option<usize>,
    /// What put the first target first: `strategy`, `split`, `cache` or `pin`.
    lead: Option<&'static str>,
    candidates: Vec<CandidateNote<'a>>,
    rejected: Vec<RejectedNote<'a>>,
    shadow: Option<CandidateNote<'a>>,
    /// Why the call would be refused.
    refusal: Option<String>,
    session: SessionNote,
    /// What is amiss with providers; `None`: not known here.
    health: Option<Vec<HealthLine>>,
}

/// What is known of the world, for an explanation.
#[derive(Debug)]
pub struct Known<'s, S> {
    /// As for a real call.
    pub surroundings: &'s S,
    /// What is remembered of the session.
    pub session: SessionView,
    /// What is amiss with providers; `None`: not known here.
    pub health: Option<Vec<HealthNote>>,
    /// Seconds since 1970.
    pub now_s: i64,
}

/// Explain one imagined call, as JSON.
///
/// # Errors
/// `NotImaginable` when the request makes no sense or names a model that does not exist.
pub fn explain<S: Surroundings>(
    compiled: &Compiled,
    imagined: &Imagined,
    known: Known<'_, S>,
) -> Result<String, NotImaginable> {
    let name = imagined.model()?;
    let model = compiled
        .model(&name)
        .ok_or_else(|| NotImaginable(format!("there is no model '{name}'")))?;
    let request = imagined.request(&name)?;
    let asked = request.asked(imagined, &known.session, known.now_s);
    let planned = plan(compiled, model, &asked, known.surroundings);
    let steps = steps_of(model, &asked, &planned);
    let view = Viewer {
        imagined,
        request: &request,
        asked: &asked,
        compiled,
        surroundings: known.surroundings,
        now_s: known.now_s,
    };
    let refusal = planned.as_ref().err().map(|why| why_in_words(why, &name));
    let planned = planned.ok();
    let candidates = planned.iter().flat_map(|plan| &plan.candidates);
    let rejected = planned.iter().flat_map(|plan| &plan.skipped);
    let rejected = rejected.filter(|skipped| skipped.skip != crate::Skip::CoolingDown);
    let explanation = Explanation {
        model: &model.name,
        snapshot_version: compiled.snapshot.version,
        door: asked.door.name(),
        task: request.task.name(),
        input_tokens: asked.input_tokens,
        steps,
        step: planned.as_ref().map(|plan| plan.rule.index),
        lead: planned.as_ref().map(|plan| plan.lead.name()),
        candidates: candidates.map(|candidate| view.note(candidate)).collect(),
        rejected: rejected
            .map(|skipped| RejectedNote {
                provider: &skipped.target.provider,
                model: &skipped.target.model,
                reason: skipped.skip.reason(),
            })
            .collect(),
        shadow: planned
            .as_ref()
            .and_then(|plan| plan.shadow.as_ref())
            .map(|shadow| view.note(shadow)),
        refusal,
        session: session_note(&known.session),
        health: known
            .health
            .map(|notes| notes.into_iter().map(HealthLine::from).collect()),
    };
    serde_json::to_string(&explanation).map_err(|problem| NotImaginable(problem.to_string()))
}

fn session_note(session: &SessionView) -> SessionNote {
    let place = session.place.as_ref();
    SessionNote {
        provider: place.map(|place| place.provider.to_string()),
        model: place.map(|place| place.model.to_string()),
        pinned: session.is_pinned,
        cached_tokens: session.cached_tokens,
    }
}

fn steps_of<'a>(model: &'a Model, asked: &Asked<'_>, planned: &Result<Plan<'_>, NoTarget>) -> Vec<StepNote<'a>> {
    let chosen = planned.as_ref().ok().map(|plan| plan.rule.index);
    let note = |(index, step): (usize, &'a airside_snapshot::Step)| {
        let answer = match (&step.when, &asked.facts) {
            _ if chosen.is_some_and(|chosen| index > chosen) => None,
            (Some(condition), Some(facts)) => Some(condition.holds(facts)),
            _ => Some(Ok(true)),
        };
        StepNote {
            step: index,
            when: step.when.as_ref().map(airside_snapshot::Condition::text),
            strategy: step.strategy.name(),
            problem: answer
                .as_ref()
                .and_then(|answer| answer.as_ref().err())
                .map(ToString::to_string),
            holds: answer.map(|answer| answer.unwrap_or(false)),
        }
    };
    model.route.iter().enumerate().map(note).collect()
}

struct Viewer<'v, S> {
    compiled: &'v Compiled,
    imagined: &'v Imagined,
    request: &'v imagined::Request,
    asked: &'v Asked<'v>,
    surroundings: &'v S,
    now_s: i64,
}

impl<S: Surroundings> Viewer<'_, S> {
    fn note<'a>(&self, candidate: &Candidate<'a>) -> CandidateNote<'a> {
        let (target, price) = (candidate.target, candidate.price);
        let left_out = left_out(self.compiled, self.imagined, self.request, candidate, self.now_s);
        let (losses, untranslatable) = match left_out {
            None => (None, None),
            Some(Ok(losses)) => (Some(losses), None),
            Some(Err(why)) => (None, Some(why)),
        };
        let pace = match self.surroundings.pace(target) {
            Pace::Measured(micros) => Some(micros),
            Pace::Unknown | Pace::OnTrial => None,
        };
        let (input, limit) = (self.asked.input_tokens, self.asked.output_limit);
        CandidateNote {
            provider: &target.provider,
            model: &target.model,
            family: candidate.family.name(),
            key: candidate.key,
            translated: !self.asked.door.is_spoken_by(candidate.family),
            rests: self.surroundings.readiness(candidate.provider, candidate.key) == Readiness::CoolingDown,
            expected_nanousd: expected_cost(input, limit, target, price, self.asked.session),
            bound_nanousd: CallBound::of(self.request.body_bytes, &self.request.fields, target, price).total_nanousd,
            context_window: target.max_input_tokens,
            first_content_us: pace,
            losses,
            untranslatable,
        }
    }
}

/// Why there is nothing to ask, for people.
#[must_use]
pub fn why_in_words(why: &NoTarget, alias: &str) -> String {
    match why {
        NoTarget::NoRule(unanswered) => {
            let why = unanswered.first().map_or_else(String::new, |(index, why)| {
                format!(" The condition of step {} gave no answer: {why}.", index + 1)
            });
            format!("No step of model '{alias}' is for this call.{why}")
        }
        NoTarget::OtherFamilies(families) => {
            let served: Vec<&str> = families.iter().map(|family| family.name()).collect();
            format!(
                "Model '{alias}' is served in other dialects only, and what is asked here cannot be translated: {}.",
                served.join(", ")
            )
        }
        NoTarget::Missing(needs) => {
            let needs: Vec<&str> = needs.iter().map(|need| need.name()).collect();
            format!(
                "No target of model '{alias}' can take what this request needs: {}.",
                needs.join(", ")
            )
        }
        NoTarget::UnknownPrice => {
            format!("No target of model '{alias}' has a price, and calls without a price are refused.")
        }
        NoTarget::NoCredential => {
            format!("No provider of model '{alias}' has a credential; `airside plan` says what is missing.")
        }
    }
}

/// The world of somebody who knows the configuration only: every provider with a credential is taken to be well.
#[derive(Debug)]
pub struct Unwatched {
    /// Of each provider the weights of its keys, and which of them have a credential.
    providers: Vec<(Vec<u32>, Vec<bool>)>,
}

impl Unwatched {
    /// The world of this configuration.
    #[must_use]
    pub fn of(compiled: &Compiled) -> Self {
        let has_value = |key: &ProviderKey| {
            let credential = &key.credential;
            let is_written = credential.secret.as_deref().is_some_and(|secret| !secret.is_empty());
            let is_elsewhere = credential.env.is_some() || credential.source.is_some();
            credential.kind == CredentialKind::None || is_written || is_elsewhere
        };
        let providers = compiled.snapshot.providers.iter().map(|provider| {
            let keys = provider.keys();
            let weights = keys.iter().map(|key| key.weight).collect();
            (weights, keys.iter().map(has_value).collect())
        });
        Self {
            providers: providers.collect(),
        }
    }
}

impl Surroundings for Unwatched {
    fn keys(&self, provider: ProviderIndex) -> &[u32] {
        let known = self.providers.get(provider);
        known.map_or(&[1], |(weights, _)| weights.as_slice())
    }

    fn readiness(&self, provider: ProviderIndex, key: usize) -> Readiness {
        let known = self.providers.get(provider);
        match known.and_then(|(_, have)| have.get(key)) {
            Some(true) => Readiness::Ready,
            _ => Readiness::NoCredential,
        }
    }

    fn pace(&self, _target: &Target) -> Pace {
        Pace::Unknown
    }
}

impl Known<'_, Unwatched> {
    /// Nothing is known but the configuration and the time.
    #[must_use]
    pub fn of_nothing(unwatched: &Unwatched, now_s: i64) -> Known<'_, Unwatched> {
        Known {
            surroundings: unwatched,
            session: SessionView::default(),
            health: None,
            now_s,
        }
    }
}
