//! Conversations that a provider keeps: a caller goes on from answers that it was given itself.

use std::sync::LazyLock;

use airside_protocols::{Family, FrontDoor, RequestFields, each_member, string_text};
use bytes::Bytes;
use memchr::memmem::Finder;

use super::settle::Call;
use crate::reply::Refusal;

const NOT_FOUND: &str = "previous_response_not_found";
/// In what is said of a response its own id comes first.
static ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"id\""));

/// What a request goes on from must be the caller's.
///
/// # Errors
/// 400 when it is somebody else's, or cannot be told to be anybody's.
pub(super) fn check_stored(call: &Call, fields: &RequestFields, body: &Bytes) -> Result<(), Refusal> {
    let is_of_responses = matches!(call.door, FrontDoor::Responses | FrontDoor::Compact);
    if !fields.continues_stored_state || !is_of_responses {
        return Ok(());
    }
    let (mut is_conversation, mut are_own) = (false, true);
    // Each of them, however it is spelled: which one the provider reads is not known.
    let whole = each_member(body, |key, raw| {
        if raw != b"null" && key.eq_ignore_ascii_case(b"conversation") {
            is_conversation = true;
        } else if raw != b"null" && key.eq_ignore_ascii_case(b"previous_response_id") {
            are_own &= is_own(call, raw);
        }
        Some(())
    });
    if is_conversation {
        let message = "Whose `conversation` it is cannot be told. Send the whole conversation as `input`, or go on from an \
                       answer of your own by `previous_response_id`.";
        return Err(Refusal::new(400, "conversation_unsupported", message));
    }
    if whole.is_some() && are_own {
        return Ok(());
    }
    let message = "No answer of this `previous_response_id` is known to be yours: it was given to another session or key, or \
                   by another gateway, or long ago. Send the whole conversation as `input`.";
    Err(Refusal::new(400, NOT_FOUND, message))
}

fn is_own(call: &Call, raw: &[u8]) -> bool {
    let id = std::str::from_utf8(raw).ok().and_then(string_text);
    id.zip(owner_of(call))
        .is_some_and(|(id, owner)| call.gateway.issued.is_of(&call.gateway.marker, &id, &owner))
}

impl Call {
    /// Remember whose the answer is that these bytes begin, if its provider may keep it.
    pub(super) fn note_issued(&self, start: &[u8]) {
        if self.family != Family::OpenaiResponses || self.door.family() != Family::OpenaiResponses {
            return;
        }
        if let Some((id, owner)) = response_id(start).zip(owner_of(self)) {
            self.gateway.issued.note(&self.gateway.marker, &id, &owner);
        }
    }
}

/// The session that has it, or else the key.
fn owner_of(call: &Call) -> Option<String> {
    let record = &call.record;
    let (kind, id) = match (&record.session_id, &record.key_id) {
        (Some(session), _) => ("session", session),
        (None, Some(key)) => ("key", key),
        (None, None) => return None,
    };
    Some(format!("{kind}:{id}"))
}

fn response_id(start: &[u8]) -> Option<String> {
    let after = start.get(ID.find(start)? + ID.needle().len()..)?;
    let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let end = value.iter().skip(1).position(|byte| *byte == b'"')?;
    let text = std::str::from_utf8(value.get(..end + 2)?).ok()?;
    string_text(text).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_response_is_the_first_in_it() {
        let event = b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\" : \"resp_1\",\"output\":[{\"id\":\"x\"}]}}\n\n";
        assert_eq!(response_id(event).as_deref(), Some("resp_1"));
        assert_eq!(response_id(b"{\"id\":\"resp_2\"}").as_deref(), Some("resp_2"));
        for other in [
            "",
            "{}",
            "{\"id\"",
            "{\"id\":7}",
            "{\"id\":\"",
            "{\"id\":null,\"x\":\"y\"}",
        ] {
            assert_eq!(response_id(other.as_bytes()), None, "{other}");
        }
    }
}
