//! Reading JSON values whose shape is not ours.

use serde_json::Value;

static NOTHING: Value = Value::Null;

/// What stands at this JSON pointer; null if there is nothing.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&NOTHING)
}
