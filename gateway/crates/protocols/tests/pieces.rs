//! A request that is read while it comes is the one that is read when it is there.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panic")]

use airside_protocols::{Address, RequestScan, scan_request};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const PATHS: [&str; 5] = [
    "/v1/messages",
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1beta/models/m:generateContent",
];

/// Words that matter as keys or as values, and some that do not.
const WORDS: [&str; 22] = [
    "model",
    "stream",
    "max_tokens",
    "n",
    "background",
    "service_tier",
    "tools",
    "thinking",
    "type",
    "ttl",
    "text",
    "image",
    "document",
    "web_search_1",
    "additional_tools",
    "1h",
    "generationConfig",
    "maxOutputTokens",
    "Model",
    "t",
    "typ\\u0065",
    "\\\\\\\"",
];

/// Longer than a block, or than what is held back of a text that goes on; also much longer.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..3_usize, 2 => 0..200_usize, 1 => 400..700_usize, 1 => 2000..3000_usize]
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(&WORDS[..]).prop_map(|word| format!("\"{word}\"")),
        1 => length().prop_map(|length| format!("\"{}\"", "x".repeat(length))),
        1 => length().prop_map(|length| format!("\"t{}\"", "\\u0079".repeat(length / 6))),
        1 => length().prop_map(|length| format!("\"{}\"", "image".repeat(length / 5))),
    ]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(0), 1 => length()].prop_map(|length| " ".repeat(length))
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![4 => word(), 1 => select(&["1", "12.5", "true", "null", "-"][..]).prop_map(str::to_owned)];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec((space(), inner.clone()), 0..6).prop_map(|items| {
                let items: Vec<_> = items.into_iter().map(|(space, item)| space + &item).collect();
                format!("[{}]", items.join(","))
            }),
            prop::collection::vec((word(), space(), space(), inner), 0..6).prop_map(|members| object(&members)),
        ]
    })
}

fn object(members: &[(String, String, String, String)]) -> String {
    let members = members.iter();
    let members: Vec<_> = members
        .map(|(key, before, behind, value)| format!("{key}{before}:{behind}{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let members = prop::collection::vec((word(), space(), space(), value()), 0..6);
    let ends = select(&["", " ", "x", "}", "\u{feff}"][..]);
    // Most begin with a model, or most would be refused for having none.
    let model = prop_oneof![4 => Just(true), 1 => Just(false)];
    let damage = prop_oneof![3 => Just(None), 1 => any::<(Index, u8)>().prop_map(Some)];
    (select(&["", "\u{feff}", "  "][..]), model, members, ends, damage).prop_map(
        |(begins, has_model, mut members, ends, damage)| {
            let model = |value: &str| ("\"model\"".to_owned(), String::new(), String::new(), value.to_owned());
            if has_model {
                members.insert(members.len() / 2, model("\"m\""));
            }
            let mut text = format!("{begins}{}{ends}", object(&members)).into_bytes();
            if let Some((at, byte)) = damage {
                let at = at.index(text.len());
                text[at] = byte;
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
    #[test]
    fn what_was_read_as_it_came_is_what_is_read_at_the_end(
        body in body(), cuts in prop::collection::vec(any::<Index>(), 0..6), path in select(&PATHS[..]),
    ) {
        let address = Address::of(path).unwrap();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let mut scan = RequestScan::at(address.door);
        for cut in &cuts {
            scan.go_on(&body[..*cut]);
        }
        prop_assert_eq!(scan.finish(&body, &address), scan_request(&body, &address), "{:?}", cuts);
    }
}

/// The same at every place this body can be cut, in two pieces and in three.
fn assert_same_wherever_cut(body: &str, expected: (u64, u64, u64)) {
    let address = Address::of("/v1/messages").unwrap();
    let whole = scan_request(body.as_bytes(), &address).unwrap();
    assert_eq!((whole.images, whole.documents, whole.server_tools), expected);
    for cut in 0..=body.len() {
        let mut scan = RequestScan::at(address.door);
        scan.go_on(&body.as_bytes()[..cut]);
        scan.go_on(&body.as_bytes()[..cut.midpoint(body.len())]);
        assert_eq!(
            scan.finish(body.as_bytes(), &address).as_ref(),
            Ok(&whole),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_request_is_the_same_wherever_it_is_cut() {
    let (filler, space) = ("x".repeat(700), " ".repeat(600));
    let body = format!(
        r#" {{"messages":[{{"role":"user","content":[{{"type":"image","source":{{"data":"{filler}"}}}},
        {{"type" {space}: "document"}},{{"type":"text","text":"\"{filler}\\"}},{{"type":"text","cache_control":{{"ttl":"1h"}}}}]}}]{space},
        "system":"{filler}\n" , "model":"m","tools":[{{"type":"web_search_20250305"}},{{"name":"{filler}"}}],"max_tokens":1234
        ,"stream":true {space}}} "#,
    );
    assert_same_wherever_cut(&body, (1, 1, 1));
}

#[test]
fn a_key_is_found_wherever_it_stands_in_a_block() {
    for before in 0..64 {
        let (before, behind) = ("x".repeat(before), "y".repeat(500));
        let body = format!(r#"{{"model":"m","messages":[{{"a":"{before}","type":"image"}},{{"b":"{behind}"}}]}}"#);
        assert_same_wherever_cut(&body, (1, 0, 0));
    }
}
