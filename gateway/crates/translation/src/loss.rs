//! What a target's dialect cannot say.

use std::borrow::Cow;

/// Something of the request or the answer that was left out or weakened, by rule. Told in a response header and in the
/// journal, so a loss is never silent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Loss {
    /// What was lost, as the caller's dialect spells it: `top_k`, `thinking`, `cache_control`. Short, lower case.
    pub field: Cow<'static, str>,
}

impl Loss {
    /// A loss known by a fixed name.
    #[must_use]
    pub const fn of(field: &'static str) -> Self {
        Self {
            field: Cow::Borrowed(field),
        }
    }
}
