//! Custom tools: free text for the caller, a JSON object with one member `input` for targets that know only functions.

/// Takes `{"input": "..."}` in pieces and gives the text as it comes.
#[derive(Debug, Default)]
pub(crate) struct Unwrapping {
    /// What came, until the text begins, and again behind its end.
    raw: String,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the text's first character.
    #[default]
    Before,
    /// Inside the text; `raw` holds a piece of an escape that is not whole.
    Inside,
    /// Behind its end.
    Behind,
    /// It has another shape: the whole is looked at in the end.
    Other,
}

impl Unwrapping {
    /// Take a piece; what of the text it gives.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        if self.state == State::Behind {
            return String::new();
        }
        self.raw.push_str(piece);
        if self.state == State::Before {
            match text_start(&self.raw) {
                Start::At(start) => {
                    self.raw.drain(..start);
                    self.state = State::Inside;
                }
                Start::NotYet => {}
                Start::Never => self.state = State::Other,
            }
        }
        if self.state == State::Inside {
            self.decode()
        } else {
            String::new()
        }
    }

    /// Nothing more comes; what is still to be given. Text that was not wrapped as it should be is given as it is.
    pub(crate) fn finish(&mut self) -> String {
        if !matches!(self.state, State::Before | State::Other) {
            return String::new();
        }
        let parsed: Option<serde_json::Value> = serde_json::from_str(&self.raw).ok();
        let input = parsed.as_ref().and_then(|value| value.get("input")?.as_str());
        let whole = input.map_or_else(|| std::mem::take(&mut self.raw), str::to_owned);
        self.state = State::Behind;
        whole
    }

    /// The whole characters at the beginning of `raw`, which stands inside the text.
    fn decode(&mut self) -> String {
        let bytes = self.raw.as_bytes();
        let mut end = 0;
        let mut is_over = false;
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'"' => {
                    is_over = true;
                    break;
                }
                b'\\' => match escape_width(bytes.get(end..).unwrap_or_default()) {
                    Some(width) => end += width,
                    None => break,
                },
                _ => end += 1,
            }
        }
        let rest = self.raw.split_off(end);
        let quoted = format!("\"{}\"", escape_controls(&self.raw));
        let text = serde_json::from_str(&quoted).unwrap_or_else(|_| self.raw.clone());
        self.raw = rest;
        if is_over {
            self.state = State::Behind;
        }
        text
    }
}

enum Start {
    At(usize),
    NotYet,
    Never,
}

/// Where the text begins in `{ "input" : "text`.
fn text_start(raw: &str) -> Start {
    let mut rest = raw.trim_ascii_start();
    for token in ["{", "\"input\"", ":", "\""] {
        if rest.is_empty() || token.starts_with(rest) && rest.len() < token.len() {
            return Start::NotYet;
        }
        match rest.strip_prefix(token) {
            Some(behind) if token == "\"" => return Start::At(raw.len() - behind.len()),
            Some(behind) => rest = behind.trim_ascii_start(),
            None => return Start::Never,
        }
    }
    Start::Never
}

/// How long the escape at the beginning is; `None` when it is not whole. Two halves of a character are one escape.
fn escape_width(bytes: &[u8]) -> Option<usize> {
    if *bytes.get(1)? != b'u' {
        return Some(2);
    }
    let digits = bytes.get(2..6)?;
    let is_first_half = matches!(digits, [b'd' | b'D', b'8' | b'9' | b'a' | b'A' | b'b' | b'B', ..]);
    if !is_first_half {
        return Some(6);
    }
    match bytes.get(6..8) {
        Some(b"\\u") => bytes.get(..12).map(|_| 12),
        Some(_) => Some(6),
        None => None,
    }
}

/// Models write line ends into JSON strings as they are, which JSON forbids and everybody understands.
fn escape_controls(raw: &str) -> String {
    raw.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

/// A piece of free text as a piece of the JSON string in `{"input": "..."}`.
pub(crate) fn escaped(piece: &str) -> String {
    let quoted = serde_json::Value::from(piece).to_string();
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unwrapped(pieces: &[&str]) -> String {
        let mut unwrapping = Unwrapping::default();
        let mut text: String = pieces.iter().map(|piece| unwrapping.push(piece)).collect();
        text.push_str(&unwrapping.finish());
        text
    }

    proptest! {
        #[test]
        fn a_text_comes_out_whole_wherever_its_json_is_cut(text in any::<String>(), cuts in prop::collection::vec(0_usize..400, 0..8)) {
            let escaped: String = text.chars().map(|letter| format!("\\u{:04x}", letter as u32)).filter(|_| text.len() % 2 == 0).collect();
            let plain = serde_json::json!({"input": text}).to_string();
            let by_number = format!(r#" {{ "input" : "{escaped}" }} "#);
            let is_plane_zero = text.chars().all(|letter| (letter as u32) < 0x10000);
            for json in [plain, by_number].iter().take(if text.len() % 2 == 0 && is_plane_zero { 2 } else { 1 }) {
                let mut at: Vec<usize> = cuts.iter().map(|cut| (*cut).min(json.len())).filter(|cut| json.is_char_boundary(*cut)).collect();
                at.sort_unstable();
                at.push(json.len());
                let mut from = 0;
                let pieces: Vec<&str> = at.iter().map(|to| { let piece = &json[from..*to]; from = *to; piece }).collect();
                prop_assert_eq!(unwrapped(&pieces), text.clone());
            }
        }

        #[test]
        fn nothing_makes_it_panic_and_bare_text_stays(text in any::<String>()) {
            unwrapped(&[&text, "\\u", "d8", &text]);
            let bare = format!("*** {text}");
            prop_assert_eq!(unwrapped(&[&bare]), bare);
        }
    }

    #[test]
    fn other_shapes_are_understood_in_the_end() {
        assert_eq!(unwrapped(&[r#"{"a":1,"#, r#""input":"x\ny"}"#]), "x\ny");
        assert_eq!(unwrapped(&[r#"{"cmd":"x"}"#]), r#"{"cmd":"x"}"#);
        assert_eq!(unwrapped(&["{\"input\":\"\\ud83d", "\\ude00!\n\"}"]), "😀!\n");
        assert_eq!(unwrapped(&[]), "");
    }
}
