//! A whole request on the way to one candidate: what is left out of it, or why it cannot be said there at all.

use std::collections::BTreeSet;

use airside_protocols::{FrontDoor, top_level_member};
use airside_providers::{Asked, Endpoint, Request, Unserved, vendor_of};
use airside_snapshot::Compiled;
use airside_translation::{strip_wish_to_think, translate_request};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::imagined::{Imagined, Request as ImaginedRequest};
use crate::plan::Candidate;

/// The request in a dialect.
struct Said {
    door: FrontDoor,
    body: Bytes,
    model_range: std::ops::Range<usize>,
    losses: BTreeSet<String>,
}

/// What translation and the vendor leave out, each once; `None` without a body.
///
/// # Errors
/// Why it cannot be said there, in a sentence.
pub(super) fn left_out(
    compiled: &Compiled,
    imagined: &Imagined,
    request: &ImaginedRequest,
    candidate: &Candidate<'_>,
    now_s: i64,
) -> Option<Result<Vec<String>, String>> {
    let body = request.body.as_deref()?;
    let said = said(compiled, request, body, candidate, now_s);
    Some(said.and_then(|said| {
        let losses = left_out_by_vendor(compiled, imagined, request, candidate, said);
        losses.map(|losses| losses.into_iter().collect())
    }))
}

fn said(
    compiled: &Compiled,
    request: &ImaginedRequest,
    body: &str,
    candidate: &Candidate<'_>,
    now_s: i64,
) -> Result<Said, String> {
    let (door, family) = (request.door, candidate.family);
    if door.is_spoken_by(family) {
        let unwished = (!candidate.target.can_think())
            .then(|| strip_wish_to_think(family, body.as_bytes()))
            .flatten();
        let (body, losses) = unwished.unwrap_or_else(|| (body.as_bytes().to_vec(), Vec::new()));
        let is_moved = !request.fields.model_range.is_empty() && !losses.is_empty();
        let model_range = is_moved.then(|| top_level_member(&body, "model")).flatten();
        return Ok(Said {
            door,
            model_range: model_range.unwrap_or_else(|| request.fields.model_range.clone()),
            losses: losses.iter().map(|loss| loss.field.to_string()).collect(),
            body: body.into(),
        });
    }
    let wanted = candidate.wanted(compiled, &request.fields, "call_imagined", now_s);
    let translated = translate_request(door.family(), family, body.as_bytes(), &wanted).map_err(|why| why.message)?;
    let losses = translated.losses.iter().map(|loss| loss.field.to_string());
    Ok(Said {
        door: FrontDoor::of(family),
        losses: losses.collect(),
        body: translated.body.into(),
        model_range: 0..0,
    })
}

fn left_out_by_vendor(
    compiled: &Compiled,
    imagined: &Imagined,
    request: &ImaginedRequest,
    candidate: &Candidate<'_>,
    said: Said,
) -> Result<BTreeSet<String>, String> {
    let mut losses = said.losses;
    let Some(provider) = compiled.snapshot.providers.get(candidate.provider) else {
        return Ok(losses);
    };
    let vendor = vendor_of(provider)?;
    let endpoint = Endpoint::parse(&provider.base_url).map_err(|problem| problem.to_string())?;
    let asked = Asked {
        door: said.door,
        model: &candidate.target.model,
        streams: request.fields.stream,
        query: None,
        follows_schemas: candidate.target.capabilities.structured_output == Some(true),
    };
    let (as_sent, headers) = (
        Request {
            body: &said.body,
            model_range: &said.model_range,
        },
        headers(imagined),
    );
    let unserved = |Unserved(why)| why;
    vendor.path(&endpoint, &asked).map_err(unserved)?;
    vendor.body(&asked, as_sent, &headers).map_err(unserved)?;
    let lost = vendor.losses(&asked, as_sent, &headers);
    losses.extend(lost.into_iter().map(std::borrow::Cow::into_owned));
    Ok(losses)
}

/// Those that can be headers.
fn headers(imagined: &Imagined) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &imagined.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers
}
