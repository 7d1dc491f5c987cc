//! Claude's requests at vendors that know less than Anthropic itself: what is taken out of a body, and its name.
//!
//! A beta flag and the field it is for travel as a pair, so whatever `betas` leaves out has its fields here.

use std::borrow::Cow;
use std::collections::BTreeSet;

use airside_protocols::{array_elements, top_level_text};
use http::HeaderMap;

use crate::betas::{self, Names};
use crate::members::{Members, without_billing, without_cache_scope, without_member, without_tools};
use crate::vendor::{Lost, Unserved};

/// What a vendor does not know of Anthropic's dialect.
#[derive(Debug)]
pub(crate) struct Unknown {
    /// Beta flags, by the names it has for them.
    pub(crate) flags: Names,
    /// Members of the request.
    pub(crate) fields: &'static [&'static str],
    /// Members of a tool.
    pub(crate) of_tools: &'static [&'static str],
    /// Tools that Anthropic runs itself, by what their types begin with: those that left-out flags and fields are for.
    pub(crate) tools: &'static [&'static str],
    /// It would take the block that says for whose bill a call is for a part of the prompt.
    pub(crate) has_no_billing: bool,
}

/// Bedrock's `InvokeModel`.
pub(crate) const BEDROCK: Unknown = Unknown {
    flags: betas::BEDROCK,
    fields: &["container", "inference_geo", "mcp_servers", "service_tier", "speed"],
    of_tools: &["eager_input_streaming"],
    tools: &["advisor", "code_execution", "mcp_toolset", "web_fetch", "web_search"],
    has_no_billing: true,
};

/// Google Cloud.
pub(crate) const VERTEX: Unknown = Unknown {
    flags: betas::VERTEX,
    fields: &["container", "mcp_servers", "output_format", "speed"],
    of_tools: &[],
    tools: &["advisor", "code_execution", "mcp_toolset", "web_fetch"],
    has_no_billing: false,
};

impl Unknown {
    /// # Errors
    /// `Unserved` where the answer must be a call of a tool that would be taken out.
    pub(crate) fn refuse_forced(&self, members: &Members<'_>) -> Result<(), Unserved> {
        let text = |raw: &[u8], name: &str| top_level_text(raw, name).map(Cow::into_owned);
        let choice = members.value("tool_choice").map_or(&b""[..], |choice| choice);
        let (kind, named) = (text(choice, "type"), text(choice, "name"));
        let tools = members.value("tools").map_or(&b""[..], |tools| tools);
        let tools = array_elements(tools).unwrap_or_default();
        let has_tools = !tools.is_empty();
        let mut tools = tools.into_iter().filter_map(|range| members.value("tools")?.get(range));
        let goes = |tool: &[u8]| text(tool, "type").is_some_and(|kind| self.runs(&kind));
        let is_forced = match kind.as_deref() {
            Some("tool") => tools.any(|tool| goes(tool) && text(tool, "name") == named),
            Some("any") => has_tools && tools.all(goes),
            _ => false,
        };
        if is_forced {
            let why =
                "`tool_choice` asks for a tool that only Anthropic runs, and this model is served by another cloud.";
            return Err(Unserved(why.to_owned()));
        }
        Ok(())
    }

    fn runs(&self, kind: &str) -> bool {
        self.tools.iter().any(|tool| kind.starts_with(tool))
    }

    /// Take it out of a request. Gives the names of what was there, in order.
    pub(crate) fn take_out_of(&self, members: &mut Members<'_>, caller: &HeaderMap) -> BTreeSet<Lost> {
        let mut lost = BTreeSet::new();
        if betas::are_lost(caller, self.flags) {
            lost.insert("anthropic_beta".into());
        }
        let given = self.fields.iter().filter(|name| members.says(name));
        lost.extend(given.map(|name| Lost::Borrowed(name)));
        members.remove(self.fields);
        if members.mentions(b"\"scope\"") {
            for name in ["system", "messages", "tools", "cache_control"] {
                if members.change(name, without_cache_scope) {
                    lost.insert("cache_control.scope".into());
                }
            }
        }
        for name in self.of_tools {
            if members.mentions(name.as_bytes()) && members.change("tools", |tools| without_member(tools, name)) {
                lost.insert(Lost::Borrowed(name));
            }
        }
        for kind in self.tools {
            if members.mentions(kind.as_bytes()) && members.change("tools", |tools| without_tools(tools, kind)) {
                lost.insert("server_tool".into());
                if members.value("tools").is_some_and(|tools| *tools == b"[]"[..]) {
                    members.remove(&["tools", "tool_choice"]);
                }
            }
        }
        if self.has_no_billing && members.change("system", without_billing) {
            lost.insert("x-anthropic-billing-header".into());
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const BODY: &[u8] = br#"{"system":[{"type":"text","text":"x-anthropic-billing-header: a"},{"text":"s"}],"speed":"fast","service_tier":null,"inference_geo":"global","mcp_servers":[],"container":"c","output_format":{},"tools":[{"name":"eager_input_streaming"},{"name":"t","eager_input_streaming":true,"input_schema":{"a":1.0}}],"messages":[{"content":[{"cache_control":{"type":"ephemeral","scope":"global"}}]}],"of_tomorrow":1}"#;

    fn taken_out(unknown: &Unknown, flags: &'static str) -> (String, Vec<Lost>) {
        let body = Bytes::from_static(BODY);
        let mut members = Members::of(&body).unwrap();
        let mut caller = HeaderMap::new();
        caller.insert(betas::HEADER, http::HeaderValue::from_static(flags));
        let lost = unknown.take_out_of(&mut members, &caller);
        let left = String::from_utf8(members.written().to_vec()).unwrap();
        (left, lost.into_iter().collect())
    }

    #[test]
    fn whatever_bedrock_does_not_know_goes_and_is_named() {
        let (left, lost) = taken_out(&BEDROCK, "files-api-2025-04-14,context-1m-2025-08-07");
        assert_eq!(
            left,
            r#"{"system":[{"text":"s"}],"output_format":{},"tools":[{"name":"eager_input_streaming"},{"name":"t","input_schema":{"a":1.0}}],"messages":[{"content":[{"cache_control":{"type":"ephemeral"}}]}],"of_tomorrow":1}"#
        );
        let expected = [
            "anthropic_beta",
            "cache_control.scope",
            "container",
            "eager_input_streaming",
            "inference_geo",
            "mcp_servers",
            "speed",
            "x-anthropic-billing-header",
        ];
        assert_eq!(lost, expected);
    }

    #[test]
    fn whatever_google_cloud_does_not_know_goes_and_is_named() {
        let (left, lost) = taken_out(&VERTEX, "fast-mode-2026-02-01");
        for gone in ["speed", "mcp_servers", "container", "output_format", "scope\""] {
            assert!(!left.contains(gone), "{gone}: {left}");
        }
        for kept in [
            "billing-header",
            "eager_input_streaming\":true",
            "\"inference_geo\":\"global\"",
            "service_tier",
        ] {
            assert!(left.contains(kept), "{kept}: {left}");
        }
        let expected = [
            "anthropic_beta",
            "cache_control.scope",
            "container",
            "mcp_servers",
            "output_format",
            "speed",
        ];
        assert_eq!(lost, expected);
    }

    #[test]
    fn a_flag_that_has_another_name_is_not_lost() {
        let (_, lost) = taken_out(&VERTEX, "advanced-tool-use-2025-11-20,of-tomorrow");
        assert!(!lost.contains(&"anthropic_beta".into()), "{lost:?}");
    }

    fn of_tools(unknown: &Unknown, tools: &str, choice: &str) -> Result<(String, Vec<Lost>), Unserved> {
        let body = Bytes::from(format!(r#"{{"tools":{tools},"tool_choice":{choice},"n":1.0}}"#));
        let mut members = Members::of(&body).unwrap();
        unknown.refuse_forced(&members)?;
        let lost = unknown.take_out_of(&mut members, &HeaderMap::new());
        let left = String::from_utf8(members.written().to_vec()).unwrap();
        Ok((left, lost.into_iter().collect()))
    }

    #[test]
    fn a_tool_that_anthropic_runs_goes_with_its_flag_and_is_refused_where_it_must_be_called() {
        const SEARCH: &str = r#"{"type":"web_search_20250305","name":"web_search"}"#;
        const FETCH: &str = r#"{"type":"web_fetch_20250910","name":"web_fetch"}"#;
        const OWN: &str = r#"{"name":"web_fetch_own","input_schema":{"type":"web_fetch"}}"#;
        const AUTO: &str = r#"{"type":"auto"}"#;
        let all = format!("[{SEARCH}, {OWN},{FETCH}]");
        let (left, lost) = of_tools(&BEDROCK, &all, AUTO).unwrap();
        assert_eq!(left, format!(r#"{{"tools":[{OWN}],"tool_choice":{AUTO},"n":1.0}}"#));
        assert_eq!(lost, ["server_tool"]);
        let (left, lost) = of_tools(&VERTEX, &all, AUTO).unwrap();
        assert_eq!(
            left,
            format!(r#"{{"tools":[{SEARCH},{OWN}],"tool_choice":{AUTO},"n":1.0}}"#)
        );
        assert_eq!(lost, ["server_tool"]);
        let (left, _) = of_tools(&BEDROCK, &format!("[{SEARCH}]"), AUTO).unwrap();
        assert_eq!(left, r#"{"n":1.0}"#, "no choice without a tool");
        for (tools, choice, is_served) in [
            (all.as_str(), r#"{"type":"tool","name":"web_search"}"#, false),
            (all.as_str(), r#"{"type":"tool","name":"web_fetch_own"}"#, true),
            (all.as_str(), r#"{"type":"any"}"#, true),
            (&format!("[{SEARCH}]"), r#"{"type":"any"}"#, false),
            (&format!("[{OWN}]"), r#"{"type":"any"}"#, true),
            ("[]", r#"{"type":"any"}"#, true),
        ] {
            assert_eq!(of_tools(&BEDROCK, tools, choice).is_ok(), is_served, "{tools} {choice}");
        }
    }
}
