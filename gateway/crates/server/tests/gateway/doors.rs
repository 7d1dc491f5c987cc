//! What comes in at the front doors, what goes out to a provider, and who is let in.

use serde_json::json;

use crate::caller::Caller;
use crate::place::{KEY, Place, snapshot, vector_key, vector_sha256};
use crate::provider::{MESSAGE, Provider, json as answer, stream};

const REQUEST: &str = r#"{"model":"m","max_tokens":5,"messages":[]}"#;

fn one() -> (Provider, Place) {
    let provider = Provider::always(answer(
        200,
        "request-id: req_1\r\nset-cookie: a=b\r\nx-echo: sk-a\r\n",
        MESSAGE,
    ));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    (provider, place)
}

#[test]
fn a_body_goes_through_byte_for_byte_but_for_the_model() {
    let (provider, place) = one();
    let odd = "\u{feff} {\"messages\" :[ {\"model\":\"m\",\"content\":\"\\u00e9\\/ é \\\"model\\\":\\\"m\\\"\"}],\r\n\t\"unknown\":1e400,\"model\" :\t\"m\" , \"max_tokens\":5 }\n ";
    assert_eq!(place.post("/v1/messages?beta=true", odd).status, 200);
    let received = &provider.received()[0];
    assert_eq!(received.line, "POST /v1/messages?beta=true HTTP/1.1");
    let expected = odd.replace("\"model\" :\t\"m\"", "\"model\" :\t\"real/a\"");
    assert_eq!(String::from_utf8_lossy(&received.body), expected);
}

#[test]
fn a_large_body_in_many_pieces_goes_through_byte_for_byte() {
    let (provider, place) = one();
    let text: String = (0..400_000)
        .map(|number: u32| char::from(b'a' + (number % 26) as u8))
        .collect();
    let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"max_tokens":5,"model":"m"}}"#);
    assert_eq!(place.post("/v1/messages", &body).status, 200);
    assert_eq!(
        provider.received()[0].body,
        body.replace("\"model\":\"m\"", "\"model\":\"real/a\"").into_bytes()
    );
}

#[test]
fn the_callers_key_stays_here_and_the_providers_goes_there() {
    let (provider, place) = one();
    let headers = format!(
        "authorization: Bearer {KEY}\r\nx-api-key: {KEY}\r\ncookie: c=1\r\nanthropic-beta: one,two\r\n\
         x-claude-code-session-id: s1\r\naccept-encoding: gzip\r\nx-airside-task: t\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\n"
    );
    let mut caller = place.caller();
    caller.send_with("/v1/messages", &headers, REQUEST.as_bytes());
    let reply = caller.reply();
    let received = &provider.received()[0];
    assert_eq!(received.header("x-api-key"), Some("sk-a"));
    assert_eq!(received.header("anthropic-beta"), Some("one,two"));
    assert_eq!(received.header("accept-encoding"), Some("identity"));
    for gone in ["authorization", "cookie", "x-airside-task", "x-hop"] {
        assert_eq!(received.header(gone), None, "{gone}");
    }
    assert!(!received.headers.iter().any(|(_, value)| value.contains(KEY)));
    assert_eq!(reply.header("request-id"), Some("req_1"));
    assert_eq!((reply.header("set-cookie"), reply.header("x-echo")), (None, None));
    assert_eq!(reply.text(), MESSAGE);
    let record = &place.journal(1)[0];
    assert_eq!(record["caller"]["harness_session"], "s1");
}

#[test]
fn nobody_is_let_in_without_a_key() {
    let (provider, place) = one();
    let mistyped = format!("{}x", &KEY[..KEY.len() - 1]);
    for header in [
        String::new(),
        "authorization: Bearer ' OR '1'='1\r\n".to_owned(),
        format!("authorization: Bearer {mistyped}\r\n"),
        "x-api-key: airs_e30.AAAA\r\n".to_owned(),
        format!("authorization: Basic {KEY}\r\n"),
    ] {
        let mut caller = place.caller();
        caller.send_with("/v1/messages", &header, REQUEST.as_bytes());
        let reply = caller.reply();
        assert_eq!(reply.status, 401, "{header}");
        assert_eq!(reply.json()["error"]["type"], "authentication_error");
        let mut caller = place.caller();
        caller.send_with("/v1/responses", &header, REQUEST.as_bytes());
        assert_eq!(caller.reply().json()["error"]["code"], "unauthenticated");
        assert_eq!(place.caller().get("/v1/models", &header).status, 401);
    }
    assert!(provider.received().is_empty());
}

#[test]
fn an_expired_key_is_refused() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let mut expired = snapshot("anthropic", &[&provider]);
    expired["keys"][0]["expires_at"] = "2020-01-01T00:00:00Z".into();
    assert_eq!(Place::new(&expired).post("/v1/messages", REQUEST).status, 401);
}

#[test]
fn refusals_are_in_the_dialect_of_the_door() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let mut limited = snapshot("anthropic", &[&provider]);
    limited["limits"] = json!({"max_body_bytes": 200});
    let route = limited["models"][0]["route"].clone();
    limited["models"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "other", "route": route}));
    limited["keys"][0]["models"] = json!(["m"]);
    let place = Place::new(&limited);
    let big = format!(r#"{{"model":"m","x":"{}"}}"#, "y".repeat(300));
    for (path, body, status, code) in [
        ("/v1/messages", "{", 400, "malformed_json"),
        ("/v1/messages", "{}", 400, "missing_model"),
        ("/v1/messages", r#"{"model":"m","model":"m"}"#, 400, "ambiguous_field"),
        ("/v1/messages", r#"{"model":"nope"}"#, 404, "unknown_model"),
        ("/v1/messages", r#"{"model":"other"}"#, 403, "model_not_allowed"),
        ("/v1/embeddings", r#"{"model":"m"}"#, 400, "wrong_family"),
        (
            "/v1beta/models/m:countTokens",
            r#"{"contents":[]}"#,
            404,
            "wrong_family",
        ),
        ("/v1/messages", big.as_str(), 413, "body_too_large"),
        ("/v1/nowhere", "{}", 404, "no_such_path"),
        ("/v1beta/models/m:batchEmbedContents", "{}", 404, "no_such_path"),
    ] {
        let reply = place.post(path, body);
        assert_eq!(reply.status, status, "{path} {body}");
        let error = reply.json();
        let said = if path.starts_with("/v1beta") {
            &error["error"]["details"][0]["reason"]
        } else {
            &error["error"]["code"]
        };
        assert_eq!(*said, code, "{path} {body}");
        assert_eq!(error["type"] == "error", path == "/v1/messages", "{path}");
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
    assert!(provider.received().is_empty());
    let records = place.journal(8);
    assert!(
        records
            .iter()
            .all(|record| record["outcome"] == "refused" && record["cost_nanousd"] == 0)
    );
}

#[test]
fn a_request_with_two_lengths_is_refused() {
    let (provider, place) = one();
    let mut caller = place.caller();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {KEY}\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    caller.raw(head.as_bytes());
    assert_eq!(caller.reply().status, 400);
    assert!(provider.received().is_empty());
}

#[test]
fn other_methods_and_websockets_are_turned_away_at_once() {
    let (_provider, place) = one();
    assert_eq!(place.caller().get("/v1/messages", "").status, 405);
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n";
    assert_eq!(place.caller().get("/v1/messages", upgrade).status, 426);
    let mut caller: Caller = place.caller();
    caller.raw(b"HEAD / HTTP/1.1\r\nhost: g\r\n\r\n");
    caller.wait_for("404");
}

#[test]
fn models_are_listed_in_the_shape_of_the_client() {
    let (_provider, place) = one();
    let key = format!("authorization: Bearer {KEY}\r\n");
    let openai = place.caller().get("/v1/models", &key).json();
    assert_eq!(
        (&openai["object"], &openai["data"][0]["id"]),
        (&json!("list"), &json!("m"))
    );
    let anthropic = place
        .caller()
        .get(
            "/v1/models?limit=1000",
            &format!("{key}anthropic-version: 2023-06-01\r\n"),
        )
        .json();
    assert_eq!(
        (&anthropic["data"][0]["type"], &anthropic["has_more"]),
        (&json!("model"), &json!(false))
    );
    assert_eq!(place.caller().get("/v1/models/m", &key).json()["id"], "m");
    assert_eq!(place.caller().get("/v1/models/n", &key).status, 404);
}

#[test]
fn counting_tokens_is_asked_of_the_first_target_and_costs_nothing() {
    let first = Provider::always(answer(
        404,
        "",
        r#"{"type":"error","error":{"type":"not_found_error","message":"theirs"}}"#,
    ));
    let second = Provider::always(answer(200, "", r#"{"input_tokens":3}"#));
    let place = Place::new(&snapshot("anthropic", &[&first, &second]));
    let reply = place.post("/v1/messages/count_tokens", r#"{"model":"m","messages":[]}"#);
    assert_eq!(
        (reply.status, reply.json()["error"]["message"].clone()),
        (404, json!("theirs"))
    );
    assert_eq!(first.received()[0].line, "POST /v1/messages/count_tokens HTTP/1.1");
    assert!(second.received().is_empty());
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["front_door"], &record["usage_source"], &record["cost_nanousd"]),
        (&json!("anthropic-count-tokens"), &json!("none"), &json!(0))
    );
}

#[test]
fn a_provider_without_a_credential_is_never_asked() {
    let (without, with) = (
        Provider::always(answer(200, "", MESSAGE)),
        Provider::always(answer(200, "", MESSAGE)),
    );
    let mut partly = snapshot("anthropic", &[&without, &with]);
    partly["providers"][0]["credential"] = json!({"kind": "bearer"});
    let place = Place::new(&partly);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    assert!(without.received().is_empty());
    assert_eq!(
        crate::place::attempts(&place.journal(1)[0]),
        ["a skipped no_credential", "b answered -"]
    );
}

#[test]
fn a_new_snapshot_file_is_taken_and_a_bad_one_is_not() {
    let (provider, place) = one();
    let mut next = snapshot("anthropic", &[&provider]);
    next["version"] = 2.into();
    next["models"][0]["name"] = "renamed".into();
    place.write_snapshot(&next);
    place.wait_until_ready_says(|state| state["snapshot_version"] == 2);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 404);
    next["format"] = 99.into();
    place.write_snapshot(&next);
    place.wait_until_ready_says(|state| {
        state["snapshot_refused"]
            .as_str()
            .is_some_and(|why| why.contains("format 99"))
    });
    assert_eq!(
        place
            .post("/v1/messages", r#"{"model":"renamed","max_tokens":5}"#)
            .status,
        200
    );
}

#[test]
fn nobody_goes_on_from_an_answer_that_was_given_to_another() {
    let stored = r#"{"id":"resp_1","object":"response","status":"completed","output":[]}"#;
    let provider = Provider::new(vec![
        answer(200, "", stored),
        answer(200, "", stored),
        stream(
            "event: response.created\ndata: {\"response\":{\"id\":\"resp_2\"}}\n\n\
             event: response.completed\ndata: {\"response\":{\"id\":\"resp_2\"}}\n\n",
        ),
        answer(200, "", stored),
    ]);
    let mut shared = snapshot("openai-responses", &[&provider]);
    let mut other = shared["keys"][0].clone();
    (other["key_id"], other["sha256"]) = ("key_2".into(), vector_sha256(1).into());
    shared["keys"].as_array_mut().unwrap().push(other);
    let place = Place::new(&shared);
    let asked = |key: &str, more: &str| {
        let body = format!(r#"{{"model":"m","input":"hi"{more}}}"#);
        let mut caller = place.caller();
        caller.send_with(
            "/v1/responses",
            &format!("authorization: Bearer {key}\r\n"),
            body.as_bytes(),
        );
        caller.reply()
    };
    let refused = |key: &str, more: &str, code: &str| {
        let reply = asked(key, more);
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (400, &code.into()),
            "{more}"
        );
    };
    let (first, second) = (vector_key(0), vector_key(1));
    let of_first = r#","previous_response_id":"resp_1""#;
    refused(&first, of_first, "previous_response_not_found");
    assert_eq!(asked(&first, r#","previous_response_id":null"#).status, 200);
    refused(&second, of_first, "previous_response_not_found");
    assert_eq!(asked(&first, of_first).status, 200);
    assert_eq!(asked(&second, r#","stream":true"#).status, 200);
    refused(
        &first,
        r#","previous_response_id":"resp_2""#,
        "previous_response_not_found",
    );
    refused(&first, r#","conversation":"conv_1""#, "conversation_unsupported");
    for foreign in [
        r#","previous\u005fresponse_id":"resp_2""#,
        r#","Previous_Response_Id":"resp_2""#,
        r#","previous_response_id":"resp_2","previous_response_id":"resp_1""#,
        r#","previous_response_id":["resp_1"]"#,
    ] {
        let reply = asked(&first, foreign);
        assert_eq!(reply.status, 400, "{foreign}");
    }
    assert_eq!(asked(&first, r#","\u0063onversation":"conv_1""#).status, 400);
    assert_eq!(asked(&second, r#","previous_response_id":"resp_2""#).status, 200);
    assert_eq!(provider.received().len(), 4);
}
