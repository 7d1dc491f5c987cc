//! A request that stays in its family, without what the target cannot read: signatures and encrypted reasoning of another
//! provider, or a wish to think at a model that cannot, would make it refuse the call.

use std::ops::Range;

use airside_protocols::{Family, top_level_member};
use airside_routing::Issuer;
use airside_snapshot::{Compiled, Model, Provider, Target, Vendor};
use airside_translation::{Loss, strip_foreign_thinking, strip_sealed_thinking, strip_wish_to_think};
use bytes::Bytes;

/// The request as the target can read it.
#[derive(Debug)]
pub(crate) struct Readable {
    pub(crate) body: Bytes,
    /// Where its model's name is; nowhere if the path says it.
    pub(crate) model_range: Range<usize>,
    pub(crate) losses: Vec<Loss>,
}

/// What a request's history may hold that its target did not write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History<'a> {
    /// Who issued thinking in this session, as far as it is remembered.
    pub(crate) issuers: &'a [Issuer],
    /// Where the model's calls can go.
    pub(crate) compiled: &'a Compiled,
    /// The model's name as the caller knows it.
    pub(crate) model: &'a str,
}

impl History<'_> {
    /// True if this provider reads what that issuer wrote: itself, or another cloud's service of the same models.
    /// Claude's signatures hold at every vendor that serves it (Anthropic's documentation, "Extended thinking").
    fn is_read_by(&self, family: Family, provider: &str, issuer: &Issuer) -> bool {
        *issuer.provider == *provider
            || family == Family::Anthropic && self.serves_claude(provider) && self.serves_claude(&issuer.provider)
    }

    fn serves_claude(&self, provider: &str) -> bool {
        let vendor = self.provider(provider).and_then(|provider| provider.vendor);
        matches!(
            vendor,
            Some(Vendor::Anthropic | Vendor::Bedrock | Vendor::Vertex | Vendor::Azure)
        )
    }

    /// True if another family may have answered in it. Only then is it searched, which costs a look at every byte.
    fn mixes_families(&self, family: Family) -> bool {
        let model = self.compiled.model(self.model);
        let mut targets = model.into_iter().flat_map(Model::targets);
        self.issuers.iter().any(|issuer| issuer.family != family)
            || targets.any(|target| {
                self.provider(&target.provider)
                    .is_some_and(|provider| provider.protocol != family)
            })
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        let index = self.compiled.provider_index(name)?;
        self.compiled.snapshot.providers.get(index)
    }
}

/// What must change for this target; `None` when the request may pass as it came. All thoughts go if another issuer of
/// the family wrote any in this session, else only what the gateway sealed on behalf of other families; and the wish for
/// new ones where they cannot be had.
pub(crate) fn readable(family: Family, target: &Target, history: History<'_>, body: &Bytes) -> Option<Readable> {
    let is_foreign = |issuer: &Issuer| issuer.family == family && !history.is_read_by(family, &target.provider, issuer);
    let own = if history.issuers.iter().any(is_foreign) {
        strip_foreign_thinking(family, body)
    } else if history.mixes_families(family) {
        strip_sealed_thinking(family, body)
    } else {
        None
    };
    let unwished = (!target.can_think()).then(|| {
        let so_far = own.as_ref().map_or(&body[..], |(body, _)| body);
        strip_wish_to_think(family, so_far)
    });
    let (body, losses) = match (own, unwished.flatten()) {
        (Some((_, mut losses)), Some((body, more))) => {
            losses.extend(more);
            (body, losses)
        }
        (own, unwished) => unwished.or(own)?,
    };
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

    /// Two accounts at the Claude API, one server that only speaks its dialect, one Gemini.
    fn compiled() -> Compiled {
        let provider = |name: &str, protocol: &str, vendor: &str| {
            serde_json::json!({"name": name, "protocol": protocol, "vendor": vendor,
                               "base_url": "http://127.0.0.1:1", "credential": {"kind": "none"}})
        };
        let target = |provider: &str| serde_json::json!({"provider": provider, "model": "x"});
        let everywhere = ["a", "b", "like", "g"].map(target);
        let snapshot = serde_json::json!({
            "format": 1, "version": 1, "compiled_at": "2026-11-23T17:52:28Z",
            "providers": [provider("a", "anthropic", "anthropic"), provider("b", "anthropic", "anthropic"),
                          provider("like", "anthropic", "compatible"), provider("g", "gemini", "gemini")],
            "models": [{"name": "alone", "route": [{"to": [target("a")]}]},
                       {"name": "mixed", "route": [{"to": everywhere}]}],
        });
        Compiled::from_json(snapshot.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_thought_goes_to_whoever_reads_it_and_to_no_other_of_its_family() {
        let body = Bytes::from_static(
            br#"{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"s"},{"type":"text","text":"a"}]}],"model":"m"}"#,
        );
        let compiled = compiled();
        let for_provider = |provider: &str, issuers: &[Issuer]| {
            let history = History {
                issuers,
                compiled: &compiled,
                model: "mixed",
            };
            let targets = compiled.model("mixed").unwrap().targets();
            let target = targets.into_iter().find(|target| target.provider == provider).unwrap();
            readable(Family::Anthropic, target, history, &body)
        };
        let made_by_a = [issued_by(Family::Anthropic, "a")];
        assert!(for_provider("a", &made_by_a).is_none());
        assert!(for_provider("b", &made_by_a).is_none(), "the same models elsewhere");
        assert!(for_provider("like", &[]).is_none());
        assert!(for_provider("like", &[issued_by(Family::Gemini, "g")]).is_none());
        let elsewhere = for_provider("like", &made_by_a).unwrap();
        assert_eq!(
            &elsewhere.body[..],
            br#"{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"}]}],"model":"m"}"#
        );
        assert_eq!(&elsewhere.body[elsewhere.model_range], b"\"m\"");
        assert_eq!(elsewhere.losses, [Loss::of("thinking")]);
    }

    #[test]
    fn a_history_is_searched_only_where_another_family_may_have_answered() {
        let compiled = compiled();
        let history = |model, issuers| History {
            issuers,
            compiled: &compiled,
            model,
        };
        assert!(!history("alone", &[]).mixes_families(Family::Anthropic));
        assert!(history("mixed", &[]).mixes_families(Family::Anthropic));
        let by_gemini = [issued_by(Family::Gemini, "g")];
        assert!(history("alone", &by_gemini).mixes_families(Family::Anthropic));
    }
}
