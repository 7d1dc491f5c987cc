//! What must not change on the way from one dialect to another, trap by trap.

use airside_protocols::{Family, Verdict};
use airside_translation::{AnswerTranslator, Opaque, unseal, untag_call_id};
use serde_json::{Value, json};

use crate::grammar::read_gemini_array;
use crate::recording::{FAMILIES, call, chat, clients, delta, losses, plan, recording, said, seen, translate};

use Family::{Anthropic, Gemini, OpenaiChat, OpenaiResponses};

// --- why the model stopped -----------------------------------------------------------------------------------------

#[test]
fn the_reason_to_stop_keeps_its_meaning() {
    let table: [(Family, &str, [&str; 4]); 15] = [
        (Anthropic, "text", ["", "completed", "stop", "STOP"]),
        (Anthropic, "thinking_and_tools", ["", "completed", "tool_calls", "STOP"]),
        (Anthropic, "stop_sequence", ["", "completed", "stop", "STOP"]),
        (Anthropic, "refusal", ["", "content_filter", "content_filter", "SAFETY"]),
        (Anthropic, "pause", ["", "completed", "stop", "STOP"]),
        (
            Anthropic,
            "cut_by_the_limit",
            ["", "max_output_tokens", "length", "MAX_TOKENS"],
        ),
        (
            OpenaiResponses,
            "reasoning_and_tools",
            ["tool_use", "", "tool_calls", "STOP"],
        ),
        (
            OpenaiResponses,
            "incomplete",
            ["max_tokens", "", "length", "MAX_TOKENS"],
        ),
        (OpenaiResponses, "refusal", ["refusal", "", "stop", "SAFETY"]),
        (OpenaiChat, "refusal", ["refusal", "completed", "", "SAFETY"]),
        (OpenaiChat, "tools_at_once", ["tool_use", "completed", "", "STOP"]),
        (OpenaiChat, "filtered", ["refusal", "content_filter", "", "SAFETY"]),
        (
            Gemini,
            "thoughts_and_calls",
            ["tool_use", "completed", "tool_calls", ""],
        ),
        (Gemini, "safety", ["refusal", "content_filter", "content_filter", ""]),
        (Gemini, "length", ["max_tokens", "max_output_tokens", "length", ""]),
    ];
    for (target, name, stops) in table {
        for (client, stop) in FAMILIES.into_iter().zip(stops).filter(|(client, _)| *client != target) {
            assert_eq!(
                seen(target, name, client).stop.as_deref(),
                Some(stop),
                "{name} for {}",
                client.name()
            );
        }
    }
}

#[test]
fn a_refusal_keeps_its_words() {
    for (target, client) in [(OpenaiChat, OpenaiResponses), (OpenaiResponses, OpenaiChat)] {
        let seen = seen(target, "refusal", client);
        assert_eq!((seen.refusal.as_str(), seen.text.as_str()), ("I will not.", ""));
        assert_eq!(self::seen(target, "refusal", Anthropic).text, "I will not.");
    }
}

#[test]
fn a_stop_for_a_tool_without_a_call_is_just_a_stop() {
    let stream = chat(&[
        delta(&json!({"content": "Hi"}), None),
        delta(&json!({}), Some("tool_calls")),
    ]);
    let said = translate(plan(OpenaiChat, Anthropic), &[&stream]);
    assert_eq!(said.read(Anthropic).stop.as_deref(), Some("end_turn"));
}

#[test]
fn what_a_caller_has_no_word_for_is_told_as_lost() {
    assert_eq!(
        losses(&said(&recording(Anthropic, "pause"), OpenaiChat)),
        ["pause_turn"]
    );
    assert_eq!(
        losses(&said(&recording(Gemini, "signed_text"), OpenaiChat)),
        ["thought_signature"]
    );
    let searched = said(&recording(Anthropic, "server_tools"), OpenaiResponses);
    assert_eq!(losses(&searched), ["citations", "server_tools"]);
    assert_eq!(searched.read(OpenaiResponses).text, "I search. Found.");
    let stream = chat(&[
        json!({"choices": [{"index": 0, "delta": {"content": "a", "annotations": [{"type": "url_citation"}]}, "logprobs": {"content": []}},
                           {"index": 1, "delta": {"content": "b"}}]}),
        delta(&json!({}), Some("stop")),
    ]);
    let said = translate(plan(OpenaiChat, Gemini), &[&stream]);
    assert_eq!(losses(&said), ["choices", "citations", "logprobs"]);
    assert_eq!(said.read(Gemini).text, "a");
}

// --- counts --------------------------------------------------------------------------------------------------------

#[test]
fn cached_input_is_counted_once_in_every_dialect() {
    // Anthropic: 13 beside 2000 read and 70 written; the last counts hold.
    let (target, name) = (Anthropic, "thinking_and_tools");
    let responses = seen(target, name, OpenaiResponses).usage;
    assert_eq!(responses["input_tokens"], 2083);
    assert_eq!(responses["input_tokens_details"]["cached_tokens"], 2000);
    assert_eq!(responses["output_tokens_details"]["reasoning_tokens"], 25);
    let chat = seen(target, name, OpenaiChat).usage;
    assert_eq!(
        (&chat["prompt_tokens"], &chat["completion_tokens"]),
        (&json!(2083), &json!(60))
    );
    let gemini = seen(target, name, Gemini).usage;
    assert_eq!(gemini["promptTokenCount"], 2083);
    assert_eq!(
        (&gemini["candidatesTokenCount"], &gemini["thoughtsTokenCount"]),
        (&json!(35), &json!(25))
    );
    assert_eq!(gemini["totalTokenCount"], 2143);
    // The others: 100 with 60 read; Gemini's 25 of thought stand beside the 35 shown.
    for (target, name, output) in [
        (OpenaiResponses, "reasoning_and_tools", 30),
        (OpenaiChat, "tools", 30),
        (Gemini, "thoughts_and_calls", 60),
    ] {
        let usage = seen(target, name, Anthropic).usage;
        assert_eq!(usage["input_tokens"], 40, "{name}");
        assert_eq!(usage["cache_read_input_tokens"], 60, "{name}");
        assert_eq!(usage["output_tokens"], output, "{name}");
    }
    let deepseek = seen(OpenaiChat, "reasoning", Gemini).usage;
    assert_eq!(
        (&deepseek["promptTokenCount"], &deepseek["cachedContentTokenCount"]),
        (&json!(40), &json!(30))
    );
}

#[test]
fn a_count_that_makes_no_sense_spoils_no_answer() {
    for usage in [
        json!("free"),
        json!({"prompt_tokens": -3, "completion_tokens": null}),
        json!([]),
    ] {
        let stream = chat(&[
            delta(&json!({"content": "Hi"}), Some("stop")),
            json!({"choices": [], "usage": usage}),
        ]);
        for client in clients(OpenaiChat) {
            let said = translate(plan(OpenaiChat, client), &[&stream]);
            assert_eq!((said.end, said.read(client).text.as_str()), (Ok(()), "Hi"));
        }
    }
}

#[test]
fn a_target_that_counts_nothing_is_not_taken_to_be_free() {
    let stream = chat(&[delta(&json!({"content": "Twelve bytes"}), Some("stop"))]);
    let usage = translate(plan(OpenaiChat, Anthropic), &[&stream]).read(Anthropic).usage;
    assert_eq!(
        (&usage["input_tokens"], &usage["output_tokens"]),
        (&json!(90), &json!(3))
    );
}

#[test]
fn a_chat_caller_gets_counts_only_when_it_asked() {
    let recording = recording(Anthropic, "text");
    let mut plan = plan(Anthropic, OpenaiChat);
    plan.includes_usage = false;
    let said = translate(plan, &[&recording.bytes]).text();
    assert!(
        !said.contains("\"usage\"") && said.ends_with("data: [DONE]\n\n"),
        "{said}"
    );
}

// --- what only the target can read ---------------------------------------------------------------------------------

fn opened(sealed: &str) -> (Family, Value) {
    let Opaque { issuer, data } = unseal(sealed).unwrap();
    (issuer, serde_json::from_str(&data).unwrap())
}

fn untagged(id: &str) -> (String, Option<Value>) {
    let (own, opaque) = untag_call_id(id);
    (
        own.to_owned(),
        opaque.map(|opaque| serde_json::from_str(&opaque.data).unwrap()),
    )
}

#[test]
fn thinking_comes_back_as_the_target_signed_it() {
    let block = json!({"type": "thinking", "thinking": "Look at the tests.", "signature": "RXJRQg=="});
    let redacted = json!({"type": "redacted_thinking", "data": "c2VjcmV0"});
    let in_items = seen(Anthropic, "thinking_and_tools", OpenaiResponses).sealed;
    let opened_items: Vec<_> = in_items.iter().map(|sealed| opened(sealed)).collect();
    assert_eq!(
        opened_items,
        [(Anthropic, block.clone()), (Anthropic, redacted.clone())]
    );
    let both = json!([block, redacted]);
    let in_ids = seen(Anthropic, "thinking_and_tools", OpenaiChat).calls;
    assert_eq!(untagged(&in_ids[0].id), ("toolu_01".to_owned(), Some(both.clone())));
    assert_eq!(untagged(&in_ids[1].id), ("toolu_02".to_owned(), None));
    let in_parts = seen(Anthropic, "thinking_and_tools", Gemini).sealed;
    assert_eq!(
        in_parts.iter().map(|sealed| opened(sealed)).collect::<Vec<_>>(),
        [(Anthropic, both)]
    );
}

#[test]
fn encrypted_reasoning_comes_back_as_its_item() {
    let sealed = seen(OpenaiResponses, "reasoning_and_tools", Anthropic).sealed;
    let items: Vec<Value> = sealed.iter().map(|sealed| opened(sealed).1).collect();
    assert_eq!(items[0]["encrypted_content"], "gAAAA=");
    assert_eq!(items[0]["summary"][1]["text"], "Then do it.");
    assert_eq!((&items[1]["id"], &items[1]["summary"]), (&json!("rs_4"), &json!([])));
    let calls = seen(OpenaiResponses, "reasoning_and_tools", OpenaiChat).calls;
    assert_eq!(untagged(&calls[0].id).1.unwrap()["encrypted_content"], "gAAAA=");
    assert_eq!(untagged(&calls[2].id).1.unwrap()["encrypted_content"], "gBBBB=");
}

#[test]
fn a_signature_of_gemini_stays_with_its_call() {
    for client in clients(Gemini) {
        let calls = seen(Gemini, "thoughts_and_calls", client).calls;
        assert_eq!(
            untagged(&calls[0].id),
            ("call_01J_0".to_owned(), Some(json!("CsQB+/==")))
        );
        assert_eq!(untagged(&calls[1].id), ("call_01J_1".to_owned(), None));
    }
}

#[test]
fn reasoning_of_a_chat_server_comes_back_under_its_own_name() {
    let sealed = seen(OpenaiChat, "reasoning", Anthropic).sealed;
    assert_eq!(
        opened(&sealed[0]),
        (OpenaiChat, json!({"reasoning_content": "Look at the tests."}))
    );
    let stream = chat(&[
        delta(
            &json!({"reasoning": "Hm", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}),
            None,
        ),
        delta(&call("call_a", "bash", "{}"), Some("tool_calls")),
    ]);
    let said = translate(plan(OpenaiChat, Gemini), &[&stream]).read(Gemini);
    let expected = json!({"reasoning": "Hm", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]});
    assert_eq!((said.thinking.as_str(), opened(&said.sealed[0]).1), ("Hm", expected));
}

#[test]
fn thinking_that_nobody_asked_to_see_travels_in_the_calls_ids_only() {
    for (target, name) in [
        (Anthropic, "thinking_and_tools"),
        (OpenaiResponses, "reasoning_and_tools"),
        (OpenaiChat, "reasoning"),
        (Gemini, "thoughts_and_calls"),
    ] {
        for client in clients(target) {
            let mut plan = plan(target, client);
            plan.shows_thinking = false;
            let seen = translate(plan, &[&recording(target, name).bytes]).read(client);
            assert_eq!(seen.thinking, "", "{name} for {}", client.name());
            let carried = match client {
                Gemini => seen.sealed.iter().map(|sealed| opened(sealed).0).next(),
                _ => untag_call_id(&seen.calls[0].id).1.map(|opaque| opaque.issuer),
            };
            assert_eq!(carried, Some(target), "{name} for {}", client.name());
        }
    }
}

#[test]
fn a_tag_that_would_be_huge_is_left_out_and_told() {
    let stream = chat(&[
        delta(&json!({"reasoning_content": "x".repeat(70_000)}), None),
        delta(&call("call_a", "bash", "{}"), Some("tool_calls")),
    ]);
    let mut plan = plan(OpenaiChat, Anthropic);
    plan.shows_thinking = false;
    let said = translate(plan, &[&stream]);
    assert_eq!(said.read(Anthropic).calls[0].id, "call_a");
    assert_eq!(losses(&said), ["thinking_signature"]);
}

// --- calls ---------------------------------------------------------------------------------------------------------

#[test]
fn calls_keep_their_arguments_whatever_order_they_came_in() {
    let expected = [("bash", r#"{"command":"ls"}"#), ("list_files", r#"{"in":"src"}"#)];
    for (target, name) in [(OpenaiChat, "tools_interleaved"), (OpenaiResponses, "interleaved")] {
        for client in clients(target) {
            let calls = seen(target, name, client).calls;
            let calls: Vec<_> = calls
                .iter()
                .map(|call| (call.name.as_str(), call.arguments.as_str()))
                .collect();
            assert_eq!(calls, expected, "{name} for {}", client.name());
        }
    }
}

#[test]
fn the_order_of_members_in_arguments_is_the_models() {
    // Prompt caches go by bytes: a call that comes back in another order is another prompt.
    let written = r#"{"z":1,"a":{"y":2.50,"b":[]}}"#;
    let chunk = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"name":"f","args":{written}}}}}]}},"finishReason":"STOP"}}]}}"#
    );
    for client in clients(Gemini) {
        let stream = format!("data: {chunk}\n\n");
        assert_eq!(
            translate(plan(Gemini, client), &[stream.as_bytes()]).read(client).calls[0].arguments,
            written
        );
    }
    let stream = chat(&[delta(&call("call_a", "f", written), Some("tool_calls"))]);
    let said = translate(plan(OpenaiChat, Gemini), &[&stream]).text();
    assert!(said.contains(&format!("\"args\":{written}")), "{said}");
}

#[test]
fn arguments_over_several_lines_stay_one_event() {
    let stream = chat(&[delta(
        &call("call_a", "f", "{\n  \"a\": \"x\\ny\"\r\n}"),
        Some("tool_calls"),
    )]);
    let seen = translate(plan(OpenaiChat, Gemini), &[&stream]).read(Gemini);
    assert_eq!(seen.calls[0].arguments, r#"{"a":"x\ny"}"#);
}

#[test]
fn half_a_call_is_not_given_to_a_caller_that_takes_objects() {
    let said = said(&recording(Anthropic, "cut_by_the_limit"), Gemini);
    let seen = said.read(Gemini);
    assert_eq!((seen.calls.len(), seen.stop.as_deref()), (0, Some("MAX_TOKENS")));
    assert_eq!(losses(&said), ["tool_arguments"]);
    let stream = chat(&[delta(&call("call_a", "f", "{\"a\":"), Some("tool_calls"))]);
    let seen = translate(plan(OpenaiChat, Gemini), &[&stream]).read(Gemini);
    assert_eq!(seen.stop.as_deref(), Some("MALFORMED_FUNCTION_CALL"));
}

#[test]
fn codex_gets_its_own_kinds_of_calls() {
    let calls = seen(Anthropic, "custom_tools", OpenaiResponses).calls;
    let kinds: Vec<_> = calls
        .iter()
        .map(|call| (call.kind.as_str(), call.name.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("custom", "apply_patch"),
            ("function", "mcp__tickets/get_ticket"),
            ("shell", "local_shell")
        ]
    );
    assert_eq!(calls[0].arguments, "*** Begin\n+a \"b\" é 😀\n*** End");
    let stream = chat(&[delta(
        &call("call_a", "local_shell", r#"{"command":"ls | wc"}"#),
        Some("tool_calls"),
    )]);
    let shell = &translate(plan(OpenaiChat, OpenaiResponses), &[&stream])
        .read(OpenaiResponses)
        .calls[0];
    let action: Value = serde_json::from_str(&shell.arguments).unwrap();
    assert_eq!(action["command"], json!(["bash", "-lc", "ls | wc"]));
}

#[test]
fn an_id_that_anthropic_would_refuse_is_spelled_otherwise() {
    let stream = chat(&[delta(&call("functions.bash:0", "bash", "{}"), Some("tool_calls"))]);
    let said = translate(plan(OpenaiChat, Anthropic), &[&stream]);
    assert_eq!(said.read(Anthropic).calls[0].id, "functions_bash_0");
    let said = translate(plan(OpenaiChat, OpenaiResponses), &[&stream]);
    assert_eq!(said.read(OpenaiResponses).calls[0].id, "functions.bash:0");
}

#[test]
fn a_call_that_nobody_names_is_not_made_up() {
    let stream = chat(&[
        delta(&json!({"content": "Hi"}), None),
        delta(
            &json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
            Some("stop"),
        ),
    ]);
    let said = translate(plan(OpenaiChat, Anthropic), &[&stream]);
    let seen = said.read(Anthropic);
    assert_eq!(
        (seen.calls.len(), seen.stop.as_deref(), losses(&said)),
        (0, Some("end_turn"), vec!["tool_calls"])
    );
}

#[test]
fn what_waits_for_its_turn_is_bounded() {
    let open = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
                                     {"index": 1, "id": "b", "function": {"name": "f", "arguments": ""}}]});
    let more = json!({"tool_calls": [{"index": 1, "function": {"arguments": "x".repeat(1 << 19)}}]});
    let mut chunks = vec![delta(&open, None)];
    chunks.resize(40, delta(&more, None));
    let said = translate(plan(OpenaiChat, Anthropic), &[&chat(&chunks)]);
    assert!(said.end.is_err() && said.read(Anthropic).error.is_some());
}

// --- structured output ---------------------------------------------------------------------------------------------

#[test]
fn the_arguments_of_the_output_tool_are_the_answers_text() {
    let stream = chat(&[
        delta(&json!({"content": "Here it is:"}), None),
        delta(&call("call_a", "answer", "{\"title\":"), None),
        delta(
            &json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"x\"}"}}]}),
            Some("tool_calls"),
        ),
    ]);
    for client in clients(OpenaiChat) {
        let mut plan = plan(OpenaiChat, client);
        plan.output_tool = Some("answer".to_owned());
        let said = translate(plan.clone(), &[&stream]);
        let seen = said.read(client);
        assert_eq!((seen.text.as_str(), seen.calls.len()), (r#"{"title":"x"}"#, 0));
        let stop = seen.stop.as_deref().unwrap();
        assert!(matches!(stop, "end_turn" | "completed" | "STOP"), "{stop}");
        assert_eq!(losses(&said), ["text_beside_output"]);
        let spoken = chat(&[delta(&json!({"content": "{}"}), Some("stop"))]);
        assert_eq!(
            translate(plan, &[&spoken]).read(client).text,
            "{}",
            "text is the answer when no call comes"
        );
    }
}

// --- frames --------------------------------------------------------------------------------------------------------

#[test]
fn gemini_callers_may_want_one_array() {
    for target in FAMILIES.into_iter().filter(|target| *target != Gemini) {
        for recording in crate::recording::recordings(target) {
            let mut plan = plan(target, Gemini);
            plan.gemini_array = true;
            let array = translate(plan.clone(), &[&recording.bytes]);
            let events = said(&recording, Gemini);
            assert_eq!(read_gemini_array(&array.bytes), events.read(Gemini));
            for end in 0..recording.bytes.len() {
                let cut = translate(plan.clone(), &[&recording.bytes[..end]]);
                assert!(read_gemini_array(&cut.bytes).error.is_some());
            }
        }
    }
}

#[test]
fn a_response_repeats_what_was_asked() {
    let mut plan = plan(Anthropic, OpenaiResponses);
    let tools = "[{\n \"type\": \"function\" }]";
    plan.echoed = vec![(
        "tools".to_owned(),
        serde_json::value::RawValue::from_string(tools.to_owned()).unwrap(),
    )];
    let said = translate(plan, &[&recording(Anthropic, "text").bytes]);
    said.read(OpenaiResponses);
    let text = said.text();
    assert_eq!(text.matches("\"tools\":").count(), 3, "once in each response object");
    assert_eq!(text.matches("\"type\": \"function\"").count(), 3);
}

#[test]
fn gemini_may_give_its_reason_to_stop_before_its_end() {
    let chunk = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]});
    let stream = format!("data: {}\n\ndata: {}\n\n", chunk("a"), chunk("b"));
    for client in clients(Gemini) {
        assert_eq!(
            translate(plan(Gemini, client), &[stream.as_bytes()]).read(client).text,
            "ab"
        );
    }
}

#[test]
fn the_end_of_a_chat_answer_alone_is_no_answer() {
    for stream in [
        chat(&[]),
        chat(&[delta(&json!({"role": "assistant", "content": ""}), None)]),
    ] {
        assert!(translate(plan(OpenaiChat, Anthropic), &[&stream]).end.is_err());
    }
}

// --- verdicts ------------------------------------------------------------------------------------------------------

#[test]
fn a_verdict_tells_content_from_its_beginnings() {
    for (target, name) in [(Anthropic, "text"), (OpenaiResponses, "text"), (OpenaiChat, "text")] {
        let recording = recording(target, name);
        let first_event = recording.bytes.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2;
        for client in clients(target) {
            let mut translator = AnswerTranslator::new(plan(target, client));
            let mut out = Vec::new();
            translator.push(&recording.bytes[..first_event], &mut out).unwrap();
            assert_eq!(translator.verdict(), Verdict::default());
            translator.push(&recording.bytes[first_event..], &mut out).unwrap();
            assert!(translator.verdict().began && translator.verdict().finished);
            assert_eq!(translator.content_bytes(), "Hello,\nwörld 😀".len() as u64);
        }
    }
}

#[test]
fn a_failure_before_content_can_still_be_taken_elsewhere() {
    for client in clients(Anthropic) {
        let mut translator = AnswerTranslator::new(plan(Anthropic, client));
        let mut out = Vec::new();
        translator
            .push(&recording(Anthropic, "error_at_once").bytes, &mut out)
            .unwrap();
        let verdict = translator.verdict();
        assert!(verdict.failed && !verdict.began && !verdict.finished);
        assert!(translator.finish(&mut out).is_err());
        assert!(!String::from_utf8(out).unwrap().contains("sk-ant"), "a key was told");
    }
}
