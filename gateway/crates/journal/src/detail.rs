//! The parts of a record: attempts, the caller's claims, timings, translation. Mirrors `airside/dataplanes/journal.py`.

use std::borrow::Cow;
use std::sync::Arc;

use airside_protocols::ObjectWriter;
use serde::{Deserialize, Serialize};

use crate::outcome::AttemptOutcome;

/// The most losses of a translation that are named; the others are counted.
pub(crate) const MOST_LOSSES: usize = 16;
/// The most kinds of server tools that are named.
pub(crate) const MOST_SERVER_TOOLS: usize = 8;
/// The longest name in either of those lists.
pub(crate) const LONGEST_WORD: usize = 64;

/// One request to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The provider's name.
    pub provider: Arc<str>,
    /// Its name of the model.
    pub model: Arc<str>,
    /// Which of the provider's credentials; `None` where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Arc<str>>,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// Why, in a word.
    pub reason: Option<&'static str>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// As the provider asked.
    pub retry_after_ms: Option<u64>,
    /// After the call was accepted.
    pub started_us: u64,
    /// How long opening a connection took; `None` where one was kept open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// After the call was accepted.
    pub first_byte_us: Option<u64>,
    /// After the call was accepted.
    pub ended_us: u64,
}

impl Attempt {
    /// An attempt that begins, and of which nothing was heard yet.
    #[must_use]
    pub const fn begun(provider: Arc<str>, model: Arc<str>, now_us: u64) -> Self {
        Self {
            provider,
            model,
            key_id: None,
            outcome: AttemptOutcome::Cancelled,
            reason: None,
            status: None,
            retry_after_ms: None,
            started_us: now_us,
            connect_us: None,
            first_byte_us: None,
            ended_us: now_us,
        }
    }

    pub(crate) fn write(&self, object: &mut ObjectWriter<'_>) {
        object.text("provider", &self.provider);
        object.text("model", &self.model);
        present_text(object, "key_id", self.key_id.as_deref());
        object.word("outcome", self.outcome.name());
        object.optional_word("reason", self.reason);
        object.optional_number("status", self.status.map(u64::from));
        object.optional_number("retry_after_ms", self.retry_after_ms);
        object.number("started_us", self.started_us);
        present_number(object, "connect_us", self.connect_us);
        object.optional_number("first_byte_us", self.first_byte_us);
        object.number("ended_us", self.ended_us);
    }
}

/// What the harness says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CallerIdentity {
    /// Which client it is: `claude-code`, `codex`, `opencode`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harness: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harness_version: Option<String>,
    /// Its session.
    pub harness_session: Option<String>,
    /// Its subagent.
    pub subagent: Option<String>,
    /// That one's parent.
    pub parent: Option<String>,
    /// The client program.
    pub user_agent: Option<String>,
}

impl CallerIdentity {
    pub(crate) fn write(&self, object: &mut ObjectWriter<'_>) {
        present_text(object, "harness", self.harness.as_deref());
        present_text(object, "harness_version", self.harness_version.as_deref());
        object.optional_text("harness_session", self.harness_session.as_deref());
        object.optional_text("subagent", self.subagent.as_deref());
        object.optional_text("parent", self.parent.as_deref());
        object.optional_text("user_agent", self.user_agent.as_deref());
    }
}

/// Microseconds since the call was accepted, but for `queue_us`, `connect_us`, `per_token_us` and `gateway_us`, which
/// are lengths of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// How long it waited to be admitted: for a lease, for room in a rate limit.
    pub queue_us: u64,
    /// When its budget was reserved.
    pub admitted_us: u64,
    /// When its targets were chosen.
    pub routed_us: u64,
    /// How long opening a connection to whoever answered took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// The head of the answer from whoever answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_us: Option<u64>,
    /// First byte of content to the caller.
    pub first_byte_us: Option<u64>,
    /// Last content to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_content_us: Option<u64>,
    /// Mean time between two tokens of output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_token_us: Option<u64>,
    /// Its end.
    pub total_us: u64,
    /// Everything but waiting for a provider or the caller.
    pub gateway_us: u64,
}

impl Timings {
    /// Note the mean time between two of so many tokens of output, where there was time between any.
    pub fn spread_over(&mut self, output_tokens: u64) {
        let stretch = self.first_byte_us.zip(self.last_content_us);
        let gaps = output_tokens.checked_sub(1).filter(|gaps| *gaps > 0);
        self.per_token_us = stretch
            .zip(gaps)
            .map(|((first, last), gaps)| last.saturating_sub(first) / gaps)
            .filter(|mean| *mean > 0);
    }

    pub(crate) fn write(&self, object: &mut ObjectWriter<'_>) {
        object.number("queue_us", self.queue_us);
        object.number("admitted_us", self.admitted_us);
        object.number("routed_us", self.routed_us);
        present_number(object, "connect_us", self.connect_us);
        present_number(object, "head_us", self.head_us);
        object.optional_number("first_byte_us", self.first_byte_us);
        present_number(object, "last_content_us", self.last_content_us);
        present_number(object, "per_token_us", self.per_token_us);
        object.number("total_us", self.total_us);
        object.number("gateway_us", self.gateway_us);
    }
}

/// That the answer came from a provider of another family than the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Translation {
    /// The family it was translated to.
    pub family: &'static str,
    /// What that family cannot say, as the caller's dialect spells it; see `lose`.
    losses: Vec<Loss>,
    /// How many more there were.
    losses_omitted: u64,
}

/// One loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Loss {
    field: Cow<'static, str>,
}

impl Translation {
    /// A translation that lost nothing so far.
    #[must_use]
    pub const fn to(family: &'static str) -> Self {
        Self {
            family,
            losses: Vec::new(),
            losses_omitted: 0,
        }
    }

    /// Note something that was left out or weakened. The same thing is noted once, a long name is cut, and beyond
    /// `MOST_LOSSES` they are only counted, so that a record has a bound.
    pub fn lose(&mut self, field: Cow<'static, str>) {
        let field = cut(field);
        if self.losses.iter().any(|known| known.field == field) {
            return;
        }
        if self.losses.len() < MOST_LOSSES {
            self.losses.push(Loss { field });
        } else {
            self.losses_omitted = self.losses_omitted.saturating_add(1);
        }
    }

    /// What was left out or weakened, as far as it is named.
    pub fn losses(&self) -> impl Iterator<Item = &str> {
        self.losses.iter().map(|loss| loss.field.as_ref())
    }

    pub(crate) fn write(&self, object: &mut ObjectWriter<'_>) {
        object.word("family", self.family);
        object.objects("losses", &self.losses, |object, loss| object.text("field", &loss.field));
        object.number("losses_omitted", self.losses_omitted);
    }
}

/// A tool that ran at the provider and is paid for by use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerToolUse {
    /// Its name, such as `web_search`.
    pub tool: Cow<'static, str>,
    /// How often it ran.
    pub count: u64,
    /// What that cost; part of the call's cost.
    pub nanousd: u64,
}

impl ServerToolUse {
    pub(crate) fn write(&self, object: &mut ObjectWriter<'_>) {
        object.text("tool", &self.tool);
        object.number("count", self.count);
        object.number("nanousd", self.nanousd);
    }
}

/// A word from outside, as a record takes it: without what JSON would have to escape, and cut to `LONGEST_WORD` bytes.
#[must_use]
pub fn word(text: &str) -> String {
    let is_kept = |byte: u8| matches!(byte, b' '..=b'~') && is_plain(byte.into());
    if text.len() <= LONGEST_WORD && text.bytes().all(is_kept) {
        return text.to_owned();
    }
    let mut kept: String = text.chars().filter(|sign| is_plain(*sign)).collect();
    kept.truncate(kept.floor_char_boundary(LONGEST_WORD));
    kept
}

fn is_plain(sign: char) -> bool {
    !sign.is_control() && !matches!(sign, '"' | '\\')
}

fn cut(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= LONGEST_WORD && text.chars().all(is_plain) {
        return text;
    }
    Cow::Owned(word(&text))
}

/// A text, where there is one: records of calls that lack it stay short.
pub(crate) fn present_text(object: &mut ObjectWriter<'_>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        object.text(key, value);
    }
}

/// A word of this program's own, where there is one.
pub(crate) fn present_word(object: &mut ObjectWriter<'_>, key: &str, value: Option<&'static str>) {
    if let Some(value) = value {
        object.word(key, value);
    }
}

/// A number, where there is one.
pub(crate) fn present_number(object: &mut ObjectWriter<'_>, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        object.number(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_named_once_cut_and_bounded() {
        let mut translation = Translation::to("gemini");
        translation.lose("top_k".into());
        translation.lose("top_k".into());
        translation.lose(format!("{}\n\"\\", "ä".repeat(500)).into());
        for number in 0..100 {
            translation.lose(format!("field_{number}").into());
        }
        assert_eq!(translation.losses().next(), Some("top_k"));
        assert_eq!(translation.losses().nth(1).map(str::len), Some(LONGEST_WORD));
        assert_eq!(translation.losses().count(), MOST_LOSSES);
        assert_eq!(translation.losses_omitted, 86);
    }

    #[test]
    fn the_mean_is_over_the_gaps_between_tokens() {
        let mut timings = Timings {
            first_byte_us: Some(1_000),
            last_content_us: Some(10_000),
            ..Timings::default()
        };
        timings.spread_over(10);
        assert_eq!(timings.per_token_us, Some(1_000));
        for too_few in [0, 1] {
            timings.spread_over(too_few);
            assert_eq!(timings.per_token_us, None);
        }
        timings.last_content_us = Some(1_000);
        timings.spread_over(10);
        assert_eq!(timings.per_token_us, None, "all came at once");
    }
}
