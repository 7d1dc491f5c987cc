//! Conditions of route steps: expressions of the Common Expression Language over the facts of a call.
//!
//! An expression is read, checked and bounded once, when the snapshot is compiled; what cannot be decided then (a
//! header that is not there, a division by zero) is an error when it is asked, and an error is not a match.

mod check;
mod facts;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::parser::Parser;
use cel::{Context, Env, ExecutionError, IdedExpr, Value};
use serde::de::{Deserialize, Deserializer};

pub use facts::{Facts, NAMES, TASKS};

/// Longer expressions are refused.
pub const MOST_CONDITION_BYTES: usize = 1_000;
const MOST_NESTING: u16 = 24;
const NESTED: &str = "it is nested too deeply";

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A condition as it was written, and what became of it.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    program: Result<Arc<IdedExpr>, String>,
}

/// Why an expression gave no answer at one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer(pub String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Condition {
    /// Read an expression. A broken one is kept, so that whoever holds it can say where it stands.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            program: compile(text).map(Arc::new),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it, in a sentence that says what could be written instead.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.program.as_ref().err().map(String::as_str)
    }

    /// Whether it holds for this call.
    ///
    /// # Errors
    /// `NoAnswer` when that cannot be said; to the route this means no.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, NoAnswer> {
        let program = self.program.as_ref().map_err(|problem| NoAnswer(problem.clone()))?;
        match evaluate(program, facts) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(NoAnswer("it is neither true nor false".to_owned())),
            Err(error) => Err(NoAnswer(in_words(&error))),
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

fn evaluate(program: &IdedExpr, facts: &Facts<'_>) -> Result<Value, ExecutionError> {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.set_variable_resolver(facts);
    Value::resolve(program, &context)
}

fn compile(text: &str) -> Result<IdedExpr, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > MOST_CONDITION_BYTES {
        return Err(format!("it is longer than {MOST_CONDITION_BYTES} bytes"));
    }
    if depth_of(text) > usize::from(MOST_NESTING) {
        return Err(NESTED.to_owned());
    }
    let parser = Parser::new().max_recursion_depth(MOST_NESTING);
    let program = parser.parse(text).map_err(|errors| {
        let error = errors.errors.first();
        error.map_or_else(
            || "it cannot be read".to_owned(),
            |error| {
                let at = error.pos.1;
                if at < 1 {
                    return NESTED.to_owned();
                }
                format!("it cannot be read, at character {at}: {}", error.msg)
            },
        )
    })?;
    check::check(&program)?;
    Ok(program)
}

/// The most brackets that are open at once; those inside texts count too, which does no harm.
fn depth_of(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// An error of the interpreter, without the values it drags along.
fn in_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no '{key}'"),
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join(" and ");
            format!("{} does not work on {types}", check::spelled(overload.function()))
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".to_owned(),
        ExecutionError::ValuesNotComparable(..) => "it compares what cannot be compared".to_owned(),
        ExecutionError::UnexpectedType { got, want } => format!("it needs {want} where it has {got}"),
        ExecutionError::Overflow(..) => "a number in it grows too large".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("there is no '{name}'"),
        _ => "it cannot be evaluated".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            task: "background",
            input_tokens: 200_000,
            output_limit: 64,
            has_images: true,
            tools: 3,
            model: "coder",
            door: "anthropic-messages",
            headers: vec![("x-team", "red")],
            agent_name: "fixer",
            project: "payments",
            // A Thursday, 2026-11-26, 01:17:05 UTC.
            now_s: 1_795_655_825,
            ..Facts::default()
        }
    }

    fn holds(text: &str) -> Result<bool, NoAnswer> {
        let condition = Condition::new(text);
        assert_eq!(condition.problem(), None, "{text}");
        condition.holds(&facts())
    }

    #[test]
    fn every_fact_can_be_asked_about() {
        for text in [
            "request.input_tokens > 180000",
            "request.task == 'background' && request.has_images && !request.has_documents",
            "request.tools >= 3 && request.output_limit < 100 && !request.thinking && !request.stream",
            "request.model == 'coder' && request.door.startsWith('anthropic')",
            "request.headers['x-team'] == 'red'",
            "has(request.headers.absent) == false && 'x-team' in request.headers",
            "agent.name in ['fixer', 'other'] && agent.id == '' && agent.version == 0",
            "project == 'payments' && session == ''",
            "time.hour == 1 && time.minute == 17 && time.weekday == 'thursday'",
            "time.day == 26 && time.month == 11 && time.year == 2026 && time.seconds > 0",
            "request.headers.exists(name, name.startsWith('x-'))",
            "size('ab') == 2 && double(1) < 1.5",
            "int('3') == 3 && string(3) == '3' && 'abc'.contains('b') && 'abc'.endsWith('c')",
            "request.input_tokens / 1000 + 1 == 201 || false",
            "request.task in ['main', 'subagent'] ? false : true",
        ] {
            assert_eq!(holds(text), Ok(true), "{text}");
        }
        for (name, _) in NAMES {
            assert!(holds(&format!("{name} == {name}")).unwrap(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_said_at_a_call_is_an_error_and_no_match() {
        let missing = holds("request.headers['x-other'] == 'red'").unwrap_err();
        assert_eq!(missing.to_string(), "there is no 'x-other'");
        assert_eq!(
            holds("1000 / request.output_limit > 1000 / (request.output_limit - 64)")
                .unwrap_err()
                .to_string(),
            "it divides by zero"
        );
    }

    #[test]
    fn what_can_never_work_is_refused_with_what_is_known() {
        for (text, words) in [
            ("", "it is empty"),
            ("request.input_tokens >", "at character"),
            ("request.inputtokens > 3", "request.input_tokens"),
            ("user.name == 'x'", "known are"),
            ("request.input_tokens > 'many'", "> does not work on int and string"),
            ("request.has_images && request.input_tokens", "&& joins"),
            ("request.input_tokens", "true or false"),
            ("request.task == 'backgroud'", "main, subagent, title"),
            ("request.task in ['main', 'tilte']", "'tilte'"),
            ("request.model.matches('a+')", "'matches'"),
            ("request.headers.map(y, y).exists(z, z == 'a')", "written out"),
            ("request.headers.all(a, request.headers.all(b, a == b))", "steps"),
            (&format!("request.model == '{}'", "x".repeat(1000)), "longer than"),
            (&format!("{}true{}", "(".repeat(200), ")".repeat(200)), "too deeply"),
        ] {
            let condition = Condition::new(text);
            let problem = condition.problem().unwrap_or_else(|| panic!("{text} was taken"));
            assert!(problem.contains(words), "{text}: {problem}");
            assert!(condition.holds(&facts()).is_err());
        }
    }
}
