//! What a call says of itself: in the headers of its response, in the metrics, in its record.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::money::{COST, dearer};
use crate::place::{KEY, Place, price, snapshot};
use crate::provider::{Act, Gate, MESSAGE, Provider, json as answer, stream, whole_stream};

const REQUEST: &str = r#"{"model":"m","max_tokens":5,"messages":[]}"#;
const STREAM: &str = r#"{"model":"m","max_tokens":5,"stream":true,"messages":[]}"#;

fn key_header() -> String {
    format!("authorization: Bearer {KEY}\r\n")
}

fn one() -> (Provider, Place) {
    let provider = Provider::always(answer(200, "x-airside-cost-usd: 9\r\n", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    (provider, place)
}

#[test]
fn a_response_says_where_it_came_from_and_what_it_cost() {
    let broken = Provider::always(answer(500, "", "{}"));
    let serving = Provider::always(answer(200, "x-airside-cost-usd: 9\r\n", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&broken, &serving]));
    let reply = place.post("/v1/messages", REQUEST);
    let record = &place.journal(1)[0];
    let told = |name: &str| reply.header(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
    assert_eq!(told("x-airside-request-id"), record["call_id"].as_str().unwrap());
    assert_eq!(told("x-airside-call-id"), told("x-airside-request-id"));
    assert_eq!(
        (told("x-airside-provider").as_str(), told("x-airside-model").as_str()),
        ("b", "real/b")
    );
    assert_eq!(told("x-airside-attempts"), "2");
    assert!(told("x-airside-route").contains(record["route_reason"].as_str().unwrap()));
    let cost: f64 = told("x-airside-cost-usd").parse().unwrap();
    assert_eq!(
        json!((cost * 1e9).round()),
        json!(record["cost_nanousd"].as_f64().unwrap()),
        "the provider said 9"
    );
    assert!(told("x-airside-overhead-ms").parse::<f64>().unwrap() < 1_000.0);
    assert_eq!(reply.header("x-airside-dropped"), None);
}

#[test]
fn a_record_says_why_the_model_stopped() {
    let said = r#"{"type":"message","stop_reason":"max_tokens","content":[],"usage":{"input_tokens":1,"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4}}}"#;
    let whole = Provider::always(answer(200, "", said));
    let place = Place::new(&snapshot("anthropic", &[&whole]));
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["finish_reason"], &record["reasoning_tokens"]),
        (&json!("max_tokens"), &json!(4))
    );
    let text = place.caller().get("/metrics", "").text();
    assert!(
        text.contains("tokens_total{model=\"m\",provider=\"a\",kind=\"reasoning\"} 4\n"),
        "{text}"
    );
}

#[test]
fn a_record_says_how_long_connecting_took_unless_a_connection_was_kept() {
    let (provider, place) = one();
    let mut caller = place.caller();
    for _ in 0..2 {
        assert_eq!(caller.post("/v1/messages", REQUEST).status, 200);
    }
    assert_eq!(provider.connections(), 1);
    let records = place.journal(2);
    let of_call = |at: usize| {
        (
            &records[at]["timings"]["connect_us"],
            &records[at]["attempts"][0]["connect_us"],
        )
    };
    let (first, attempt) = of_call(0);
    assert_eq!(first, attempt);
    let took_us = first.as_u64().unwrap();
    assert!((1..records[0]["timings"]["head_us"].as_u64().unwrap()).contains(&took_us));
    assert_eq!(of_call(1), (&json!(null), &json!(null)), "its connection was kept");
}

#[test]
fn a_refusal_says_who_it_is() {
    let (_provider, place) = one();
    let reply = place.post("/v1/messages", r#"{"model":"unheard of"}"#);
    assert_eq!((reply.status, reply.header("x-airside-attempts")), (404, Some("0")));
    let id = reply.header("x-airside-request-id").map(str::to_owned);
    assert_eq!(place.journal(1)[0]["call_id"].as_str().map(str::to_owned), id);
}

#[test]
fn a_stream_ends_with_its_cost_for_those_who_take_trailers() {
    let provider = Provider::always(stream(&whole_stream()));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    caller.send_with(
        "/v1/messages",
        &format!("{}te: trailers\r\n", key_header()),
        STREAM.as_bytes(),
    );
    caller.wait_for("\r\n0\r\nx-airside-cost-usd: 0.");
    assert!(caller.has_seen("trailer: x-airside-cost-usd\r\n"));
    let mut other = place.caller();
    other.send_with("/v1/messages", &key_header(), STREAM.as_bytes());
    let reply = other.reply();
    assert!(reply.is_whole && reply.header("trailer").is_none());
    assert_eq!(
        reply.header("x-airside-cost-usd"),
        None,
        "it is not known when a stream begins"
    );
}

#[test]
fn hostile_model_names_make_no_metrics() {
    let (_provider, place) = one();
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    let before = names_and_labels(&place);
    for number in 0..300 {
        let body = format!(r#"{{"model":"evil-{number}\"}} 1\n# HELP","max_tokens":5}}"#);
        let mut caller = place.caller();
        let key = key_header();
        let agent = format!("{key}user-agent: evil-{number}/1\r\nx-airside-task: evil-{number}\r\n");
        caller.send_with("/v1/messages", &agent, body.as_bytes());
        assert_eq!(caller.reply().status, 404);
    }
    let after = names_and_labels(&place);
    assert!(!after.iter().any(|series| series.contains("evil")), "{after:#?}");
    let new: Vec<&String> = after
        .difference(&before)
        .filter(|series| series.contains("calls_total"))
        .collect();
    assert_eq!(new.len(), 1, "{new:#?}");
    assert!(
        new[0].contains("model=\"other\",provider=\"none\"") && new[0].contains("outcome=\"refused\""),
        "{new:#?}"
    );
}

fn names_and_labels(place: &Place) -> BTreeSet<String> {
    let text = place.caller().get("/metrics", "").text();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
        .collect()
}

#[test]
fn the_reference_of_metrics_has_every_metric_with_its_type() {
    let (_provider, place) = one();
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    let text = place.caller().get("/metrics", "").text();
    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let served: BTreeSet<(&str, &str)> = typed.map(|line| line.split_once(' ').unwrap()).collect();
    let reference = include_str!("../../../../../docs/reference/metrics.md");
    let rows = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `airside_gateway_"));
    let written: BTreeSet<(String, String)> = rows
        .map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let name = format!("airside_gateway_{}", cells.next().unwrap().trim_end_matches('`'));
            (name, cells.next().unwrap().to_owned())
        })
        .collect();
    let served: BTreeSet<(String, String)> = served
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    assert_eq!(written, served);
}

#[test]
fn what_is_under_way_is_counted_while_it_is() {
    let (_provider, place) = one();
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    place.journal(1);
    let text = place.caller().get("/metrics", "").text();
    for gauge in [
        "calls_in_flight 0",
        "streams_in_flight 0",
        "held_nanousd 0",
        "journal_unfinished 0",
    ] {
        assert!(
            text.contains(&format!("\nairside_gateway_{gauge}\n")),
            "{gauge}: {text}"
        );
    }
    assert!(
        text.contains("airside_gateway_call_seconds_count{model=\"m\",provider=\"a\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("airside_gateway_provider_cooling{provider=\"a\"} 0\n"),
        "{text}"
    );
}

#[test]
fn waiting_for_the_words_of_a_failure_is_not_the_gateways_time() {
    let gate = Gate::default();
    let slow = Provider::always(vec![
        Act::Send(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n".to_vec()),
        Act::Wait(gate.clone()),
        Act::Send(b"{}".to_vec()),
    ]);
    let second = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&slow, &second]));
    let mut caller = place.caller();
    caller.send("/v1/messages", REQUEST.as_bytes());
    slow.wait_for_requests(1);
    let pause = Duration::from_millis(300);
    let began = Instant::now();
    while let Some(left) = pause.checked_sub(began.elapsed()) {
        std::thread::park_timeout(left);
    }
    gate.open();
    assert_eq!(caller.reply().status, 200);
    let timings = &place.journal(1)[0]["timings"];
    let of = |name: &str| timings[name].as_u64().unwrap();
    assert!(
        u128::from(of("total_us") - of("gateway_us")) >= pause.as_micros(),
        "{timings}"
    );
}

/// Bedrock, before a provider that serves any call.
fn bedrock_first(bedrock: &Provider, other: &Provider) -> serde_json::Value {
    let mut snapshot = snapshot("anthropic", &[bedrock, other]);
    snapshot["providers"][0]["vendor"] = json!("bedrock");
    snapshot["providers"][0]["region"] = json!("us-east-1");
    snapshot["models"][0]["route"][0]["to"][0]["model"] = json!("anthropic.claude-x");
    snapshot
}

#[test]
fn what_a_cloud_cannot_be_told_of_claudes_own_dialect_is_said_and_not_billed() {
    let cloud = Provider::always(answer(200, "", MESSAGE));
    let mut snapshot = bedrock_first(&cloud, &cloud);
    let mut price = price();
    price["service_tiers"] = json!({"fast": dearer(6)["tiers"]});
    snapshot["models"][0]["route"][0]["to"][0]["price"] = price;
    let place = Place::new(&snapshot);
    let mut caller = place.caller();
    let asked = r#"{"model":"m","max_tokens":5,"messages":[],"speed":"fast"}"#;
    let headers = key_header() + "anthropic-beta: fast-mode-2026-02-01\r\n";
    caller.send_with("/v1/messages", &headers, asked.as_bytes());
    let reply = caller.reply();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-airside-dropped"), Some("anthropic_beta,speed"));
    let sent = String::from_utf8(cloud.received()[0].body.clone()).unwrap();
    assert!(!sent.contains("fast"), "{sent}");
    let record = &place.journal(1)[0];
    let lost = json!([{"field": "anthropic_beta"}, {"field": "speed"}]);
    assert_eq!(record["translation"]["losses"], lost);
    assert_eq!(
        (&record["service_tier"], &record["cost_nanousd"]),
        (&json!(null), &json!(COST)),
        "it was not asked for the fast tier"
    );
}

#[test]
fn a_demand_on_where_data_lives_goes_to_a_provider_that_knows_it() {
    let cloud = Provider::always(answer(200, "", MESSAGE));
    let anthropic = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&bedrock_first(&cloud, &anthropic));
    let asked = r#"{"model":"m","max_tokens":5,"messages":[],"inference_geo":"eu"}"#;
    let reply = place.post("/v1/messages", asked);
    assert_eq!((reply.status, reply.header("x-airside-provider")), (200, Some("b")));
    assert_eq!(cloud.connections(), 0, "nothing was sent to Bedrock");
    let sent = String::from_utf8(anthropic.received()[0].body.clone()).unwrap();
    assert!(sent.contains(r#""inference_geo":"eu""#), "{sent}");
}

#[test]
fn claude_at_openrouter_keeps_its_cache_marks_and_other_models_lose_them_by_name() {
    let chat = r#"{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    for (model, dropped) in [("anthropic/claude-x", None), ("qwen/qwen4", Some("cache_control"))] {
        let provider = Provider::always(answer(200, "", chat));
        let mut snapshot = snapshot("openai-chat", &[&provider]);
        snapshot["providers"][0]["vendor"] = json!("openrouter");
        snapshot["models"][0]["route"][0]["to"][0]["model"] = json!(model);
        let place = Place::new(&snapshot);
        let reply = place.post(
            "/v1/messages",
            r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]}"#,
        );
        assert_eq!((reply.status, reply.header("x-airside-dropped")), (200, dropped));
        let sent = String::from_utf8(provider.received()[0].body.clone()).unwrap();
        assert_eq!(
            sent.contains(r#""cache_control":{"type":"ephemeral"}"#),
            dropped.is_none(),
            "{sent}"
        );
    }
}
