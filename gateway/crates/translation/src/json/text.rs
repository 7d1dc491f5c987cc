//! Text that stays as the caller escaped it.

use std::borrow::Cow;

use airside_protocols::string_text;

use crate::json::write::escape_into;

/// A JSON string without its quotes, its escapes kept: what is copied is never decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// Of text that is escaped already.
    pub(crate) const fn from_escaped(escaped: Cow<'a, str>) -> Self {
        Self(escaped)
    }

    /// Of text as people read it.
    pub(crate) fn from_plain(plain: &str) -> Self {
        let mut escaped = String::with_capacity(plain.len());
        escape_into(&mut escaped, plain);
        Self(Cow::Owned(escaped))
    }

    /// As it stands between the quotes.
    pub(crate) fn escaped(&self) -> &str {
        &self.0
    }

    /// As people read it; what makes no sense becomes a question mark.
    pub(crate) fn plain(&self) -> Cow<'_, str> {
        if !self.0.contains('\\') {
            return Cow::Borrowed(&self.0);
        }
        let quoted = format!("\"{}\"", self.0);
        let decoded = string_text(&quoted).map(Cow::into_owned);
        Cow::Owned(decoded.unwrap_or_else(|| without_halves(&self.0)))
    }

    /// True when there is nothing in it but white space.
    pub(crate) fn is_blank(&self) -> bool {
        let mut rest = self.0.as_ref();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return true;
            }
            let Some(after) = ["\\n", "\\t", "\\r"]
                .iter()
                .find_map(|escape| rest.strip_prefix(escape))
            else {
                return false;
            };
            rest = after;
        }
    }

    /// Several texts with this (escaped) between them.
    pub(crate) fn joined<'t>(texts: impl IntoIterator<Item = &'t Text<'a>>, between: &str) -> Self
    where
        'a: 't,
    {
        let mut texts = texts.into_iter();
        let Some(first) = texts.next() else {
            return Self(Cow::Borrowed(""));
        };
        let mut whole = first.0.clone();
        for text in texts {
            let whole = whole.to_mut();
            whole.push_str(between);
            whole.push_str(&text.0);
        }
        Self(whole)
    }

    /// With this (escaped) before and behind it.
    pub(crate) fn within(&self, before: &str, behind: &str) -> Self {
        Self(Cow::Owned(format!("{before}{}{behind}", self.0)))
    }
}

/// Half a surrogate pair, which harnesses make when they cut a text, stands for nothing: decode around it.
fn without_halves(escaped: &str) -> String {
    let mut plain = String::with_capacity(escaped.len());
    for (number, piece) in escaped.split("\\u").enumerate() {
        let decoded = |text: &str| string_text(&format!("\"{text}\"")).map(Cow::into_owned);
        let whole = if number == 0 {
            decoded(piece)
        } else {
            decoded(&format!("\\u{piece}"))
        };
        if let Some(text) = whole {
            plain.push_str(&text);
        } else {
            plain.push('\u{fffd}');
            plain.push_str(&decoded(piece.get(4..).unwrap_or_default()).unwrap_or_default());
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_escaped_reads_as_before(plain in any::<String>()) {
            let text = Text::from_plain(&plain);
            prop_assert_eq!(text.plain(), plain.as_str());
            prop_assert_eq!(text.is_blank(), plain.chars().all(|letter| letter.is_whitespace() && !letter.is_control() || "\n\t\r".contains(letter)));
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_read_around() {
        let text = Text::from_escaped(Cow::Borrowed(r"a\nb\ud83dc\u00e9"));
        assert_eq!(text.plain(), "a\nb\u{fffd}cé");
    }
}
