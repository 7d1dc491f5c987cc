//! The request of one attempt, as its vendor takes it.

use airside_providers::{Asked, Lost, Pieces, Sending, Shown, Unserved};
use airside_routing::Candidate;
use airside_snapshot::Moment;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Uri};

use super::ask::Question;
use super::lane::Lane;
use crate::active::ActiveProvider;
use crate::reply::Refusal;
use crate::upstream::{Answer, Message, OutBody};

/// Everything of a request but what has to be made anew each time it is sent.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    provider: &'a ActiveProvider,
    question: &'a Question,
    lane: &'a Lane,
    asked: Asked<'a>,
    path: Uri,
    body: Pieces,
    /// What its vendor cannot be told.
    pub(crate) losses: Vec<Lost>,
}

impl<'a> Outgoing<'a> {
    /// The request to this candidate.
    ///
    /// # Errors
    /// 400 when the vendor has nothing of the kind.
    pub(crate) fn to(
        candidate: &'a Candidate<'a>,
        provider: &'a ActiveProvider,
        question: &'a Question,
        lane: &'a Lane,
    ) -> Result<Self, Refusal> {
        let asked = question.asked(lane.door(question), candidate.target);
        let unserved = |Unserved(why)| Refusal::new(400, "unsupported_by_provider", why);
        let path = provider.vendor.path(&provider.endpoint, &asked).map_err(unserved)?;
        let request = lane.request(question);
        let losses = provider.vendor.losses(&asked, request, &question.headers);
        let body = provider
            .vendor
            .body(&asked, request, &question.headers)
            .map_err(unserved)?;
        let unusable = || {
            unserved(Unserved(format!(
                "'{}' cannot stand in a path.",
                candidate.target.model
            )))
        };
        Ok(Self {
            provider,
            question,
            lane,
            asked,
            path: Uri::try_from(path).map_err(|_| unusable())?,
            body,
            losses,
        })
    }

    /// The request as it is sent: the caller's headers as its lane lets them pass, the provider's own, its credential.
    pub(crate) fn message(&self, shown: &Shown, at: Moment) -> Message {
        let mut headers = self.headers();
        let path = self.path.path_and_query().map_or("/", |path| path.as_str());
        let mut sending = Sending {
            method: &Method::POST,
            authority: &self.provider.endpoint.authority,
            path,
            headers: &mut headers,
            body: &self.body,
            at,
        };
        self.provider.vendor.show(shown, &mut sending);
        Message {
            method: Method::POST,
            path: self.path.clone(),
            headers,
            body: OutBody::new(self.body.clone()),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = self.lane.headers(&self.question.headers);
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in &self.provider.headers {
            headers.insert(name, value.clone());
        }
        self.provider.vendor.headers(&self.asked, &mut headers);
        headers
    }

    /// The answer as one of the family's.
    pub(crate) fn received(&self, mut answer: Answer) -> Answer {
        let vendor = &self.provider.vendor;
        match vendor.decoder(&self.asked, answer.status, &mut answer.headers) {
            Some(decoder) => Answer {
                body: answer.body.decoded_by(decoder),
                ..answer
            },
            None => answer,
        }
    }
}
