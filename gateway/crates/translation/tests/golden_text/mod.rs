//! JSON laid out for people, its tokens untouched.

/// One member or item a line, every token as it was; short arrays and objects stay on theirs.
pub(crate) fn indented(json: &str) -> String {
    let mut out = String::new();
    write(json.trim(), 0, &mut out);
    out.push('\n');
    out
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write(json: &str, depth: usize, out: &mut String) {
    let is_object = json.starts_with('{');
    if json.len() <= 100 && !json.contains('\n') || !(is_object || json.starts_with('[')) {
        out.push_str(json);
        return;
    }
    let pieces: Vec<(String, &str)> = if is_object {
        airside_protocols::walk_object(json)
            .map(|(key, value)| (format!("{}: ", quoted(&key)), value))
            .collect()
    } else {
        airside_protocols::walk_array(json)
            .map(|value| (String::new(), value))
            .collect()
    };
    let (open, close) = if is_object { ('{', '}') } else { ('[', ']') };
    out.push(open);
    for (number, (key, value)) in pieces.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        out.push('\n');
        out.push_str(&" ".repeat(depth + 1));
        out.push_str(key);
        write(value, depth + 1, out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(depth));
    out.push(close);
}
