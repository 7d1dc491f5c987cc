//! What would become of a call, as people read it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panic")]

use airside_routing::{Imagined, Known, NotImaginable, Unwatched, explain};
use airside_snapshot::Compiled;
use serde_json::{Value, json};

fn compiled() -> Compiled {
    let provider = |name: &str, protocol: &str, kind: &str| json!({"name": name, "protocol": protocol, "base_url": "http://127.0.0.1:1", "credential": {"kind": kind}});
    let price = json!({"tiers": [{"input_uncached": 1_000_000_000, "cache_read": 100_000_000, "cache_write_5m": 1_000_000_000,
                                  "cache_write_1h": 1_000_000_000, "output": 2_000_000_000}]});
    let target = |provider: &str, model: &str| json!({"provider": provider, "model": model, "price": price, "max_output_tokens": 1000});
    let mut blind = target("a", "blind");
    blind["capabilities"] = json!({"images": false});
    let snapshot = json!({
        "format": 1, "version": 7, "compiled_at": "2026-01-01T00:00:00Z",
        "providers": [provider("a", "anthropic", "none"), provider("g", "gemini", "none"), provider("x", "anthropic", "bearer")],
        "models": [{"name": "coder", "route": [
            {"when": "request.headers['x-team'] == 'red'", "to": [target("a", "red")]},
            {"when": "request.input_tokens > 180000", "to": [target("g", "long")]},
            {"to": [blind, target("x", "keyless"), target("a", "sees")]},
        ]}],
    });
    Compiled::from_json(snapshot.to_string().as_bytes()).unwrap()
}

fn explained(request: &Value) -> Result<Value, NotImaginable> {
    let compiled = compiled();
    let unwatched = Unwatched::of(&compiled);
    let imagined = Imagined::from_json(request.to_string().as_bytes())?;
    let text = explain(&compiled, &imagined, Known::of_nothing(&unwatched, 1_795_655_825))?;
    Ok(serde_json::from_str(&text).unwrap())
}

#[test]
fn the_rule_the_targets_and_the_reasons_are_told() {
    let told = explained(&json!({"model": "coder", "input_tokens": 1000, "images": 1, "output_limit": 100})).unwrap();
    assert_eq!(
        (&told["step"], &told["lead"], &told["snapshot_version"]),
        (&json!(2), &json!("strategy"), &json!(7))
    );
    assert_eq!(told["steps"][0]["problem"], "there is no 'x-team'");
    assert_eq!(told["steps"][1]["holds"], false);
    assert_eq!(
        told["rejected"],
        json!([
            {"provider": "a", "model": "blind", "reason": "no_images"},
            {"provider": "x", "model": "keyless", "reason": "no_credential"},
        ])
    );
    let candidate = &told["candidates"][0];
    assert_eq!(
        (&candidate["model"], &candidate["translated"]),
        (&json!("sees"), &json!(false))
    );
    assert_eq!(candidate["expected_nanousd"], 1_000 * 1_000 + 100 * 2_000);
    assert!(candidate["bound_nanousd"].as_u64() > candidate["expected_nanousd"].as_u64());
    assert_eq!(told["health"], Value::Null, "nobody was asked");
}

#[test]
fn a_body_tells_what_its_translation_loses() {
    let words = "word ".repeat(160_000);
    let body = json!({"model": "coder", "max_tokens": 100, "top_k": 5,
                      "messages": [{"role": "user", "content": words}]});
    let told = explained(&json!({"body": body})).unwrap();
    assert_eq!(told["step"], 1, "its length was estimated");
    let candidate = &told["candidates"][0];
    assert_eq!(
        (&candidate["family"], &candidate["translated"]),
        (&json!("gemini"), &json!(true))
    );
    assert!(
        candidate["losses"].is_array() && candidate["untranslatable"].is_null(),
        "{candidate}"
    );
}

#[test]
fn what_a_vendor_leaves_out_or_refuses_is_told_too() {
    let provider = |name: &str, vendor: &str, protocol: &str, more: Value| {
        let mut provider = json!({"name": name, "vendor": vendor, "protocol": protocol, "base_url": "http://127.0.0.1:1",
                                  "credential": {"kind": "none"}});
        provider
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        provider
    };
    let price = json!({"tiers": [{"input_uncached": 1, "cache_read": 1, "cache_write_5m": 1, "cache_write_1h": 1, "output": 1}]});
    let target = |provider: &str, model: &str| json!({"provider": provider, "model": model, "price": price, "max_output_tokens": 9});
    let snapshot = json!({
        "format": 1, "version": 1, "compiled_at": "2026-01-01T00:00:00Z",
        "providers": [provider("aws", "bedrock", "anthropic", json!({"region": "eu-central-1"})),
                      provider("own", "anthropic", "anthropic", json!({}))],
        "models": [{"name": "m", "route": [{"to": [target("aws", "anthropic.claude-x"), target("aws", "other.model"), target("own", "y")]}]}],
    });
    let compiled = Compiled::from_json(snapshot.to_string().as_bytes()).unwrap();
    let candidates = |geo: &str| {
        let body = json!({"model": "m", "max_tokens": 9, "speed": "fast", "inference_geo": geo,
                          "messages": [{"role": "user", "content": "hi"}]});
        let request = json!({"body": body, "headers": {"anthropic-beta": "files-api-2025-04-14"}});
        let imagined = Imagined::from_json(request.to_string().as_bytes()).unwrap();
        let text = explain(&compiled, &imagined, Known::of_nothing(&Unwatched::of(&compiled), 0)).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        [0, 1, 2].map(|number| told["candidates"][number].clone())
    };
    let [invoke, converse, own] = candidates("global");
    assert_eq!(invoke["losses"], json!(["anthropic_beta", "inference_geo", "speed"]));
    assert_eq!(converse["losses"], json!(["anthropic_beta", "inference_geo", "speed"]));
    assert_eq!(own["losses"], json!([]), "as it came");
    let body = json!({"model": "m", "max_tokens": 9, "thinking": {"type": "adaptive"}, "messages": [{"role": "user", "content": "hi"}]});
    let mut unthinking = snapshot;
    for target in unthinking["models"][0]["route"][0]["to"].as_array_mut().unwrap() {
        target["capabilities"] = json!({"thinking": false});
    }
    let without = Compiled::from_json(unthinking.to_string().as_bytes()).unwrap();
    let imagined = Imagined::from_json(json!({"body": body}).to_string().as_bytes()).unwrap();
    let text = explain(&without, &imagined, Known::of_nothing(&Unwatched::of(&without), 0)).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert!(
        (0..3).all(|number| told["candidates"][number]["losses"] == json!(["thinking"])),
        "{told:#}"
    );
    let [invoke, _, own] = candidates("eu");
    let refusal = invoke["untranslatable"].as_str().unwrap();
    assert!(
        refusal.contains("inference_geo") && invoke["losses"].is_null(),
        "{refusal}"
    );
    assert_eq!(own["untranslatable"], Value::Null);
}

#[test]
fn what_cannot_be_imagined_is_said() {
    for (request, words) in [
        (json!({}), "needs a model"),
        (json!({"model": "nope"}), "no model 'nope'"),
        (json!({"model": "coder", "door": "back"}), "anthropic-messages"),
        (json!({"model": "coder", "task": "fun"}), "known are main"),
        (json!({"model": "coder", "body": []}), "not a JSON object"),
    ] {
        let problem = explained(&request).unwrap_err().to_string();
        assert!(problem.contains(words), "{problem}");
    }
    let told = explained(&json!({"model": "coder", "door": "gemini-count-tokens"})).unwrap();
    assert!(told["refusal"].as_str().unwrap().contains("anthropic"));
}
