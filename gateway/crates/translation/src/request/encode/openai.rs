//! What Chat Completions and Responses have in common.

use airside_protocols::Family;

use crate::json::{ObjectWriter, Text};
use crate::request::conversation::{Output, Tool, ToolChoice};
use crate::request::encode::Encoding;
use crate::request::losses::Field;
use crate::request::models;
use crate::request::reasoning::Effort;
use crate::request::schema;

const LONGEST_FORMAT_NAME: usize = 64;

impl Encoding<'_, '_> {
    /// The caller speaks the other of the two dialects.
    pub(super) fn is_sibling(&self) -> bool {
        matches!(self.conversation.caller, Family::OpenaiChat | Family::OpenaiResponses)
    }

    /// `OpenAI` gives JSON only where the request speaks of it; callers of its own dialects know that.
    pub(super) fn ask_for_json(&mut self) {
        self.asks_for_json = !self.is_sibling() && matches!(self.conversation.output, Output::Json);
    }

    /// The effort to ask for, if any: as the model spells it.
    pub(super) fn effort(&mut self) -> Option<&'static str> {
        let reasoning = self.conversation.reasoning;
        let model = self.wanted.model;
        let effort = reasoning.effort()?;
        if models::openai_cannot_reason(model) {
            if reasoning.is_on() {
                self.lose(Field::Reasoning);
            }
            return None;
        }
        if self.is_sibling() {
            // Other vendors' servers know the three in the middle.
            return Some(match effort {
                Effort::Minimal if !models::is_openai(model) => "low",
                Effort::ExtraHigh | Effort::Max if !models::is_openai(model) => "high",
                known => known.name(),
            });
        }
        match effort {
            // Only some models can be told not to think at all; to the others nothing is said.
            Effort::None => match models::openai_version(model) {
                Some(version) if version >= (5, 1) => Some("none"),
                Some((5, 0)) if model.contains("gpt-5") => Some("minimal"),
                _ => {
                    self.lose(Field::Reasoning);
                    None
                }
            },
            Effort::Minimal => Some("low"),
            Effort::ExtraHigh | Effort::Max => {
                let knows_extra = models::openai_version(model).is_some_and(|version| version >= (5, 2));
                Some(if knows_extra { "xhigh" } else { "high" })
            }
            other => Some(other.name()),
        }
    }

    /// Models that reason take none of these; one is what everybody starts from.
    pub(super) fn temperature(&mut self, body: &mut ObjectWriter<'_>) {
        if models::is_openai_reasoner(self.wanted.model) {
            if self
                .conversation
                .sampling
                .temperature
                .is_some_and(|given| given.parse() != Ok(1.0_f64))
            {
                self.lose(Field::Temperature);
            }
            return self.lose_said(&[Field::TopP]);
        }
        body.optional_json("temperature", self.conversation.sampling.temperature);
        body.optional_json("top_p", self.conversation.sampling.top_p);
    }

    /// Whether arguments can be made to match for certain; loss where the schema does not allow it.
    pub(super) fn is_strict(&mut self, tool: &Tool<'_>) -> bool {
        let can_be = || tool.schema.as_deref().is_some_and(schema::is_strict);
        if tool.is_strict && !self.is_sibling() && !can_be() {
            self.lose(Field::Strict);
            return false;
        }
        tool.is_strict
    }

    /// The members of a format that has a schema.
    pub(super) fn write_schema(&mut self, format: &mut ObjectWriter<'_>) {
        let Output::Schema {
            name,
            description,
            schema,
            is_strict,
        } = &self.conversation.output
        else {
            return;
        };
        format.plain("name", &format_name(name.as_deref()));
        if let Some(description) = description {
            format.text("description", description);
        }
        format.json("schema", schema);
        let is_strict = is_strict.or_else(|| {
            (!self.is_sibling()).then(|| {
                let can_be = schema::is_strict(schema);
                if !can_be {
                    self.lose(Field::Output);
                }
                can_be
            })
        });
        if let Some(is_strict) = is_strict {
            format.flag("strict", is_strict);
        }
    }

    /// The key by which prompt caches are found: the caller's own, or the session's.
    pub(super) fn write_cache_key(&self, body: &mut ObjectWriter<'_>) {
        let own = self.conversation.account.cache_key.clone();
        if let Some(key) = own.or_else(|| self.wanted.cache_key.map(Text::from_plain)) {
            body.text("prompt_cache_key", &key);
        }
    }

    /// The word for a choice that names no tool.
    pub(super) fn choice_word(&self) -> Option<&'static str> {
        match self.conversation.tool_choice {
            ToolChoice::Auto => Some("auto"),
            ToolChoice::Required => Some("required"),
            ToolChoice::None => Some("none"),
            ToolChoice::Unsaid | ToolChoice::Named(_) => None,
        }
    }

    /// What both take, if the caller's dialect has it too; the end user under this name.
    pub(super) fn write_account(&mut self, body: &mut ObjectWriter<'_>, user_name: &str) {
        let account = &self.conversation.account;
        if self.is_sibling() {
            if let Some(user) = &account.user {
                body.text(user_name, user);
            }
            body.optional_json("metadata", account.metadata);
            if let Some(tier) = &account.service_tier {
                body.text("service_tier", tier);
            }
        } else {
            self.lose_said(&[Field::User, Field::Metadata, Field::ServiceTier, Field::Store]);
        }
    }
}

fn format_name(given: Option<&str>) -> String {
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_' || *letter == '-';
    let name: String = given
        .unwrap_or_default()
        .chars()
        .filter(allowed)
        .take(LONGEST_FORMAT_NAME)
        .collect();
    if name.is_empty() { "answer".to_owned() } else { name }
}
