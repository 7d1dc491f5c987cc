//! Errors keep their meaning: harnesses act on it.

use airside_protocols::Family;
use airside_translation::translate_error;
use serde_json::{Value, json};

use crate::recording::{FAMILIES, clients, recording, said};

use Family::{Anthropic, Gemini, OpenaiChat, OpenaiResponses};

/// Status, then type (Anthropic), code (`OpenAI`) or status word (Gemini), then message.
fn told(from: Family, to: Family, status: u16, body: &Value) -> (u16, String, String) {
    let (status, body) = translate_error(from, to, status, body.to_string().as_bytes(), "call_1");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let error = &body["error"];
    let word = match to {
        Anthropic => {
            assert_eq!(
                (&body["type"], &body["request_id"]),
                (&json!("error"), &json!("call_1"))
            );
            &error["type"]
        }
        OpenaiResponses | OpenaiChat => &error["code"],
        Gemini => {
            assert_eq!(error["code"], status);
            &error["status"]
        }
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (status, text(word), text(&error["message"]))
}

fn anthropic(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
}

fn openai(kind: &str, code: Option<&str>, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn gemini(code: u16, status: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "status": status}})
}

/// Status and word, for Anthropic, `OpenAI` and Gemini.
type Told = [(u16, &'static str); 3];

const LIMIT: Told = [
    (429, "rate_limit_error"),
    (429, "rate_limit_exceeded"),
    (429, "RESOURCE_EXHAUSTED"),
];
const OVERLOADED: Told = [
    (529, "overloaded_error"),
    (503, "server_is_overloaded"),
    (503, "UNAVAILABLE"),
];
const TOO_LONG: Told = [
    (400, "invalid_request_error"),
    (400, "context_length_exceeded"),
    (400, "INVALID_ARGUMENT"),
];
const POLICY: Told = [
    (400, "invalid_request_error"),
    (400, "content_policy_violation"),
    (400, "INVALID_ARGUMENT"),
];
const BILLING: Told = [
    (402, "billing_error"),
    (429, "insufficient_quota"),
    (429, "RESOURCE_EXHAUSTED"),
];
const NO_MODEL: Told = [(404, "not_found_error"), (404, "model_not_found"), (404, "NOT_FOUND")];
const TOO_LARGE: Told = [
    (413, "request_too_large"),
    (413, "request_too_large"),
    (400, "INVALID_ARGUMENT"),
];
const INTERNAL: Told = [(500, "api_error"), (500, "server_error"), (500, "INTERNAL")];
const TIMEOUT: Told = [(504, "timeout_error"), (504, "timeout"), (504, "DEADLINE_EXCEEDED")];
const INVALID: Told = [
    (400, "invalid_request_error"),
    (400, "invalid_request"),
    (400, "INVALID_ARGUMENT"),
];
const FORBIDDEN: Told = [
    (403, "permission_error"),
    (403, "permission_denied"),
    (403, "PERMISSION_DENIED"),
];

/// What a vendor says, and what callers are told.
fn rows() -> Vec<(Family, u16, Value, Told)> {
    let invalid = |code| openai("invalid_request_error", Some(code), "m");
    let poor = anthropic("invalid_request_error", "Your credit balance is too low.");
    let quota = openai("insufficient_quota", Some("insufficient_quota"), "m");
    let busy = openai("server_error", Some("server_is_overloaded"), "m");
    let limited = openai("requests", Some("rate_limit_exceeded"), "m");
    vec![
        (Anthropic, 429, anthropic("rate_limit_error", "m"), LIMIT),
        (OpenaiChat, 429, limited, LIMIT),
        (Gemini, 429, gemini(429, "RESOURCE_EXHAUSTED", "m"), LIMIT),
        (Anthropic, 529, anthropic("overloaded_error", "m"), OVERLOADED),
        (OpenaiResponses, 503, busy, OVERLOADED),
        (Gemini, 503, gemini(503, "UNAVAILABLE", "m"), OVERLOADED),
        (OpenaiChat, 400, invalid("context_length_exceeded"), TOO_LONG),
        (OpenaiChat, 400, invalid("content_policy_violation"), POLICY),
        (OpenaiChat, 429, quota, BILLING),
        (Anthropic, 400, poor, BILLING),
        (OpenaiChat, 404, invalid("model_not_found"), NO_MODEL),
        (Anthropic, 413, anthropic("request_too_large", "m"), TOO_LARGE),
        (Anthropic, 500, anthropic("api_error", "m"), INTERNAL),
        (Gemini, 504, gemini(504, "DEADLINE_EXCEEDED", "m"), TIMEOUT),
        (Gemini, 400, gemini(400, "INVALID_ARGUMENT", "m"), INVALID),
        (Anthropic, 403, anthropic("permission_error", "m"), FORBIDDEN),
    ]
}

#[test]
fn an_error_means_the_same_in_every_dialect() {
    for (from, status, body, expected) in rows() {
        for to in clients(from) {
            let (status, word, message) = told(from, to, status, &body);
            let expected = match to {
                Anthropic => expected[0],
                OpenaiResponses | OpenaiChat => expected[1],
                Gemini => expected[2],
            };
            assert_eq!((status, word.as_str()), expected, "{body} for {}", to.name());
            let own_words = body["error"]["message"].as_str().unwrap();
            assert!(message.ends_with(own_words), "{message}");
        }
    }
}

#[test]
fn a_prompt_that_does_not_fit_is_told_so_that_the_harness_shortens_it() {
    let openai_says = openai(
        "invalid_request_error",
        Some("context_length_exceeded"),
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130007 tokens.",
    );
    let (_, _, message) = told(OpenaiChat, Anthropic, 400, &openai_says);
    assert_eq!(message, "prompt is too long: 130007 tokens > 128000 maximum");
    let anthropic_says = anthropic(
        "invalid_request_error",
        "prompt is too long: 210000 tokens > 200000 maximum",
    );
    let (_, code, message) = told(Anthropic, OpenaiResponses, 400, &anthropic_says);
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "context_length_exceeded",
            "prompt is too long: 210000 tokens > 200000 maximum"
        )
    );
    let gemini_says = gemini(
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    );
    assert_eq!(
        told(Gemini, OpenaiResponses, 400, &gemini_says).1,
        "context_length_exceeded"
    );
}

#[test]
fn the_gateways_key_at_the_provider_is_nobodys_business() {
    let bodies = [
        (
            Anthropic,
            401,
            anthropic("authentication_error", "invalid x-api-key sk-ant-api03-secret"),
        ),
        (
            OpenaiChat,
            401,
            openai(
                "invalid_request_error",
                Some("invalid_api_key"),
                "Incorrect API key provided: sk-proj-secret",
            ),
        ),
        (
            Gemini,
            400,
            json!({"error": {"code": 400, "message": "API key not valid: AIzaSecret00", "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}),
        ),
    ];
    for (from, status, body) in bodies {
        for to in clients(from) {
            let (status, _, message) = told(from, to, status, &body);
            assert_eq!(
                (status, message.as_str()),
                (401, "The provider refused the gateway's credential.")
            );
        }
    }
}

#[test]
fn a_body_that_cannot_be_read_is_told_by_its_status() {
    for from in FAMILIES {
        for to in clients(from) {
            for body in ["", "<html>502</html>", "null", "[]", "{\"error\":7}", "\u{0}"] {
                let (status, body) = translate_error(from, to, 502, body.as_bytes(), "call_1");
                let body: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(
                    (status, &body["error"]["message"]),
                    (502, &json!("The provider failed."))
                );
            }
        }
    }
    let wrapped = json!([{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}]);
    assert_eq!(
        told(Gemini, Anthropic, 503, &wrapped),
        (
            529,
            "overloaded_error".to_owned(),
            "The model is overloaded.".to_owned()
        )
    );
    let plain = json!({"error": "model \"x\" not found, try pulling it first"});
    assert_eq!(told(OpenaiChat, Anthropic, 404, &plain).1, "not_found_error");
}

#[test]
fn an_error_in_a_stream_keeps_its_meaning() {
    let overloaded = |client| match client {
        Anthropic => "overloaded_error",
        // On `server_is_overloaded` Codex would end the turn; an answer that broke off it tries again.
        OpenaiResponses => "server_error",
        OpenaiChat => "server_is_overloaded",
        Gemini => "UNAVAILABLE",
    };
    for (target, name) in [(Anthropic, "error"), (OpenaiResponses, "error"), (Gemini, "error")] {
        for client in clients(target) {
            let said = said(&recording(target, name), client);
            assert!(said.end.is_err());
            let error = said.read(client).error.unwrap();
            let words = [&error["type"], &error["code"], &error["status"]];
            assert!(words.contains(&&json!(overloaded(client))), "{error}");
            assert!(error["message"].as_str().unwrap().to_lowercase().contains("overloaded"));
        }
    }
    let codex = said(&recording(Anthropic, "error"), OpenaiResponses).text();
    assert!(codex.contains("event: response.failed\n"), "{codex}");
    let claude = said(&recording(OpenaiResponses, "failed"), Anthropic).read(Anthropic);
    assert!(
        claude.error.unwrap()["message"]
            .as_str()
            .unwrap()
            .starts_with("prompt is too long")
    );
}
