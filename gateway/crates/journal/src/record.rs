//! One record: one call of a model. Mirrors `airside/dataplanes/journal.py`, which describes every field.

use std::borrow::Cow;
use std::sync::Arc;

use airside_metering::Charge;
use airside_protocols::{ObjectWriter, TokenUsage};
use serde::{Deserialize, Serialize};

use crate::detail::{
    Attempt, CallerIdentity, LONGEST_WORD, MOST_LOSSES, MOST_SERVER_TOOLS, ServerToolUse, Timings, Translation,
    present_number, present_text, present_word, word,
};
use crate::outcome::{Outcome, UsageSource};

/// What a record can grow by after it was opened: for each attempt beside its names, and for everything else.
const ROOM_PER_ATTEMPT: usize = 400;
const ROOM_PER_CHARGE: usize = 24;
const ROOM_BESIDES: usize = 1_600 + MOST_LOSSES * (LONGEST_WORD + 16) + MOST_SERVER_TOOLS * (LONGEST_WORD + 80);
/// The status of a caller that hung up before it saw one; nginx's number.
const HUNG_UP: u16 = 499;
/// Names hold nothing that JSON escapes but quotes and backslashes.
const BYTES_PER_NAME_BYTE: usize = 2;

/// One call of a model, however many attempts it took. The `sequence` is given to it by the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelCall {
    /// Always `model_call`.
    pub kind: &'static str,
    /// Its id.
    pub call_id: String,
    /// When it was accepted, RFC 3339.
    pub at: String,
    /// The snapshot it was served from.
    pub snapshot_version: u64,
    /// Who pays.
    pub project: String,
    /// The session.
    pub session_id: Option<String>,
    /// The agent.
    pub agent_id: Option<String>,
    /// Its name.
    pub agent_name: Option<String>,
    /// Its version.
    pub agent_version: Option<u64>,
    /// What started the session.
    pub deployment_id: Option<String>,
    /// The long-lived key.
    pub key_id: Option<String>,
    /// What the harness says of itself.
    pub caller: CallerIdentity,
    /// Where it came in.
    pub front_door: &'static str,
    /// The alias that was asked for.
    pub model: Option<String>,
    /// The alias whose route served it, where a budget's limit turned it to a cheaper one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgraded_to: Option<String>,
    /// Its task class: `main`, `subagent`, `title`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<&'static str>,
    /// True for a stream.
    pub stream: bool,
    /// The copy of a call that was sent to a target on trial: nobody saw its answer.
    #[serde(skip_serializing_if = "is_false")]
    pub shadow: bool,
    /// The call it is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_of: Option<String>,
    /// The trace it belongs to, 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The condition of the step that applied; `None` for a step without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_rule: Option<String>,
    /// Which step of the route applied, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_step: Option<u64>,
    /// Why this target.
    pub route_reason: Option<String>,
    /// That it was answered by a provider of another family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translation: Option<Translation>,
    /// In order.
    pub attempts: Vec<Attempt>,
    /// Who answered.
    pub provider: Option<Arc<str>>,
    /// With which model.
    pub provider_model: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status the caller saw; 499 when it hung up before one.
    pub status: u16,
    /// Code of the gateway's own error.
    pub error_code: Option<&'static str>,
    /// Why the model stopped, as its provider says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The tokens.
    pub usage: TokenUsage,
    /// Who counted them.
    pub usage_source: UsageSource,
    /// Of the output, what was reasoning; `None` where the provider does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// The class of service it was billed at, where it is not the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Tools that ran at the provider; see `note_server_tool`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server_tools: Vec<ServerToolUse>,
    /// The cost.
    pub cost_nanousd: u64,
    /// What the session's prompt cache would have saved, had the call gone where the cache is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_break_nanousd: Option<u64>,
    /// What had been reserved.
    pub hold_nanousd: u64,
    /// What counts against which budget.
    pub charges: Vec<Charge>,
    /// How long things took.
    pub timings: Timings,
    /// Of the request body.
    pub bytes_in: u64,
    /// Of the answer's body.
    pub bytes_out: u64,
    /// What became of its bodies: `kept`, `dropped`; `None` where none are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bodies: Option<&'static str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "this is how serde asks")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl ModelCall {
    /// The record of a call that was just accepted. It counts as hung up until something else is heard of it.
    #[must_use]
    pub fn accepted(call_id: String, at: String, project: String, front_door: &'static str) -> Self {
        Self {
            kind: "model_call",
            call_id,
            at,
            snapshot_version: 0,
            project,
            session_id: None,
            agent_id: None,
            agent_name: None,
            agent_version: None,
            deployment_id: None,
            key_id: None,
            caller: CallerIdentity::default(),
            front_door,
            model: None,
            downgraded_to: None,
            task: None,
            stream: false,
            shadow: false,
            shadow_of: None,
            trace_id: None,
            route_rule: None,
            route_step: None,
            route_reason: None,
            translation: None,
            attempts: Vec::with_capacity(2),
            provider: None,
            provider_model: None,
            outcome: Outcome::Cancelled,
            status: HUNG_UP,
            error_code: None,
            finish_reason: None,
            usage: TokenUsage::default(),
            usage_source: UsageSource::None,
            reasoning_tokens: None,
            service_tier: None,
            server_tools: Vec::new(),
            cost_nanousd: 0,
            cache_break_nanousd: None,
            hold_nanousd: 0,
            charges: Vec::new(),
            timings: Timings::default(),
            bytes_in: 0,
            bytes_out: 0,
            bodies: None,
        }
    }

    /// Bytes that this record may still grow by, once opened, if these providers and models are offered to it, any one
    /// of which may be asked a second time. What is added later is bounded by its own type, so that it always fits;
    /// `trace_id`, `route_rule`, `shadow_of` and `downgraded_to` are given before.
    #[must_use]
    pub fn room_to_grow<'a>(&self, targets: impl Iterator<Item = (&'a str, &'a str)>) -> usize {
        let (mut room, mut longest) = (ROOM_BESIDES + self.charges.len() * ROOM_PER_CHARGE, 0);
        for (provider, model) in targets {
            let names = BYTES_PER_NAME_BYTE * (provider.len() + model.len());
            longest = longest.max(names);
            room += ROOM_PER_ATTEMPT + names;
        }
        // Who answered is named once more beside the attempts, and so is who was asked again.
        room + ROOM_PER_ATTEMPT + 2 * longest
    }

    /// Count uses of a tool that ran at the provider. Beyond `MOST_SERVER_TOOLS` kinds they go by `other`.
    pub fn note_server_tool(&mut self, tool: &str, count: u64, nanousd: u64) {
        let name = word(tool);
        let is_known = |known: &ServerToolUse| known.tool == name;
        let is_full = self.server_tools.len() + 1 >= MOST_SERVER_TOOLS && !self.server_tools.iter().any(is_known);
        let name: Cow<'static, str> = if is_full { "other".into() } else { name.into() };
        match self.server_tools.iter_mut().find(|known| known.tool == name) {
            Some(known) => {
                known.count = known.count.saturating_add(count);
                known.nanousd = known.nanousd.saturating_add(nanousd);
            }
            None => self.server_tools.push(ServerToolUse {
                tool: name,
                count,
                nanousd,
            }),
        }
    }

    /// Write the record as JSON, without its sequence: the same as `Serialize` gives, in a tenth of the time.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::open(out);
        self.write_settled(&mut object);
        self.write_rest(object);
    }

    /// The same, of a call that is being opened; returns the members that are settled by now, as JSON.
    pub(crate) fn write_opened(&self, out: &mut Vec<u8>) -> Box<[u8]> {
        let mut object = ObjectWriter::open(out);
        self.write_settled(&mut object);
        let settled = object.written().into();
        self.write_rest(object);
        settled
    }

    /// The same, with the members that were settled when it was opened.
    pub(crate) fn write_ended(&self, settled: &[u8], out: &mut Vec<u8>) {
        debug_assert_eq!(*settled, *self.write_opened(&mut Vec::new()), "it changed since");
        let mut object = ObjectWriter::open(out);
        object.members(settled);
        self.write_rest(object);
    }

    /// Who calls, what was asked for and why it goes where it goes.
    fn write_settled(&self, object: &mut ObjectWriter<'_>) {
        self.write_who(object);
        self.write_request(object);
    }

    fn write_rest(&self, mut object: ObjectWriter<'_>) {
        self.write_answer(&mut object);
        self.write_cost(&mut object);
        object.close();
    }

    fn write_who(&self, object: &mut ObjectWriter<'_>) {
        object.word("kind", self.kind);
        object.text("call_id", &self.call_id);
        object.text("at", &self.at);
        object.number("snapshot_version", self.snapshot_version);
        object.text("project", &self.project);
        object.optional_text("session_id", self.session_id.as_deref());
        object.optional_text("agent_id", self.agent_id.as_deref());
        object.optional_text("agent_name", self.agent_name.as_deref());
        object.optional_number("agent_version", self.agent_version);
        object.optional_text("deployment_id", self.deployment_id.as_deref());
        object.optional_text("key_id", self.key_id.as_deref());
        object.object("caller", |caller| self.caller.write(caller));
    }

    fn write_request(&self, object: &mut ObjectWriter<'_>) {
        object.word("front_door", self.front_door);
        object.optional_text("model", self.model.as_deref());
        present_text(object, "downgraded_to", self.downgraded_to.as_deref());
        present_word(object, "task", self.task);
        object.flag("stream", self.stream);
        if self.shadow {
            object.flag("shadow", true);
        }
        present_text(object, "shadow_of", self.shadow_of.as_deref());
        present_text(object, "trace_id", self.trace_id.as_deref());
        present_text(object, "route_rule", self.route_rule.as_deref());
        present_number(object, "route_step", self.route_step);
        object.optional_text("route_reason", self.route_reason.as_deref());
    }

    fn write_answer(&self, object: &mut ObjectWriter<'_>) {
        if let Some(translation) = &self.translation {
            object.object("translation", |object| translation.write(object));
        }
        object.objects("attempts", &self.attempts, |object, attempt| attempt.write(object));
        object.optional_text("provider", self.provider.as_deref());
        object.optional_text("provider_model", self.provider_model.as_deref());
        object.word("outcome", self.outcome.name());
        object.number("status", self.status.into());
        object.optional_word("error_code", self.error_code);
        present_text(object, "finish_reason", self.finish_reason.as_deref());
    }

    fn write_cost(&self, object: &mut ObjectWriter<'_>) {
        object.object("usage", |usage| {
            usage.number("input_uncached", self.usage.input_uncached);
            usage.number("cache_read", self.usage.cache_read);
            usage.number("cache_write_5m", self.usage.cache_write_5m);
            usage.number("cache_write_1h", self.usage.cache_write_1h);
            usage.number("output", self.usage.output);
        });
        object.word("usage_source", self.usage_source.name());
        present_number(object, "reasoning_tokens", self.reasoning_tokens);
        present_text(object, "service_tier", self.service_tier.as_deref());
        if !self.server_tools.is_empty() {
            object.objects("server_tools", &self.server_tools, |object, used| used.write(object));
        }
        object.number("cost_nanousd", self.cost_nanousd);
        present_number(object, "cache_break_nanousd", self.cache_break_nanousd);
        object.number("hold_nanousd", self.hold_nanousd);
        object.objects("charges", &self.charges, |object, charge| {
            object.text("scope", &charge.scope);
            // Windows began after 1970.
            object.number("window_start", charge.window_start.unsigned_abs());
            object.number("nanousd", charge.nanousd);
        });
        object.object("timings", |timings| self.timings.write(timings));
        object.number("bytes_in", self.bytes_in);
        object.number("bytes_out", self.bytes_out);
        present_word(object, "bodies", self.bodies);
    }
}

/// The part of a stored record that matters to a gateway which starts again.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredCharges {
    #[serde(default)]
    pub(crate) charges: Vec<Charge>,
}

/// Answer to a delivered batch: everything up to and including this sequence is stored for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct JournalReceipt {
    /// The last one stored.
    pub acknowledged: u64,
    /// How many gateways are up, this one included: they share rate limits.
    #[serde(default = "one")]
    pub gateways: u64,
}

const fn one() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::AttemptOutcome;

    fn call(outcome: Outcome, usage_source: UsageSource, attempt: AttemptOutcome) -> ModelCall {
        let attempt = Attempt {
            outcome: attempt,
            reason: Some("connect"),
            status: Some(500),
            first_byte_us: Some(2),
            ..Attempt::begun("p\"q".into(), "m".into(), 1)
        };
        ModelCall {
            snapshot_version: 3,
            agent_id: Some("a".into()),
            agent_name: Some("n".into()),
            agent_version: Some(4),
            key_id: Some("k".into()),
            caller: CallerIdentity {
                user_agent: Some("u\\".into()),
                ..CallerIdentity::default()
            },
            model: Some("m".into()),
            stream: true,
            attempts: vec![attempt.clone(), attempt],
            provider_model: Some("x".into()),
            outcome,
            status: 200,
            error_code: Some("code"),
            usage: TokenUsage {
                output: u64::MAX,
                ..TokenUsage::default()
            },
            usage_source,
            cost_nanousd: 7,
            hold_nanousd: 8,
            charges: vec![charge(10)],
            ..accepted()
        }
    }

    fn json(call: &ModelCall) -> Vec<u8> {
        let mut out = Vec::new();
        call.write_json(&mut out);
        out
    }

    fn accepted() -> ModelCall {
        ModelCall::accepted(
            "call_1".into(),
            "2026-11-23T17:52:28Z".into(),
            "zahlungen\n\u{1f600}".into(),
            "openai-chat",
        )
    }

    fn charge(nanousd: u64) -> Charge {
        Charge {
            scope: "agent:a".into(),
            window_start: 9,
            nanousd,
        }
    }

    /// Everything that can be there, as large as it can be.
    fn filled(mut call: ModelCall, provider: &str, model: &str, attempts: usize) -> ModelCall {
        let attempt = Attempt {
            key_id: Some("k".repeat(LONGEST_WORD).into()),
            outcome: AttemptOutcome::Cancelled,
            reason: Some("credential_rejected_by_provider"),
            status: Some(u16::MAX),
            retry_after_ms: Some(u64::MAX),
            connect_us: Some(u64::MAX),
            first_byte_us: Some(u64::MAX),
            ..Attempt::begun(provider.into(), model.into(), u64::MAX)
        };
        call.attempts = vec![attempt; attempts];
        call.provider = Some(provider.into());
        call.provider_model = Some(model.into());
        call.shadow = true;
        call.route_step = Some(u64::MAX);
        call.route_reason = Some("r".repeat(200));
        let mut translation = Translation::to("openai-responses");
        for number in 0..100 {
            let tail = "t".repeat(500);
            translation.lose(format!("{number}{tail}").into());
            call.note_server_tool(&format!("{number}{tail}"), u64::MAX, u64::MAX);
        }
        call.translation = Some(translation);
        call.outcome = Outcome::Completed;
        call.status = u16::MAX;
        call.error_code = Some("provider_credential_rejected_by_provider");
        call.finish_reason = Some(word(&"f".repeat(500)));
        call.usage = TokenUsage {
            input_uncached: u64::MAX,
            cache_read: u64::MAX,
            cache_write_5m: u64::MAX,
            cache_write_1h: u64::MAX,
            output: u64::MAX,
        };
        call.usage_source = UsageSource::Estimated;
        call.reasoning_tokens = Some(u64::MAX);
        call.service_tier = Some(word(&"s".repeat(500)));
        call.cost_nanousd = u64::MAX;
        call.cache_break_nanousd = Some(u64::MAX);
        call.hold_nanousd = u64::MAX;
        call.timings = Timings {
            queue_us: u64::MAX,
            admitted_us: u64::MAX,
            routed_us: u64::MAX,
            connect_us: Some(u64::MAX),
            head_us: Some(u64::MAX),
            first_byte_us: Some(u64::MAX),
            last_content_us: Some(u64::MAX),
            per_token_us: Some(u64::MAX),
            total_us: u64::MAX,
            gateway_us: u64::MAX,
        };
        (call.bytes_in, call.bytes_out) = (u64::MAX, u64::MAX);
        call.bodies = Some("dropped");
        for charge in &mut call.charges {
            charge.nanousd = u64::MAX;
        }
        call
    }

    #[test]
    fn the_quick_way_and_serde_say_the_same() {
        for (outcome, source, result) in [
            (Outcome::Completed, UsageSource::Provider, AttemptOutcome::Answered),
            (Outcome::Failed, UsageSource::None, AttemptOutcome::Failed),
            (Outcome::Cut, UsageSource::Estimated, AttemptOutcome::Cut),
            (Outcome::Cancelled, UsageSource::Estimated, AttemptOutcome::Cancelled),
            (Outcome::Refused, UsageSource::None, AttemptOutcome::Refused),
            (Outcome::Lost, UsageSource::Estimated, AttemptOutcome::Skipped),
        ] {
            let call = call(outcome, source, result);
            for call in [filled(call.clone(), "p", "m", 2), call] {
                let quick: serde_json::Value = serde_json::from_slice(&json(&call)).unwrap();
                assert_eq!(quick, serde_json::to_value(&call).unwrap());
            }
        }
    }

    #[test]
    fn a_record_never_outgrows_the_room_it_is_given() {
        let (provider, model) = ("p\"".repeat(100), "m\\".repeat(100));
        for (targets, charges) in [(1, 0), (1, 8), (20, 1)] {
            let mut opened = accepted();
            opened.charges = (0..charges).map(|_| charge(0)).collect();
            let offered = std::iter::repeat_n((provider.as_str(), model.as_str()), targets);
            let most = json(&opened).len() + opened.room_to_grow(offered);
            let ended = json(&filled(opened, &provider, &model, targets + 1)).len();
            assert!(
                ended <= most,
                "{ended} > {most} with {targets} targets and {charges} charges"
            );
        }
    }

    #[test]
    fn uses_of_server_tools_are_added_up_and_bounded() {
        let mut call = accepted();
        for number in 0..50 {
            call.note_server_tool("web_search", 1, 10);
            call.note_server_tool(&format!("tool_{number}"), 2, 0);
        }
        assert_eq!(call.server_tools.len(), MOST_SERVER_TOOLS);
        let of = |name: &str| call.server_tools.iter().find(|used| used.tool == name).unwrap();
        assert_eq!((of("web_search").count, of("web_search").nanousd), (50, 500));
        assert_eq!(of("other").count, 2 * (50 - 6));
    }
}
