//! Changing the members of a JSON object and leaving the text of the others as it is.

use std::borrow::Cow;
use std::ops::Range;

use airside_protocols::{array_elements, object_members, top_level_text};
use bytes::Bytes;
use memchr::memmem;

/// The members of an object, to be written again with some of them changed.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    body: &'a Bytes,
    kept: Vec<(Cow<'a, str>, Bytes)>,
}

impl<'a> Members<'a> {
    /// `None` when the body is no object.
    pub(crate) fn of(body: &'a Bytes) -> Option<Self> {
        let members = object_members(body)?;
        let kept = members.into_iter().map(|(key, value)| (key, body.slice_ref(value)));
        Some(Self {
            body,
            kept: kept.collect(),
        })
    }

    pub(crate) fn remove(&mut self, names: &[&str]) {
        self.kept.retain(|(key, _)| !names.contains(&key.as_ref()));
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.kept.iter().any(|(key, _)| key == name)
    }

    /// True if a member of that name is there and is not null.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| *value != b"null"[..])
    }

    /// The value of a member.
    pub(crate) fn value(&self, name: &str) -> Option<&Bytes> {
        self.kept.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Put a member before the others; one of that name is replaced.
    pub(crate) fn put_first(&mut self, name: &'static str, value: impl Into<Bytes>) {
        self.remove(&[name]);
        self.kept.insert(0, (Cow::Borrowed(name), value.into()));
    }

    /// Change the value of a member, if it is there. True if it was changed.
    pub(crate) fn change(&mut self, name: &str, change: impl Fn(&Bytes) -> Option<Bytes>) -> bool {
        let mut is_changed = false;
        for (_, value) in self.kept.iter_mut().filter(|(key, _)| key == name) {
            if let Some(changed) = change(value) {
                *value = changed;
                is_changed = true;
            }
        }
        is_changed
    }

    /// True if this text stands anywhere in the body.
    pub(crate) fn mentions(&self, text: &[u8]) -> bool {
        memmem::find(self.body, text).is_some()
    }

    /// The object again.
    pub(crate) fn written(self) -> Bytes {
        let mut whole = Vec::with_capacity(self.body.len() + 128);
        for (number, (key, value)) in self.kept.into_iter().enumerate() {
            whole.push(if number == 0 { b'{' } else { b',' });
            let key = serde_json::to_string(&key).unwrap_or_default();
            whole.extend_from_slice(key.as_bytes());
            whole.push(b':');
            whole.extend_from_slice(&value);
        }
        if whole.is_empty() {
            whole.push(b'{');
        }
        whole.push(b'}');
        whole.into()
    }
}

/// The value without `scope` in its cache marks, which only Anthropic itself knows; `None` if there is none.
pub(crate) fn without_cache_scope(value: &Bytes) -> Option<Bytes> {
    const MARK: &[u8] = b"\"cache_control\"";
    let mut cuts = Vec::new();
    for at in memmem::find_iter(value, MARK) {
        let is_key = at.checked_sub(1).and_then(|before| value.get(before)) != Some(&b'\\');
        let object = is_key.then(|| object_at(value, at + MARK.len())).flatten();
        let Some(object) = object else { continue };
        let members = object_members(value.get(object.clone())?)?;
        if members.iter().any(|(key, _)| key == "scope") {
            let kept: Vec<String> = members
                .iter()
                .filter(|(key, _)| key != "scope")
                .map(|(key, value)| format!("\"{key}\":{}", String::from_utf8_lossy(value)))
                .collect();
            cuts.push((object, format!("{{{}}}", kept.join(","))));
        }
    }
    (!cuts.is_empty()).then(|| replaced(value, &cuts))
}

/// Where the object lies that is the value of the key which ends here.
fn object_at(text: &[u8], end_of_key: usize) -> Option<Range<usize>> {
    let rest = text.get(end_of_key..)?;
    let colon = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let rest = rest.get(colon..)?.strip_prefix(b":")?;
    let start = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let object = rest.get(start..)?;
    // A cache mark holds no nested object and no brace in a text.
    let end = memchr::memchr(b'}', object)? + 1;
    let at = end_of_key + colon + 1 + start;
    object.starts_with(b"{").then_some(at..at + end)
}

fn replaced(value: &[u8], cuts: &[(Range<usize>, String)]) -> Bytes {
    let mut out = Vec::with_capacity(value.len());
    let mut from = 0;
    for (range, text) in cuts {
        out.extend_from_slice(value.get(from..range.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        from = range.end;
    }
    out.extend_from_slice(value.get(from..).unwrap_or_default());
    out.into()
}

/// An array of objects without this member in any of them; `None` if none has it.
pub(crate) fn without_member(array: &Bytes, name: &str) -> Option<Bytes> {
    let elements = array_elements(array)?.into_iter();
    let elements: Vec<Bytes> = elements.map(|range| array.slice(range)).collect();
    let mut is_changed = false;
    let kept: Vec<Bytes> = elements
        .iter()
        .map(|element| match Members::of(element) {
            Some(mut members) if members.has(name) => {
                is_changed = true;
                members.remove(&[name]);
                members.written()
            }
            _ => element.clone(),
        })
        .collect();
    is_changed.then(|| Bytes::from([b"[", kept.join(&b","[..]).as_slice(), b"]"].concat()))
}

/// Tools without those whose type begins so; `None` if there is none.
pub(crate) fn without_tools(tools: &Bytes, kind: &str) -> Option<Bytes> {
    let is_of_kind = |tool: &[u8]| top_level_text(tool, "type").is_some_and(|given| given.starts_with(kind));
    without_elements(tools, is_of_kind)
}

/// An array without the elements that go; `None` if none does.
fn without_elements(array: &Bytes, goes: impl Fn(&[u8]) -> bool) -> Option<Bytes> {
    let elements = array_elements(array)?;
    let all = elements.len();
    let elements = elements.into_iter().filter_map(|range| array.get(range));
    let kept: Vec<&[u8]> = elements.filter(|element| !goes(element)).collect();
    (kept.len() < all).then(|| Bytes::from([b"[", kept.join(&b","[..]).as_slice(), b"]"].concat()))
}

/// `system` without the block that says for whose bill the call is: Anthropic takes it out, others would cache it.
pub(crate) fn without_billing(system: &Bytes) -> Option<Bytes> {
    const BILLING: &str = "x-anthropic-billing-header";
    memmem::find(system, BILLING.as_bytes())?;
    without_elements(system, |element| is_text_starting(element, BILLING))
}

fn is_text_starting(element: &[u8], start: &str) -> bool {
    let members = object_members(element).unwrap_or_default();
    let text = members.iter().find(|(key, _)| key == "text");
    text.and_then(|(_, raw)| serde_json::from_slice::<String>(raw).ok())
        .is_some_and(|text| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(whole: &Bytes) -> String {
        String::from_utf8(whole.to_vec()).unwrap()
    }

    #[test]
    fn what_is_not_changed_stays_as_it_was_written() {
        let body = Bytes::from_static(br#" {"model": "m" , "a":[1, 2e0],"stream":true,"b":"\u00e9"}"#);
        let mut members = Members::of(&body).unwrap();
        members.remove(&["model", "stream"]);
        members.put_first("v", &b"1"[..]);
        assert_eq!(text(&members.written()), r#"{"v":1,"a":[1, 2e0],"b":"\u00e9"}"#);
        let all = Bytes::from_static(b"{\"a\":1}");
        let mut members = Members::of(&all).unwrap();
        members.remove(&["a"]);
        assert_eq!(text(&members.written()), "{}");
    }

    #[test]
    fn the_scope_of_a_cache_mark_is_cut_and_nothing_else() {
        let value = Bytes::from_static(
            br#"[{"text":"\"cache_control\":{\"scope\":1}","cache_control" : {"type":"ephemeral","scope":"global","ttl":"1h"}},{"scope":"x"}]"#,
        );
        assert_eq!(
            without_cache_scope(&value).unwrap(),
            br#"[{"text":"\"cache_control\":{\"scope\":1}","cache_control" : {"type":"ephemeral","ttl":"1h"}},{"scope":"x"}]"#[..]
        );
        assert_eq!(
            without_cache_scope(&Bytes::from_static(b"[{\"cache_control\":{\"type\":\"ephemeral\"}}]")),
            None
        );
    }

    #[test]
    fn the_billing_block_is_taken_out_of_the_system_prompt() {
        let system = Bytes::from_static(
            br#"[{"type":"text","text":"x-anthropic-billing-header: cc_version=2"},{"type":"text","text":"You are"}]"#,
        );
        assert_eq!(
            without_billing(&system).unwrap(),
            br#"[{"type":"text","text":"You are"}]"#[..]
        );
        assert_eq!(without_billing(&Bytes::from_static(b"\"plain\"")), None);
    }
}
