//! JSON Schemas for targets that take a part of the language only, and from Gemini's own.
//!
//! Everything that is kept stays in its order: it tells the model in which order to answer.

use std::collections::{BTreeSet, HashSet};

use crate::json::{Json, ObjectWriter, Text, to_json};

/// What Gemini's `responseJsonSchema` knows; it passes over the rest without a word.
const OF_GEMINI: &[&str] = &[
    "$id",
    "$defs",
    "$ref",
    "$anchor",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
];
/// What Anthropic's structured output knows; it refuses the rest.
const OF_ANTHROPIC: &[&str] = &[
    "$defs",
    "definitions",
    "$ref",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "const",
    "default",
    "items",
    "anyOf",
    "allOf",
    "properties",
    "required",
    "pattern",
];
/// What says nothing about the value.
const REMARKS: &[&str] = &["$schema", "$comment"];
/// Keys whose value is a schema.
const INNER: &[&str] = &["items", "additionalProperties", "not"];
/// Keys whose value is an array of schemas.
const INNER_LISTS: &[&str] = &["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keys whose value names schemas.
const INNER_MAPS: &[&str] = &["properties", "$defs", "definitions"];
/// Gemini writes these numbers as texts.
const COUNTS: &[&str] = &[
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
];

/// What lies deeper is left as it is: looking deeper costs more with every level, and no vendor takes such schemas.
const DEEPEST: usize = 32;

/// The keywords that had to go.
pub(crate) type Lost = BTreeSet<String>;

/// A schema that Gemini heeds as a whole.
pub(crate) fn for_gemini(schema: &str, lost: &mut Lost) -> String {
    struct OfGemini<'l>(&'l mut Lost);
    impl Rules for OfGemini<'_> {
        fn member(&mut self, object: &mut ObjectWriter<'_>, key: &str, value: Json<'_>, inner: &str) {
            if key == "const" {
                object.array("enum", |values| values.json(value.raw()));
            } else {
                keep(OF_GEMINI, object, key, inner, self.0);
            }
        }
    }
    parsed_and_rewritten(schema, &mut OfGemini(lost))
}

/// A schema that Anthropic takes for structured output: every object is closed.
pub(crate) fn for_anthropic(schema: &str, lost: &mut Lost) -> String {
    struct OfAnthropic<'l>(&'l mut Lost);
    impl Rules for OfAnthropic<'_> {
        fn member(&mut self, object: &mut ObjectWriter<'_>, key: &str, value: Json<'_>, inner: &str) {
            match key {
                // Written anew for every object.
                "additionalProperties" if value.raw() == "false" => {}
                "oneOf" => object.json("anyOf", inner),
                "minItems" if matches!(value.raw(), "0" | "1") => object.json(key, inner),
                _ => keep(OF_ANTHROPIC, object, key, inner, self.0),
            }
        }

        fn whole(&mut self, schema: Json<'_>, mut text: String) -> String {
            let fields = schema.object();
            if fields.kind() == "object" || fields.get("properties").is_some() {
                text.pop();
                text.push_str(if text.len() > 1 { "," } else { "" });
                text.push_str("\"additionalProperties\":false}");
            }
            text
        }
    }
    parsed_and_rewritten(schema, &mut OfAnthropic(lost))
}

/// JSON Schema from Gemini's own schema language, whose types are spelled in capitals.
pub(crate) fn from_gemini(schema: Json<'_>) -> String {
    struct FromGemini;
    impl Rules for FromGemini {
        fn member(&mut self, object: &mut ObjectWriter<'_>, key: &str, value: Json<'_>, inner: &str) {
            match key {
                "type" => object.plain(key, &value.plain().unwrap_or_default().to_ascii_lowercase()),
                "example" => object.array("examples", |values| values.json(inner)),
                "nullable" => {}
                _ if COUNTS.contains(&key) && value.is_string() => {
                    if let Some(count) = value.plain().and_then(|text| text.parse().ok()) {
                        object.number(key, count);
                    }
                }
                _ => written(object, key, inner),
            }
        }

        fn whole(&mut self, schema: Json<'_>, text: String) -> String {
            if schema.object().flag("nullable") == Some(true) {
                return format!(r#"{{"anyOf":[{text},{{"type":"null"}}]}}"#);
            }
            text
        }
    }
    rewritten(schema, &mut FromGemini, 0)
}

/// True when `OpenAI` would take the schema as strict: every object is closed and requires all it may have.
pub(crate) fn is_strict(schema: &str) -> bool {
    Json::parse(schema.as_bytes()).is_some_and(|schema| is_strict_value(schema, 0))
}

fn is_strict_value(schema: Json<'_>, depth: usize) -> bool {
    if depth > DEEPEST {
        return false;
    }
    let fields = schema.object();
    if let Some(properties) = fields.get("properties") {
        let required: HashSet<_> = fields.items("required").filter_map(Json::plain).collect();
        let closed = fields.flag("additionalProperties") == Some(false);
        if !closed || !properties.members().all(|(name, _)| required.contains(&name)) {
            return false;
        }
    } else if fields.kind() == "object" && fields.flag("additionalProperties") != Some(false) {
        return false;
    }
    let maps = INNER_MAPS
        .iter()
        .filter_map(|key| fields.get(key))
        .flat_map(Json::members);
    let lists = INNER_LISTS
        .iter()
        .filter_map(|key| fields.get(key))
        .flat_map(Json::items);
    let single = fields.get("items").filter(|items| items.is_object());
    maps.map(|(_, schema)| schema)
        .chain(lists)
        .chain(single)
        .all(|schema| is_strict_value(schema, depth + 1))
}

/// A schema that says it is of an object, as every vendor wants it of arguments.
pub(crate) fn of_object(schema: Option<&str>) -> String {
    let Some(json) = schema
        .and_then(|schema| Json::parse(schema.as_bytes()))
        .filter(|json| json.is_object())
    else {
        return r#"{"type":"object","properties":{}}"#.to_owned();
    };
    if json.object().get("type").is_some() {
        return json.raw().to_owned();
    }
    let inside = json.raw().trim_start_matches('{').trim_start();
    let between = if inside == "}" { "" } else { "," };
    format!(r#"{{"type":"object"{between}{inside}"#)
}

/// Write a member that the target knows; remember one that it does not.
fn keep(known: &[&str], object: &mut ObjectWriter<'_>, key: &str, inner: &str, lost: &mut Lost) {
    if known.contains(&key) {
        object.json(key, inner);
    } else if !REMARKS.contains(&key) {
        lost.insert(key.to_owned());
    }
}

/// A member under a key that may need escapes.
fn written(object: &mut ObjectWriter<'_>, key: &str, value: &str) {
    object.json(Text::from_plain(key).escaped(), value);
}

/// How schemas are rewritten, the innermost first.
trait Rules {
    /// Write one member of a schema: its key, its value as it was, and with the schemas in it rewritten.
    fn member(&mut self, object: &mut ObjectWriter<'_>, key: &str, value: Json<'_>, inner: &str);

    /// The last word on a schema: what it was, and what became of it.
    fn whole(&mut self, _schema: Json<'_>, text: String) -> String {
        text
    }
}

fn parsed_and_rewritten(schema: &str, rules: &mut dyn Rules) -> String {
    Json::parse(schema.as_bytes()).map_or_else(|| "{}".to_owned(), |schema| rewritten(schema, rules, 0))
}

fn rewritten(schema: Json<'_>, rules: &mut dyn Rules, depth: usize) -> String {
    if !schema.is_object() || depth > DEEPEST {
        return schema.raw().to_owned();
    }
    let text = to_json(|object| {
        for (key, value) in schema.members() {
            let inner = with_inner_rewritten(&key, value, rules, depth + 1);
            rules.member(object, &key, value, &inner);
        }
    });
    rules.whole(schema, text)
}

fn with_inner_rewritten(key: &str, value: Json<'_>, rules: &mut dyn Rules, depth: usize) -> String {
    if INNER.contains(&key) && value.is_object() {
        return rewritten(value, rules, depth);
    }
    if INNER_LISTS.contains(&key) && value.is_array() {
        let inner: Vec<String> = value.items().map(|schema| rewritten(schema, rules, depth)).collect();
        return format!("[{}]", inner.join(","));
    }
    if INNER_MAPS.contains(&key) && value.is_object() {
        return to_json(|object| {
            for (name, schema) in value.members() {
                written(object, &name, &rewritten(schema, rules, depth));
            }
        });
    }
    value.raw().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gemini_is_given_the_part_it_heeds_in_the_same_order() {
        let mut lost = Lost::new();
        let schema = r#"{"$schema":"x","type":"object","properties":{"pattern":{"type":"string","pattern":"a+","description":"d"},"b":{"const":1.50},"c":{"items":{"multipleOf":2,"type":"integer"}}},"required":["pattern"],"additionalProperties":false}"#;
        assert_eq!(
            for_gemini(schema, &mut lost),
            r#"{"type":"object","properties":{"pattern":{"type":"string","description":"d"},"b":{"enum":[1.50]},"c":{"items":{"type":"integer"}}},"required":["pattern"],"additionalProperties":false}"#
        );
        assert_eq!(lost, ["multipleOf", "pattern"].map(str::to_owned).into());
    }

    #[test]
    fn anthropic_is_given_closed_objects() {
        let mut lost = Lost::new();
        let schema = r#"{"type":"object","properties":{"a":{"type":"array","minItems":1,"maxItems":3,"items":{"type":"object","additionalProperties":true}},"b":{"oneOf":[{"type":"null"}]}}}"#;
        assert_eq!(
            for_anthropic(schema, &mut lost),
            r#"{"type":"object","properties":{"a":{"type":"array","minItems":1,"items":{"type":"object","additionalProperties":false}},"b":{"anyOf":[{"type":"null"}]}},"additionalProperties":false}"#
        );
        assert_eq!(lost, ["additionalProperties", "maxItems"].map(str::to_owned).into());
    }

    #[test]
    fn geminis_own_schemas_become_json_schema() {
        let schema = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true},"b":{"type":"ARRAY","minItems":"2","items":{"type":"NUMBER","example":1}}}}"#;
        assert_eq!(
            from_gemini(Json::parse(schema.as_bytes()).unwrap()),
            r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]},"b":{"type":"array","minItems":2,"items":{"type":"number","examples":[1]}}}}"#
        );
    }

    #[test]
    fn a_strict_schema_closes_and_requires_everything() {
        assert!(is_strict(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#
        ));
        for loose in [
            r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#,
            r#"{"type":"object","properties":{"a":{}},"required":[],"additionalProperties":false}"#,
            r#"{"type":"array","items":{"type":"object"}}"#,
            r#"{"anyOf":[{"type":"object"}]}"#,
        ] {
            assert!(!is_strict(loose), "{loose}");
        }
    }

    #[test]
    fn arguments_are_always_an_object() {
        assert_eq!(of_object(None), r#"{"type":"object","properties":{}}"#);
        assert_eq!(of_object(Some("{ }")), r#"{"type":"object"}"#);
        assert_eq!(
            of_object(Some(r#"{"properties":{}}"#)),
            r#"{"type":"object","properties":{}}"#
        );
        assert_eq!(
            of_object(Some(r#"{"type":"object","a":1.0}"#)),
            r#"{"type":"object","a":1.0}"#
        );
    }
}
