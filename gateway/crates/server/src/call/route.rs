//! Which model is meant, whether this caller may have it, and what can serve it.

use airside_protocols::FrontDoor;
use airside_routing::{NoTarget, Plan, Readiness, plan};
use airside_snapshot::Principal;
use std::time::Instant;

use crate::active::Active;
use crate::gateway::Gateway;
use crate::reply::Refusal;

/// The targets of this call.
///
/// # Errors
/// 404 for a model nobody defined, 403 for one that is not the caller's, 400 or 503 when nothing can serve it.
pub(crate) fn route<'a>(
    gateway: &Gateway,
    active: &'a Active,
    principal: &Principal,
    door: FrontDoor,
    alias: &str,
) -> Result<Plan<'a>, Refusal> {
    let model = active
        .compiled
        .model(alias)
        .ok_or_else(|| Refusal::new(404, "unknown_model", format!("There is no model '{alias}' here.")))?;
    if !principal.may_call(alias) {
        return Err(Refusal::new(
            403,
            "model_not_allowed",
            format!("This key may not call model '{alias}'."),
        ));
    }
    let now = Instant::now();
    let readiness = |index: usize| match active.providers.get(index) {
        None => Readiness::NoCredential,
        Some(provider) if provider.credential.is_err() => Readiness::NoCredential,
        Some(provider) if gateway.cooldowns.is_cooling(&provider.name, now) => Readiness::CoolingDown,
        Some(_) => Readiness::Ready,
    };
    plan(&active.compiled, model, door, readiness).map_err(|why| refusal(&why, alias, door))
}

fn refusal(why: &NoTarget, alias: &str, door: FrontDoor) -> Refusal {
    match why {
        NoTarget::OtherFamilies(families) => {
            let served: Vec<&str> = families.iter().map(|family| family.name()).collect();
            let message = format!(
                "Model '{alias}' is not served in the {} dialect, only in: {}.",
                door.family().name(),
                served.join(", ")
            );
            Refusal::new(400, "wrong_family", message)
        }
        NoTarget::UnknownPrice => {
            let message = format!("No target of model '{alias}' has a price, and calls without a price are refused.");
            Refusal::new(400, "unknown_price", message)
        }
        NoTarget::NoCredential => Refusal::new(
            503,
            "no_credential",
            format!("No provider of model '{alias}' has a credential."),
        ),
    }
}
