//! Keys in what providers say.

/// The longest message that is passed on, in characters.
const MOST_MESSAGE_CHARS: usize = 2000;
const REMOVED: &str = "[removed]";

/// How keys and tokens of the vendors begin.
const SECRETS: [&str; 16] = [
    "sk-",
    "sk_",
    "AIza",
    "ya29.",
    "AQ.",
    "AKIA",
    "ASIA",
    "eyJ",
    "gsk_",
    "xai-",
    "hf_",
    "air_",
    "pplx-",
    "r8_",
    "ghp_",
    "github_pat_",
];

/// The message without anything that looks like a key, and not too long.
pub(crate) fn without_secrets(message: &str) -> String {
    let mut clean = String::with_capacity(message.len());
    let mut follows_bearer = false;
    let is_of_word = |letter: char| letter.is_alphanumeric() || "-_.*+/=".contains(letter);
    let mut rest: String = message.chars().take(MOST_MESSAGE_CHARS).collect();
    rest.retain(|letter| letter == '\n' || !letter.is_control());
    let mut rest = rest.as_str();
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_of_word(letter)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let value = word.rsplit_once("key=").map_or(word, |(_, value)| value);
        let is_secret =
            follows_bearer || value.len() < word.len() || SECRETS.iter().any(|start| value.starts_with(start));
        clean.push_str(if is_secret && value.len() > 6 { REMOVED } else { word });
        follows_bearer = !word.is_empty() && word.eq_ignore_ascii_case("bearer") || word.is_empty() && follows_bearer;
        let step = tail.chars().next().map_or(0, char::len_utf8);
        let (between, after) = tail.split_at(step);
        clean.push_str(between);
        rest = after;
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_passed_on() {
        let told = "Incorrect API key provided: sk-proj-abc***xyz. See https://v.example/v1?key=AIzaSyD-123456 or \
                    send Bearer abcdef.ghijkl (header), \"ya29.a0AfB_by\" or eyJhbGciOi.J9.x";
        let clean = without_secrets(told);
        for secret in ["sk-proj", "AIza", "abcdef", "ya29", "eyJh"] {
            assert!(!clean.contains(secret), "{clean}");
        }
        assert!(clean.starts_with("Incorrect API key provided: [removed]"), "{clean}");
        assert_eq!(
            without_secrets("messages.1: task-force asked for sk"),
            "messages.1: task-force asked for sk"
        );
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(without_secrets(&"ü".repeat(5000)).chars().count(), MOST_MESSAGE_CHARS);
    }
}
