//! `OpenAI` Chat Completions.

use crate::json::{ObjectWriter, to_json};
use crate::request::Untranslatable;
use crate::request::conversation::{Output, ToolChoice};
use crate::request::encode::{Encoded, Encoding};
use crate::request::losses::Field;
use crate::request::models;
use crate::request::schema;

/// The dialect takes no more.
const MOST_STOPS: usize = 4;

pub(super) fn encode(mut encoding: Encoding<'_, '_>) -> Result<Encoded, Untranslatable> {
    encoding.lose_said(&[Field::TopK]);
    encoding.ask_for_json();
    let mut refusal = Ok(());
    let body = to_json(|body| {
        body.plain("model", encoding.wanted.model);
        refusal = encoding.chat_messages(body);
        encoding.chat_tools(body);
        encoding.chat_choice(body);
        if let Some(limit) = encoding.conversation.limit {
            // The newer name is known to its vendor's newer models, which refuse the other; everybody else knows that.
            let is_openai = models::is_openai(encoding.wanted.model);
            body.number(
                if is_openai {
                    "max_completion_tokens"
                } else {
                    "max_tokens"
                },
                limit.max(1),
            );
        }
        if let Some(effort) = encoding.effort() {
            body.plain("reasoning_effort", effort);
        }
        encoding.response_format(body);
        encoding.temperature(body);
        encoding.chat_sampling(body);
        encoding.write_cache_key_if_known(body);
        encoding.write_account(body, "user");
        if let Some(verbosity) = &encoding.conversation.account.verbosity {
            body.text("verbosity", verbosity);
        }
        if encoding.is_sibling() && encoding.conversation.account.store == Some(true) {
            body.flag("store", true);
        }
        body.flag("stream", encoding.wanted.streams);
        if encoding.wanted.streams {
            // The gateway must know what the call has used, whether or not the caller asked.
            body.object("stream_options", |options| options.flag("include_usage", true));
        }
    });
    refusal?;
    encoding.lose_chat_marks();
    Ok(Encoded {
        body,
        tools: encoding.names.into_tools(),
        output_tool: None,
    })
}

impl Encoding<'_, '_> {
    fn chat_tools(&mut self, body: &mut ObjectWriter<'_>) {
        if self.conversation.tools.is_empty() {
            return;
        }
        body.array("tools", |tools| {
            for tool in &self.conversation.tools {
                let is_strict = self.is_strict(tool);
                tools.object(|object| {
                    object.plain("type", "function");
                    object.object("function", |function| {
                        function.plain("name", &self.names.tool(&tool.client));
                        if let Some(description) = &tool.description {
                            function.text("description", description);
                        }
                        function.json("parameters", &schema::of_object(tool.schema.as_deref()));
                        if is_strict {
                            function.flag("strict", true);
                        }
                    });
                });
            }
        });
    }

    fn chat_choice(&mut self, body: &mut ObjectWriter<'_>) {
        if self.conversation.tools.is_empty() {
            return;
        }
        if let ToolChoice::Named(tool) = &self.conversation.tool_choice {
            let name = self.names.tool(tool);
            body.object("tool_choice", |choice| {
                choice.plain("type", "function");
                choice.object("function", |function| function.plain("name", &name));
            });
        } else if let Some(word) = self.choice_word() {
            body.plain("tool_choice", word);
        }
        if let Some(parallel) = self.conversation.parallel_calls {
            body.flag("parallel_tool_calls", parallel);
        }
    }

    fn response_format(&mut self, body: &mut ObjectWriter<'_>) {
        match &self.conversation.output {
            Output::Text => {}
            Output::Json => body.object("response_format", |format| format.plain("type", "json_object")),
            Output::Schema { .. } => body.object("response_format", |format| {
                format.plain("type", "json_schema");
                format.object("json_schema", |schema| self.write_schema(schema));
            }),
        }
    }

    fn chat_sampling(&mut self, body: &mut ObjectWriter<'_>) {
        if models::is_openai_reasoner(self.wanted.model) {
            return self.lose_said(&[
                Field::Seed,
                Field::PresencePenalty,
                Field::FrequencyPenalty,
                Field::Stop,
            ]);
        }
        let sampling = &self.conversation.sampling;
        body.optional_json("seed", sampling.seed);
        body.optional_json("presence_penalty", sampling.presence_penalty);
        body.optional_json("frequency_penalty", sampling.frequency_penalty);
        let stops = &self.conversation.stop;
        if !stops.is_empty() {
            body.array("stop", |array| {
                for stop in stops.iter().take(MOST_STOPS) {
                    array.text(stop);
                }
            });
        }
        if stops.len() > MOST_STOPS {
            self.lose(Field::Stop);
        }
    }

    /// Other vendors' servers may refuse a field that they do not know, and cache by themselves.
    fn write_cache_key_if_known(&self, body: &mut ObjectWriter<'_>) {
        if models::is_openai(self.wanted.model) || self.conversation.account.cache_key.is_some() {
            self.write_cache_key(body);
        }
    }
}
