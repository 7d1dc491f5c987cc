//! One request, one file per target: `tests/golden/<case>/request.<from>.json` becomes `<to>.json` for each other
//! family. `UPDATE_GOLDEN=1 cargo test -p airside-translation --test golden_requests` writes the files anew.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail in its helpers too"
)]

mod golden_text;

use std::fs;
use std::path::{Path, PathBuf};

use airside_protocols::Family;
use airside_translation::{TranslatedRequest, Untranslatable, Wanted, translate_request};
use golden_text::{indented, quoted};
use serde_json::Value;

const FAMILIES: [Family; 4] = [
    Family::Anthropic,
    Family::OpenaiResponses,
    Family::OpenaiChat,
    Family::Gemini,
];

fn usual_model(family: Family) -> &'static str {
    match family {
        Family::Anthropic => "claude-opus-5-5",
        Family::OpenaiResponses => "gpt-5.2",
        Family::OpenaiChat => "qwen3-coder",
        Family::Gemini => "gemini-3.8-pro",
    }
}

/// What came out, laid out for people: every token as it was written, one member a line.
fn described(result: &Result<TranslatedRequest, Untranslatable>) -> String {
    let text = match result {
        Err(refusal) => format!(
            r#"{{"refused":{{"code":{},"message":{}}}}}"#,
            quoted(refusal.code),
            quoted(&refusal.message)
        ),
        Ok(translated) => {
            let losses: Vec<_> = translated.losses.iter().map(|loss| quoted(&loss.field)).collect();
            let plan = &translated.plan;
            let stops: Vec<_> = plan.stop_sequences.iter().map(|stop| quoted(stop)).collect();
            let output_tool = plan.output_tool.as_deref().map_or("null".to_owned(), quoted);
            let echoed: Vec<_> = plan.echoed.iter().map(|(name, _)| quoted(name)).collect();
            let body = std::str::from_utf8(&translated.body).expect("a body is text");
            format!(
                r#"{{"losses":[{}],"plan":{{"streams":{},"includes_usage":{},"shows_thinking":{},"output_tool":{output_tool},"stop_sequences":[{}],"echoed":[{}],"tools":{}}},"body":{body}}}"#,
                losses.join(","),
                plan.streams,
                plan.includes_usage,
                plan.shows_thinking,
                stops.join(","),
                echoed.join(","),
                tools(translated),
            )
        }
    };
    let _: Value = serde_json::from_str(&text).expect("what is written is JSON");
    indented(&text)
}

/// The tools that the body declares, as the answer will name them to the caller.
fn tools(translated: &TranslatedRequest) -> String {
    let body: Value = serde_json::from_slice(&translated.body).expect("a body is JSON");
    let mut names = Vec::new();
    for tool in body["tools"].as_array().into_iter().flatten() {
        let declared = tool["functionDeclarations"].as_array().cloned().unwrap_or_default();
        for tool in declared.iter().chain([tool, &tool["function"]]) {
            names.extend(tool["name"].as_str().map(str::to_owned));
        }
    }
    let told: Vec<_> = names
        .iter()
        .map(|name| {
            format!(
                "{}:{}",
                quoted(name),
                quoted(&format!("{:?}", translated.plan.tools.client_tool(name)))
            )
        })
        .collect();
    format!("{{{}}}", told.join(","))
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<_> = fs::read_dir(root)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    cases.sort();
    cases
}

fn request_of(case: &Path) -> (Family, Vec<u8>) {
    FAMILIES
        .into_iter()
        .find_map(|family| {
            let body = fs::read(case.join(format!("request.{}.json", family.name()))).ok()?;
            Some((family, body))
        })
        .unwrap_or_else(|| panic!("{} has no request", case.display()))
}

#[test]
fn every_request_is_said_to_every_other_family_as_recorded() {
    #[expect(clippy::disallowed_methods, reason = "the switch of this test only")]
    let updates = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differing = Vec::new();
    let mut compared = 0;
    for case in cases() {
        let (from, body) = request_of(&case);
        let asked: Value = serde_json::from_slice(&body).expect("a request is JSON");
        let settings: Value = fs::read(case.join("wanted.json")).map_or(Value::Null, |text| {
            serde_json::from_slice(&text).expect("settings are JSON")
        });
        for to in FAMILIES.into_iter().filter(|to| *to != from) {
            let wanted = Wanted {
                model: settings["models"][to.name()].as_str().unwrap_or(usual_model(to)),
                shown_model: "coder",
                streams: asked["stream"] == true,
                default_output_tokens: 8_192,
                cache_key: Some("session-1"),
                takes_cache_marks: settings["takes_cache_marks"] == true,
                can_think: true,
                answer_id: "a1",
                now_s: 1_790_000_000,
            };
            let got = described(&translate_request(from, to, &body, &wanted));
            let path = case.join(format!("{}.json", to.name()));
            if updates {
                fs::write(&path, &got).expect("it can be written");
            } else if fs::read_to_string(&path).unwrap_or_default() != got {
                differing.push(format!("{}\n{got}", path.display()));
            }
            compared += 1;
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(compared >= 75, "only {compared} files were compared");
}
