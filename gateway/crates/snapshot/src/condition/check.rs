//! What can be said of an expression before any call: that it asks only about what there is, that its types fit, and
//! how much work it can be at most.

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::{ExecutionError, Value};

use super::facts::{Facts, NAMES, TASKS};
use super::{evaluate, in_words};

/// Steps of the interpreter one evaluation may take.
const MOST_STEPS: u64 = 5_000;
/// More headers than that a request does not have.
const MOST_HEADERS: u64 = 128;

/// Functions beside the operators.
const FUNCTIONS: [&str; 7] = ["size", "contains", "startsWith", "endsWith", "int", "double", "string"];

const OPERATORS: [(&str, &str); 20] = [
    ("_?_:_", "?:"),
    ("_&&_", "&&"),
    ("_||_", "||"),
    ("!_", "!"),
    ("_-_", "-"),
    ("_+_", "+"),
    ("_*_", "*"),
    ("_/_", "/"),
    ("_%_", "%"),
    ("_==_", "=="),
    ("_!=_", "!="),
    ("_>=_", ">="),
    ("_<=_", "<="),
    ("_>_", ">"),
    ("_<_", "<"),
    ("-_", "-"),
    ("_[_]", "[]"),
    ("@in", "in"),
    ("@not_strictly_false", "all"),
    ("has", "has"),
];

/// A function as people write it.
pub(super) fn spelled(function: &str) -> &str {
    let operator = OPERATORS.iter().find(|(name, _)| *name == function);
    operator.map_or(function, |(_, written)| written)
}

/// Check a whole expression.
pub(super) fn check(program: &IdedExpr) -> Result<(), String> {
    let mut walk = Walk { bound: Vec::new() };
    let steps = walk.visit(program)?;
    if steps > MOST_STEPS {
        return Err(format!("it takes up to {steps} steps, and {MOST_STEPS} are allowed"));
    }
    match evaluate(program, &sample()) {
        Ok(Value::Bool(_)) => Ok(()),
        Ok(_) => Err("it must be true or false".to_owned()),
        Err(error) if is_hopeless(&error) => Err(in_words(&error)),
        Err(_) => Ok(()),
    }
}

/// A call with something of everything.
fn sample() -> Facts<'static> {
    Facts {
        task: "main",
        input_tokens: 1_000,
        output_limit: 1_000,
        tools: 1,
        model: "coder",
        door: "anthropic-messages",
        agent_version: 1,
        now_s: 1_795_655_825,
        ..Facts::default()
    }
}

/// True for what fails at every call alike: types that do not fit.
fn is_hopeless(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::NoSuchOverload(_)
            | ExecutionError::ValuesNotComparable(..)
            | ExecutionError::UnexpectedType { .. }
            | ExecutionError::UndeclaredReference(_)
            | ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::UnsupportedTargetType { .. }
            | ExecutionError::NotSupportedAsMethod { .. }
            | ExecutionError::InvalidArgumentCount { .. }
    )
}

struct Walk<'e> {
    /// Variables of the comprehensions around.
    bound: Vec<&'e str>,
}

impl<'e> Walk<'e> {
    /// The steps this part can take.
    fn visit(&mut self, part: &'e IdedExpr) -> Result<u64, String> {
        let steps = match &part.expr {
            Expr::Literal(_) | Expr::Unspecified => 1,
            Expr::Ident(_) | Expr::Select(_) => self.name(part)?,
            Expr::Call(call) => {
                check_function(&call.func_name)?;
                check_words(&call.func_name, &call.args)?;
                self.check_claims(&call.func_name, &call.args)?;
                let target = call.target.as_deref();
                self.all(target.into_iter().chain(&call.args))?
            }
            Expr::List(list) => self.all(&list.elements)?,
            Expr::Map(map) => {
                let mut steps = 1;
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        steps += self.visit(&entry.key)? + self.visit(&entry.value)?;
                    }
                }
                steps
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension)?,
            Expr::Struct(_) => return Err("it builds an object, which conditions do not need".to_owned()),
        };
        self.check_types(part)?;
        Ok(steps)
    }

    fn all(&mut self, parts: impl IntoIterator<Item = &'e IdedExpr>) -> Result<u64, String> {
        parts
            .into_iter()
            .try_fold(1, |steps: u64, part| Ok(steps.saturating_add(self.visit(part)?)))
    }

    /// Whatever stands outside a comprehension has types of its own, seen best by itself: `&&` and `||` hide them.
    fn check_types(&self, part: &IdedExpr) -> Result<(), String> {
        if !self.bound.is_empty() || matches!(part.expr, Expr::Ident(_) | Expr::Select(_) | Expr::Literal(_)) {
            return Ok(());
        }
        match evaluate(part, &sample()) {
            Err(error) if is_hopeless(&error) => Err(in_words(&error)),
            _ => Ok(()),
        }
    }

    /// What `&&`, `||` and `!` join must be true or false.
    fn check_claims(&self, function: &str, arguments: &[IdedExpr]) -> Result<(), String> {
        if !self.bound.is_empty() || !matches!(function, "_&&_" | "_||_" | "!_") {
            return Ok(());
        }
        for argument in arguments {
            if !matches!(evaluate(argument, &sample()), Ok(Value::Bool(_)) | Err(_)) {
                let operator = spelled(function);
                return Err(format!("{operator} joins what is true or false, and this is neither"));
            }
        }
        Ok(())
    }

    fn name(&mut self, part: &'e IdedExpr) -> Result<u64, String> {
        let mut fields = Vec::new();
        let mut at = part;
        while let Expr::Select(select) = &at.expr {
            fields.push(select.field.as_str());
            at = &select.operand;
        }
        let Expr::Ident(root) = &at.expr else {
            return Ok(1 + self.visit(at)?);
        };
        if root.starts_with('@') || self.bound.contains(&root.as_str()) {
            return Ok(1);
        }
        fields.push(root);
        fields.reverse();
        let whole = fields.join(".");
        let is_known = |(name, _): &(&str, &str)| whole == *name;
        if NAMES.iter().any(is_known) || (fields.len() == 3 && whole.starts_with("request.headers.")) {
            return Ok(1);
        }
        let family = format!("{root}.");
        let mut known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        if known.iter().any(|name| name.starts_with(&family)) {
            known.retain(|name| name.starts_with(&family));
        }
        Err(format!("there is no '{whole}'; known are {}", known.join(", ")))
    }

    fn comprehension(&mut self, over: &'e ComprehensionExpr) -> Result<u64, String> {
        let rounds = match &over.iter_range.expr {
            Expr::List(list) => list.elements.len() as u64,
            Expr::Map(map) => map.entries.len() as u64,
            Expr::Select(select) if select.field == "headers" && !select.test => MOST_HEADERS,
            _ => {
                return Err(
                    "exists, all, filter and map go over a list that is written out, or request.headers".to_owned(),
                );
            }
        };
        let once = self.all([&over.iter_range, &over.accu_init])?;
        let before = self.bound.len();
        self.bound.extend([over.iter_var.as_str(), over.accu_var.as_str()]);
        self.bound.extend(over.iter_var2.as_deref());
        let each = self.all([&over.loop_cond, &over.loop_step]);
        let last = self.visit(&over.result);
        self.bound.truncate(before);
        Ok(once.saturating_add(last?).saturating_add(rounds.saturating_mul(each?)))
    }
}

fn check_function(name: &str) -> Result<(), String> {
    if FUNCTIONS.contains(&name) || OPERATORS.iter().any(|(operator, _)| *operator == name) {
        return Ok(());
    }
    let known = FUNCTIONS.join(", ");
    Err(format!(
        "there is no function '{name}'; known are {known}, has, exists, all, filter and map"
    ))
}

/// A task compared with a word that is none can never match: a slip of the pen.
fn check_words(function: &str, arguments: &[IdedExpr]) -> Result<(), String> {
    let [left, right] = arguments else { return Ok(()) };
    let is_task = |part: &IdedExpr| {
        matches!(&part.expr, Expr::Select(select) if select.field == "task"
            && matches!(&select.operand.expr, Expr::Ident(name) if name == "request"))
    };
    let words: Vec<&IdedExpr> = match (function, &right.expr) {
        ("_==_" | "_!=_", _) if is_task(left) => vec![right],
        ("_==_" | "_!=_", _) if is_task(right) => vec![left],
        ("@in", Expr::List(list)) if is_task(left) => list.elements.iter().collect(),
        _ => return Ok(()),
    };
    for word in words {
        if let Expr::Literal(LiteralValue::String(word)) = &word.expr
            && !TASKS.contains(&word.inner())
        {
            return Err(format!(
                "there is no task '{}'; known are {}",
                word.inner(),
                TASKS.join(", ")
            ));
        }
    }
    Ok(())
}
