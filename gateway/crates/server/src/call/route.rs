//! Which model is meant, whether this caller may have it, and what can serve it.

use std::time::Instant;

use airside_protocols::{FrontDoor, Wishes};
use airside_routing::{
    Asked, Lead, Needs, NoTarget, Pace, Plan, Readiness, Signs, Standing, Surroundings, Task, TaskHeaders,
    estimate_input_tokens, plan, why_in_words,
};
use airside_snapshot::{Facts, Model, Principal, ProviderIndex, Target};
use http::HeaderMap;

use super::ask::Question;
use super::settle::Call;
use crate::active::Active;
use crate::credentials::ActiveKey;
use crate::gateway::Gateway;
use crate::reply::Refusal;

/// Longest condition that a record repeats.
const MOST_RULE_BYTES: usize = 200;
/// Above this the tools of a body are only counted when its route depends on it.
const CHEAP_TO_READ: usize = 16 << 10;
/// Headers that conditions are not shown.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "cookie",
    "proxy-authorization",
];

/// The targets of this call.
///
/// # Errors
/// 404 for a model nobody defined, 403 for one that is not the caller's, 400 or 503 when nothing can serve it.
pub(crate) fn route<'a>(
    call: &mut Call,
    active: &'a Active,
    principal: &Principal,
    question: &Question,
    alias: &str,
) -> Result<Plan<'a>, Refusal> {
    if active.compiled.model(alias).is_some() && !principal.may_call(alias) {
        return Err(Refusal::new(
            403,
            "model_not_allowed",
            format!("This key may not call model '{alias}'."),
        ));
    }
    route_of(call, active, principal, question, alias)
}

/// The targets of a call that takes this alias's route, whoever may call it.
///
/// # Errors
/// As `route`, without the 403.
pub(crate) fn route_of<'a>(
    call: &mut Call,
    active: &'a Active,
    principal: &Principal,
    question: &Question,
    alias: &str,
) -> Result<Plan<'a>, Refusal> {
    let model = active
        .compiled
        .model(alias)
        .ok_or_else(|| Refusal::new(404, "unknown_model", no_such_model(alias)))?;
    call.joins(principal, model);
    let wishes = if question.body.len() <= CHEAP_TO_READ || model.asks_about_wishes() {
        Wishes::of(&question.body, &question.fields.wished, question.door.family())
    } else {
        Wishes::default()
    };
    let task = task_of(question, wishes);
    call.record.task = Some(task.name());
    let mut asked = asked_of(call, model, question, wishes);
    if model.has_conditions() {
        asked.facts = Some(facts_of(&asked, call, principal, question, task, wishes));
    }
    let world = World {
        active,
        gateway: &call.gateway,
        now: call.about_now(),
    };
    let planned = plan(&active.compiled, model, &asked, &world);
    let mut plan = planned.map_err(|why| refusal(&why, alias, question.door))?;
    if !question.door.is_billed() {
        plan.candidates.truncate(1);
    }
    note_rule(call, &plan);
    Ok(plan)
}

/// What a caller of an unknown model is told.
fn no_such_model(alias: &str) -> String {
    format!("There is no model '{alias}' here. GET /v1/models lists those that this key may use.")
}

fn task_of(question: &Question, wishes: Wishes) -> Task {
    let mut headers = TaskHeaders::default();
    for (name, value) in &question.headers {
        headers.note(name.as_str(), || value.to_str().ok());
    }
    let signs = Signs {
        door: question.door,
        fields: &question.fields,
        wishes,
        body_bytes: question.body.len() as u64,
        headers,
    };
    signs.task()
}

fn asked_of<'a>(call: &'a Call, model: &Model, question: &Question, wishes: Wishes) -> Asked<'a> {
    let fields = &question.fields;
    let input_tokens = if model.asks_about_size() {
        estimate_input_tokens(&question.body, fields)
    } else {
        0
    };
    let call_dice = dice_of(&call.record.call_id);
    Asked {
        door: question.door,
        facts: None,
        input_tokens,
        output_limit: fields.output_limit,
        needs: Needs {
            images: fields.images > 0,
            documents: fields.documents > 0,
            tools: wishes.tools > 0,
            thinking: wishes.thinking,
            structured_output: wishes.schema,
        },
        session: &call.thread.view,
        session_dice: call
            .thread
            .key
            .as_ref()
            .map_or(call_dice, airside_routing::SessionKey::session_hash),
        call_dice,
    }
}

/// Dice that fall otherwise for each call: the end of an id is drawn at random.
fn dice_of(call_id: &str) -> u64 {
    let tail = call_id.as_bytes().last_chunk();
    tail.map_or(0, |tail| u64::from_le_bytes(*tail))
}

fn facts_of<'a>(
    asked: &Asked<'_>,
    call: &Call,
    principal: &'a Principal,
    question: &'a Question,
    task: Task,
    wishes: Wishes,
) -> Facts<'a> {
    let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
    Facts {
        task: task.name(),
        input_tokens: asked.input_tokens,
        output_limit: asked.output_limit.unwrap_or(0),
        has_images: asked.needs.images,
        has_documents: asked.needs.documents,
        thinking: wishes.thinking,
        tools: wishes.tools,
        stream: question.fields.stream,
        model: &question.fields.model,
        door: question.door.name(),
        headers: shown(&question.headers),
        agent_id: text(&principal.agent_id),
        agent_name: text(&principal.agent_name),
        agent_version: principal.agent_version.unwrap_or(0),
        project: &principal.project,
        session: text(&principal.session_id),
        now_s: call.gateway.now_s(),
    }
}

/// The caller's headers without its credentials.
fn shown(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let readable = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    readable.filter(|(name, _)| !CREDENTIALS.contains(name)).collect()
}

/// The world as this gateway sees it at one moment.
#[derive(Debug)]
pub(crate) struct World<'w> {
    pub(crate) active: &'w Active,
    pub(crate) gateway: &'w Gateway,
    pub(crate) now: Instant,
}

impl Surroundings for World<'_> {
    fn keys(&self, provider: ProviderIndex) -> &[u32] {
        self.active
            .providers
            .get(provider)
            .map_or(&[1], |provider| provider.weights.as_slice())
    }

    fn readiness(&self, provider: ProviderIndex, key: usize) -> Readiness {
        let Some(provider) = self.active.providers.get(provider) else {
            return Readiness::NoCredential;
        };
        if provider.keys.get(key).is_none_or(ActiveKey::is_missing) {
            return Readiness::NoCredential;
        }
        match self.gateway.health.standing(&provider.name, key, self.now) {
            Standing::Ready => Readiness::Ready,
            Standing::Resting | Standing::Probed => Readiness::CoolingDown,
        }
    }

    fn pace(&self, target: &Target) -> Pace {
        self.gateway.speeds.pace(&target.provider, &target.model, self.now)
    }
}

/// Write down by which rule the call goes.
fn note_rule(call: &mut Call, plan: &Plan<'_>) {
    let rule = &plan.rule;
    let condition = rule.step.when.as_ref().map(airside_snapshot::Condition::text);
    call.record.route_rule = condition.map(|text| {
        text.get(..text.floor_char_boundary(MOST_RULE_BYTES))
            .unwrap_or_default()
            .to_owned()
    });
    call.record.route_step = Some(rule.index as u64);
    call.record.route_reason = Some(reason_of(plan));
}

/// Why the first candidate is first, in a few words.
fn reason_of(plan: &Plan<'_>) -> String {
    let mut reason = match (plan.lead, plan.skipped.len()) {
        (Lead::Strategy, 0) => "first of its chain".to_owned(),
        (Lead::Strategy, skipped) => format!("first usable of its chain, {skipped} skipped"),
        (Lead::Split, _) => "on trial for this session".to_owned(),
        (Lead::Cache, _) => "the session's cache is there".to_owned(),
        (Lead::Pin, _) => "the session was moved there".to_owned(),
    };
    let strategy = plan.rule.step.strategy;
    if strategy != airside_snapshot::Strategy::Ordered {
        reason.push_str(", ");
        reason.push_str(strategy.name());
    }
    if let Some((index, why)) = plan.rule.unanswered.first() {
        let why: String = why.0.chars().filter(|sign| !sign.is_control()).take(80).collect();
        reason = format!("{reason}; step {} passed over: {why}", index + 1);
    }
    reason.truncate(reason.floor_char_boundary(MOST_RULE_BYTES));
    reason
}

/// Why nothing can serve a call, to its caller.
fn refusal(why: &NoTarget, alias: &str, door: FrontDoor) -> Refusal {
    let (status, code) = match why {
        // Clients take it that there is no counting here, and estimate.
        NoTarget::OtherFamilies(_) if !door.is_billed() => (404, "wrong_family"),
        NoTarget::NoRule(_) => (400, "no_route"),
        NoTarget::OtherFamilies(_) => (400, "wrong_family"),
        NoTarget::Missing(_) => (400, "unsupported_by_targets"),
        NoTarget::UnknownPrice => (400, "unknown_price"),
        NoTarget::NoCredential => (503, "no_credential"),
    };
    Refusal::new(status, code, why_in_words(why, alias))
}
