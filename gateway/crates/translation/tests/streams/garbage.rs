//! Whatever a target sends, the caller's grammar holds and nothing panics.

use airside_protocols::{Family, events};
use airside_translation::{translate_answer, translate_error};
use proptest::prelude::*;

use crate::grammar::read_gemini_array;
use crate::recording::{FAMILIES, plan, recordings, translate};

/// Events of all recordings of a target, each as bytes.
fn all_events(target: Family) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for recording in recordings(target) {
        for event in events(&recording.bytes) {
            let mut bytes = Vec::new();
            if let Some(name) = event.name {
                bytes.extend_from_slice(b"event: ");
                bytes.extend_from_slice(name);
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(b"data: ");
            bytes.extend_from_slice(&event.data);
            bytes.extend_from_slice(b"\n\n");
            all.push(bytes);
        }
    }
    all
}

/// One change to an event's text.
fn damage(event: &mut Vec<u8>, at: usize, with: &[u8]) {
    let at = at % event.len().saturating_sub(2).max(1);
    let end = (at + with.len()).min(event.len().saturating_sub(2));
    event.splice(at..end.max(at), with.iter().copied());
}

fn bits() -> impl Strategy<Value = Option<(usize, &'static [u8])>> {
    let with: [&'static [u8]; 8] = [b"null", b"\"", b"{", b"]", b"0", b"\\", b"-1", b"\"tool_calls\""];
    prop::option::weighted(0.2, (any::<usize>(), prop::sample::select(with.to_vec())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn events_in_any_order_keep_the_grammar(target in 0_usize..4, client in 0_usize..4, picked in prop::collection::vec((any::<prop::sample::Index>(), bits()), 0..40)) {
        let (target, client) = (FAMILIES[target], FAMILIES[client]);
        let known = all_events(target);
        let stream: Vec<u8> = picked.iter().flat_map(|(index, change)| {
            let mut event = known[index.index(known.len())].clone();
            if let Some((at, with)) = change {
                damage(&mut event, *at, with);
            }
            event
        }).collect();
        let said = translate(plan(target, client), &[&stream]);
        let seen = said.read(client);
        prop_assert_eq!(said.end.is_ok(), seen.error.is_none());
        if client == Family::Gemini {
            let mut plan = plan(target, client);
            plan.gemini_array = true;
            let array = translate(plan, &[&stream]);
            prop_assert_eq!(read_gemini_array(&array.bytes), seen);
        }
    }

    #[test]
    fn no_body_makes_it_panic(target in 0_usize..4, client in 0_usize..4, status in 300_u16..600, body in prop::collection::vec(any::<u8>(), 0..200), at in any::<usize>()) {
        let (target, client) = (FAMILIES[target], FAMILIES[client]);
        let _ = translate_answer(&plan(target, client), &body);
        let known = all_events(target);
        let mut event = known[at % known.len()].clone();
        damage(&mut event, at, &body[..body.len().min(4)]);
        let _ = translate_answer(&plan(target, client), &event);
        let (status, error) = translate_error(target, client, status, &body, "call_1");
        prop_assert!((400..600).contains(&status));
        let error: serde_json::Value = serde_json::from_slice(&error).unwrap();
        prop_assert!(error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
}
