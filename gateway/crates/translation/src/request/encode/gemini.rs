//! Gemini `generateContent`. The model and the way of answering stand in the path.

use crate::json::{ObjectWriter, to_json};
use crate::request::Untranslatable;
use crate::request::conversation::{Output, ToolChoice};
use crate::request::encode::{Encoded, Encoding};
use crate::request::losses::Field;
use crate::request::models;
use crate::request::reasoning::{Effort, Switch};
use crate::request::schema::{self, Lost};

/// The dialect takes no more.
const MOST_STOPS: usize = 5;
const OUTPUT_TOOL: &str = "structured_output";

pub(super) fn encode(mut encoding: Encoding<'_, '_>) -> Result<Encoded, Untranslatable> {
    encoding.lose_said(&[
        Field::CacheMark,
        Field::CacheKey,
        Field::ParallelCalls,
        Field::Strict,
        Field::User,
        Field::Metadata,
        Field::ServiceTier,
        Field::Verbosity,
        Field::Store,
    ]);
    let output_tool = encoding.output_tool();
    encoding.ask_older_models_for_json();
    let mut refusal = Ok(());
    let body = to_json(|body| {
        refusal = encoding.contents(body);
        let instructions = encoding.instructions();
        if !instructions.is_empty() {
            body.object("systemInstruction", |instruction| {
                instruction.array("parts", |parts| {
                    for part in &instructions {
                        parts.object(|object| object.text("text", &part.text));
                    }
                });
            });
        }
        encoding.declarations(body, output_tool.as_deref());
        encoding.calling(body, output_tool.as_deref());
        let config = encoding.generation_config(output_tool.is_none());
        if config != "{}" {
            body.json("generationConfig", &config);
        }
    });
    refusal?;
    Ok(Encoded {
        body,
        tools: encoding.names.into_tools(),
        output_tool,
    })
}

impl Encoding<'_, '_> {
    /// Older models give an answer in a form of its own or call functions: with functions, a form becomes one.
    fn output_tool(&mut self) -> Option<String> {
        let conversation = self.conversation;
        let is_needed = matches!(conversation.output, Output::Schema { .. })
            && !conversation.tools.is_empty()
            && models::gemini_is_old(self.wanted.model);
        is_needed.then(|| self.names.own(OUTPUT_TOOL))
    }

    /// For any JSON there is no tool to be made.
    fn ask_older_models_for_json(&mut self) {
        let conversation = self.conversation;
        let is_any = matches!(conversation.output, Output::Json);
        if is_any && !conversation.tools.is_empty() && models::gemini_is_old(self.wanted.model) {
            self.asks_for_json = true;
            self.lose(Field::Output);
        }
    }

    fn declarations(&mut self, body: &mut ObjectWriter<'_>, output_tool: Option<&str>) {
        let conversation = self.conversation;
        if conversation.tools.is_empty() {
            return;
        }
        body.array("tools", |tools| {
            tools.object(|tool| {
                tool.array("functionDeclarations", |functions| {
                    for tool in &conversation.tools {
                        functions.object(|function| {
                            function.plain("name", &self.names.tool(&tool.client));
                            if let Some(description) = &tool.description {
                                function.text("description", description);
                            }
                            // JSON Schema as the caller wrote it: `parameters` is for Google's own language.
                            if let Some(schema) = &tool.schema {
                                function.json("parametersJsonSchema", &schema::of_object(Some(schema)));
                            }
                        });
                    }
                    if let (Some(name), Output::Schema { schema, .. }) = (output_tool, &conversation.output) {
                        functions.object(|function| {
                            function.plain("name", name);
                            function.plain(
                                "description",
                                "Give the answer: its only form is the arguments of this.",
                            );
                            function.json("parametersJsonSchema", &schema::of_object(Some(schema)));
                        });
                    }
                });
            });
        });
    }

    fn calling(&mut self, body: &mut ObjectWriter<'_>, output_tool: Option<&str>) {
        let conversation = self.conversation;
        if conversation.tools.is_empty() {
            return;
        }
        let (mode, only) = match (&conversation.tool_choice, output_tool) {
            (ToolChoice::Named(tool), _) => ("ANY", Some(self.names.tool(tool))),
            (ToolChoice::None, Some(output_tool)) => ("ANY", Some(output_tool.to_owned())),
            (_, Some(_)) | (ToolChoice::Required, None) => ("ANY", None),
            (ToolChoice::None, None) => ("NONE", None),
            (ToolChoice::Auto, None) => ("AUTO", None),
            (ToolChoice::Unsaid, None) => return,
        };
        body.object("toolConfig", |config| {
            config.object("functionCallingConfig", |calling| {
                calling.plain("mode", mode);
                if let Some(only) = only {
                    calling.array("allowedFunctionNames", |names| names.plain(&only));
                }
            });
        });
    }

    fn generation_config(&mut self, has_form: bool) -> String {
        let conversation = self.conversation;
        to_json(|config| {
            if let Some(limit) = conversation.limit {
                config.number("maxOutputTokens", limit.max(1));
            }
            let sampling = &conversation.sampling;
            config.optional_json("temperature", sampling.temperature);
            config.optional_json("topP", sampling.top_p);
            config.optional_json("topK", sampling.top_k);
            let seed = sampling.seed.filter(|seed| seed.parse::<i32>().is_ok());
            if seed.is_none() {
                self.lose_said(&[Field::Seed]);
            }
            config.optional_json("seed", seed);
            config.optional_json("presencePenalty", sampling.presence_penalty);
            config.optional_json("frequencyPenalty", sampling.frequency_penalty);
            self.gemini_stops(config);
            if has_form {
                self.form(config);
            }
            self.thinking_config(config);
        })
    }

    fn gemini_stops(&mut self, config: &mut ObjectWriter<'_>) {
        let stops = &self.conversation.stop;
        if stops.len() > MOST_STOPS {
            self.lose(Field::Stop);
        }
        if !stops.is_empty() {
            config.array("stopSequences", |array| {
                for stop in stops.iter().take(MOST_STOPS) {
                    array.text(stop);
                }
            });
        }
    }

    fn form(&mut self, config: &mut ObjectWriter<'_>) {
        match &self.conversation.output {
            Output::Text => {}
            Output::Json if self.asks_for_json => {}
            Output::Json => config.plain("responseMimeType", "application/json"),
            Output::Schema { schema, .. } => {
                let mut lost = Lost::new();
                let schema = schema::for_gemini(schema, &mut lost);
                self.lose_keywords(&lost);
                config.plain("responseMimeType", "application/json");
                config.json("responseJsonSchema", &schema);
            }
        }
    }

    /// By levels from generation 3 on, by budgets before, not at all before that.
    fn thinking_config(&mut self, config: &mut ObjectWriter<'_>) {
        let reasoning = self.conversation.reasoning;
        let model = self.wanted.model;
        let Some(effort) = reasoning.effort() else {
            if reasoning.is_shown {
                config.object("thinkingConfig", |thinking| thinking.flag("includeThoughts", true));
            }
            return;
        };
        if model.contains("gemini-2.0") || models::gemini_generation(model) == Some(1) {
            return self.lose_said(&[Field::Reasoning]);
        }
        let is_adaptive = reasoning.switch == Switch::On && reasoning.effort.is_none() && reasoning.budget.is_none();
        config.object("thinkingConfig", |thinking| {
            if !models::gemini_is_old(model) {
                thinking.plain("thinkingLevel", level(effort, model));
            } else if is_adaptive {
                thinking.json("thinkingBudget", "-1");
            } else {
                thinking.number("thinkingBudget", budget(effort, reasoning.budget, model));
            }
            if reasoning.is_shown {
                thinking.flag("includeThoughts", true);
            }
        });
    }
}

fn level(effort: Effort, model: &str) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal if model.contains("flash") => "minimal",
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::ExtraHigh | Effort::Max => "high",
    }
}

/// As Google's own translation from `OpenAI`'s dialect has it, within what the models take.
fn budget(effort: Effort, wanted: Option<u64>, model: &str) -> u64 {
    let (least, most) = if model.contains("pro") {
        (128, 32_768)
    } else {
        (0, 24_576)
    };
    let of_effort = match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High | Effort::ExtraHigh | Effort::Max => 24_576,
    };
    let wanted = if effort == Effort::None {
        0
    } else {
        wanted.unwrap_or(of_effort)
    };
    wanted.clamp(least, most)
}
