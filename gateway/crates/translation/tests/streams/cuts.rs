//! Streams arrive in any pieces, and may stop anywhere.

use airside_protocols::Family;

use crate::recording::{clients, plan, recordings, said, translate};

fn check_any_pieces(target: Family) {
    for recording in recordings(target) {
        let bytes = recording.bytes.as_slice();
        for client in clients(target) {
            let uncut = said(&recording, client);
            for cut in 1..bytes.len() {
                let (prefix, rest) = bytes.split_at(cut);
                let cut_up = translate(plan(target, client), &[prefix, rest]);
                assert!(
                    cut_up == uncut,
                    "{} for {}, cut at {cut}",
                    recording.name,
                    client.name()
                );
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(translate(plan(target, client), &single), uncut);
        }
    }
}

fn check_any_end(target: Family) {
    for recording in recordings(target) {
        for client in clients(target) {
            // After CR LF CR an event is over; the last LF adds nothing.
            let is_crlf = recording.bytes.ends_with(b"\r\n");
            for end in 0..recording.bytes.len() - usize::from(is_crlf) {
                let cut_off = translate(plan(target, client), &[&recording.bytes[..end]]);
                let which = format!("{} for {}, up to {end}", recording.name, client.name());
                assert!(cut_off.end.is_err(), "{which} counts as whole");
                let seen = cut_off.read(client);
                assert!(
                    seen.error.is_some() && seen.stop.is_none_or(|_| client == Family::Anthropic),
                    "{which}"
                );
            }
        }
    }
}

#[test]
fn an_anthropic_stream_may_come_in_any_pieces() {
    check_any_pieces(Family::Anthropic);
}

#[test]
fn a_responses_stream_may_come_in_any_pieces() {
    check_any_pieces(Family::OpenaiResponses);
}

#[test]
fn a_chat_stream_may_come_in_any_pieces() {
    check_any_pieces(Family::OpenaiChat);
}

#[test]
fn a_gemini_stream_may_come_in_any_pieces() {
    check_any_pieces(Family::Gemini);
}

#[test]
fn an_anthropic_stream_that_stops_anywhere_is_never_whole() {
    check_any_end(Family::Anthropic);
}

#[test]
fn a_responses_stream_that_stops_anywhere_is_never_whole() {
    check_any_end(Family::OpenaiResponses);
}

#[test]
fn a_chat_stream_that_stops_anywhere_is_never_whole() {
    check_any_end(Family::OpenaiChat);
}

#[test]
fn a_gemini_stream_that_stops_anywhere_is_never_whole() {
    check_any_end(Family::Gemini);
}
