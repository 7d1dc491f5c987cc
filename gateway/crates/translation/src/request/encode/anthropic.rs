//! Anthropic Messages.

use crate::json::{ObjectWriter, to_json};
use crate::request::Untranslatable;
use crate::request::conversation::{Output, ToolChoice};
use crate::request::encode::anthropic_content::Marks;
use crate::request::encode::anthropic_thinking::Thinking;
use crate::request::encode::{Encoded, Encoding};
use crate::request::losses::Field;
use crate::request::models;
use crate::request::schema::{self, Lost};

const OUTPUT_TOOL: &str = "structured_output";

/// How the answer gets its form.
enum Form {
    Free,
    /// By the dialect's own way, with this schema.
    Schema(String),
    /// By a tool of ours, with this schema of its arguments.
    Tool(String),
}

pub(super) fn encode(mut encoding: Encoding<'_, '_>) -> Result<Encoded, Untranslatable> {
    let model = encoding.wanted.model;
    let limit = encoding
        .conversation
        .limit
        .unwrap_or(encoding.wanted.default_output_tokens)
        .max(1);
    let form = form(&mut encoding);
    let thinking = Thinking::choose(&mut encoding, limit, matches!(form, Form::Tool(_)));
    lose_settings(&mut encoding);
    let mut marks = Marks::new(encoding.conversation, encoding.wanted);
    let mut output_tool = None;
    let mut failed = Ok(());
    let body = to_json(|body| {
        body.plain("model", model);
        body.number("max_tokens", limit);
        body.flag("stream", encoding.wanted.streams);
        encoding.system(body, &mut marks);
        failed = encoding.messages(body, &mut marks);
        output_tool = encoding.tools(body, &form, &mut marks);
        encoding.choice(body, output_tool.as_deref());
        thinking.write(body);
        write_output_config(body, &thinking, &form);
        encoding.sampling(body, thinking.is_on());
        encoding.stops(body);
        if let Some(user) = &encoding.conversation.account.user {
            body.object("metadata", |metadata| metadata.text("user_id", user));
        }
    });
    failed?;
    if marks.were_lost() {
        encoding.lose(Field::CacheMark);
    }
    Ok(Encoded {
        body,
        tools: encoding.names.into_tools(),
        output_tool,
    })
}

fn form(encoding: &mut Encoding<'_, '_>) -> Form {
    let conversation = encoding.conversation;
    match &conversation.output {
        Output::Text => Form::Free,
        Output::Schema { schema, .. } if models::claude_has_structured_output(encoding.wanted.model) => {
            let mut lost = Lost::new();
            let schema = schema::for_anthropic(schema, &mut lost);
            encoding.lose_keywords(&lost);
            Form::Schema(schema)
        }
        Output::Schema { schema, .. } => Form::Tool(schema::of_object(Some(schema))),
        Output::Json if conversation.tools.is_empty() && !conversation.reasoning.is_on() => {
            Form::Tool(r#"{"type":"object"}"#.to_owned())
        }
        Output::Json => {
            encoding.lose(Field::Output);
            encoding.asks_for_json = true;
            Form::Free
        }
    }
}

fn lose_settings(encoding: &mut Encoding<'_, '_>) {
    encoding.lose_said(&[
        Field::Seed,
        Field::PresencePenalty,
        Field::FrequencyPenalty,
        Field::Metadata,
        Field::ServiceTier,
        Field::Verbosity,
        Field::Store,
        Field::Strict,
    ]);
    if encoding.wanted.cache_key.is_none() {
        encoding.lose_said(&[Field::CacheKey]);
    }
}

fn write_output_config(body: &mut ObjectWriter<'_>, thinking: &Thinking, form: &Form) {
    let schema = match form {
        Form::Schema(schema) => Some(schema),
        _ => None,
    };
    if thinking.effort().is_none() && schema.is_none() {
        return;
    }
    body.object("output_config", |config| {
        if let Some(effort) = thinking.effort() {
            config.plain("effort", effort);
        }
        if let Some(schema) = schema {
            config.object("format", |format| {
                format.plain("type", "json_schema");
                format.json("schema", schema);
            });
        }
    });
}

impl Encoding<'_, '_> {
    fn system(&mut self, body: &mut ObjectWriter<'_>, marks: &mut Marks) {
        let parts = self.instructions();
        if parts.is_empty() {
            return;
        }
        body.array("system", |array| {
            for (number, part) in parts.iter().enumerate() {
                let mark = marks.of(part.cache, number + 1 == parts.len());
                array.object(|block| {
                    block.plain("type", "text");
                    block.text("text", &part.text);
                    block.optional_json("cache_control", mark);
                });
            }
        });
    }

    /// The caller's tools, and ours where the answer needs one; its name.
    fn tools(&mut self, body: &mut ObjectWriter<'_>, form: &Form, marks: &mut Marks) -> Option<String> {
        let output_schema = match form {
            Form::Tool(schema) => Some(schema),
            _ => None,
        };
        if self.conversation.tools.is_empty() && output_schema.is_none() {
            return None;
        }
        let output_tool = output_schema.map(|_| self.names.own(OUTPUT_TOOL));
        body.array("tools", |array| {
            for tool in &self.conversation.tools {
                let mark = marks.of(tool.cache, false);
                array.object(|object| {
                    object.plain("name", &self.names.tool(&tool.client));
                    if let Some(description) = &tool.description {
                        object.text("description", description);
                    }
                    object.json("input_schema", &schema::of_object(tool.schema.as_deref()));
                    object.optional_json("cache_control", mark);
                });
            }
            if let (Some(name), Some(schema)) = (&output_tool, output_schema) {
                array.object(|object| {
                    object.plain("name", name);
                    object.plain(
                        "description",
                        "Give the answer: its only form is the arguments of this tool.",
                    );
                    object.json("input_schema", schema);
                });
            }
        });
        output_tool
    }

    fn choice(&mut self, body: &mut ObjectWriter<'_>, output_tool: Option<&str>) {
        let conversation = self.conversation;
        let may_call_own = !conversation.tools.is_empty() && conversation.tool_choice != ToolChoice::None;
        let (kind, name) = match (&conversation.tool_choice, output_tool) {
            (ToolChoice::Named(tool), _) => ("tool", Some(self.names.tool(tool))),
            (_, Some(_)) if may_call_own => ("any", None),
            (_, Some(output_tool)) => ("tool", Some(output_tool.to_owned())),
            (_, None) if conversation.tools.is_empty() => return,
            (ToolChoice::Required, None) => ("any", None),
            (ToolChoice::None, None) => ("none", None),
            (ToolChoice::Auto, None) => ("auto", None),
            (ToolChoice::Unsaid, None) if conversation.parallel_calls == Some(false) => ("auto", None),
            (ToolChoice::Unsaid, None) => return,
        };
        body.object("tool_choice", |choice| {
            choice.plain("type", kind);
            if let Some(name) = name {
                choice.plain("name", &name);
            }
            if conversation.parallel_calls == Some(false) && kind != "none" {
                choice.flag("disable_parallel_tool_use", true);
            }
        });
    }

    /// Newer models take no such settings, older ones not while they think, nor both at once.
    fn sampling(&mut self, body: &mut ObjectWriter<'_>, thinks: bool) {
        if thinks || models::claude_refuses_sampling(self.wanted.model) {
            if self
                .conversation
                .sampling
                .temperature
                .is_some_and(|given| given.parse() != Ok(1.0_f64))
            {
                self.lose(Field::Temperature);
            }
            return self.lose_said(&[Field::TopP, Field::TopK]);
        }
        let sampling = &self.conversation.sampling;
        if let Some(temperature) = sampling.temperature {
            let is_too_hot = temperature.parse().is_ok_and(|given: f64| given > 1.0);
            if is_too_hot {
                self.lose(Field::Temperature);
            }
            body.json("temperature", if is_too_hot { "1" } else { temperature });
            self.lose_said(&[Field::TopP]);
        } else {
            body.optional_json("top_p", sampling.top_p);
        }
        body.optional_json("top_k", sampling.top_k);
    }

    fn stops(&mut self, body: &mut ObjectWriter<'_>) {
        let stops = &self.conversation.stop;
        let sayable: Vec<_> = stops.iter().filter(|stop| !stop.is_blank()).collect();
        if sayable.len() < stops.len() {
            self.lose(Field::Stop);
        }
        if !sayable.is_empty() {
            body.array("stop_sequences", |array| {
                for stop in sayable {
                    array.text(stop);
                }
            });
        }
    }
}
