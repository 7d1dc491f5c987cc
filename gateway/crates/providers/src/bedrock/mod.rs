//! Amazon Bedrock: Claude as it is (`InvokeModel`), other models through `Converse`. Both are served in Anthropic's
//! dialect.

mod converse_answer;
mod converse_losses;
mod converse_request;
mod converse_stream;
mod count;
mod error;
mod frames;
mod invoke;
mod invoke_stream;

use airside_protocols::FrontDoor;
use airside_snapshot::Provider;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};

use crate::encode::path_segment;
use crate::endpoint::{Asked, Endpoint};
use crate::shown::Shown;
use crate::vendor::{Decoder, Lost, Pieces, Request, Sending, Unserved, Vendor};

/// Bedrock in one region.
#[derive(Debug)]
pub(crate) struct Bedrock {
    region: String,
}

/// How a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    /// The model's own body and answer.
    Invoke,
    /// AWS's own, the same for every model.
    Converse,
}

/// A model's id and how it is asked. `invoke/` and `converse/` before the id decide; else Claude is invoked, and so is
/// what an ARN does not tell.
fn api_of(model: &str) -> (Api, &str) {
    if let Some(id) = model.strip_prefix("invoke/") {
        return (Api::Invoke, id);
    }
    if let Some(id) = model.strip_prefix("converse/") {
        return (Api::Converse, id);
    }
    let is_opaque = model.starts_with("arn:") && !model.contains("foundation-model/") && !names_a_vendor(model);
    let api = if model.contains("anthropic.") || is_opaque {
        Api::Invoke
    } else {
        Api::Converse
    };
    (api, model)
}

/// An inference profile of AWS's own names the vendor: `inference-profile/us.amazon.nova-pro-v1:0`.
fn names_a_vendor(arn: &str) -> bool {
    let id = arn.rsplit('/').next().unwrap_or_default();
    arn.contains(":inference-profile/") && id.contains('.')
}

/// Where the data may be processed is not for the gateway to drop; here the region and the inference profile decide it.
fn refuse_residence(inference_geo: Option<&str>) -> Result<(), Unserved> {
    match inference_geo {
        None | Some("global" | "not_available") => Ok(()),
        Some(_) => Err(Unserved(
            "`inference_geo` demands where the request is processed, which Bedrock decides by the provider's region and \
             the model's inference profile: leave it out for this model, or give the model to a provider that knows it."
                .to_owned(),
        )),
    }
}

impl Bedrock {
    pub(crate) fn new(provider: &Provider) -> Result<Self, String> {
        let region = provider.region.clone().filter(|region| !region.is_empty());
        Ok(Self {
            region: region.ok_or("Bedrock needs a region")?,
        })
    }
}

impl Vendor for Bedrock {
    fn path(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<String, Unserved> {
        let (api, id) = api_of(asked.model);
        let (id, action) = match (asked.door, api, asked.streams) {
            (FrontDoor::CountTokens, ..) => (count::foundation_model(id), "count-tokens"),
            (FrontDoor::Messages, Api::Invoke, false) => (id, "invoke"),
            (FrontDoor::Messages, Api::Invoke, true) => (id, "invoke-with-response-stream"),
            (FrontDoor::Messages, Api::Converse, false) => (id, "converse"),
            (FrontDoor::Messages, Api::Converse, true) => (id, "converse-stream"),
            (door, ..) => return Err(Unserved::door("Bedrock", door)),
        };
        Ok(endpoint.path_to(&format!("/model/{}/{action}", path_segment(id)), None))
    }

    fn body(&self, asked: &Asked<'_>, request: Request<'_>, caller: &HeaderMap) -> Result<Pieces, Unserved> {
        let (api, _) = api_of(asked.model);
        match (asked.door, api) {
            (FrontDoor::CountTokens, Api::Invoke) => count::invoke_body(request, caller),
            (FrontDoor::CountTokens, Api::Converse) => count::converse_body(request, asked.follows_schemas),
            (_, Api::Invoke) => invoke::body(request, caller),
            (_, Api::Converse) => converse_request::body(request, asked.follows_schemas),
        }
    }

    fn losses(&self, asked: &Asked<'_>, request: Request<'_>, caller: &HeaderMap) -> Vec<Lost> {
        match api_of(asked.model) {
            (Api::Converse, _) => converse_losses::losses(request, caller, asked.follows_schemas),
            (Api::Invoke, _) => invoke::losses(request, caller),
        }
    }

    fn headers(&self, _: &Asked<'_>, headers: &mut HeaderMap) {
        // What Anthropic reads from headers stands in the body here.
        headers.remove(crate::betas::HEADER);
        headers.remove("anthropic-version");
        // It would choose another encoding of the answer.
        headers.remove(ACCEPT);
    }

    fn show(&self, shown: &Shown, sending: &mut Sending<'_>) {
        match shown {
            Shown::Nothing => {}
            Shown::Header { name, value, .. } => {
                sending.headers.insert(name, value.clone());
            }
            Shown::Aws(keys) => crate::sigv4::sign(keys, &self.region, "bedrock", sending),
        }
    }

    fn decoder(&self, asked: &Asked<'_>, status: u16, headers: &mut HeaderMap) -> Option<Box<dyn Decoder>> {
        let (api, _) = api_of(asked.model);
        if !(200..300).contains(&status) {
            headers.remove(CONTENT_LENGTH);
            return Some(Box::new(error::ErrorDecoder::new(status, headers)));
        }
        let decoder: Box<dyn Decoder> = match (asked.door, api, asked.streams) {
            (FrontDoor::CountTokens, ..) => Box::new(count::CountDecoder::default()),
            (_, Api::Invoke, false) => return None,
            (_, Api::Invoke, true) => Box::new(invoke_stream::InvokeStream::default()),
            (_, Api::Converse, false) => Box::new(converse_answer::WholeAnswer::new(asked.model)),
            (_, Api::Converse, true) => Box::new(converse_stream::ConverseStream::new(asked.model)),
        };
        headers.remove(CONTENT_LENGTH);
        if asked.streams && asked.door == FrontDoor::Messages {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        }
        Some(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(door: FrontDoor, model: &str, streams: bool) -> String {
        let bedrock = Bedrock {
            region: "us-east-1".to_owned(),
        };
        let endpoint = Endpoint::parse("https://bedrock-runtime.us-east-1.amazonaws.test").unwrap();
        let asked = Asked {
            streams,
            ..Asked::of(door, model)
        };
        bedrock.path(&endpoint, &asked).unwrap()
    }

    #[test]
    fn a_models_id_is_one_segment() {
        use FrontDoor::{CountTokens, Messages};
        let profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
        for (door, model, streams, expected) in [
            (
                Messages,
                "us.anthropic.claude-x-v1:0",
                false,
                "/model/us.anthropic.claude-x-v1%3A0/invoke",
            ),
            (
                Messages,
                "amazon.nova-pro-v1:0",
                true,
                "/model/amazon.nova-pro-v1%3A0/converse-stream",
            ),
            (
                Messages,
                profile,
                true,
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fabc/invoke-with-response-stream",
            ),
            (Messages, "converse/x", false, "/model/x/converse"),
            (
                CountTokens,
                "us.anthropic.claude-x-v1:0",
                false,
                "/model/anthropic.claude-x-v1%3A0/count-tokens",
            ),
        ] {
            assert_eq!(path(door, model, streams), expected);
        }
    }

    #[test]
    fn an_arn_that_names_its_vendor_decides() {
        assert_eq!(
            api_of("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-v1:0").0,
            Api::Converse
        );
        assert_eq!(
            api_of("arn:aws:bedrock:us-east-1::foundation-model/meta.llama").0,
            Api::Converse
        );
        assert_eq!(
            api_of("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude").0,
            Api::Invoke
        );
        assert_eq!(
            api_of("arn:aws:bedrock:us-east-1:1:provisioned-model/abc").0,
            Api::Invoke
        );
    }
}
