//! The Gemini API, as ai.google.dev describes it.

mod path;

use airside_protocols::FrontDoor;
use http::HeaderMap;

use crate::endpoint::{Asked, Endpoint};
use crate::vendor::{Pieces, Request, Unserved, Vendor};

pub(crate) use path::{bare, method, query};

/// The Gemini API.
#[derive(Debug)]
pub(crate) struct Gemini;

impl Vendor for Gemini {
    fn path(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<String, Unserved> {
        match asked.door {
            FrontDoor::GenerateContent | FrontDoor::CountContent => Ok(path::path(endpoint, asked)),
            door => Err(Unserved::door("The Gemini API", door)),
        }
    }

    fn body(&self, asked: &Asked<'_>, request: Request<'_>, _: &HeaderMap) -> Result<Pieces, Unserved> {
        Ok(request.with_model(&path::name(asked.model)))
    }
}
