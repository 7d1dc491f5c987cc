//! What the name of a model says about what it takes. Dialects alone do not say it: within one vendor's dialect newer
//! models refuse what older ones demand. A name that says nothing is taken for a current model.

/// The version in an Anthropic model's name: `claude-sonnet-4-5-20250929` is (4, 5), `claude-3-7-sonnet` is (3, 7).
pub(crate) fn claude_version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.rsplit_once("claude-")?;
    let is_short = |piece: &&str| piece.len() <= 2 && piece.bytes().all(|byte| byte.is_ascii_digit());
    let mut pieces = name
        .split(['-', '@', '.', ':'])
        .skip_while(|piece| !is_short(piece) || piece.is_empty());
    let major = pieces.next()?.parse().ok()?;
    let minor = pieces.next().filter(is_short).and_then(|piece| piece.parse().ok());
    Some((major, minor.unwrap_or(0)))
}

/// Claude thinks as much as it sees fit, guided by an effort; older models must be given a budget.
pub(crate) fn claude_thinks_adaptively(model: &str) -> bool {
    claude_version(model).is_none_or(|version| version >= (4, 6))
}

/// Claude can think at all.
pub(crate) fn claude_thinks(model: &str) -> bool {
    claude_version(model).is_none_or(|version| version >= (3, 7))
}

/// Claude answers in a given JSON Schema by itself.
pub(crate) fn claude_has_structured_output(model: &str) -> bool {
    let is_early = model.contains("opus-4-1");
    claude_version(model).is_none_or(|version| version >= (4, 5) || is_early)
}

/// Claude refuses temperatures and the like.
pub(crate) fn claude_refuses_sampling(model: &str) -> bool {
    claude_version(model).is_some_and(|version| version >= (4, 7))
}

/// The version in an `OpenAI` model's name: `gpt-5.2-codex` is (5, 2). The `o` series counts as (5, 0), which it
/// resembles.
pub(crate) fn openai_version(model: &str) -> Option<(u32, u32)> {
    let name = model.rsplit('/').next()?;
    if let Some(series) = name.strip_prefix('o') {
        return series
            .starts_with(|first: char| first.is_ascii_digit())
            .then_some((5, 0));
    }
    let name = name.strip_prefix("chatgpt-").or_else(|| name.strip_prefix("gpt-"))?;
    let digits = |text: &str| -> Option<(u32, usize)> {
        let length = text.bytes().take_while(u8::is_ascii_digit).count();
        Some((text.get(..length)?.parse().ok()?, length))
    };
    let (major, length) = digits(name)?;
    let minor = name
        .get(length..)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(digits);
    Some((major, minor.map_or(0, |(minor, _)| minor)))
}

/// Known as `OpenAI`'s own, by name. Its dialects are spoken by many servers that know less.
pub(crate) fn is_openai(model: &str) -> bool {
    openai_version(model).is_some()
}

/// An `OpenAI` model that reasons, and so refuses temperatures, penalties and stop sequences.
pub(crate) fn is_openai_reasoner(model: &str) -> bool {
    openai_version(model).is_some_and(|version| version >= (5, 0)) && !model.contains("-chat")
}

/// An `OpenAI` model that refuses to be told how much to reason.
pub(crate) fn openai_cannot_reason(model: &str) -> bool {
    is_openai(model) && !is_openai_reasoner(model)
}

/// The generation in a Gemini model's name: `gemini-2.5-pro` is 2.
pub(crate) fn gemini_generation(model: &str) -> Option<u32> {
    let (_, name) = model.rsplit_once("gemini-")?;
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    name.get(..digits)?.parse().ok()
}

/// From generation 3 on Gemini signs its calls, thinks by levels and takes images in tool results.
pub(crate) fn gemini_is_old(model: &str) -> bool {
    gemini_generation(model).is_some_and(|generation| generation < 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_names_vendors_give() {
        for (model, expected) in [
            ("claude-opus-5-5", Some((5, 5))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-3-7-sonnet-latest", Some((3, 7))),
            ("us.anthropic.claude-opus-4-6-v1:0", Some((4, 6))),
            ("anthropic/claude-haiku-4.5", Some((4, 5))),
            ("claude-haiku-4-5@20251001", Some((4, 5))),
            ("kimi-k3", None),
            ("claude-next", None),
        ] {
            assert_eq!(claude_version(model), expected, "{model}");
        }
        for (model, expected) in [
            ("gpt-5.2-codex", Some((5, 2))),
            ("openai/gpt-6.1-sol", Some((6, 1))),
            ("gpt-4o-mini", Some((4, 0))),
            ("gpt-4.1", Some((4, 1))),
            ("o4-mini", Some((5, 0))),
            ("gpt-oss-120b", None),
            ("olmo-3", None),
            ("llama-4", None),
        ] {
            assert_eq!(openai_version(model), expected, "{model}");
        }
        for (model, expected) in [
            ("gemini-2.5-pro", Some(2)),
            ("models/gemini-3.8-flash", Some(3)),
            ("gemini-10-pro", Some(10)),
            ("gemini-flash-latest", None),
            ("gemma-4", None),
        ] {
            assert_eq!(gemini_generation(model), expected, "{model}");
        }
    }
}
