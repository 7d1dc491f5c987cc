//! What a condition may ask about a call.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelInt, CelString};
use cel::common::value::{CowVal, Val};
use cel::{Value, context::VariableResolver};

use crate::time::{DAY_S, civil_from_days};

/// The kinds of work a call can be for.
pub const TASKS: [&str; 6] = ["main", "subagent", "title", "compact", "background", "count"];

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Every name a condition can use, with what it is; `request.headers` is a map.
pub const NAMES: [(&str, &str); 23] = [
    ("request.task", "main, subagent, title, compact, background or count"),
    ("request.input_tokens", "estimated tokens of input"),
    (
        "request.output_limit",
        "the most output the caller asks for; 0 when it does not say",
    ),
    ("request.has_images", "true when it holds pictures"),
    ("request.has_documents", "true when it holds documents or files"),
    ("request.thinking", "true when thinking or reasoning is asked for"),
    ("request.tools", "how many tools it offers"),
    ("request.stream", "true when the answer is to be a stream"),
    ("request.model", "the alias that is called"),
    ("request.door", "the front door, such as anthropic-messages"),
    (
        "request.headers",
        "the caller's headers by lower-case name, without credentials",
    ),
    ("agent.id", "the agent's id; empty without one"),
    ("agent.name", "its name"),
    ("agent.version", "its version; 0 without one"),
    ("project", "who pays"),
    ("session", "the session's id; empty without one"),
    ("time.hour", "0 to 23, UTC"),
    ("time.minute", "0 to 59"),
    ("time.weekday", "monday to sunday, UTC"),
    ("time.day", "day of the month"),
    ("time.month", "1 to 12"),
    ("time.year", "such as 2026"),
    ("time.seconds", "seconds since 1970"),
];

/// One call, as conditions see it.
#[expect(clippy::struct_excessive_bools, reason = "each is a separate claim of the request")]
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// One of `TASKS`.
    pub task: &'a str,
    /// Estimated.
    pub input_tokens: u64,
    /// 0 when it is not said.
    pub output_limit: u64,
    /// Pictures are in it.
    pub has_images: bool,
    /// Documents or files are in it.
    pub has_documents: bool,
    /// Thinking is asked for.
    pub thinking: bool,
    /// Tools on offer.
    pub tools: u64,
    /// The answer is to be a stream.
    pub stream: bool,
    /// The alias.
    pub model: &'a str,
    /// The front door's name.
    pub door: &'a str,
    /// Lower-case names; no credentials.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Empty without an agent.
    pub agent_id: &'a str,
    /// Empty without an agent.
    pub agent_name: &'a str,
    /// 0 without an agent.
    pub agent_version: u64,
    /// Who pays.
    pub project: &'a str,
    /// Empty without a session.
    pub session: &'a str,
    /// Seconds since 1970.
    pub now_s: i64,
}

fn whole<'b>(number: u64) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn claim<'b>(holds: bool) -> CowVal<'b, 'b> {
    CowVal::owned(CelBool::from(holds))
}

fn text(words: &str) -> CowVal<'_, '_> {
    CowVal::owned(CelString::from(words))
}

impl Facts<'_> {
    fn header_map(&self) -> Option<CowVal<'_, '_>> {
        let map: HashMap<String, String> = self
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let map: Box<dyn Val> = Value::from(map).try_into().ok()?;
        Some(CowVal::Owned(map))
    }

    fn time(&self, part: &str) -> Option<CowVal<'_, '_>> {
        let days = self.now_s.div_euclid(DAY_S);
        let second = self.now_s.rem_euclid(DAY_S);
        let (year, month, day) = civil_from_days(days);
        let number = match part {
            "hour" => second / 3600,
            "minute" => second / 60 % 60,
            "day" => day,
            "month" => month,
            "year" => year,
            "seconds" => self.now_s,
            "weekday" => {
                // 1970-01-01 was a Thursday.
                let weekday = usize::try_from((days + 3).rem_euclid(7)).ok()?;
                return WEEKDAYS.get(weekday).map(|name| text(name));
            }
            _ => return None,
        };
        Some(CowVal::owned(CelInt::from(number)))
    }
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        Some(match variable {
            "request.task" => text(self.task),
            "request.input_tokens" => whole(self.input_tokens),
            "request.output_limit" => whole(self.output_limit),
            "request.has_images" => claim(self.has_images),
            "request.has_documents" => claim(self.has_documents),
            "request.thinking" => claim(self.thinking),
            "request.tools" => whole(self.tools),
            "request.stream" => claim(self.stream),
            "request.model" => text(self.model),
            "request.door" => text(self.door),
            "request.headers" => return self.header_map(),
            "agent.id" => text(self.agent_id),
            "agent.name" => text(self.agent_name),
            "agent.version" => whole(self.agent_version),
            "project" => text(self.project),
            "session" => text(self.session),
            _ => return self.time(variable.strip_prefix("time.")?),
        })
    }
}
