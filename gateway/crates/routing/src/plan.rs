//! The targets of one call, in order, and those it cannot use with the reason.

use std::sync::Arc;

use airside_protocols::{Family, FrontDoor};
use airside_snapshot::{Compiled, Model, Price, ProviderIndex, Target};

/// Whether a provider can be asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// Its credential has no value.
    NoCredential,
    /// It asked to be left alone.
    CoolingDown,
}

/// Why a target is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It speaks another dialect than the front door.
    OtherFamily,
    /// Nobody priced it, and the policy is to refuse.
    UnknownPrice,
    /// Its provider's credential has no value.
    NoCredential,
    /// Its provider asked to be left alone; it comes last.
    CoolingDown,
}

impl Skip {
    /// The reason in the journal.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OtherFamily => "other_family",
            Self::UnknownPrice => "unknown_price",
            Self::NoCredential => "no_credential",
            Self::CoolingDown => "cooling_down",
        }
    }
}

/// A target that can be asked.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The target.
    pub target: &'a Target,
    /// What it costs.
    pub price: &'a Arc<Price>,
    /// Its provider.
    pub provider: ProviderIndex,
    /// The dialect that provider speaks.
    pub family: Family,
}

/// A target that is not asked, or asked last.
#[derive(Debug, Clone, Copy)]
pub struct Skipped<'a> {
    /// The target.
    pub target: &'a Target,
    /// Why.
    pub skip: Skip,
}

/// What a call tries.
#[derive(Debug)]
pub struct Plan<'a> {
    /// In order: those that are ready as the route has them, then those that cool down.
    pub candidates: Vec<Candidate<'a>>,
    /// The others, and those that cool down.
    pub skipped: Vec<Skipped<'a>>,
}

/// Why there is nothing to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// The model is served in these families only.
    OtherFamilies(Vec<Family>),
    /// No target of the family has a price.
    UnknownPrice,
    /// No target of the family has a credential.
    NoCredential,
}

/// The targets of a call of this model through this front door.
///
/// # Errors
/// `NoTarget` when none is left.
pub fn plan<'a>(
    compiled: &'a Compiled,
    model: &'a Model,
    door: FrontDoor,
    readiness: impl Fn(ProviderIndex) -> Readiness,
) -> Result<Plan<'a>, NoTarget> {
    // Steps bear no conditions yet, so the first one applies.
    let targets = model.route.first().map(|step| step.to.as_slice()).unwrap_or_default();
    let mut plan = Plan {
        candidates: Vec::with_capacity(targets.len()),
        skipped: Vec::new(),
    };
    let mut cooling = Vec::new();
    let mut families = Vec::new();
    for target in targets {
        let Some((index, provider)) = provider_of(compiled, target) else {
            continue;
        };
        if !door.is_spoken_by(provider.protocol) {
            if !families.contains(&provider.protocol) {
                families.push(provider.protocol);
            }
            plan.skipped.push(Skipped {
                target,
                skip: Skip::OtherFamily,
            });
            continue;
        }
        let Some(price) = compiled.price_of(target) else {
            plan.skipped.push(Skipped {
                target,
                skip: Skip::UnknownPrice,
            });
            continue;
        };
        let candidate = Candidate {
            target,
            price,
            provider: index,
            family: provider.protocol,
        };
        match readiness(index) {
            Readiness::Ready => plan.candidates.push(candidate),
            Readiness::NoCredential => plan.skipped.push(Skipped {
                target,
                skip: Skip::NoCredential,
            }),
            Readiness::CoolingDown => cooling.push(candidate),
        }
    }
    if !plan.candidates.is_empty() {
        let skipped = cooling.iter().map(|candidate| Skipped {
            target: candidate.target,
            skip: Skip::CoolingDown,
        });
        plan.skipped.extend(skipped);
    }
    plan.candidates.append(&mut cooling);
    if plan.candidates.is_empty() {
        Err(why_none(&plan.skipped, families))
    } else {
        Ok(plan)
    }
}

fn provider_of<'a>(compiled: &'a Compiled, target: &Target) -> Option<(ProviderIndex, &'a airside_snapshot::Provider)> {
    let index = compiled.provider_index(&target.provider)?;
    Some((index, compiled.snapshot.providers.get(index)?))
}

fn why_none(skipped: &[Skipped<'_>], families: Vec<Family>) -> NoTarget {
    let any = |skip| skipped.iter().any(|skipped| skipped.skip == skip);
    if any(Skip::NoCredential) {
        NoTarget::NoCredential
    } else if any(Skip::UnknownPrice) {
        NoTarget::UnknownPrice
    } else {
        NoTarget::OtherFamilies(families)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled() -> Compiled {
        let provider = |name: &str, protocol: &str| serde_json::json!({"name": name, "protocol": protocol, "base_url": "http://127.0.0.1:1", "credential": {"kind": "none"}});
        let price = serde_json::json!({"tiers": [{"input_uncached": 1, "cache_read": 1, "cache_write_5m": 1, "cache_write_1h": 1, "output": 1}]});
        let target = |provider: &str| serde_json::json!({"provider": provider, "model": "x", "price": price});
        let snapshot = serde_json::json!({
            "format": 1, "version": 1, "compiled_at": "2026-11-23T17:52:28Z",
            "providers": [provider("a", "anthropic"), provider("b", "anthropic"), provider("o", "openai-chat")],
            "models": [
                {"name": "m", "route": [{"to": [target("a"), target("o"), target("b")]}]},
                {"name": "unpriced", "route": [{"to": [{"provider": "a", "model": "x"}]}]},
            ],
        });
        Compiled::from_json(snapshot.to_string().as_bytes()).unwrap()
    }

    fn names(plan: &Plan<'_>) -> (Vec<String>, Vec<(String, Skip)>) {
        let tried = plan
            .candidates
            .iter()
            .map(|candidate| candidate.target.provider.clone())
            .collect();
        let skipped = plan
            .skipped
            .iter()
            .map(|skipped| (skipped.target.provider.clone(), skipped.skip))
            .collect();
        (tried, skipped)
    }

    #[test]
    fn targets_of_another_family_are_skipped() {
        let compiled = compiled();
        let plan = plan(&compiled, compiled.model("m").unwrap(), FrontDoor::Messages, |_| {
            Readiness::Ready
        })
        .unwrap();
        assert_eq!(
            names(&plan),
            (vec!["a".into(), "b".into()], vec![("o".into(), Skip::OtherFamily)])
        );
    }

    #[test]
    fn a_family_nobody_serves_names_those_that_are() {
        let compiled = compiled();
        let found = plan(&compiled, compiled.model("m").unwrap(), FrontDoor::Responses, |_| {
            Readiness::Ready
        });
        assert_eq!(
            found.unwrap_err(),
            NoTarget::OtherFamilies(vec![Family::Anthropic, Family::OpenaiChat])
        );
    }

    #[test]
    fn embeddings_are_asked_of_either_openai_dialect() {
        let compiled = compiled();
        let plan = plan(&compiled, compiled.model("m").unwrap(), FrontDoor::Embeddings, |_| {
            Readiness::Ready
        });
        assert_eq!(names(&plan.unwrap()).0, ["o"]);
    }

    #[test]
    fn who_cools_down_comes_last_and_is_skipped_only_for_another() {
        let compiled = compiled();
        let model = compiled.model("m").unwrap();
        let cooling = |index| {
            if index == 0 {
                Readiness::CoolingDown
            } else {
                Readiness::Ready
            }
        };
        let (tried, skipped) = names(&plan(&compiled, model, FrontDoor::Messages, cooling).unwrap());
        assert_eq!(tried, ["b", "a"]);
        assert!(skipped.contains(&("a".into(), Skip::CoolingDown)));
        let (tried, skipped) = names(&plan(&compiled, model, FrontDoor::Chat, |_| Readiness::CoolingDown).unwrap());
        assert_eq!(tried, ["o"]);
        assert!(!skipped.iter().any(|(_, skip)| *skip == Skip::CoolingDown));
    }

    #[test]
    fn what_cannot_be_priced_or_paid_is_not_asked() {
        let compiled = compiled();
        let unpriced = plan(
            &compiled,
            compiled.model("unpriced").unwrap(),
            FrontDoor::Messages,
            |_| Readiness::Ready,
        );
        assert_eq!(unpriced.unwrap_err(), NoTarget::UnknownPrice);
        let unpaid = plan(&compiled, compiled.model("m").unwrap(), FrontDoor::Messages, |_| {
            Readiness::NoCredential
        });
        assert_eq!(unpaid.unwrap_err(), NoTarget::NoCredential);
    }
}
