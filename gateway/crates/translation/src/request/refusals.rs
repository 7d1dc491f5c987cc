//! Why a request is not translated, in words.

use crate::request::Untranslatable;

impl Untranslatable {
    /// The body is not of its dialect.
    pub(crate) fn malformed(what: &str) -> Self {
        Self {
            code: "malformed_request",
            message: format!("The request cannot be read: {what}."),
        }
    }

    /// Something lies at a vendor that the call does not go to.
    pub(crate) fn elsewhere(what: &str) -> Self {
        Self {
            code: "kept_at_another_vendor",
            message: format!("The request cannot be sent to a provider of another family: {what}."),
        }
    }

    /// The target's dialect has no words for what is asked.
    pub(crate) fn unsayable(what: &str) -> Self {
        Self {
            code: "not_in_the_target_dialect",
            message: format!("The request cannot be sent to a provider of another family: {what}."),
        }
    }

    /// A tool must be called that only the caller's vendor runs.
    pub(crate) fn server_tool() -> Self {
        Self {
            code: "server_tool",
            message: "The request cannot be sent to a provider of another family: `tool_choice` demands a tool that \
                      only its own vendor runs."
                .to_owned(),
        }
    }
}
