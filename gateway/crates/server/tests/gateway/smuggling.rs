//! Requests that two parsers may read in two ways, over raw sockets: each has one right outcome, and what reaches the
//! provider is always one request, framed anew.

use serde_json::json;

use crate::place::{KEY, Place, snapshot};
use crate::provider::{MESSAGE, Provider, json as answer};

const BODY: &str = r#"{"model":"m","max_tokens":5}"#;
/// What would be smuggled: if it is served, it is a call of its own.
const HIDDEN: &str = "POST /v1/messages HTTP/1.1\r\nhost: h\r\n\r\n";
/// The last request of a connection: answered only if the connection lasted until then.
const LAST: &str = "GET /healthz HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n";

/// What must come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// One call reaches the provider, with the body as it was meant.
    Served,
    /// Nothing reaches the provider; this status, and the connection ends.
    Refused(u16),
    /// Nothing reaches the provider; this status, and the connection may go on.
    Answered(u16),
    /// Nothing reaches the provider, and the connection ends.
    Dropped,
}

fn with(headers: &str, body: &str) -> String {
    format!("POST /v1/messages HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {KEY}\r\n{headers}\r\n{body}")
}

fn sized(headers: &str) -> String {
    with(&format!("content-length: {}\r\n{headers}", BODY.len()), BODY)
}

fn chunked(headers: &str, body: &str) -> String {
    with(&format!("transfer-encoding: chunked\r\n{headers}"), body)
}

fn whole() -> String {
    format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len())
}

#[expect(clippy::too_many_lines, reason = "a table, one request a row")]
fn lengths() -> Vec<(&'static str, String, Right)> {
    let length = BODY.len();
    let both = format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n");
    vec![
        ("a plain request", sized(""), Right::Served),
        ("a chunked request", chunked("", &whole()), Right::Served),
        ("both lengths, chunked body", with(&both, &whole()), Right::Refused(400)),
        (
            "both lengths, hidden request",
            with(
                "content-length: 4\r\ntransfer-encoding: chunked\r\n",
                &format!("0\r\n\r\n{HIDDEN}"),
            ),
            Right::Refused(400),
        ),
        (
            "both lengths in the other order",
            with(
                "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
                &format!("0\r\n\r\n{HIDDEN}"),
            ),
            Right::Refused(400),
        ),
        (
            "two lengths that differ",
            with(&format!("content-length: {length}\r\ncontent-length: 1\r\n"), BODY),
            Right::Refused(400),
        ),
        (
            "a list of lengths that differ",
            with(&format!("content-length: {length}, 1\r\n"), BODY),
            Right::Refused(400),
        ),
        (
            "a length with a sign",
            with(&format!("content-length: +{length}\r\n"), BODY),
            Right::Refused(400),
        ),
        (
            "a negative length",
            with("content-length: -1\r\n", BODY),
            Right::Refused(400),
        ),
        (
            "a length in hexadecimal",
            with("content-length: 0x1c\r\n", BODY),
            Right::Refused(400),
        ),
        (
            "a length beyond all bounds",
            with("content-length: 99999999999999999999\r\n", BODY),
            Right::Refused(400),
        ),
        (
            "an encoding that is not chunked",
            with("transfer-encoding: gzip\r\n", BODY),
            Right::Refused(400),
        ),
        (
            "chunked is not last",
            with("transfer-encoding: chunked, gzip\r\n", &whole()),
            Right::Refused(400),
        ),
        (
            "an unknown spelling of chunked",
            with("transfer-encoding: xchunked\r\n", &whole()),
            Right::Refused(400),
        ),
        (
            "an encoding on HTTP/1.0",
            chunked("", &whole()).replace("HTTP/1.1", "HTTP/1.0"),
            Right::Refused(400),
        ),
        (
            "a chunk size that is no number",
            chunked("", "zz\r\nabc\r\n0\r\n\r\n"),
            Right::Refused(400),
        ),
        (
            "a chunk size beyond all bounds",
            chunked("", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
            Right::Refused(400),
        ),
        (
            "a negative chunk size",
            chunked("", "-1\r\nabc\r\n0\r\n\r\n"),
            Right::Refused(400),
        ),
        (
            "a chunk that is longer than it says",
            chunked("", "3\r\nabcdef\r\n0\r\n\r\n"),
            Right::Refused(400),
        ),
        (
            "a chunk extension",
            chunked("", &format!("{length:x};a=b\r\n{BODY}\r\n0\r\n\r\n")),
            Right::Served,
        ),
        (
            "trailers",
            chunked("", &format!("{length:x}\r\n{BODY}\r\n0\r\nx-api-key: k\r\n\r\n")),
            Right::Served,
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table, one request a row")]
fn heads() -> Vec<(&'static str, String, Right)> {
    vec![
        ("a space before the colon", sized("x-a : b\r\n"), Right::Refused(400)),
        (
            "a space before the colon of the length",
            with(&format!("content-length : {}\r\n", BODY.len()), BODY),
            Right::Refused(400),
        ),
        (
            "a bare line feed behind a header",
            sized("x-a: b\nx-c: d\r\n"),
            Right::Refused(400),
        ),
        (
            "bare line feeds throughout",
            sized("").replace("\r\n", "\n"),
            Right::Refused(400),
        ),
        ("a folded header", sized("x-a: b\r\n c\r\n"), Right::Refused(400)),
        ("a header without a colon", sized("nonsense\r\n"), Right::Refused(400)),
        ("a header without a name", sized(": b\r\n"), Right::Refused(400)),
        ("a NUL in a value", sized("x-a: b\0c\r\n"), Right::Refused(400)),
        ("a NUL in a name", sized("x\0a: b\r\n"), Right::Refused(400)),
        (
            "a bare CR in a value",
            sized("x-a: b\rcontent-length: 0\r\n"),
            Right::Refused(400),
        ),
        (
            "a head that is too large",
            sized(&format!("x-a: {}\r\n", "b".repeat(600 << 10))),
            Right::Refused(431),
        ),
        (
            "too many headers",
            sized(&"x-a: b\r\n".repeat(200)),
            Right::Refused(431),
        ),
        (
            "a target that is too long",
            sized("").replacen("/v1/messages", &format!("/v1/messages?{}", "q".repeat(70_000)), 1),
            Right::Refused(414),
        ),
        ("two hosts", sized("host: other\r\n"), Right::Refused(400)),
        ("no host", sized("").replacen("host: g\r\n", "", 1), Right::Refused(400)),
        (
            "a host that is no host",
            sized("").replacen("host: g", "host: a/#@b", 1),
            Right::Refused(400),
        ),
        (
            "the whole URI as target",
            sized("").replacen("/v1/messages", "http://other/v1/messages", 1),
            Right::Served,
        ),
        (
            "another scheme as target",
            sized("").replacen("/v1/messages", "ftp://other/v1/messages", 1),
            Right::Refused(400),
        ),
        (
            "a fragment in the target",
            sized("").replacen("/v1/messages", "/v1/messages#/healthz", 1),
            Right::Served,
        ),
        (
            "a doubled slash",
            sized("").replacen("/v1/messages", "//v1/messages", 1),
            Right::Answered(404),
        ),
        (
            "a path that goes up",
            sized("").replacen("/v1/messages", "/x/../v1/messages", 1),
            Right::Answered(404),
        ),
        (
            "an escaped path",
            sized("").replacen("/v1/messages", "/v1/%6dessages", 1),
            Right::Answered(404),
        ),
        (
            "CONNECT",
            sized("").replacen("POST /v1/messages", "CONNECT g:443", 1),
            Right::Answered(404),
        ),
        (
            "HTTP/0.9",
            format!("GET /v1/messages\r\n\r\n{HIDDEN}"),
            Right::Refused(400),
        ),
        (
            "HTTP/2 without asking",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            Right::Dropped,
        ),
        ("TLS", "\u{16}\u{3}\u{1}\0\u{5}hello".to_owned(), Right::Refused(400)),
        (
            "an upgrade of another kind",
            sized("connection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"),
            Right::Served,
        ),
        (
            "an upgrade with a request behind it",
            format!(
                "GET /v1/responses HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n{HIDDEN}"
            ),
            Right::Answered(426),
        ),
        (
            "hop-by-hop authorization",
            sized("connection: authorization\r\n"),
            Right::Served,
        ),
    ]
}

#[test]
fn each_request_has_one_outcome_and_nothing_is_smuggled() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut expected = 0;
    let mut wrong = Vec::new();
    for (what, request, right) in lengths().into_iter().chain(heads()) {
        let mut caller = place.caller();
        // A request that is refused in its head may find its connection closed before all of it is sent.
        let _ = caller.try_raw([request.as_bytes(), LAST.as_bytes()].concat().as_slice());
        let statuses = caller.statuses();
        let served = provider.received().len() - expected;
        expected += served;
        let is_right = match right {
            Right::Served => statuses == [200, 200] && served == 1,
            Right::Refused(status) => statuses == [status] && served == 0,
            Right::Answered(status) => statuses.first() == Some(&status) && served == 0,
            Right::Dropped => statuses.iter().all(|status| *status == 400) && served == 0,
        };
        if !is_right {
            wrong.push(format!(
                "{what}: {right:?} is right, but {statuses:?} was said and {served} served"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for received in provider.received() {
        assert_eq!(received.body, BODY.replace("\"m\"", "\"real/a\"").into_bytes());
        let lengths = received
            .headers
            .iter()
            .filter(|(name, _)| name == "content-length")
            .count();
        assert_eq!((lengths, received.header("transfer-encoding")), (1, None));
        for gone in ["upgrade", "http2-settings", "x-api-key: k", "te", "trailer"] {
            assert_eq!(received.header(gone), None, "{gone}");
        }
    }
}

#[test]
fn what_follows_a_request_on_its_connection_is_a_request_of_its_own() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    caller.raw([&sized(""), &sized(""), HIDDEN, LAST].concat().as_bytes());
    assert_eq!(caller.statuses(), [200, 200, 401, 200]);
    let mut caller = place.caller();
    caller.raw([sized("x-a : b\r\n"), sized("")].concat().as_bytes());
    assert_eq!(caller.statuses(), [400]);
    assert_eq!(provider.received().len(), 2);
}

#[test]
fn a_caller_that_waits_to_be_asked_for_its_body_is_asked() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    let request = sized("expect: 100-continue\r\n");
    let (head, body) = request.split_at(request.len() - BODY.len());
    caller.raw(head.as_bytes());
    assert!(caller.head().starts_with("HTTP/1.1 100 "));
    caller.raw(body.as_bytes());
    assert_eq!(caller.reply().status, 200);
    assert_eq!(provider.received()[0].header("expect"), None);
    let mut stranger = place.caller();
    stranger.raw(head.replace(KEY, "nobody").as_bytes());
    assert_eq!(stranger.reply().status, 401);
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    for more in ["", "expect: 100-continue\r\n"] {
        let mut caller = place.caller();
        caller.raw(with(&format!("content-length: 99999999999\r\n{more}"), "").as_bytes());
        let reply = caller.reply();
        assert_eq!(
            (reply.status, reply.header("connection")),
            (413, Some("close")),
            "{more}"
        );
        assert!(!caller.has_seen("100 Continue"));
    }
}

#[test]
fn who_sends_a_large_body_without_looking_hears_that_it_is_refused() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let mut small = snapshot("anthropic", &[&provider]);
    small["limits"] = serde_json::json!({"max_body_bytes": 1_000_000});
    let place = Place::new(&small);
    let mut caller = place.caller();
    let body = " ".repeat(40 << 20);
    caller.raw(with(&format!("content-length: {}\r\n", body.len()), &body).as_bytes());
    assert_eq!(caller.reply().status, 413);
}

#[test]
fn what_is_no_request_is_refused_in_words_too() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let long = format!("/v1/messages?{}", "q".repeat(70_000));
    for (request, status, code) in [
        (sized("x-a : b\r\n"), 400, "malformed_head"),
        (sized(&"x-a: b\r\n".repeat(200)), 431, "head_too_large"),
        (
            sized(&format!("x-a: {}\r\n", "b".repeat(200 << 10))),
            431,
            "head_too_large",
        ),
        (sized("").replacen("/v1/messages", &long, 1), 414, "target_too_long"),
        (with("content-length: 1, 2\r\n", BODY), 400, "malformed_head"),
    ] {
        let mut caller = place.caller();
        let _ = caller.try_raw(request.as_bytes());
        let reply = caller.reply();
        assert_eq!(
            (reply.status, reply.header("connection")),
            (status, Some("close")),
            "{code}"
        );
        let said = reply.json();
        assert_eq!((&said["type"], &said["error"]["code"]), (&json!("error"), &json!(code)));
    }
    let mut caller = place.caller();
    caller.raw(b"POST /v1/responses HTTP/1.1\r\nnonsense\r\n\r\n");
    assert_eq!(caller.reply().json()["error"]["code"], json!("malformed_head"));
    assert!(provider.received().is_empty());
}

#[test]
fn an_answer_that_comes_before_the_request_is_read_is_not_lost() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    let size = 3 << 20;
    let head = format!("POST /v1/nowhere HTTP/1.1\r\nhost: g\r\ncontent-length: {size}\r\n\r\n");
    caller.raw(head.as_bytes());
    caller.raw(&vec![b'x'; size]);
    let reply = caller.reply();
    assert_eq!((reply.status, reply.header("connection")), (404, Some("close")));
    assert_eq!(caller.statuses(), [0_u16; 0]);
}

#[test]
fn a_connection_goes_on_only_if_its_caller_means_it_to() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    for (version, headers, said) in [
        ("1.1", "", None),
        ("1.1", "connection: close\r\n", Some("close")),
        ("1.0", "", Some("close")),
        ("1.0", "connection: keep-alive\r\n", Some("keep-alive")),
    ] {
        let mut caller = place.caller();
        let request = sized(headers).replace("HTTP/1.1", &format!("HTTP/{version}"));
        caller.raw([request.as_bytes(), LAST.as_bytes()].concat().as_slice());
        let reply = caller.reply();
        assert_eq!(
            (reply.status, reply.header("connection")),
            (200, said),
            "{version} {headers}"
        );
        assert!(reply.header("date").is_some_and(|date| date.ends_with(" GMT")));
        let goes_on = said != Some("close");
        assert_eq!(
            caller.statuses(),
            if goes_on { vec![200] } else { vec![] },
            "{version} {headers}"
        );
    }
}

#[test]
fn of_a_head_request_only_the_head_is_answered() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    caller.raw(b"HEAD /healthz HTTP/1.1\r\nhost: g\r\n\r\n");
    let head = caller.head();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 14\r\n"),
        "{head}"
    );
    caller.raw(LAST.as_bytes());
    assert_eq!(caller.statuses(), [200]);
}

#[test]
fn a_refusal_is_in_the_dialect_even_where_the_head_is_at_fault() {
    let provider = Provider::always(answer(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    caller.raw(sized("host: other\r\n").as_bytes());
    assert_eq!(caller.reply().json()["error"]["code"], json!("malformed_host"));
    let mut caller = place.caller();
    caller.raw(
        sized("")
            .replacen("/v1/messages", "ftp://other/v1/messages", 1)
            .as_bytes(),
    );
    assert_eq!(caller.reply().json()["error"]["code"], json!("malformed_target"));
}
