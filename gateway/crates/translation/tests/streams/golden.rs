//! What callers get, to the byte.

use std::path::PathBuf;

use airside_protocols::Family;

use crate::grammar::check_calls;
use crate::recording::{FAMILIES, Recording, clients, place, recordings, said};

fn golden(recording: &Recording, client: Family) -> PathBuf {
    let name = format!("{}.{}.sse", recording.name, client.name());
    place("golden", recording.target).join(name)
}

fn check(target: Family) {
    for recording in recordings(target) {
        for client in clients(target) {
            let path = golden(&recording, client);
            let expected = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {}", path.display()));
            let said = said(&recording, client);
            check_calls(&said.read(client));
            assert_eq!(said.text(), expected, "{}", path.display());
        }
    }
}

#[test]
fn anthropic_streams_are_said_as_written_down() {
    check(Family::Anthropic);
}

#[test]
fn responses_streams_are_said_as_written_down() {
    check(Family::OpenaiResponses);
}

#[test]
fn chat_streams_are_said_as_written_down() {
    check(Family::OpenaiChat);
}

#[test]
fn gemini_streams_are_said_as_written_down() {
    check(Family::Gemini);
}

#[test]
#[ignore = "writes the golden files"]
fn write_golden_files() {
    for target in FAMILIES {
        let folder = place("golden", target);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for recording in recordings(target) {
            for client in clients(target) {
                let said = said(&recording, client);
                said.read(client);
                std::fs::write(golden(&recording, client), said.bytes).unwrap();
            }
        }
    }
}
