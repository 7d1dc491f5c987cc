//! A request that stays in its family, without what the target did not issue: signatures and encrypted reasoning of
//! another provider would make it refuse the call.

use std::ops::Range;

use airside_protocols::{Family, top_level_member};
use airside_routing::Issuer;
use airside_translation::{Loss, strip_foreign_thinking, strip_sealed_thinking};
use bytes::Bytes;

/// The request as the target can read it.
#[derive(Debug)]
pub(crate) struct Readable {
    pub(crate) body: Bytes,
    /// Where its model's name is; nowhere if the path says it.
    pub(crate) model_range: Range<usize>,
    pub(crate) losses: Vec<Loss>,
}

/// What must change for this provider; `None` when the request may pass as it came. All thoughts go if another provider
/// of the family issued any in this session, else only what the gateway sealed on behalf of other families.
pub(crate) fn readable(family: Family, provider: &str, issuers: &[Issuer], body: &Bytes) -> Option<Readable> {
    let is_another = |issuer: &Issuer| issuer.family == family && *issuer.provider != *provider;
    let stripped = if issuers.iter().any(is_another) {
        strip_foreign_thinking(family, body)
    } else {
        strip_sealed_thinking(family, body)
    };
    let (body, losses) = stripped?;
    let model_range = match family {
        Family::Gemini => 0..0,
        _ => top_level_member(&body, "model")?,
    };
    Some(Readable {
        body: body.into(),
        model_range,
        losses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued_by(family: Family, provider: &str) -> Issuer {
        Issuer {
            family,
            provider: provider.into(),
        }
    }

    #[test]
    fn a_thought_goes_to_the_provider_that_issued_it_and_to_no_other_of_its_family() {
        let body = Bytes::from_static(
            br#"{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"s"},{"type":"text","text":"a"}]}],"model":"m"}"#,
        );
        let made_by_a = [issued_by(Family::Anthropic, "a")];
        assert!(readable(Family::Anthropic, "a", &made_by_a, &body).is_none());
        assert!(readable(Family::Anthropic, "b", &[], &body).is_none());
        assert!(readable(Family::Anthropic, "b", &[issued_by(Family::Gemini, "g")], &body).is_none());
        let for_b = readable(Family::Anthropic, "b", &made_by_a, &body).unwrap();
        assert_eq!(
            &for_b.body[..],
            br#"{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"}]}],"model":"m"}"#
        );
        assert_eq!(&for_b.body[for_b.model_range], b"\"m\"");
        assert_eq!(for_b.losses, [Loss::of("thinking")]);
    }
}
