//! What a target calls the caller's tools and calls. Every name is made from the caller's alone, so that it stays the
//! same from one request to the next and prompt caches hold.

use std::borrow::Cow;
use std::collections::HashMap;

use airside_protocols::Family;

use crate::plan::{ClientTool, ToolKind, ToolNames};
use crate::request::models;

/// Anthropic, `OpenAI` and Gemini all take this many letters.
const LONGEST_TOOL: usize = 64;
/// A mark of eight hexadecimal digits and what joins it.
const HASH: usize = 9;

/// The names given so far.
#[derive(Debug)]
pub(crate) struct Names {
    by_client: HashMap<ClientKey, String>,
    tools: ToolNames,
    taken: HashMap<String, ClientKey>,
    longest_id: usize,
}

type ClientKey = (Option<String>, String);

impl Names {
    pub(crate) fn new(target: Family, model: &str) -> Self {
        let longest_id = match target {
            Family::OpenaiChat if models::is_openai(model) => 40,
            _ => 64,
        };
        Self {
            by_client: HashMap::new(),
            tools: ToolNames::default(),
            taken: HashMap::new(),
            longest_id,
        }
    }

    /// The target's name of this tool, made on first sight.
    pub(crate) fn tool(&mut self, client: &ClientTool) -> String {
        let key = (client.namespace.clone(), client.name.clone());
        if let Some(known) = self.by_client.get(&key) {
            return known.clone();
        }
        let whole = match &client.namespace {
            Some(namespace) => Cow::Owned(format!("{namespace}__{}", client.name)),
            None => Cow::Borrowed(client.name.as_str()),
        };
        let mut name = fitting(&whole, LONGEST_TOOL, true);
        if self.taken.contains_key(&name) {
            name = marked(&name, &format!("{key:?}"), LONGEST_TOOL);
        }
        self.taken.insert(name.clone(), key.clone());
        self.by_client.insert(key, name.clone());
        if name != client.name || client.namespace.is_some() || client.kind != ToolKind::Function {
            self.tools.insert(name.clone(), client.clone());
        }
        name
    }

    /// A name for a tool of the gateway's own, which no tool of the caller's has.
    pub(crate) fn own(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        while self.taken.contains_key(&free) {
            free.push('_');
        }
        free
    }

    /// The target's id of this call.
    pub(crate) fn call<'i>(&self, id: &'i str) -> Cow<'i, str> {
        fitting(id, self.longest_id, false).into()
    }

    /// For the answer.
    pub(crate) fn into_tools(self) -> ToolNames {
        self.tools
    }
}

/// The name in letters, digits, `_` and `-`, beginning with a letter or `_` if it must. A name that has to change gets
/// a mark, so that two names never become one.
fn fitting(name: &str, longest: usize, begins_with_letter: bool) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let begins_well = begins_well || (!begins_with_letter && !name.is_empty());
    if begins_well && name.len() <= longest && name.chars().all(allowed) {
        return name.to_owned();
    }
    let start = if begins_well { "" } else { "_" };
    let cleaned = name.chars().map(|letter| if allowed(letter) { letter } else { '_' });
    let cleaned: String = start.chars().chain(cleaned).take(longest).collect();
    marked(&cleaned, name, longest)
}

/// The name, cut where needed, with a mark of what it stands for. Both are ASCII.
fn marked(name: &str, whole: &str, longest: usize) -> String {
    let kept = name.get(..name.len().min(longest - HASH)).unwrap_or_default();
    format!("{kept}_{:08x}", fnv1a(whole))
}

/// The 32-bit FNV-1a hash.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tool(namespace: Option<&str>, name: &str) -> ClientTool {
        ClientTool {
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            kind: ToolKind::Function,
        }
    }

    #[test]
    fn tools_of_two_namespaces_stay_apart() {
        let mut names = Names::new(Family::Anthropic, "m");
        let one = tool(Some("mcp__tickets"), "get");
        assert_eq!(names.tool(&one), "mcp__tickets__get");
        let two = tool(None, "mcp__tickets__get");
        let other = names.tool(&two);
        assert_ne!(other, "mcp__tickets__get");
        assert_eq!(names.tool(&two), other);
        let tools = names.into_tools();
        assert_eq!(tools.client_tool("mcp__tickets__get"), one);
        assert_eq!(tools.client_tool(&other), two);
    }

    proptest! {
        #[test]
        fn every_name_fits_and_leads_back(first in ".{0,80}", second in ".{0,80}") {
            let mut names = Names::new(Family::Gemini, "m");
            let made: Vec<_> = [&first, &second].map(|name| names.tool(&tool(None, name))).into();
            for name in &made {
                let mut letters = name.chars();
                prop_assert!(letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_'));
                prop_assert!(letters.all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter)));
                prop_assert!(name.len() <= 64);
            }
            let tools = names.into_tools();
            prop_assert_eq!(&tools.client_tool(&made[0]).name, &first);
            prop_assert_eq!(&tools.client_tool(&made[1]).name, &second);
        }
    }
}
