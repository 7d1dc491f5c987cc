//! Files inside requests: data URLs and media types.

use std::borrow::Cow;

use crate::json::Text;
use crate::request::conversation::{Media, MediaKind, Source};

const TYPES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("json", "application/json"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mp3"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
];

/// Where the bytes are that this URL names: in itself, or on the web.
pub(crate) fn source_of_url(url: Text<'_>) -> Source<'_> {
    match inline_data(&url) {
        Some((media_type, data)) => Source::Base64 {
            media_type: Cow::Owned(media_type),
            data,
        },
        None => Source::Url(url),
    }
}

/// The media type and the base64 of a data URL. Nothing in one needs an escape, so only `\/` can stand in it.
fn inline_data<'a>(url: &Text<'a>) -> Option<(String, Text<'a>)> {
    let rest = url.escaped().strip_prefix("data:")?;
    let (head, data) = rest.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or_default().replace('\\', "");
    Some((media_type, Text::from_escaped(Cow::Owned(data.replace("\\/", "/")))))
}

/// The data URL of a file.
pub(crate) fn data_url(media_type: &str, data: &Text<'_>) -> Text<'static> {
    let mut url = Text::from_plain(&format!("data:{media_type};base64,"))
        .escaped()
        .to_owned();
    url.push_str(data.escaped());
    Text::from_escaped(Cow::Owned(url))
}

/// What kind of file a media type names.
pub(crate) fn kind_of_type(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// A format's media type: by the end of a URL or a file name, or else the commonest of its kind.
pub(crate) fn guessed_type(name: &str, kind: MediaKind) -> &'static str {
    let path = name.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit(['.', '/']).next().unwrap_or_default().to_ascii_lowercase();
    let known = TYPES.iter().find(|(known, _)| *known == ending);
    match (known, kind) {
        (Some((_, media_type)), _) => media_type,
        (None, MediaKind::Image) => "image/jpeg",
        (None, MediaKind::Document) => "application/pdf",
        (None, MediaKind::Audio) => "audio/wav",
        (None, MediaKind::Video) => "video/mp4",
    }
}

impl<'a> Media<'a> {
    /// A file of which only this is known.
    pub(crate) const fn of(kind: MediaKind, source: Source<'a>) -> Self {
        Self {
            kind,
            source,
            name: None,
            detail: None,
            cache: None,
        }
    }
}
