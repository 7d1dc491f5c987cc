use super::{Framed, Seen, SeenCall, json, text};
use serde_json::Value;

pub(super) fn read(events: &[Framed]) -> Seen {
    let mut seen = Seen::default();
    let mut id = None;
    let mut has_usage = false;
    let mut is_over = false;
    for (number, (name, data)) in events.iter().enumerate() {
        assert!(!is_over, "an event behind the end: {data}");
        assert_eq!(*name, None);
        if data == "[DONE]" {
            assert!(seen.stop.is_some() && has_usage, "done before the end");
            is_over = true;
            continue;
        }
        let chunk = json(data);
        if chunk["error"].is_object() {
            assert!(!text(&chunk["error"], "message").is_empty());
            seen.error = Some(chunk["error"].clone());
            // An error is the end: nothing may make it look like success.
            seen.stop = None;
            is_over = true;
            continue;
        }
        assert_eq!(
            (text(&chunk, "object"), text(&chunk, "model")),
            ("chat.completion.chunk", "coder")
        );
        assert_eq!(*id.get_or_insert_with(|| chunk["id"].clone()), chunk["id"]);
        let choices = chunk["choices"].as_array().unwrap();
        let Some(choice) = choices.first() else {
            assert!(seen.stop.is_some() && !has_usage, "counts before the end");
            has_usage = true;
            seen.usage = chunk["usage"].clone();
            continue;
        };
        assert!(chunk["usage"].is_null() && seen.stop.is_none(), "{chunk}");
        assert_eq!(choice["delta"]["role"].is_string(), number == 0, "{chunk}");
        delta(&mut seen, &choice["delta"]);
        seen.stop = choice["finish_reason"].as_str().map(str::to_owned);
    }
    assert!(is_over, "the stream has no end");
    assert!(seen.stop.as_deref() != Some("tool_calls") || !seen.calls.is_empty());
    seen
}

fn delta(seen: &mut Seen, delta: &Value) {
    seen.text.push_str(delta["content"].as_str().unwrap_or_default());
    seen.refusal.push_str(delta["refusal"].as_str().unwrap_or_default());
    seen.thinking
        .push_str(delta["reasoning_content"].as_str().unwrap_or_default());
    let calls = delta["tool_calls"].as_array();
    assert!(calls.is_none_or(|calls| !calls.is_empty()), "an empty list of calls");
    for call in calls.into_iter().flatten() {
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        let (holder, member) = if call["custom"].is_object() {
            ("custom", "input")
        } else {
            ("function", "arguments")
        };
        if call["id"].is_string() {
            assert_eq!(index, seen.calls.len(), "indexes rise by one");
            seen.calls.push(SeenCall {
                kind: text(call, "type").to_owned(),
                id: text(call, "id").to_owned(),
                name: text(&call[holder], "name").to_owned(),
                arguments: String::new(),
            });
        } else {
            assert_eq!(index + 1, seen.calls.len(), "one call at a time");
            assert!(call[holder]["name"].is_null() && call["type"].is_null(), "{call}");
        }
        seen.calls[index].arguments.push_str(text(&call[holder], member));
    }
}
