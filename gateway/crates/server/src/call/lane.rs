//! The lane of an attempt: as it came, byte for byte, or translated for a provider of another family.

use airside_protocols::{Family, FrontDoor};
use airside_providers::{Request, request_headers};
use airside_routing::Candidate;
use airside_translation::{AnswerPlan, AnswerTranslator, Wanted, translate_answer, translate_error, translate_request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};

use super::ask::Question;
use super::readable::{History, Readable, readable};
use super::settle::Call;
use crate::active::Active;
use crate::reply::Refusal;

/// The version of the Messages API that translated requests are written in.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// How the request of one attempt reaches its provider, and how the answer comes back.
#[derive(Debug)]
pub(crate) enum Lane {
    /// The provider speaks the caller's family: nothing but the model's name changes.
    AsItCame,
    /// The same, without what its target cannot read.
    MadeReadable(Box<Readable>),
    /// Another family.
    Translated(Box<Translation>),
}

/// A request said in the provider's dialect, and what its answer needs.
#[derive(Debug)]
pub(crate) struct Translation {
    pub(crate) body: Bytes,
    door: FrontDoor,
    plan: AnswerPlan,
}

impl Lane {
    /// The lane to a candidate of this family; losses go into the record.
    ///
    /// # Errors
    /// 400 when the target's dialect cannot say what is asked.
    pub(crate) fn to(
        call: &mut Call,
        active: &Active,
        candidate: &Candidate<'_>,
        question: &Question,
    ) -> Result<Self, Refusal> {
        let (family, own) = (candidate.family, question.door.family());
        if question.door.is_spoken_by(family) {
            let history = History {
                issuers: &call.thread.view.issuers,
                compiled: &active.compiled,
                model: &question.fields.model,
            };
            let readable = readable(own, candidate.target, history, &question.body);
            return Ok(readable.map_or(Self::AsItCame, |mut readable| {
                let losses = std::mem::take(&mut readable.losses);
                call.loses_within(family, losses.into_iter().map(|loss| loss.field));
                Self::MadeReadable(Box::new(readable))
            }));
        }
        let session = call.record.session_id.as_deref();
        let wanted = Wanted {
            cache_key: session.or(call.record.caller.harness_session.as_deref()),
            ..candidate.wanted(
                &active.compiled,
                &question.fields,
                &call.record.call_id,
                call.gateway.now_s(),
            )
        };
        let translated = translate_request(own, family, &question.body, &wanted)
            .map_err(|problem| Refusal::new(400, problem.code, problem.message))?;
        call.loses(translated.losses);
        Ok(Self::Translated(Box::new(Translation {
            body: translated.body.into(),
            door: FrontDoor::of(family),
            plan: translated.plan,
        })))
    }

    /// The front door where the provider is asked.
    pub(crate) const fn door(&self, question: &Question) -> FrontDoor {
        match self {
            Self::AsItCame | Self::MadeReadable(_) => question.door,
            Self::Translated(translation) => translation.door,
        }
    }

    /// The body in the provider's dialect, with its model's name still to be put where this says.
    pub(crate) fn request<'a>(&'a self, question: &'a Question) -> Request<'a> {
        match self {
            Self::AsItCame => Request {
                body: &question.body,
                model_range: &question.fields.model_range,
            },
            Self::MadeReadable(readable) => Request {
                body: &readable.body,
                model_range: &readable.model_range,
            },
            // Its model is in it.
            Self::Translated(translation) => Request {
                body: &translation.body,
                model_range: &(0..0),
            },
        }
    }

    /// The caller's headers as far as they mean something to the provider. Another family's features, versions and
    /// session headers do not.
    pub(crate) fn headers(&self, caller: &HeaderMap) -> HeaderMap {
        match self {
            Self::AsItCame | Self::MadeReadable(_) => request_headers(caller),
            Self::Translated(translation) => {
                let mut headers = HeaderMap::with_capacity(8);
                if translation.plan.target == Family::Anthropic {
                    headers.insert("anthropic-version", HeaderValue::from_static(ANTHROPIC_VERSION));
                }
                if let Some(trace) = caller.get("traceparent") {
                    headers.insert("traceparent", trace.clone());
                }
                headers
            }
        }
    }

    /// The provider's headers as far as they mean something to the caller.
    pub(crate) fn answer_headers(&self, mut headers: HeaderMap) -> HeaderMap {
        match self {
            Self::AsItCame | Self::MadeReadable(_) => headers,
            Self::Translated(_) => {
                let mut kept = HeaderMap::with_capacity(4);
                for name in [CONTENT_TYPE, RETRY_AFTER] {
                    if let Some(value) = headers.remove(&name) {
                        kept.insert(name, value);
                    }
                }
                kept
            }
        }
    }

    /// A refusal or failure of the provider, in words the caller understands.
    pub(crate) fn error(&self, status: u16, body: Bytes, request_id: &str) -> (u16, Bytes) {
        match self {
            Self::AsItCame | Self::MadeReadable(_) => (status, body),
            Self::Translated(translation) => {
                let plan = &translation.plan;
                let (status, body) = translate_error(plan.target, plan.client, status, &body, request_id);
                (status, body.into())
            }
        }
    }

    /// A whole answer. `None` when it is not of the provider's dialect.
    pub(crate) fn answer(&self, body: Bytes, call: &mut Call) -> Option<Bytes> {
        match self {
            Self::AsItCame | Self::MadeReadable(_) => Some(body),
            Self::Translated(translation) => {
                let (body, losses) = translate_answer(&translation.plan, &body).ok()?;
                call.loses(losses);
                Some(body.into())
            }
        }
    }

    /// What says a stream in the caller's dialect; `None` where it passes as it comes.
    pub(crate) fn translator(&self) -> Option<Box<AnswerTranslator>> {
        match self {
            Self::AsItCame | Self::MadeReadable(_) => None,
            Self::Translated(translation) => Some(Box::new(AnswerTranslator::new(translation.plan.clone()))),
        }
    }

    pub(crate) const fn is_translated(&self) -> bool {
        matches!(self, Self::Translated(_))
    }
}
