//! Values of a body, found when they are asked for.

use std::borrow::Cow;

use airside_protocols::{is_shallow, string_text, walk_array, walk_object};
use serde_json::value::RawValue;

use crate::json::text::Text;

/// One whole value as it is written, without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// The value that these bytes are; `None` if they are something else or nested too deeply.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let value: &RawValue = serde_json::from_slice(body).ok()?;
        is_shallow(body).then(|| Self(value.get()))
    }

    /// The text.
    pub(crate) const fn raw(self) -> &'a str {
        self.0
    }

    pub(crate) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    pub(crate) fn is_array(self) -> bool {
        self.0.starts_with('[')
    }

    pub(crate) fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    /// The members in order; none if this is no object.
    pub(crate) fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        walk_object(self.0).map(|(key, value)| (key, Self(value)))
    }

    /// The object that this is; an empty one if it is none.
    pub(crate) fn object(self) -> Object<'a> {
        Object(self.members().collect())
    }

    /// The items in order; none if this is no array.
    pub(crate) fn items(self) -> impl Iterator<Item = Self> {
        walk_array(self.0).map(Self)
    }

    /// The string that this is, its escapes as they are.
    pub(crate) fn text(self) -> Option<Text<'a>> {
        let inside = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text::from_escaped(Cow::Borrowed(inside)))
    }

    /// The string that this is, its escapes undone.
    pub(crate) fn plain(self) -> Option<Cow<'a, str>> {
        string_text(self.0)
    }

    pub(crate) fn flag(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The number that this is, as it is written.
    pub(crate) fn number(self) -> Option<&'a str> {
        let is_number = self.0.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        is_number.then_some(self.0)
    }

    /// The whole number that this is, also when it is written as `1e3` or `8.0`.
    pub(crate) fn count(self) -> Option<u64> {
        let written = self.number()?;
        if let Ok(count) = written.parse() {
            return Some(count);
        }
        let number: f64 = written.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, which is wanted"
        )]
        (number >= 0.0).then(|| number.ceil() as u64)
    }
}

/// The members of an object. Of a key that is repeated the last counts, and null is as good as absent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<Json<'a>> {
        let found = self.0.iter().rev().find(|(name, _)| name == key)?;
        (!found.1.is_null()).then_some(found.1)
    }

    pub(crate) fn plain(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key)?.plain()
    }

    pub(crate) fn text(&self, key: &str) -> Option<Text<'a>> {
        self.get(key)?.text()
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.flag()
    }

    pub(crate) fn number(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.number()
    }

    pub(crate) fn count(&self, key: &str) -> Option<u64> {
        self.get(key)?.count()
    }

    /// The object under this key; an empty one if there is none.
    pub(crate) fn object(&self, key: &str) -> Object<'a> {
        self.get(key).map(Json::object).unwrap_or_default()
    }

    /// The items of the array under this key.
    pub(crate) fn items(&self, key: &str) -> impl Iterator<Item = Json<'a>> + use<'a> {
        self.get(key).into_iter().flat_map(Json::items)
    }

    /// The `type` of it, or an empty text.
    pub(crate) fn kind(&self) -> Cow<'a, str> {
        self.plain("type").unwrap_or_default()
    }

    /// The keys with a value.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let with_value = self.0.iter().filter(|(_, value)| !value.is_null());
        with_value.map(|(key, _)| key.as_ref())
    }
}
