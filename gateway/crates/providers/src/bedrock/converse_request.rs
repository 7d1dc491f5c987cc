//! A Messages request as `Converse` takes it.
//!
//! Converse knows text, pictures, documents, tools and reasoning, and of models that follow one the schema of an answer;
//! what else a request holds is left out.

use serde_json::{Map, Value, json};

use crate::values::at;
use crate::vendor::{Pieces, Request, Unserved, in_one};

/// The request, for a model that follows schemas or one that does not.
pub(super) fn body(request: Request<'_>, follows_schemas: bool) -> Result<Pieces, Unserved> {
    Ok(in_one(value(request, follows_schemas)?.to_string()))
}

/// The request as a value.
pub(super) fn value(request: Request<'_>, follows_schemas: bool) -> Result<Value, Unserved> {
    let asked: Value =
        serde_json::from_slice(request.body).map_err(|_| Unserved("The request is no JSON object.".to_owned()))?;
    super::refuse_residence(at(&asked, "/inference_geo").as_str())?;
    let mut converse = Map::new();
    converse.insert("messages".to_owned(), messages(at(&asked, "/messages")).into());
    let system = system(&asked);
    if !system.is_empty() {
        converse.insert("system".to_owned(), system.into());
    }
    let inference = inference(&asked);
    if !inference.is_empty() {
        converse.insert("inferenceConfig".to_owned(), inference.into());
    }
    if let Some(schema) = schema(&asked).filter(|_| follows_schemas) {
        converse.insert("outputConfig".to_owned(), text_format(schema));
    }
    if let Some(tools) = tools(&asked, follows_schemas) {
        converse.insert("toolConfig".to_owned(), tools);
    }
    if let Some(more) = model_fields(&asked) {
        converse.insert("additionalModelRequestFields".to_owned(), more);
    }
    Ok(converse.into())
}

/// The schema that the answer must follow, as the Messages API says it now or said it first.
pub(super) fn schema(asked: &Value) -> Option<&Value> {
    let formats = [at(asked, "/output_config/format"), at(asked, "/output_format")];
    let format = formats
        .into_iter()
        .find(|format| at(format, "/type") == "json_schema")?;
    format.get("schema").filter(|schema| schema.is_object())
}

/// Converse wants a schema as text, and a name for it.
fn text_format(schema: &Value) -> Value {
    json!({"textFormat": {"type": "json_schema",
        "structure": {"jsonSchema": {"name": "answer", "schema": schema.to_string()}}}})
}

fn inference(asked: &Value) -> Map<String, Value> {
    let names = [
        ("max_tokens", "maxTokens"),
        ("temperature", "temperature"),
        ("top_p", "topP"),
        ("stop_sequences", "stopSequences"),
    ];
    let given = names.into_iter().filter_map(|(name, converse)| {
        Some((
            converse.to_owned(),
            asked.get(name).filter(|value| !value.is_null())?.clone(),
        ))
    });
    given.collect()
}

/// What only some models know, under their own names.
fn model_fields(asked: &Value) -> Option<Value> {
    let names = ["top_k", "thinking"];
    // That they are not to think need not be said to models that cannot, and most of these refuse the word.
    let is_meant = |value: &&Value| !value.is_null() && at(value, "/type") != "disabled";
    let given: Map<String, Value> = names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), asked.get(name).filter(is_meant)?.clone())))
        .collect();
    (!given.is_empty()).then(|| given.into())
}

fn system(asked: &Value) -> Vec<Value> {
    match at(asked, "/system") {
        Value::String(text) => vec![json!({"text": text})],
        Value::Array(blocks) => blocks.iter().flat_map(|block| marked(block, text(block))).collect(),
        _ => Vec::new(),
    }
}

fn messages(messages: &Value) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages.as_array().into_iter().flatten() {
        // Converse has no system messages within the conversation, and wants turns to alternate.
        let role = if at(message, "/role") == "assistant" {
            "assistant"
        } else {
            "user"
        };
        let content = content(at(message, "/content"));
        match turns.last_mut() {
            Some((last, so_far)) if *last == role => so_far.extend(content),
            _ => turns.push((role, content)),
        }
    }
    turns.retain(|(_, content)| !content.is_empty());
    turns
        .into_iter()
        .map(|(role, content)| json!({"role": role, "content": content}))
        .collect()
}

fn content(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![json!({"text": text})],
        Value::Array(blocks) => blocks.iter().flat_map(|part| marked(part, block(part))).collect(),
        _ => Vec::new(),
    }
}

/// A block, and the cache mark behind it that Converse has instead of one within.
fn marked(asked: &Value, block: Option<Value>) -> impl Iterator<Item = Value> {
    let mark = asked
        .get("cache_control")
        .filter(|mark| mark.is_object())
        .filter(|_| block.is_some());
    let mark = mark.map(|_| json!({"cachePoint": {"type": "default"}}));
    block.into_iter().chain(mark)
}

fn text(block: &Value) -> Option<Value> {
    // An empty text is refused.
    let text = at(block, "/text").as_str().filter(|text| !text.is_empty())?;
    Some(json!({"text": text}))
}

fn block(block: &Value) -> Option<Value> {
    match at(block, "/type").as_str()? {
        "text" => text(block),
        "image" => image(block),
        "document" => document(block),
        "tool_use" => Some(json!({"toolUse": {
            "toolUseId": at(block, "/id"), "name": at(block, "/name"), "input": at(block, "/input")}})),
        "tool_result" => Some(tool_result(block)),
        "thinking" => Some(json!({"reasoningContent": {"reasoningText": {
            "text": at(block, "/thinking"), "signature": at(block, "/signature")}}})),
        "redacted_thinking" => Some(json!({"reasoningContent": {"redactedContent": at(block, "/data")}})),
        _ => None,
    }
}

fn image(block: &Value) -> Option<Value> {
    let source = at(block, "/source");
    let format = at(source, "/media_type").as_str()?.strip_prefix("image/")?;
    let data = at(source, "/data").as_str()?;
    Some(json!({"image": {"format": format, "source": {"bytes": data}}}))
}

fn document(block: &Value) -> Option<Value> {
    let source = at(block, "/source");
    let title = at(block, "/title").as_str().unwrap_or("document");
    // Only letters, digits, single spaces, hyphens and brackets may be in a name.
    let name: String = title
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .take(100)
        .collect();
    let (format, source) = match at(source, "/type").as_str()? {
        "base64" => ("pdf", json!({"bytes": at(source, "/data")})),
        "text" => ("txt", json!({"text": at(source, "/data")})),
        _ => return None,
    };
    Some(json!({"document": {"format": format, "name": name, "source": source}}))
}

fn tool_result(block: &Value) -> Value {
    let parts = match at(block, "/content") {
        Value::String(text) => vec![json!({"text": text})],
        Value::Array(parts) => parts.iter().filter_map(self::block).collect(),
        _ => Vec::new(),
    };
    let status = if at(block, "/is_error") == true {
        "error"
    } else {
        "success"
    };
    json!({"toolResult": {"toolUseId": at(block, "/tool_use_id"), "content": parts, "status": status}})
}

fn tools(asked: &Value, follows_schemas: bool) -> Option<Value> {
    let declared = at(asked, "/tools")
        .as_array()?
        .iter()
        .filter(|tool| at(tool, "/input_schema").is_object());
    let tools: Vec<Value> = declared
        .flat_map(|tool| marked(tool, Some(specification(tool, follows_schemas))))
        .collect();
    if tools.is_empty() {
        return None;
    }
    let mut config = Map::new();
    config.insert("tools".to_owned(), tools.into());
    let choice = match at(asked, "/tool_choice/type").as_str() {
        Some("auto") => json!({"auto": {}}),
        Some("any") => json!({"any": {}}),
        Some("tool") => json!({"tool": {"name": at(asked, "/tool_choice/name")}}),
        _ => Value::Null,
    };
    if !choice.is_null() {
        config.insert("toolChoice".to_owned(), choice);
    }
    Some(config.into())
}

fn specification(tool: &Value, follows_schemas: bool) -> Value {
    let mut specification = Map::new();
    specification.insert("name".to_owned(), at(tool, "/name").clone());
    specification.insert("inputSchema".to_owned(), json!({"json": at(tool, "/input_schema")}));
    if let Some(description) = at(tool, "/description").as_str().filter(|text| !text.is_empty()) {
        specification.insert("description".to_owned(), description.into());
    }
    if follows_schemas && at(tool, "/strict") == true {
        specification.insert("strict".to_owned(), true.into());
    }
    json!({"toolSpec": specification})
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn converse(body: &Value) -> Value {
        let body = Bytes::from(body.to_string());
        let request = Request {
            body: &body,
            model_range: &(0..0),
        };
        value(request, false).unwrap()
    }

    #[test]
    fn a_schema_is_told_to_models_that_follow_one() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let format = json!({"type": "json_schema", "schema": schema});
        let messages = json!([{"role": "user", "content": "hi"}]);
        let tools = json!([{"name": "t", "strict": true, "input_schema": {"type": "object"}}]);
        for asked in [
            json!({"messages": messages, "tools": tools, "output_config": {"format": format}}),
            json!({"messages": messages, "tools": tools, "output_format": format}),
        ] {
            let body = Bytes::from(asked.to_string());
            let request = Request {
                body: &body,
                model_range: &(0..0),
            };
            let said = value(request, true).unwrap();
            let told = &said["outputConfig"]["textFormat"];
            assert_eq!(told["type"], "json_schema");
            let text = told["structure"]["jsonSchema"]["schema"].as_str().unwrap();
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), schema);
            assert_eq!(said["toolConfig"]["tools"][0]["toolSpec"]["strict"], true);
            let unsaid = converse(&asked);
            assert_eq!(
                (
                    unsaid.get("outputConfig"),
                    unsaid.pointer("/toolConfig/tools/0/toolSpec/strict")
                ),
                (None, None)
            );
        }
    }

    #[test]
    fn a_whole_request_is_said_in_converse() {
        let asked = json!({
            "model": "m", "max_tokens": 5, "temperature": 0.5, "stop_sequences": ["x"], "top_k": 3, "stream": true,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "t", "description": "d", "input_schema": {"type": "object"}}, {"type": "web_search_1"}],
            "tool_choice": {"type": "tool", "name": "t"},
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "system", "content": "note"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "g"},
                    {"type": "tool_use", "id": "1", "name": "t", "input": {"a": 1}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "1", "is_error": true, "content": [
                        {"type": "text", "text": "r"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}]},
                    {"type": "document", "title": "a.pdf", "source": {"type": "base64", "data": "BB"}},
                    {"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}]},
            ],
        });
        let image = json!({"image": {"format": "png", "source": {"bytes": "AA"}}});
        assert_eq!(
            converse(&asked),
            json!({
                "system": [{"text": "s"}, {"cachePoint": {"type": "default"}}],
                "inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "stopSequences": ["x"]},
                "additionalModelRequestFields": {"top_k": 3},
                "toolConfig": {
                    "tools": [{"toolSpec": {"name": "t", "description": "d", "inputSchema": {"json": {"type": "object"}}}}],
                    "toolChoice": {"tool": {"name": "t"}}},
                "messages": [
                    {"role": "user", "content": [{"text": "hi"}, {"text": "note"}]},
                    {"role": "assistant", "content": [
                        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "g"}}},
                        {"toolUse": {"toolUseId": "1", "name": "t", "input": {"a": 1}}}]},
                    {"role": "user", "content": [
                        {"toolResult": {"toolUseId": "1", "content": [{"text": "r"}, image], "status": "error"}},
                        {"document": {"format": "pdf", "name": "a-pdf", "source": {"bytes": "BB"}}}]},
                ],
            })
        );
    }

    #[test]
    fn that_a_model_is_not_to_think_is_not_said() {
        let asked = json!({"thinking": {"type": "disabled"}, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]});
        assert_eq!(converse(&asked).get("additionalModelRequestFields"), None);
    }

    #[test]
    fn a_bare_request_has_no_empty_parts() {
        let asked = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]});
        assert_eq!(
            converse(&asked),
            json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]})
        );
    }
}
