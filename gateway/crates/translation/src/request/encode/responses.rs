//! `OpenAI` Responses.

use crate::json::{ObjectWriter, Text, to_json};
use crate::request::Untranslatable;
use crate::request::conversation::{Output, ToolChoice};
use crate::request::encode::{Encoded, Encoding};
use crate::request::losses::Field;
use crate::request::models;
use crate::request::schema;

pub(super) fn encode(mut encoding: Encoding<'_, '_>) -> Result<Encoded, Untranslatable> {
    encoding.lose_said(&[
        Field::TopK,
        Field::Seed,
        Field::PresencePenalty,
        Field::FrequencyPenalty,
        Field::Stop,
        Field::CacheMark,
    ]);
    encoding.ask_for_json();
    let mut refusal = Ok(());
    let body = to_json(|body| {
        body.plain("model", encoding.wanted.model);
        let instructions = encoding.instructions();
        if !instructions.is_empty() {
            let texts = instructions.iter().map(|part| &part.text);
            body.text("instructions", &Text::joined(texts, "\\n\\n"));
        }
        refusal = encoding.input(body);
        encoding.response_tools(body);
        encoding.response_choice(body);
        if let Some(limit) = encoding.conversation.limit {
            // The dialect's least.
            body.number("max_output_tokens", limit.max(16));
        }
        encoding.response_reasoning(body);
        encoding.text_settings(body);
        encoding.temperature(body);
        encoding.write_cache_key(body);
        encoding.write_account(body, "safety_identifier");
        // Nothing is to be kept that the caller cannot know of.
        body.flag(
            "store",
            encoding.is_sibling() && encoding.conversation.account.store == Some(true),
        );
        body.flag("stream", encoding.wanted.streams);
    });
    refusal?;
    Ok(Encoded {
        body,
        tools: encoding.names.into_tools(),
        output_tool: None,
    })
}

impl Encoding<'_, '_> {
    fn response_tools(&mut self, body: &mut ObjectWriter<'_>) {
        if self.conversation.tools.is_empty() {
            return;
        }
        body.array("tools", |tools| {
            for tool in &self.conversation.tools {
                let is_strict = self.is_strict(tool);
                tools.object(|object| {
                    object.plain("type", "function");
                    object.plain("name", &self.names.tool(&tool.client));
                    if let Some(description) = &tool.description {
                        object.text("description", description);
                    }
                    object.json("parameters", &schema::of_object(tool.schema.as_deref()));
                    // Said always: the dialect takes silence for a yes.
                    object.flag("strict", is_strict);
                });
            }
        });
    }

    fn response_choice(&mut self, body: &mut ObjectWriter<'_>) {
        if self.conversation.tools.is_empty() {
            return;
        }
        if let ToolChoice::Named(tool) = &self.conversation.tool_choice {
            let name = self.names.tool(tool);
            body.object("tool_choice", |choice| {
                choice.plain("type", "function");
                choice.plain("name", &name);
            });
        } else if let Some(word) = self.choice_word() {
            body.plain("tool_choice", word);
        }
        if let Some(parallel) = self.conversation.parallel_calls {
            body.flag("parallel_tool_calls", parallel);
        }
    }

    /// What the model thought must come back with the next call, for nothing is kept at the vendor.
    fn response_reasoning(&mut self, body: &mut ObjectWriter<'_>) {
        let effort = self.effort();
        if models::openai_cannot_reason(self.wanted.model) || !self.wanted.can_think {
            return;
        }
        let is_shown = self.conversation.reasoning.is_shown;
        if effort.is_some() || is_shown {
            body.object("reasoning", |reasoning| {
                if let Some(effort) = effort {
                    reasoning.plain("effort", effort);
                }
                if is_shown {
                    reasoning.plain("summary", "auto");
                }
            });
        }
        body.array("include", |include| include.plain("reasoning.encrypted_content"));
    }

    fn text_settings(&mut self, body: &mut ObjectWriter<'_>) {
        let conversation = self.conversation;
        let verbosity = &conversation.account.verbosity;
        if matches!(conversation.output, Output::Text) && verbosity.is_none() {
            return;
        }
        body.object("text", |text| {
            match &conversation.output {
                Output::Text => {}
                Output::Json => text.object("format", |format| format.plain("type", "json_object")),
                Output::Schema { .. } => text.object("format", |format| {
                    format.plain("type", "json_schema");
                    self.write_schema(format);
                }),
            }
            if let Some(verbosity) = verbosity {
                text.text("verbosity", verbosity);
            }
        });
    }
}
