//! Budgets at the door, and what is charged.

use serde_json::{Value, json};

use crate::place::{Place, snapshot};
use crate::provider::{Act, Gate, MESSAGE, Provider, json, stream};

const REQUEST: &str = r#"{"model":"m","max_tokens":100,"messages":[]}"#;
/// What `MESSAGE` costs: 10 fresh, 4 cached, 3 out.
pub(crate) const COST: u64 = 10_000 + 400 + 6_000;

/// The most that `REQUEST` can cost: one token a byte and the preamble at the dearer input price, and its output.
fn bound() -> u64 {
    (REQUEST.len() as u64 + 2_000) * 1_000 + 100 * 2_000
}

fn capped(provider: &Provider, limit: u64) -> Value {
    let mut snapshot = snapshot("anthropic", &[provider]);
    snapshot["budgets"] =
        json!([{"budget_id": "b", "scope": "agent", "scope_id": "agent_1", "limit_nanousd": limit, "window": "total"}]);
    snapshot
}

#[test]
fn a_call_is_charged_what_it_cost_and_the_rest_is_free_again() {
    let provider = Provider::always(json(200, "", MESSAGE));
    let place = Place::new(&capped(&provider, bound() + 2 * COST));
    for _ in 0..3 {
        assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    }
    let refused = place.post("/v1/messages", REQUEST);
    assert_eq!(
        (refused.status, refused.json()["error"]["type"].clone()),
        (402, json!("billing_error"))
    );
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("agent 'fixer'") && message.contains("in all"),
        "{message}"
    );
    let records = place.journal(4);
    for record in &records[..3] {
        assert_eq!(
            (&record["cost_nanousd"], &record["hold_nanousd"]),
            (&json!(COST), &json!(bound()))
        );
        assert_eq!(
            record["charges"],
            json!([{"scope": "agent:agent_1", "window_start": 0, "nanousd": COST}])
        );
    }
    assert_eq!(
        (&records[3]["outcome"], &records[3]["error_code"]),
        (&json!("refused"), &json!("budget_exceeded"))
    );
    assert_eq!(provider.received().len(), 3);
}

#[test]
fn calls_at_the_same_time_never_pass_the_cap() {
    let gate = Gate::default();
    let provider = Provider::always([vec![Act::Wait(gate.clone())], json(200, "", MESSAGE)].concat());
    let place = Place::new(&capped(&provider, 5 * bound() + bound() / 2));
    let mut callers: Vec<_> = (0..40).map(|_| place.caller()).collect();
    for caller in &mut callers {
        caller.send("/v1/messages", REQUEST.as_bytes());
    }
    provider.wait_for_requests(5);
    // Room is made by a settled call, rightly: all others must have been refused before the first one settles.
    assert_eq!(place.journal(35).len(), 35);
    gate.open();
    let answered = callers
        .iter_mut()
        .map(crate::caller::Caller::reply)
        .filter(|reply| reply.status == 200)
        .count();
    assert_eq!((answered, provider.received().len()), (5, 5));
    let spent: u64 = place
        .journal(40)
        .iter()
        .map(|record| record["cost_nanousd"].as_u64().unwrap())
        .sum();
    assert_eq!(spent, 5 * COST);
}

#[test]
fn what_was_spent_is_remembered_over_a_restart() {
    let provider = Provider::always(json(200, "", MESSAGE));
    let mut place = Place::new(&capped(&provider, bound() + COST));
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    place.restart(None);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    place.restart(None);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 402);
    let sequences: Vec<_> = place
        .journal(3)
        .iter()
        .map(|record| record["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
}

#[test]
fn a_target_without_a_price_is_refused_or_billed_at_the_ceiling() {
    let provider = Provider::always(json(200, "", MESSAGE));
    let mut unpriced = snapshot("anthropic", &[&provider]);
    unpriced["models"][0]["route"][0]["to"][0]["price"] = Value::Null;
    let refused = Place::new(&unpriced).post("/v1/messages", REQUEST);
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].clone()),
        (400, json!("unknown_price"))
    );
    unpriced["unknown_price"] = json!({"policy": "ceiling", "ceiling": crate::place::price()});
    let place = Place::new(&unpriced);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    assert_eq!(place.journal(1)[0]["cost_nanousd"], COST);
}

#[test]
fn a_failed_call_costs_nothing_and_holds_nothing() {
    let provider = Provider::new(vec![json(500, "", "{}"), json(200, "", MESSAGE)]);
    let place = Place::new(&capped(&provider, bound()));
    assert_eq!(place.post("/v1/messages", REQUEST).status, 500);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    assert_eq!(
        place.journal(2)[0]["charges"],
        json!([{"scope": "agent:agent_1", "window_start": 0, "nanousd": 0}])
    );
}

#[test]
fn stopping_settles_what_is_under_way() {
    let provider = Provider::always(vec![Act::Silence]);
    let mut place = Place::new(&capped(&provider, 10 * bound()));
    let mut caller = place.caller();
    caller.send("/v1/messages", REQUEST.as_bytes());
    provider.wait_for_requests(1);
    place.stop();
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["outcome"], &record["usage_source"]),
        (&json!("cancelled"), &json!("estimated"))
    );
}

/// The price of `price()`, dearer by a factor.
pub(crate) fn dearer(factor: u64) -> Value {
    let tier = |price: u64| json!(price * factor * 1_000_000);
    json!({"tiers": [{"input_uncached": tier(1_000), "cache_read": tier(100), "cache_write_5m": tier(1_000),
                      "cache_write_1h": tier(2_000), "output": tier(2_000)}]})
}

fn budget(scope: &str, id: &str, limit: u64) -> Value {
    json!({"budget_id": format!("{scope} {id}"), "scope": scope, "scope_id": id, "limit_nanousd": limit, "window": "total"})
}

/// A snapshot whose key belongs to a user and a team.
fn of_a_team(providers: &[&Provider]) -> Value {
    let mut snapshot = snapshot("anthropic", providers);
    snapshot["keys"][0]["user"] = json!("ann");
    snapshot["keys"][0]["team"] = json!("core");
    snapshot
}

#[test]
fn every_scope_of_a_call_is_charged_and_the_narrowest_refuses() {
    let provider = Provider::always(json(200, "", MESSAGE));
    let mut snapshot = of_a_team(&[&provider]);
    let wide = 100 * bound();
    let scopes = [
        "project:payments",
        "team:core",
        "user:ann",
        "agent:agent_1",
        "model:m",
        "provider:a",
    ];
    for narrow in scopes {
        let budgets = scopes.iter().map(|scope| {
            let (kind, id) = scope.split_once(':').unwrap();
            budget(kind, id, if *scope == narrow { bound() } else { wide })
        });
        snapshot["budgets"] = budgets.collect();
        let place = Place::new(&snapshot);
        assert_eq!(place.post("/v1/messages", REQUEST).status, 200, "{narrow}");
        let refused = place.post("/v1/messages", REQUEST);
        assert_eq!(refused.status, 402, "{narrow}");
        let records = place.journal(2);
        let charges: Vec<&str> = records[0]["charges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|charge| charge["scope"].as_str().unwrap())
            .collect();
        assert_eq!(charges, scopes, "{narrow}");
        assert!(
            records[0]["charges"]
                .as_array()
                .unwrap()
                .iter()
                .all(|charge| charge["nanousd"] == COST)
        );
        assert_eq!(records[1]["charges"], json!([]));
    }
}

#[test]
fn a_provider_whose_budget_is_spent_is_passed_over() {
    let (first, second) = (
        Provider::always(json(200, "", MESSAGE)),
        Provider::always(json(200, "", MESSAGE)),
    );
    let mut snapshot = snapshot("anthropic", &[&first, &second]);
    snapshot["budgets"] = json!([budget("provider", "a", bound()), budget("provider", "b", 10 * bound())]);
    let place = Place::new(&snapshot);
    for _ in 0..2 {
        assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    }
    assert_eq!((first.received().len(), second.received().len()), (1, 1));
    let records = place.journal(2);
    assert_eq!(
        records[0]["charges"],
        json!([{"scope": "provider:a", "window_start": 0, "nanousd": COST}, {"scope": "provider:b", "window_start": 0, "nanousd": 0}])
    );
    assert_eq!(
        crate::place::attempts(&records[1]),
        ["a skipped budget", "b answered -"]
    );
}

#[test]
fn a_fallback_that_is_too_dear_is_left_out_rather_than_the_call_refused() {
    let (first, second) = (
        Provider::new(vec![json(500, "", "{}"), json(200, "", MESSAGE)]),
        Provider::always(json(200, "", MESSAGE)),
    );
    let mut snapshot = snapshot("anthropic", &[&first, &second]);
    snapshot["models"][0]["route"][0]["to"][1]["price"] = dearer(100);
    snapshot["budgets"] = json!([budget("agent", "agent_1", 2 * bound())]);
    let place = Place::new(&snapshot);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 500);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    assert!(second.received().is_empty());
    assert_eq!(place.journal(2)[1]["hold_nanousd"], bound());
}

#[test]
fn a_budget_turns_a_call_to_a_cheaper_model_and_says_so() {
    let (dear, cheap) = (
        Provider::always(json(200, "", MESSAGE)),
        Provider::always(json(200, "", MESSAGE)),
    );
    let mut snapshot = snapshot("anthropic", &[&dear, &cheap]);
    let mut targets = snapshot["models"][0]["route"][0]["to"].take();
    targets[0]["price"] = dearer(100);
    snapshot["models"] =
        json!([{"name": "m", "route": [{"to": [targets[0]]}]}, {"name": "small", "route": [{"to": [targets[1]]}]}]);
    snapshot["keys"][0]["models"] = json!(["m"]);
    snapshot["budgets"] = json!([{"budget_id": "b", "scope": "agent", "scope_id": "agent_1", "window": "total",
        "limit_nanousd": bound() + COST, "on_limit": "downgrade", "downgrade_to": "small"}, budget("model", "small", 100 * bound())]);
    let place = Place::new(&snapshot);
    let answer = place.post("/v1/messages", REQUEST);
    assert_eq!(
        (answer.status, cheap.received().len(), dear.received().len()),
        (200, 1, 0)
    );
    assert!(
        answer
            .header("x-airside-downgraded")
            .unwrap()
            .starts_with("small; budget of agent 'fixer'")
    );
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    let refused = place.post("/v1/messages", REQUEST);
    assert_eq!(refused.status, 402, "the cheaper one is not covered either");
    let record = &place.journal(3)[0];
    assert_eq!(
        (&record["model"], &record["downgraded_to"]),
        (&json!("m"), &json!("small"))
    );
    assert_eq!(
        record["charges"][1],
        json!({"scope": "model:small", "window_start": 0, "nanousd": COST})
    );
}

#[test]
fn a_budget_warns_once() {
    let provider = Provider::always(json(200, "", MESSAGE));
    let mut snapshot = capped(&provider, 100 * bound());
    snapshot["budgets"][0]["warn_at_nanousd"] = json!(COST);
    let place = Place::new(&snapshot);
    let warning = || {
        place
            .post("/v1/messages", REQUEST)
            .header("x-airside-budget-warning")
            .map(str::to_owned)
    };
    assert_eq!(warning(), None);
    let said = warning().unwrap();
    assert!(said.contains("spent of agent 'fixer'"), "{said}");
    assert_eq!(warning(), None);
}

#[test]
fn a_service_tier_that_the_answer_names_is_billed() {
    let answer = MESSAGE.replace(
        r#""usage":{"#,
        r#""usage":{"service_tier":"priority","server_tool_use":{"web_search_requests":2},"#,
    );
    let provider = Provider::always(json(200, "", &answer));
    let mut snapshot = snapshot("anthropic", &[&provider]);
    let mut price = crate::place::price();
    price["service_tiers"] = json!({"priority": dearer(3)["tiers"]});
    price["tool_fees"] = json!({"web_search": 10_000_000_000_u64});
    snapshot["models"][0]["route"][0]["to"][0]["price"] = price;
    let place = Place::new(&snapshot);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["cost_nanousd"], &record["service_tier"]),
        (&json!(3 * COST + 20_000_000), &json!("priority"))
    );
    assert_eq!(
        record["server_tools"],
        json!([{"tool": "web_search", "count": 2, "nanousd": 20_000_000}])
    );
}

#[test]
fn a_long_conversation_is_held_at_its_known_size() {
    let usage = r#""usage":{"input_tokens":30000,"output_tokens":3}"#;
    let answer = MESSAGE
        .split_once(r#""usage":"#)
        .map(|(start, _)| format!("{start}{usage}}}"))
        .unwrap();
    let provider = Provider::always(json(200, "", &answer));
    let mut snapshot = capped(&provider, 260_000_000);
    snapshot["models"][0]["route"][0]["to"][0]["max_output_tokens"] = json!(100);
    let place = Place::new(&snapshot);
    let messages: Vec<Value> = (0..1_500)
        .map(|at| json!({"role": "user", "content": [{"type": "text", "text": format!("turn {at} {}", "word ".repeat(20))}]}))
        .collect();
    let body = json!({"model": "m", "max_tokens": 100, "messages": messages}).to_string();
    assert!(body.len() > 200_000);
    let post = |session: &str| {
        let mut caller = place.caller();
        let headers = format!(
            "authorization: Bearer {}\r\nx-claude-code-session-id: {session}\r\n",
            crate::place::KEY
        );
        caller.send_with("/v1/messages", &headers, body.as_bytes());
        caller.reply().status
    };
    assert_eq!(post("s1"), 200, "by its bytes it just fits");
    assert_eq!(post("s2"), 402, "by its bytes it fits no more");
    assert_eq!([post("s1"), post("s1")], [200, 200], "what is known of it fits");
    let records = place.journal(4);
    assert!(records[2]["hold_nanousd"].as_u64().unwrap() < records[0]["hold_nanousd"].as_u64().unwrap() / 5);
    assert_eq!(records[2]["cost_nanousd"], 30_000 * 1_000 + 3 * 2_000);
}

fn rate_limit(fields: &Value) -> Value {
    let mut limit = json!({"scope": "agent", "scope_id": "agent_1", "window": "minute"});
    limit
        .as_object_mut()
        .unwrap()
        .append(&mut fields.as_object().unwrap().clone());
    limit
}

#[test]
fn a_call_that_comes_too_fast_is_told_when_to_come_again() {
    let provider = Provider::always(json(200, "", MESSAGE));
    let mut snapshot = snapshot("anthropic", &[&provider]);
    snapshot["rate_limits"] = json!([rate_limit(&json!({"requests": 2, "tokens": 1_000_000}))]);
    let place = Place::new(&snapshot);
    assert_eq!(
        [
            place.post("/v1/messages", REQUEST).status,
            place.post("/v1/messages", REQUEST).status
        ],
        [200, 200]
    );
    let limited = place.post("/v1/messages", REQUEST);
    assert_eq!(
        (limited.status, limited.json()["error"]["type"].clone()),
        (429, json!("rate_limit_error"))
    );
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(limited.header("anthropic-ratelimit-requests-limit"), Some("2"));
    assert_eq!(limited.header("anthropic-ratelimit-requests-remaining"), Some("0"));
    assert!(limited.header("anthropic-ratelimit-tokens-remaining").is_some());
    assert!(
        limited
            .header("anthropic-ratelimit-requests-reset")
            .unwrap()
            .ends_with('Z')
    );
    let message = limited.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("agent 'fixer' is reached: 2 calls per minute"),
        "{message}"
    );
    assert_eq!(place.journal(3)[2]["error_code"], "rate_limited");
}

#[test]
fn calls_at_once_are_limited_and_a_cut_one_makes_room() {
    let provider = Provider::new(vec![vec![Act::Silence], json(200, "", MESSAGE)]);
    let mut snapshot = snapshot("anthropic", &[&provider]);
    snapshot["rate_limits"] = json!([rate_limit(&json!({"concurrent": 1}))]);
    let place = Place::new(&snapshot);
    let mut caller = place.caller();
    caller.send("/v1/messages", REQUEST.as_bytes());
    provider.wait_for_requests(1);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 429);
    drop(caller);
    assert_eq!(place.journal(2).len(), 2);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
}

#[test]
fn a_provider_that_is_called_too_fast_is_passed_over() {
    let (first, second) = (
        Provider::always(json(200, "", MESSAGE)),
        Provider::always(json(200, "", MESSAGE)),
    );
    let mut snapshot = snapshot("anthropic", &[&first, &second]);
    snapshot["rate_limits"] = json!([rate_limit(
        &json!({"scope": "provider", "scope_id": "a", "requests": 1})
    )]);
    let place = Place::new(&snapshot);
    for _ in 0..2 {
        assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    }
    assert_eq!((first.received().len(), second.received().len()), (1, 1));
    assert_eq!(
        crate::place::attempts(&place.journal(2)[1]),
        ["a skipped rate_limit", "b answered -"]
    );
}

#[test]
fn thought_that_nobody_counts_is_charged_as_the_most_it_can_be() {
    let said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"42\"}}]}\n\n\
                data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let provider = Provider::always(stream(said));
    let place = Place::new(&snapshot("openai-chat", &[&provider]));
    let asked = |more: &str| {
        let request = format!(r#"{{"model":"m","stream":true,"max_completion_tokens":600,"messages":[]{more}}}"#);
        assert_eq!(place.post("/v1/chat/completions", &request).status, 200);
    };
    asked("");
    asked(r#","reasoning_effort":"none""#);
    asked(r#","reasoning_effort":"high""#);
    let outputs: Vec<Value> = place
        .journal(3)
        .iter()
        .map(|record| record["usage"]["output"].clone())
        .collect();
    assert_eq!(outputs, [json!(1), json!(1), json!(600)]);
}

#[test]
fn a_picture_that_nobody_counts_is_charged_as_the_most_it_can_be() {
    let said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"42\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let provider = Provider::always(stream(said));
    let place = Place::new(&snapshot("openai-chat", &[&provider]));
    let picture = r#"{"type":"image_url","image_url":{"url":"https://example.test/a.png"}}"#;
    let request =
        format!(r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":[{picture},{picture}]}}]}}"#);
    assert_eq!(place.post("/v1/chat/completions", &request).status, 200);
    let record = &place.journal(1)[0];
    assert_eq!(record["usage"]["input_uncached"], 2 * 6_000);
}
