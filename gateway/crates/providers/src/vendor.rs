//! The contract of a vendor: what is done to a call on its way there, and to its answer on the way back.
//!
//! To add a vendor: a folder beside this file with a type that implements `Vendor`, a name for it in
//! `airside_snapshot::Vendor`, and a line in `vendor_of`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use airside_protocols::{Family, FrontDoor, replace_model};
use airside_snapshot::{Moment, Provider, Vendor as VendorName};
use bytes::Bytes;
use http::HeaderMap;
use http::Method;

use crate::endpoint::{Asked, Endpoint};
use crate::shown::Shown;
use crate::{anthropic, azure, bedrock, gemini, openai, vertex};

/// What a vendor does.
pub trait Vendor: fmt::Debug + Send + Sync {
    /// Path and query of a call.
    ///
    /// # Errors
    /// `Unserved` where the vendor has nothing of the kind.
    fn path(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<String, Unserved>;

    /// The body as the vendor takes it. `caller` are the headers of the call, some of which belong into the body
    /// elsewhere.
    ///
    /// # Errors
    /// `Unserved` where the request cannot be said to this vendor.
    fn body(&self, asked: &Asked<'_>, request: Request<'_>, caller: &HeaderMap) -> Result<Pieces, Unserved> {
        let _ = caller;
        Ok(request.with_model(asked.model))
    }

    /// What `body` and `headers` leave out of this request, as the caller's dialect spells it.
    fn losses(&self, asked: &Asked<'_>, request: Request<'_>, caller: &HeaderMap) -> Vec<Lost> {
        let _ = (asked, request, caller);
        Vec::new()
    }

    /// Take away and add headers; those of the caller and of the provider's definition are there already.
    fn headers(&self, asked: &Asked<'_>, headers: &mut HeaderMap) {
        let _ = (asked, headers);
    }

    /// Show the credential. Called anew for each time the request is sent.
    fn show(&self, shown: &Shown, sending: &mut Sending<'_>) {
        if let Shown::Header { name, value, .. } = shown {
            sending.headers.insert(name, value.clone());
        }
    }

    /// What makes an answer one of the family's; `None` where it is one already. Headers are changed to fit.
    fn decoder(&self, asked: &Asked<'_>, status: u16, headers: &mut HeaderMap) -> Option<Box<dyn Decoder>> {
        let _ = (asked, status, headers);
        None
    }
}

/// A request body and where it names its model.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// All of it.
    pub body: &'a Bytes,
    /// Where the value of `model` lies; empty where the body is to stay as it is.
    pub model_range: &'a Range<usize>,
}

impl Request<'_> {
    /// The body with another model's name in it.
    #[must_use]
    pub fn with_model(&self, model: &str) -> Pieces {
        replace_model(self.body, self.model_range, model)
    }
}

/// A body to be sent: its pieces in order, some of them the caller's own memory.
pub type Pieces = [Bytes; 3];

/// The name of something that a vendor cannot be told. Short, lower case, and never a text of the caller's.
pub type Lost = Cow<'static, str>;

/// A body in one piece.
pub(crate) fn in_one(body: impl Into<Bytes>) -> Pieces {
    [body.into(), Bytes::new(), Bytes::new()]
}

/// A request that is about to be sent, for those who sign it.
#[derive(Debug)]
pub struct Sending<'a> {
    /// How.
    pub method: &'a Method,
    /// The `host`.
    pub authority: &'a str,
    /// Path and query, as they are sent.
    pub path: &'a str,
    /// All headers but the credential's.
    pub headers: &'a mut HeaderMap,
    /// The final bytes.
    pub body: &'a [Bytes],
    /// When.
    pub at: Moment,
}

/// Turns an answer into one of the family's, piece by piece.
pub trait Decoder: fmt::Debug + Send {
    /// What these bytes give, if anything yet.
    ///
    /// # Errors
    /// `Undecodable` when they are not of the vendor's format.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable>;

    /// What is left to say when the answer is over.
    ///
    /// # Errors
    /// `Undecodable` when it is not whole.
    fn end(&mut self) -> Result<Vec<u8>, Undecodable>;
}

/// An answer in none of the vendor's formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable;

/// A call that a vendor cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved(pub String);

impl Unserved {
    pub(crate) fn door(vendor: &str, door: FrontDoor) -> Self {
        Self(format!("{vendor} has nothing like {}.", door.name()))
    }
}

/// The vendor of a provider.
///
/// # Errors
/// A sentence when its definition lacks something.
pub fn vendor_of(provider: &Provider) -> Result<Box<dyn Vendor>, String> {
    Ok(match provider.vendor() {
        VendorName::Azure if provider.protocol != Family::Anthropic => Box::new(azure::Azure::new(provider)),
        VendorName::Bedrock => Box::new(bedrock::Bedrock::new(provider)?),
        VendorName::Vertex => Box::new(vertex::Vertex::new(provider)?),
        _ => match provider.protocol {
            Family::Anthropic => Box::new(anthropic::Anthropic),
            Family::Gemini => Box::new(gemini::Gemini),
            Family::OpenaiChat | Family::OpenaiResponses => Box::new(openai::Openai),
        },
    })
}
