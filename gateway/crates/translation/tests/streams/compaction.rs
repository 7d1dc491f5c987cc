//! The summary that a `compaction_trigger` is answered by.

use airside_protocols::{Family, sealed_summary};
use airside_translation::{AnswerPlan, translate_answer};
use serde_json::{Value, json};

use crate::recording::{call, chat, delta, losses, plan, recording, seen, translate};

use Family::{Anthropic, Gemini, OpenaiChat, OpenaiResponses};

fn compacting(target: Family) -> AnswerPlan {
    AnswerPlan {
        compacts: true,
        ..plan(target, OpenaiResponses)
    }
}

#[test]
fn a_summary_is_one_item_whatever_else_the_model_does() {
    for (target, name) in [
        (Anthropic, "text"),
        (Anthropic, "thinking_and_tools"),
        (OpenaiChat, "tools"),
        (Gemini, "signed_text"),
        (Gemini, "thoughts_and_calls"),
    ] {
        let words = seen(target, name, OpenaiResponses).text;
        assert!(!words.is_empty(), "{name}");
        let said = translate(compacting(target), &[&recording(target, name).bytes]);
        let seen = said.read(OpenaiResponses);
        assert_eq!(seen.compactions, [sealed_summary(&words)], "{name}");
        assert_eq!((seen.text.as_str(), seen.calls.len()), ("", 0), "{name}");
        assert_eq!(seen.stop.as_deref(), Some("completed"));
        assert!(seen.usage["output_tokens"].as_u64() > Some(0));
        let has_calls = name != "text" && name != "signed_text";
        assert_eq!(losses(&said).contains(&"tool_call"), has_calls, "{name}");
    }
}

/// It was given and is paid for; that it compacts nothing is for the caller to see.
#[test]
fn an_answer_without_words_or_without_its_end_holds_no_compaction() {
    let message = json!({"role": "assistant", "content": " ",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let whole = json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]}).to_string();
    let (answer, _) = translate_answer(&compacting(OpenaiChat), whole.as_bytes()).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (&answer["status"], &answer["output"]),
        (&json!("completed"), &json!([]))
    );
    let only_calls = chat(&[
        delta(&json!({"content": " "}), None),
        delta(&call("a", "f", "{}"), None),
        delta(&json!({}), Some("tool_calls")),
    ]);
    let cut_short = chat(&[
        delta(&json!({"content": "The summ"}), None),
        delta(&json!({}), Some("length")),
    ]);
    for (stream, stop, lost) in [
        (only_calls, "completed", "tool_call"),
        (cut_short, "max_output_tokens", "summary"),
    ] {
        let said = translate(compacting(OpenaiChat), &[&stream]);
        assert_eq!((said.end, losses(&said)), (Ok(()), vec![lost]));
        let seen = said.read(OpenaiResponses);
        assert_eq!(
            (seen.compactions.len(), seen.calls.len(), seen.text.as_str()),
            (0, 0, "")
        );
        assert_eq!(seen.stop.as_deref(), Some(stop));
    }
}
