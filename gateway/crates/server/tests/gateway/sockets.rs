//! Responses over WebSocket: the dialect, what reaches the provider, and what is a breach.

use serde_json::{Value, json};

use crate::frames::{CLOSE, PING, PONG, Socket, TEXT, masked, upgrade, usual};
use crate::place::{KEY, Place, attempts, snapshot};
use crate::provider::{Act, Gate, Provider, chunk, end, events_head, json as answer, stream};

const CREATE: &str =
    r#"{"type":"response.create","model":"m","store":false,"input":[{"type":"message","role":"user","content":"a"}]}"#;

fn said(id: &str, text: &str) -> String {
    let item = json!({"type": "message", "id": format!("msg_{id}"), "role": "assistant",
                      "content": [{"type": "output_text", "text": text}]});
    let response = json!({"id": id, "object": "response", "status": "completed", "output": [item],
                          "usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}});
    let events = [
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": id, "status": "in_progress"}}),
        json!({"type": "response.output_text.delta", "sequence_number": 1, "delta": text}),
        json!({"type": "response.output_item.done", "sequence_number": 2, "output_index": 0, "item": item}),
        json!({"type": "response.completed", "sequence_number": 3, "response": response}),
    ];
    let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(event).collect()
}

fn place_of(providers: &[&Provider]) -> Place {
    Place::new(&snapshot("openai-responses", providers))
}

fn continuing(id: &str, content: &str) -> String {
    json!({"type": "response.create", "model": "m", "store": false, "previous_response_id": id,
           "input": [{"type": "message", "role": "user", "content": content}]})
    .to_string()
}

fn input_of(provider: &Provider, number: usize) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&provider.received()[number].body).unwrap();
    assert_eq!((&body["stream"], &body["model"]), (&json!(true), &json!("real/a")));
    for gone in ["type", "previous_response_id", "generate"] {
        assert_eq!(body.get(gone), None, "{body}");
    }
    body["input"].as_array().unwrap().clone()
}

#[test]
fn each_create_is_a_call_and_the_socket_remembers_what_was_said() {
    let provider = Provider::new(vec![stream(&said("resp_1", "one")), stream(&said("resp_2", "two"))]);
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    socket.text(CREATE);
    let kinds: Vec<_> = socket.answer().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.output_text.delta",
            "response.output_item.done",
            "response.completed"
        ]
    );
    socket.text(&continuing("resp_1", "b"));
    assert_eq!(socket.answer().last().unwrap()["response"]["id"], "resp_2");
    let received = &provider.received()[0];
    assert_eq!(received.line, "POST /v1/responses HTTP/1.1");
    assert_eq!(received.header("session-id"), Some("s1"));
    for gone in [
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "openai-beta",
        "authorization",
    ] {
        assert_eq!(received.header(gone), None, "{gone}");
    }
    let contents: Vec<_> = input_of(&provider, 1)
        .iter()
        .map(|item| item["content"].clone())
        .collect();
    assert_eq!(
        contents,
        [json!("a"), json!([{"type": "output_text", "text": "one"}]), json!("b")]
    );
    let records = place.journal(2);
    assert!(
        records
            .iter()
            .all(|record| record["outcome"] == "completed" && record["usage"]["output"] == 2)
    );
    assert_eq!(records[0]["caller"]["harness_session"], "s1");
}

#[test]
fn a_prewarm_asks_nobody_and_can_be_continued() {
    let provider = Provider::always(stream(&said("resp_1", "one")));
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    socket.text(&CREATE.replace(r#""store":false"#, r#""store":false,"generate":false"#));
    let events = socket.answer();
    let id = events[1]["response"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&events[0]["type"], &events[1]["type"]),
        (&json!("response.created"), &json!("response.completed"))
    );
    assert!(provider.received().is_empty());
    socket.text(&continuing(&id, "b"));
    socket.answer();
    let contents: Vec<_> = input_of(&provider, 0)
        .iter()
        .map(|item| item["content"].clone())
        .collect();
    assert_eq!(contents, ["a", "b"]);
    assert_eq!(place.journal(1).len(), 1);
}

#[test]
fn a_response_of_another_socket_is_unknown_here() {
    let provider = Provider::always(stream(&said("resp_1", "one")));
    let place = place_of(&[&provider]);
    let (mut mine, mut other) = (Socket::open(&place), Socket::open(&place));
    mine.text(CREATE);
    mine.answer();
    other.text(&continuing("resp_1", "b"));
    let error = other.event();
    assert_eq!(
        (&error["type"], &error["status"], &error["error"]["code"]),
        (&json!("error"), &json!(400), &json!("previous_response_not_found"))
    );
    other.text(CREATE);
    assert_eq!(other.answer().last().unwrap()["type"], "response.completed");
    assert_eq!(provider.received().len(), 2);
}

#[test]
fn a_failed_call_leaves_the_conversation_as_it_was() {
    let error = r#"{"error":{"message":"theirs","type":"invalid_request_error","code":"bad"}}"#;
    let scripts = vec![
        stream(&said("resp_1", "one")),
        answer(400, "", error),
        stream(&said("resp_2", "two")),
    ];
    let provider = Provider::new(scripts);
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    socket.text(CREATE);
    socket.answer();
    socket.text(&continuing("resp_1", "b"));
    let error = socket.event();
    assert_eq!(
        (&error["status"], &error["error"]["message"]),
        (&json!(400), &json!("theirs"))
    );
    assert!(
        error["headers"]["x-airside-call-id"]
            .as_str()
            .unwrap()
            .starts_with("call_")
    );
    socket.text(&continuing("resp_1", "c"));
    socket.answer();
    assert_eq!(input_of(&provider, 2).len(), 3);
}

#[test]
fn refusals_and_faults_are_events_with_a_status() {
    let cut = vec![events_head(), chunk(&said("resp_1", "one")[..260]), Act::Close];
    let provider = Provider::always(cut);
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    for (text, status, code) in [
        ("nonsense", 400, "malformed_json"),
        (r#"{"type":"response.create","input":[]}"#, 400, "missing_model"),
        (
            r#"{"type":"response.create","model":"nope","input":[]}"#,
            404,
            "unknown_model",
        ),
        (
            r#"{"type":"response.create","model":"m","background":true}"#,
            400,
            "background_unsupported",
        ),
        (
            r#"{"type":"response.create","model":"m","Stream":false}"#,
            400,
            "ambiguous_field",
        ),
        (r#"{"type":"response.cancel"}"#, 400, "unsupported_event"),
    ] {
        socket.text(text);
        let error = socket.event();
        assert_eq!(
            (&error["status"], &error["error"]["code"]),
            (&json!(status), &json!(code)),
            "{text}"
        );
    }
    socket.text(CREATE);
    let events = socket.answer();
    let error = events.last().unwrap();
    assert_eq!(
        (&error["status"], &error["error"]["code"]),
        (&json!(502), &json!("provider_cut")),
        "{events:?}"
    );
    let record = place.journal(5).pop().unwrap();
    assert_eq!(record["outcome"], "cut");
}

#[test]
fn a_call_still_falls_back_to_another_provider() {
    let (first, second) = (
        Provider::always(answer(503, "", "{}")),
        Provider::always(stream(&said("resp_1", "one"))),
    );
    let place = place_of(&[&first, &second]);
    let mut socket = Socket::open(&place);
    socket.text(CREATE);
    assert_eq!(socket.answer().last().unwrap()["type"], "response.completed");
    assert_eq!(
        attempts(&place.journal(1)[0]),
        ["a failed server_error", "b answered -"]
    );
}

#[test]
fn an_answer_that_came_as_one_document_is_told_as_events() {
    let document = json!({"id": "resp_1", "object": "response", "status": "completed",
                          "output": [{"type": "message", "content": []}], "usage": {"input_tokens": 1, "output_tokens": 1}});
    let provider = Provider::always(answer(200, "", &document.to_string()));
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    socket.text(CREATE);
    let events = socket.answer();
    assert_eq!(events[0]["item"]["type"], "message");
    assert_eq!(events[1]["response"], document);
    socket.text(&continuing("resp_1", "b"));
    socket.answer();
    assert_eq!(input_of(&provider, 1).len(), 3);
}

/// The bridge, the translation and the summary together: what is gone on from is the summary alone.
#[test]
fn a_conversation_is_compacted_over_a_socket_by_a_model_of_another_family() {
    let chat = |text: &str| {
        let chunks = [
            json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}),
        ];
        stream(
            &chunks
                .iter()
                .map(|chunk| format!("data: {chunk}\n\n"))
                .chain(["data: [DONE]\n\n".to_owned()])
                .collect::<String>(),
        )
    };
    let provider = Provider::new(vec![chat("one"), chat("the summary"), chat("on we go")]);
    let place = Place::new(&snapshot("openai-chat", &[&provider]));
    let mut socket = Socket::open(&place);
    let id_of = |events: &[Value]| events.last().unwrap()["response"]["id"].as_str().unwrap().to_owned();
    socket.text(CREATE);
    let first = id_of(&socket.answer());
    let trigger = json!({"type": "response.create", "model": "m", "store": false, "previous_response_id": first,
                         "input": [{"type": "compaction_trigger"}]});
    socket.text(&trigger.to_string());
    let compacted = socket.answer();
    let kinds: Vec<&str> = compacted
        .iter()
        .filter_map(|event| event["item"]["type"].as_str())
        .collect();
    assert_eq!(kinds, ["compaction", "compaction"], "added and done");
    socket.text(&continuing(&id_of(&compacted), "b"));
    socket.answer();
    let body: Value = serde_json::from_slice(&provider.received()[2].body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2, "{body}");
    assert!(messages[0]["content"].as_str().unwrap().ends_with("the summary"));
    assert_eq!(messages[1]["content"], "b");
}

#[test]
fn a_socket_that_closes_cancels_its_call() {
    let provider = Provider::always(vec![events_head(), chunk(&said("resp_1", "one")[..260]), Act::Silence]);
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    socket.text(CREATE);
    assert_eq!(socket.event()["type"], "response.created");
    socket.frame(0x80 | CLOSE, &1000_u16.to_be_bytes());
    provider.wait_for_hang_ups(1);
    assert_eq!(place.journal(1)[0]["outcome"], "cancelled");
    let mut dropped = Socket::open(&place);
    dropped.text(CREATE);
    dropped.event();
    drop(dropped);
    provider.wait_for_hang_ups(2);
}

#[test]
fn pings_are_answered_and_requests_wait_while_an_answer_goes_out() {
    let gate = Gate::default();
    let first = said("resp_1", "one");
    let (head, tail) = first.split_at(first.find("event: response.output_item").unwrap());
    let script = vec![events_head(), chunk(head), Act::Wait(gate.clone()), chunk(tail), end()];
    let provider = Provider::new(vec![script, stream(&said("resp_2", "two"))]);
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    socket.text(CREATE);
    socket.event();
    socket.event();
    socket.text(&continuing("resp_1", "b"));
    socket.frame(0x80 | PING, b"are you there");
    assert_eq!(socket.next(), Some((0x80 | PONG, b"are you there".to_vec())));
    gate.open();
    assert_eq!(socket.answer().last().unwrap()["response"]["id"], "resp_1");
    assert_eq!(socket.answer().last().unwrap()["response"]["id"], "resp_2");
}

#[test]
fn a_message_may_come_in_pieces_with_a_ping_between() {
    let provider = Provider::always(stream(&said("resp_1", "one")));
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    let (start, rest) = CREATE.as_bytes().split_at(30);
    socket.frame(TEXT, start);
    socket.frame(0x80 | PING, b"");
    socket.frame(0, &rest[..10]);
    socket.frame(0x80, &rest[10..]);
    assert_eq!(socket.next().unwrap().0, 0x80 | PONG);
    assert_eq!(socket.answer().last().unwrap()["type"], "response.completed");
}

#[test]
fn a_breach_of_the_protocol_closes_the_socket_with_its_code() {
    let provider = Provider::always(stream(&said("resp_1", "one")));
    let mut small = snapshot("openai-responses", &[&provider]);
    small["limits"] = json!({"max_body_bytes": 2000});
    let place = Place::new(&small);
    let mut unmasked = vec![0x80 | TEXT, 2];
    unmasked.extend(b"{}");
    let half = [masked(TEXT, &[b'x'; 1500]), masked(0x80, &[b'x'; 1500])].concat();
    let many = masked(0x80 | TEXT, CREATE.as_bytes()).repeat(40);
    for (bytes, code) in [
        (unmasked, 1002),
        (masked(0xC0 | TEXT, b"{}"), 1002),
        (masked(0x83, b"{}"), 1002),
        (masked(0x80, b"{}"), 1002),
        (masked(PING, b""), 1002),
        (masked(0x80 | PING, &[0; 126]), 1002),
        (masked(0x80 | 2, b"{}"), 1003),
        (masked(0x80 | TEXT, b"\xff\xfe"), 1007),
        (masked(0x80 | TEXT, &[b'x'; 3000]), 1009),
        (half, 1009),
        (many, 1008),
    ] {
        let mut socket = Socket::open(&place);
        socket.0.raw(&bytes);
        while code == 1008 && socket.0.peek(1).is_some_and(|byte| byte == [0x81]) {
            socket.next();
        }
        assert_eq!(socket.close_code(), code);
    }
}

#[test]
fn a_socket_lives_only_so_long() {
    let provider = Provider::always(stream(&said("resp_1", "one")));
    let mut short = snapshot("openai-responses", &[&provider]);
    short["limits"] = json!({"websocket_lifetime_ms": 1});
    let place = Place::new(&short);
    let mut socket = Socket::open(&place);
    let error = socket.event();
    assert_eq!(error["error"]["code"], "websocket_connection_limit_reached");
    assert_eq!(socket.close_code(), 1000);
}

#[test]
fn a_key_that_is_revoked_opens_nothing_any_more() {
    let provider = Provider::always(stream(&said("resp_1", "one")));
    let place = place_of(&[&provider]);
    let mut socket = Socket::open(&place);
    socket.text(CREATE);
    socket.answer();
    let mut without = snapshot("openai-responses", &[&provider]);
    without["version"] = 2.into();
    without["keys"][0]["expires_at"] = "2020-01-01T00:00:00Z".into();
    place.write_snapshot(&without);
    place.wait_until_ready_says(|state| state["snapshot_version"] == 2);
    socket.text(CREATE);
    assert_eq!(socket.event()["status"], 401);
    assert_eq!(socket.close_code(), 1008);
    assert_eq!(provider.received().len(), 1);
}

#[test]
fn what_is_no_proper_upgrade_is_answered_over_http() {
    let provider = Provider::always(stream(&said("resp_1", "one")));
    let place = place_of(&[&provider]);
    let key = format!("authorization: Bearer {KEY}\r\n");
    let proper = upgrade(&usual());
    for (request, status, code) in [
        (upgrade(""), 401, "unauthenticated"),
        (proper.replace("version: 13", "version: 8"), 426, "websocket_version"),
        (proper.replace("2026-02-06", "2026-02-04"), 426, "websocket_dialect"),
        (
            proper.replace("connection: keep-alive, Upgrade", "connection: close"),
            400,
            "malformed_upgrade",
        ),
        (
            proper.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
            400,
            "malformed_upgrade",
        ),
        (
            upgrade(&format!("{key}content-length: 4\r\n")) + "GET ",
            400,
            "malformed_upgrade",
        ),
        (
            upgrade(&format!("{key}transfer-encoding: chunked\r\n")) + "0\r\n\r\n",
            400,
            "malformed_upgrade",
        ),
        (
            proper.replace("/v1/responses", "/v1/messages"),
            426,
            "websocket_unsupported",
        ),
    ] {
        let mut caller = place.caller();
        caller.raw(request.as_bytes());
        let reply = caller.reply();
        assert_eq!(
            (reply.status, reply.json()["error"]["code"].clone()),
            (status, json!(code)),
            "{request}"
        );
    }
}

#[test]
fn a_gateway_that_stops_finishes_the_answer_and_closes_the_socket() {
    let gate = Gate::default();
    let first = said("resp_1", "one");
    let (head, tail) = first.split_at(first.find("event: response.output_item").unwrap());
    let script = vec![events_head(), chunk(head), Act::Wait(gate.clone()), chunk(tail), end()];
    let provider = Provider::always(script);
    let mut place = place_of(&[&provider]);
    let (mut busy, mut idle) = (Socket::open(&place), Socket::open(&place));
    busy.text(CREATE);
    busy.event();
    let stopping = std::thread::scope(|scope| {
        let stop = scope.spawn(|| place.stop());
        assert_eq!(idle.close_code(), 1001);
        gate.open();
        let last = busy.answer().pop().unwrap();
        assert_eq!(busy.close_code(), 1001);
        stop.join().unwrap();
        last
    });
    assert_eq!(stopping["type"], "response.completed");
}
