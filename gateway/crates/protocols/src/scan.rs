//! What the gateway must know of a request body, read in one pass that copies nothing.
//!
//! Only the top level is checked: nesting is followed by its brackets and quotes, and what stands inside is the
//! provider's to judge. A field that decides about money or permission may stand only once and only in its exact
//! spelling, because a provider that takes the first, the last or any case of it would otherwise see another request
//! than the gateway did. Escaped spellings of a key (`"mod\u0065l"`) count as that key.

use std::borrow::Cow;
use std::ops::Range;

use crate::address::Address;
use crate::content::ContentCount;
use crate::family::{Family, FrontDoor};
use crate::fields::{
    Field, GEMINI_SETTINGS, GEMINI_WRAPPED, Table, asks_for_usage, is_snake_of, names, table_of, tier_named,
    whole_number,
};
use crate::gemini::note_media;
use crate::json::{Cursor, unescape};
use crate::nesting::{Broken, MAX_DEPTH};
use crate::request::{MalformedBody, RequestFields};
use crate::skip::Coming;
use crate::usage::ServiceTier;

/// Read the body of a request to this address.
///
/// A leading byte order mark is passed over, as is white space around the object.
///
/// # Errors
/// See `MalformedBody`; each is the caller's to mend.
pub fn scan_request(body: &[u8], address: &Address) -> Result<RequestFields, MalformedBody> {
    RequestScan::at(address.door).finish(body, address)
}

/// Reads the body of a request while it is still coming, so that little is left to read when it is there.
#[derive(Debug)]
pub struct RequestScan {
    scan: Scan,
    /// Where the first member begins that was not read, or the end of the object; 0 before it was opened.
    at: usize,
    has_members: bool,
    coming: Coming,
    /// What is wrong with a member that was read.
    fault: Option<MalformedBody>,
    /// The rest is read when it is there.
    waits: bool,
}

impl RequestScan {
    /// Of a request at this door.
    #[must_use]
    pub fn at(door: FrontDoor) -> Self {
        Self {
            scan: Scan::new(door),
            at: 0,
            has_members: true,
            coming: Coming::default(),
            fault: None,
            waits: false,
        }
    }

    /// Read what has come of the body so far, from its first byte on, of which more will come.
    pub fn go_on(&mut self, so_far: &[u8]) {
        if self.waits {
            return;
        }
        let before = (self.at, self.coming.place());
        self.goes_on(true);
        let read = self.read_on(so_far);
        // What is broken off may be whole with what comes. Where nothing came of it, more will not be tried: a long key
        // would be looked at again and again.
        self.waits = read.is_ok() || self.fault.is_some() || before == (self.at, self.coming.place());
    }

    /// Read what is left of the body, which is all there.
    ///
    /// # Errors
    /// As `scan_request`.
    pub fn finish(mut self, body: &[u8], address: &Address) -> Result<RequestFields, MalformedBody> {
        if self.scan.content.is_unclear {
            return scan_request(body, address);
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.goes_on(false);
        let end = self.read_on(body)?;
        if end != body.len() {
            return Err(MalformedBody::NotJson { at: end });
        }
        let mut fields = self.scan.finish(address)?;
        if let Some(model) = &address.model {
            fields.model.clone_from(model);
            fields.stream = address.streams;
            note_media(body, &mut fields);
        }
        Ok(fields)
    }

    fn goes_on(&mut self, goes_on: bool) {
        (self.coming.goes_on, self.scan.content.goes_on) = (goes_on, goes_on);
    }

    /// Read from where it stands; where what follows the object begins.
    fn read_on(&mut self, text: &[u8]) -> Result<usize, MalformedBody> {
        let mut cursor = Cursor::starting_at(text, self.at, MAX_DEPTH);
        if self.at == 0 {
            cursor.skip_bom();
            self.has_members = opens(&mut cursor)?;
            if self.coming.goes_on && cursor.peek().is_none() {
                return Err(Broken::At(cursor.position()).into());
            }
            self.at = cursor.position();
        }
        while self.has_members {
            let member = self.scan.member(&mut cursor, &mut self.coming)?;
            self.has_members = member.is_followed;
            let wished = &mut self.scan.fields.wished;
            wished.note(self.scan.family, &member.key, text, &member.range);
            if let Err(fault) = self.scan.take_member(member, text, 0) {
                self.fault = Some(fault.clone());
                return Err(fault);
            }
            if self.has_members {
                cursor.expect(b',')?;
            }
            self.at = cursor.position();
        }
        cursor.expect(b'}')?;
        cursor.skip_whitespace();
        Ok(cursor.position())
    }
}

/// A member of an object, and whether another follows.
struct Member<'a> {
    key: Cow<'a, [u8]>,
    range: Range<usize>,
    is_followed: bool,
}

/// Move into the object that starts at the cursor, up to its first member or its end; true if it has members.
fn opens(cursor: &mut Cursor<'_>) -> Result<bool, Broken> {
    cursor.skip_whitespace();
    cursor.expect(b'{')?;
    cursor.skip_whitespace();
    Ok(cursor.peek() != Some(b'}'))
}

#[derive(Debug)]
struct Scan {
    table: Table,
    family: Family,
    /// Keys may also be written in snake case, as protocol buffers have it.
    is_proto: bool,
    seen: u16,
    has_model: bool,
    fields: RequestFields,
    content: ContentCount,
}

impl Scan {
    fn new(door: FrontDoor) -> Self {
        let fields = RequestFields {
            choices: 1,
            // Nothing is written where numbers are asked for.
            output_limit: (door == FrontDoor::Embeddings).then_some(0),
            ..RequestFields::default()
        };
        Self {
            table: table_of(door),
            family: door.family(),
            is_proto: door.family() == Family::Gemini,
            seen: 0,
            has_model: false,
            fields,
            content: ContentCount::default(),
        }
    }

    /// Read the object that starts at the cursor; `offset` is where the cursor's text stands in the body.
    fn object(&mut self, cursor: &mut Cursor<'_>, text: &[u8], offset: usize) -> Result<(), MalformedBody> {
        let mut goes_on = opens(cursor)?;
        while goes_on {
            let member = self.member(cursor, &mut Coming::default())?;
            goes_on = member.is_followed;
            self.take_member(member, text, offset)?;
            if goes_on {
                cursor.expect(b',')?;
            }
        }
        Ok(cursor.expect(b'}')?)
    }

    /// The member that starts at the cursor, which then stands in front of what follows it.
    fn member<'a>(&mut self, cursor: &mut Cursor<'a>, coming: &mut Coming) -> Result<Member<'a>, Broken> {
        cursor.skip_whitespace();
        let key = cursor.key()?;
        cursor.skip_whitespace();
        cursor.expect(b':')?;
        cursor.skip_whitespace();
        let range = cursor.value_of(coming, &mut self.content)?;
        cursor.skip_whitespace();
        let next = cursor.peek();
        if coming.goes_on && next.is_none() {
            return Err(Broken::At(cursor.position()));
        }
        let is_followed = next == Some(b',');
        Ok(Member {
            key,
            range,
            is_followed,
        })
    }

    fn take_member(&mut self, member: Member<'_>, text: &[u8], offset: usize) -> Result<(), MalformedBody> {
        match self.field_named(&member.key)? {
            Some(field) => self.take(field, text, member.range, offset),
            None => Ok(()),
        }
    }

    /// Read the members of an object inside, by another table.
    fn inner(&mut self, table: Table, raw: &[u8], offset: usize) -> Result<(), MalformedBody> {
        if !raw.starts_with(b"{") {
            return Ok(());
        }
        let outer = (
            std::mem::replace(&mut self.table, table),
            std::mem::take(&mut self.seen),
            self.content.extra_tools,
        );
        let read = self.object(&mut Cursor::new(raw, MAX_DEPTH), raw, offset);
        // What stands in it was counted when it was walked over as a whole.
        (self.table, self.seen, self.content.extra_tools) = outer;
        read
    }

    /// The field this key names, if it is one the gateway reads.
    fn field_named(&mut self, key: &[u8]) -> Result<Option<Field>, MalformedBody> {
        const LONGEST: usize = "generate_content_request".len();
        if key.len() > LONGEST {
            return Ok(None);
        }
        for (bit, (name, field)) in self.table.iter().enumerate() {
            let mut is_exact = key == name.as_bytes();
            if !is_exact && !names(key, name, self.is_proto) {
                continue;
            }
            is_exact |= self.is_proto && is_snake_of(key, name);
            let mask = 1_u16 << bit;
            if !is_exact || self.seen & mask != 0 {
                return Err(MalformedBody::Ambiguous { field: name });
            }
            self.seen |= mask;
            return Ok(Some(*field));
        }
        Ok(None)
    }

    fn take(&mut self, field: Field, text: &[u8], range: Range<usize>, offset: usize) -> Result<(), MalformedBody> {
        let raw = text.get(range.clone()).unwrap_or_default();
        match field {
            Field::Model => {
                let inside = raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\""));
                let model = inside.and_then(unescape).ok_or(MalformedBody::NoModel)?;
                self.has_model = !model.is_empty();
                self.fields.model = model.into_owned();
                self.fields.model_range = range.start + offset..range.end + offset;
            }
            Field::Stream => {
                self.fields.stream = match raw {
                    b"true" => true,
                    b"false" | b"null" => false,
                    _ => return Err(MalformedBody::BadStream),
                }
            }
            Field::OutputLimit => self.fields.output_limit = self.fields.output_limit.max(whole_number(raw)),
            Field::Choices => self.fields.choices = whole_number(raw).unwrap_or(1).max(1),
            Field::StreamOptions => self.fields.includes_usage = asks_for_usage(raw),
            Field::StoredState => self.fields.continues_stored_state |= raw != b"null",
            Field::Background if raw == b"false" || raw == b"null" => {}
            Field::Background => return Err(MalformedBody::Background),
            Field::Settings => self.inner(GEMINI_SETTINGS, raw, range.start + offset)?,
            Field::Wrapped => self.inner(GEMINI_WRAPPED, raw, range.start + offset)?,
            // A speed is the dearer word of the two, whichever of them stands first.
            Field::ServiceTier => self.fields.service_tier = self.fields.service_tier.or(tier_named(raw)),
            Field::Speed => {
                self.fields.service_tier = tier_named(raw)
                    .filter(|tier| *tier == ServiceTier::Fast)
                    .or(self.fields.service_tier);
            }
        }
        Ok(())
    }

    fn finish(mut self, address: &Address) -> Result<RequestFields, MalformedBody> {
        if !self.has_model && address.model.is_none() {
            return Err(MalformedBody::NoModel);
        }
        self.fields.images = self.content.images;
        self.fields.documents = self.content.documents;
        self.fields.one_hour_cache = self.content.one_hour_cache;
        self.fields.server_tools = self.content.server_tools;
        self.fields.wished.extra_tools = self.content.extra_tools;
        self.fields.output_limit = self
            .fields
            .output_limit
            .map(|limit| limit.saturating_mul(self.fields.choices));
        Ok(self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, body: &str) -> Result<RequestFields, MalformedBody> {
        scan_request(body.as_bytes(), &Address::of(path).unwrap())
    }

    fn scan(body: &str) -> Result<RequestFields, MalformedBody> {
        at("/v1/messages", body)
    }

    #[test]
    fn the_top_level_is_read_whatever_stands_inside() {
        let body = r#" {"messages":[{"content":"\"model\":\"no\"","model":"no"}], "max_tokens" : 12 ,"model":"c\u006fder","stream":true} "#;
        let fields = scan(body).unwrap();
        assert_eq!(fields.model, "coder");
        assert_eq!(&body[fields.model_range.clone()], r#""c\u006fder""#);
        assert!(fields.stream);
        assert_eq!(fields.output_limit, Some(12));
    }

    #[test]
    fn a_body_is_read_as_far_as_it_has_come() {
        let turns = r#"{"role":"user","content":"a \"word\""},"#.repeat(1000);
        let body = format!(
            r#"{{"model":"m","messages":[{turns}1],"system":"{}"}}"#,
            "x".repeat(4000)
        );
        let mut scan = RequestScan::at(FrontDoor::Messages);
        for end in [1000, 20_000, 35_000] {
            scan.go_on(&body.as_bytes()[..end]);
            let read = scan.coming.place().expect("a value is under way");
            assert!((end - 600..end).contains(&read), "{read} of {end}");
        }
        let system = body.find("\"system\"").unwrap();
        scan.go_on(&body.as_bytes()[..system + 2000]);
        assert_eq!((scan.at, scan.waits), (system, false));
        assert!(scan.coming.place().is_some_and(|read| read > system + 1000));
        scan.go_on(&body.as_bytes()[..system + 2001]);
        assert!(scan.waits, "what brings nothing new is not tried again");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(scan("\u{feff}{\"model\":\"m\"}").unwrap().model, "m");
    }

    #[test]
    fn a_field_that_could_be_read_two_ways_is_refused() {
        for body in [
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","mod\u0065l":"b"}"#,
            r#"{"model":"a","Model":"b"}"#,
            r#"{"MODEL":"b"}"#,
        ] {
            assert_eq!(scan(body), Err(MalformedBody::Ambiguous { field: "model" }), "{body}");
        }
        let twice = scan(r#"{"model":"a","max_tokens":1,"max_tokens":100000}"#);
        assert_eq!(twice, Err(MalformedBody::Ambiguous { field: "max_tokens" }));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for body in [
            "",
            "[]",
            "{",
            "{\"model\":\"m\"",
            "{\"model\":\"m\"}x",
            "{\"model\"}",
            "{\"a\":[}",
            "nul",
            "{,}",
        ] {
            assert!(matches!(scan(body), Err(MalformedBody::NotJson { .. })), "{body}");
        }
    }

    #[test]
    fn a_missing_or_strange_model_is_refused() {
        for body in ["{}", r#"{"model":7}"#, r#"{"model":""}"#, r#"{"model":null}"#] {
            assert_eq!(scan(body), Err(MalformedBody::NoModel), "{body}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let body = format!(
            r#"{{"a":{}{},"model":"m"}}"#,
            "[".repeat(MAX_DEPTH + 1),
            "]".repeat(MAX_DEPTH + 1)
        );
        assert_eq!(scan(&body), Err(MalformedBody::TooDeep));
        let body = format!(
            r#"{{"a":{}{},"model":"m"}}"#,
            "[".repeat(MAX_DEPTH),
            "]".repeat(MAX_DEPTH)
        );
        assert!(scan(&body).is_ok());
    }

    #[test]
    fn limits_are_read_as_lenient_servers_read_them() {
        for (raw, expected) in [
            ("12", Some(12)),
            ("1e3", Some(1000)),
            ("\"7\"", Some(7)),
            ("2.1", Some(3)),
            ("null", None),
            ("-4", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
        ] {
            let body = format!(r#"{{"model":"m","max_tokens":{raw}}}"#);
            assert_eq!(scan(&body).unwrap().output_limit, expected, "{raw}");
        }
    }

    #[test]
    fn every_choice_of_a_chat_call_counts_against_its_limit() {
        let body =
            r#"{"model":"m","n":3,"max_completion_tokens":10,"max_tokens":4,"stream_options":{"include_usage":true}}"#;
        let fields = at("/v1/chat/completions", body).unwrap();
        assert_eq!(fields.output_limit, Some(30));
        assert!(fields.includes_usage);
    }

    #[test]
    fn what_makes_a_call_dearer_is_seen() {
        let body = r#"{"model":"m","speed":"fast","service_tier":"standard_only","tools":[{"type":"web_search_20250305"},
            {"type":"text"}],"messages":[{"content":[{"type":"web_search_tool_result"}]}]}"#;
        let fields = scan(body).unwrap();
        assert_eq!((fields.service_tier, fields.server_tools), (Some(ServiceTier::Fast), 1));
        for (body, tier) in [
            (r#"{"model":"m","service_tier":"flex"}"#, Some(ServiceTier::Flex)),
            (r#"{"model":"m","service_tier":"auto"}"#, None),
            (r#"{"model":"m","service_tier":null}"#, None),
        ] {
            let fields = at("/v1/responses", body).unwrap();
            assert_eq!(fields.service_tier, tier, "{body}");
        }
        let twice = scan(r#"{"model":"m","service_tier":"auto","service_tier":"priority"}"#);
        assert_eq!(twice, Err(MalformedBody::Ambiguous { field: "service_tier" }));
    }

    #[test]
    fn a_response_that_nobody_would_see_is_refused() {
        let body = r#"{"model":"m","background":true}"#;
        assert_eq!(at("/v1/responses", body), Err(MalformedBody::Background));
        let body = r#"{"model":"m","previous_response_id":"r"}"#;
        assert!(at("/v1/responses", body).unwrap().continues_stored_state);
        assert!(at("/v1/responses/compact", body).unwrap().continues_stored_state);
    }

    #[test]
    fn embeddings_write_nothing() {
        let fields = at("/v1/embeddings", r#"{"model":"e","input":["a","b"]}"#).unwrap();
        assert_eq!((fields.model.as_str(), fields.output_limit), ("e", Some(0)));
    }

    const GENERATE: &str = "/v1beta/models/m:streamGenerateContent";

    #[test]
    fn a_gemini_request_is_read_from_its_path_and_its_settings() {
        let body = r#"{"contents":[],"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#;
        let fields = at(GENERATE, body).unwrap();
        assert_eq!(
            (fields.model.as_str(), fields.stream, fields.output_limit),
            ("m", true, Some(14))
        );
        assert!(fields.model_range.is_empty() && !fields.continues_stored_state);
        let snake = r#"{"generation_config":{"max_output_tokens":"7"},"cached_content":"cachedContents/1"}"#;
        let fields = at(GENERATE, snake).unwrap();
        assert_eq!((fields.output_limit, fields.continues_stored_state), (Some(7), true));
        assert_eq!(at(GENERATE, "{}").unwrap().model, "m");
    }

    #[test]
    fn what_makes_a_gemini_call_dearer_is_seen() {
        let body =
            r#"{"contents":[],"tools":[{"google_search":{}},{"urlContext":{}}],"service_tier":"SERVICE_TIER_FLEX"}"#;
        let fields = at(GENERATE, body).unwrap();
        assert_eq!((fields.service_tier, fields.server_tools), (Some(ServiceTier::Flex), 2));
    }

    #[test]
    fn a_gemini_field_in_two_spellings_is_refused() {
        for body in [
            r#"{"generationConfig":{"maxOutputTokens":7,"max_output_tokens":70000}}"#,
            r#"{"generationConfig":{"maxoutputtokens":7}}"#,
            r#"{"generationConfig":{"max_Output_tokens":7}}"#,
            r#"{"generationConfig":{"max__output_tokens":7}}"#,
            r#"{"generationConfig":{},"generation_config":{"maxOutputTokens":7}}"#,
        ] {
            assert!(
                matches!(at(GENERATE, body), Err(MalformedBody::Ambiguous { .. })),
                "{body}"
            );
        }
    }

    #[test]
    fn the_model_inside_a_gemini_body_is_found_where_it_stands() {
        let path = "/v1beta/models/m:countTokens";
        for body in [
            r#"{"generateContentRequest": {"contents":[], "model": "models/m"}}"#,
            r#" {"model": "models/m","contents":[]}"#,
        ] {
            let fields = at(path, body).unwrap();
            assert_eq!(&body[fields.model_range.clone()], "\"models/m\"");
            assert_eq!(fields.model, "m");
        }
    }
}
