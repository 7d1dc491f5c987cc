//! A call that is only imagined: what people say of it, as far as they say it.

use std::collections::BTreeMap;

use airside_protocols::{Address, FrontDoor, RequestFields, Wishes, scan_request};
use airside_snapshot::{Facts, Moment, Principal};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::estimate::estimate_input_tokens;
use crate::plan::{Asked, Needs};
use crate::sessions::{SessionKey, SessionView};
use crate::task::{Signs, TASK_HEADER, Task, TaskHeaders};

/// What a body is taken to weigh of which only the tokens are given.
const BYTES_PER_TOKEN: u64 = 4;

/// Why a call cannot be imagined, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotImaginable(pub String);

impl std::fmt::Display for NotImaginable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for NotImaginable {}

/// Whose call it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ImaginedAgent {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<u64>,
}

/// A call, as far as it is described. What the `body` says counts more than what is said beside it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Imagined {
    /// The alias; the body's own unless given.
    pub model: Option<String>,
    /// Name of the front door; Anthropic Messages unless given.
    pub door: Option<String>,
    /// Its task; from the headers unless given.
    pub task: Option<String>,
    /// Estimated from the body unless given.
    pub input_tokens: Option<u64>,
    /// The most output it asks for.
    pub output_limit: Option<u64>,
    /// Pictures.
    pub images: u64,
    /// Documents.
    pub documents: u64,
    /// Tools.
    pub tools: u64,
    /// Thinking is asked for.
    pub thinking: bool,
    /// A stream is asked for.
    pub stream: bool,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Whose call.
    pub agent: ImaginedAgent,
    /// Who pays.
    pub project: String,
    /// Its session.
    pub session: Option<String>,
    /// When; now unless given.
    pub at: Option<Moment>,
    /// The request itself.
    pub body: Option<Box<RawValue>>,
}

/// The same, worked out.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) door: FrontDoor,
    pub(super) task: Task,
    pub(super) fields: RequestFields,
    pub(super) wishes: Wishes,
    pub(super) input_tokens: u64,
    pub(super) body_bytes: u64,
    pub(super) body: Option<String>,
}

impl Imagined {
    /// Read the description of a call.
    ///
    /// # Errors
    /// `NotImaginable` with what is wrong with it.
    pub fn from_json(text: &[u8]) -> Result<Self, NotImaginable> {
        serde_json::from_slice(text).map_err(|problem| NotImaginable(problem.to_string()))
    }

    pub(super) fn model(&self) -> Result<String, NotImaginable> {
        let in_body = || airside_protocols::top_level_text(self.body.as_ref()?.get().as_bytes(), "model");
        let name = self
            .model
            .clone()
            .or_else(|| in_body().map(std::borrow::Cow::into_owned));
        name.ok_or_else(|| NotImaginable("a call needs a model".to_owned()))
    }

    /// Whose memory it would use.
    #[must_use]
    pub fn session_key(&self) -> Option<SessionKey> {
        let principal = Principal {
            project: self.project.clone(),
            session_id: self.session.clone(),
            ..Principal::default()
        };
        let header = |name: &str| self.headers.get(name).map(String::as_str);
        let named = header("x-claude-code-session-id").or_else(|| header("session-id"));
        let named = named.or_else(|| header("x-session-id"));
        SessionKey::of(&principal, &self.model().ok()?, named, header("x-claude-code-agent-id"))
    }

    fn front_door(&self) -> Result<FrontDoor, NotImaginable> {
        let Some(name) = &self.door else {
            return Ok(FrontDoor::Messages);
        };
        FrontDoor::ALL
            .into_iter()
            .find(|door| door.name() == name)
            .ok_or_else(|| {
                let known: Vec<&str> = FrontDoor::ALL.iter().map(|door| door.name()).collect();
                NotImaginable(format!(
                    "there is no front door '{name}'; known are {}",
                    known.join(", ")
                ))
            })
    }

    pub(super) fn request(&self, model: &str) -> Result<Request, NotImaginable> {
        let door = self.front_door()?;
        let body = self.body.as_ref().map(|body| body.get().to_owned());
        let (fields, wishes) = match &body {
            Some(body) => {
                let is_in_path = door.family() == airside_protocols::Family::Gemini;
                let address = Address {
                    door,
                    model: is_in_path.then(|| model.to_owned()),
                    streams: self.stream,
                };
                let fields = scan_request(body.as_bytes(), &address);
                let fields = fields.map_err(|problem| NotImaginable(problem.to_string()))?;
                let wishes = Wishes::of(body.as_bytes(), &fields.wished, door.family());
                (fields, wishes)
            }
            None => (self.fields(model), self.wishes()),
        };
        let estimated = body
            .as_ref()
            .map(|body| estimate_input_tokens(body.as_bytes(), &fields));
        let input_tokens = self.input_tokens.or(estimated).unwrap_or(0);
        let body_bytes = body
            .as_ref()
            .map_or(input_tokens.saturating_mul(BYTES_PER_TOKEN), |body| body.len() as u64);
        Ok(Request {
            task: self.task_of(door, &fields, wishes, body_bytes)?,
            door,
            fields,
            wishes,
            input_tokens,
            body_bytes,
            body,
        })
    }

    fn fields(&self, model: &str) -> RequestFields {
        RequestFields {
            model: model.to_owned(),
            stream: self.stream,
            output_limit: self.output_limit,
            choices: 1,
            images: self.images,
            documents: self.documents,
            ..RequestFields::default()
        }
    }

    const fn wishes(&self) -> Wishes {
        Wishes {
            tools: self.tools,
            thinking: self.thinking,
            schema: false,
        }
    }

    fn task_of(
        &self,
        door: FrontDoor,
        fields: &RequestFields,
        wishes: Wishes,
        body_bytes: u64,
    ) -> Result<Task, NotImaginable> {
        if let Some(name) = &self.task {
            return Task::named(name).ok_or_else(|| {
                let known = airside_snapshot::TASKS.join(", ");
                NotImaginable(format!("there is no task '{name}'; known are {known}"))
            });
        }
        let mut headers = TaskHeaders::default();
        for (name, value) in &self.headers {
            headers.note(&name.to_ascii_lowercase(), || Some(value.as_str()));
        }
        // Without a body nothing tells a small side call from a conversation but what is said.
        let says_task = self.headers.keys().any(|name| name.eq_ignore_ascii_case(TASK_HEADER));
        let is_described = self.body.is_some() || says_task;
        let signs = Signs {
            door,
            fields,
            wishes,
            body_bytes: if is_described { body_bytes } else { u64::MAX },
            headers,
        };
        Ok(signs.task())
    }
}

impl Request {
    pub(super) fn asked<'a>(&'a self, imagined: &'a Imagined, session: &'a SessionView, now_s: i64) -> Asked<'a> {
        let dice = imagined.session_key().as_ref().map_or(0, SessionKey::session_hash);
        let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
        let facts = Facts {
            task: self.task.name(),
            input_tokens: self.input_tokens,
            output_limit: self.fields.output_limit.unwrap_or(0),
            has_images: self.fields.images > 0,
            has_documents: self.fields.documents > 0,
            thinking: self.wishes.thinking,
            tools: self.wishes.tools,
            stream: self.fields.stream,
            model: &self.fields.model,
            door: self.door.name(),
            headers: imagined
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            agent_id: text(&imagined.agent.id),
            agent_name: text(&imagined.agent.name),
            agent_version: imagined.agent.version.unwrap_or(0),
            project: &imagined.project,
            session: text(&imagined.session),
            now_s: imagined.at.map_or(now_s, Moment::seconds),
        };
        Asked {
            door: self.door,
            facts: Some(facts),
            input_tokens: self.input_tokens,
            output_limit: self.fields.output_limit,
            needs: Needs {
                images: self.fields.images > 0,
                documents: self.fields.documents > 0,
                tools: self.wishes.tools > 0,
                thinking: self.wishes.thinking,
                structured_output: self.wishes.schema,
            },
            session,
            session_dice: dice,
            call_dice: dice,
        }
    }
}
