//! Files, as far as several encoders treat them alike.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::Text;
use crate::request::Untranslatable;
use crate::request::conversation::{Media, MediaKind, Source};
use crate::request::media::data_url;

/// What a text file says, under its name; `None` for other files. Vendors that read documents read PDF.
pub(super) fn text_of(media: &Media<'_>) -> Option<Text<'static>> {
    let Source::Base64 { media_type, data } = &media.source else {
        return None;
    };
    if !media_type.starts_with("text/") && media_type != "application/json" {
        return None;
    }
    let bytes = STANDARD.decode(data.plain().trim()).ok()?;
    let text = Text::from_plain(&String::from_utf8(bytes).ok()?);
    Some(match &media.name {
        Some(name) => Text::joined([&Text::from_plain(&name.plain()), &text], "\\n\\n"),
        None => text,
    })
}

/// The URL of a file, perhaps with the file in it.
pub(super) fn url_of<'a>(source: &Source<'a>) -> Text<'a> {
    match source {
        Source::Base64 { media_type, data } => data_url(media_type, data),
        Source::Url(url) => url.clone(),
    }
}

/// The refusal of a file that a dialect cannot carry.
pub(super) fn refused(media: &Media<'_>, dialect: &str) -> Untranslatable {
    let what = match (media.kind, &media.source) {
        (MediaKind::Image, _) => "an image".to_owned(),
        (MediaKind::Audio, _) => "a sound recording".to_owned(),
        (MediaKind::Video, _) => "a video".to_owned(),
        (MediaKind::Document, Source::Url(_)) => "a document by its URL".to_owned(),
        (MediaKind::Document, Source::Base64 { media_type, .. }) => format!("a document of type `{media_type}`"),
    };
    Untranslatable::unsayable(&format!("{dialect} cannot be given {what} as it stands here"))
}
