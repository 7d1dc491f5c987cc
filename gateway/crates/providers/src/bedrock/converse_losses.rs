//! What `Converse` cannot say of a Messages request, by the names of the Messages API.
//!
//! The counterpart of `converse_request`: what that leaves out is named here.

use std::collections::BTreeSet;

use http::HeaderMap;
use serde_json::Value;

use super::converse_request::schema;
use crate::values::at;
use crate::vendor::{Lost, Request};

/// Members of a request that are said, or that say how the gateway is asked.
const SAID: [&str; 12] = [
    "model",
    "stream",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "thinking",
];
/// Members that it cannot be told. Any other is a name of the caller's own.
const UNSAID: [&str; 10] = [
    "metadata",
    "service_tier",
    "output_config",
    "output_format",
    "container",
    "context_management",
    "mcp_servers",
    "inference_geo",
    "cache_control",
    "speed",
];
const UNKNOWN_FIELD: &str = "unknown_field";

/// What is left out, each once, in order of name.
pub(super) fn losses(request: Request<'_>, caller: &HeaderMap, follows_schemas: bool) -> Vec<Lost> {
    let Ok(asked) = serde_json::from_slice::<Value>(request.body) else {
        return Vec::new();
    };
    let mut lost = BTreeSet::new();
    if caller.contains_key(crate::betas::HEADER) {
        lost.insert("anthropic_beta".into());
    }
    members(&asked, &mut lost);
    if follows_schemas && schema(&asked).is_some() {
        lost.remove("output_format");
        let other = at(&asked, "/output_config").as_object().into_iter().flatten();
        if other.filter(|(name, _)| *name != "format").count() == 0 {
            lost.remove("output_config");
        }
    }
    tools(&asked, follows_schemas, &mut lost);
    let messages = at(&asked, "/messages").as_array();
    let contents = messages.into_iter().flatten().map(|message| at(message, "/content"));
    for content in contents.chain([at(&asked, "/system")]) {
        blocks(content, &mut lost);
    }
    lost.into_iter().collect()
}

fn members(asked: &Value, lost: &mut BTreeSet<Lost>) {
    let given = asked.as_object().into_iter().flatten();
    for (name, _) in given.filter(|(_, value)| !value.is_null()) {
        if let Some(known) = UNSAID.into_iter().find(|known| known == name) {
            lost.insert(known.into());
        } else if !SAID.contains(&name.as_str()) {
            lost.insert(UNKNOWN_FIELD.into());
        }
    }
}

fn tools(asked: &Value, follows_schemas: bool, lost: &mut BTreeSet<Lost>) {
    for tool in at(asked, "/tools").as_array().into_iter().flatten() {
        if !at(tool, "/input_schema").is_object() {
            lost.insert("server_tool".into());
        } else if at(tool, "/strict") == true && !follows_schemas {
            lost.insert("strict".into());
        }
    }
    if at(asked, "/tool_choice/type") == "none" {
        lost.insert("tool_choice".into());
    }
    if at(asked, "/tool_choice/disable_parallel_tool_use") == true {
        lost.insert("disable_parallel_tool_use".into());
    }
}

fn blocks(content: &Value, lost: &mut BTreeSet<Lost>) {
    for block in content.as_array().into_iter().flatten() {
        match at(block, "/type").as_str() {
            Some("text" | "tool_use" | "thinking" | "redacted_thinking") => {}
            Some("tool_result") => blocks(at(block, "/content"), lost),
            Some("image") if at(block, "/source/type") == "base64" => {}
            Some("image") => {
                lost.insert("image_source".into());
            }
            Some("document") => document(block, lost),
            _ => {
                lost.insert("content_block".into());
            }
        }
        if at(block, "/citations").is_array() {
            lost.insert("citations".into());
        }
    }
}

fn document(block: &Value, lost: &mut BTreeSet<Lost>) {
    if !matches!(at(block, "/source/type").as_str(), Some("base64" | "text")) {
        lost.insert("document_source".into());
    }
    if at(block, "/citations/enabled") == true {
        lost.insert("citations".into());
    }
    if at(block, "/context").is_string() {
        lost.insert("document_context".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderValue;
    use serde_json::json;

    fn lost(asked: &Value, has_betas: bool) -> Vec<Lost> {
        let body = Bytes::from(asked.to_string());
        let mut headers = HeaderMap::new();
        if has_betas {
            headers.insert(crate::betas::HEADER, HeaderValue::from_static("x"));
        }
        let request = Request {
            body: &body,
            model_range: &(0..0),
        };
        losses(request, &headers, false)
    }

    #[test]
    fn a_schema_is_not_lost_on_models_that_follow_one() {
        let format = json!({"type": "json_schema", "schema": {"type": "object"}});
        for (asked, expected) in [
            (json!({"output_format": format}), vec![]),
            (json!({"output_config": {"format": format}}), vec![]),
            (
                json!({"output_config": {"format": format, "effort": "low"}}),
                vec!["output_config"],
            ),
            (json!({"output_config": {"effort": "low"}}), vec!["output_config"]),
            (
                json!({"tools": [{"name": "t", "strict": true, "input_schema": {}}]}),
                vec![],
            ),
        ] {
            let body = Bytes::from(asked.to_string());
            let request = Request {
                body: &body,
                model_range: &(0..0),
            };
            assert_eq!(losses(request, &HeaderMap::new(), true), expected, "{asked}");
        }
    }

    #[test]
    fn what_is_said_is_not_lost() {
        let asked = json!({
            "model": "m", "stream": true, "max_tokens": 5, "temperature": 1, "top_k": 1, "metadata": null,
            "system": "s", "tools": [{"name": "t", "input_schema": {}}], "tool_choice": {"type": "auto"},
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}},
                {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "r"}]}]}],
        });
        assert_eq!(lost(&asked, false), Vec::<Lost>::new());
    }

    #[test]
    fn each_loss_is_named_once_and_a_callers_own_name_is_not_repeated() {
        let asked = json!({
            "metadata": {"user_id": "u"}, "service_tier": "auto", "x\r\ny": 1,
            "tools": [{"type": "web_search_1", "name": "w"}, {"name": "t", "input_schema": {}, "strict": true}],
            "tool_choice": {"type": "none", "disable_parallel_tool_use": true},
            "messages": [{"role": "user", "content": [
                {"type": "image", "source": {"type": "url", "url": "u"}},
                {"type": "document", "source": {"type": "file"}, "context": "c", "citations": {"enabled": true}},
                {"type": "tool_result", "content": [{"type": "search_result"}, {"type": "search_result"}]}]}],
        });
        let expected = [
            "anthropic_beta",
            "citations",
            "content_block",
            "disable_parallel_tool_use",
            "document_context",
            "document_source",
            "image_source",
            "metadata",
            "server_tool",
            "service_tier",
            "strict",
            "tool_choice",
            "unknown_field",
        ];
        assert_eq!(lost(&asked, true), expected);
    }
}
