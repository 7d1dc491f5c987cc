//! Budgets at the door, and what is charged.

use serde_json::{Value, json};

use crate::place::{Place, snapshot};
use crate::provider::{Act, Gate, MESSAGE, Provider, json};

const REQUEST: &str = r#"{"model":"m","max_tokens":100,"messages":[]}"#;
/// What `MESSAGE` costs: 10 fresh, 4 cached, 3 out.
const COST: u64 = 10_000 + 400 + 6_000;

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
