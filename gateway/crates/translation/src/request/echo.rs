//! What a Responses answer repeats of its request.

use airside_protocols::Family;
use serde_json::value::RawValue;

use crate::json::Json;

const REPEATED: &[&str] = &[
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The settings as the caller wrote them, in an order that never changes.
pub(crate) fn echoed(caller: Family, body: Json<'_>) -> Vec<(String, Box<RawValue>)> {
    if caller != Family::OpenaiResponses {
        return Vec::new();
    }
    let fields = body.object();
    let repeated = REPEATED.iter().filter_map(|name| {
        let value = RawValue::from_string(fields.get(name)?.raw().to_owned()).ok()?;
        Some(((*name).to_owned(), value))
    });
    repeated.collect()
}
