//! A snapshot that was checked, with the look-ups the path of a call needs.

use foldhash::{HashMap, HashMapExt as _, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{Budget, Key, Model, Price, RateLimit, SNAPSHOT_FORMAT, ScopeKind, Snapshot, Target};
use crate::problem::SnapshotProblem;
use crate::scopes::{ByScope, chosen};
use crate::token::SessionClaims;

/// Longer names would not fit the room a journal record is given.
const MAX_NAME_BYTES: usize = 200;

/// Where a provider stands in `Snapshot::providers`.
pub type ProviderIndex = usize;

/// Who a call is made for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// The project that pays.
    pub project: String,
    /// The session, for a session token.
    pub session_id: Option<String>,
    /// What started that session.
    pub deployment_id: Option<String>,
    /// The person.
    pub user: Option<String>,
    /// The team.
    pub team: Option<String>,
    /// The agent.
    pub agent_id: Option<String>,
    /// Its name.
    pub agent_name: Option<String>,
    /// Its version.
    pub agent_version: Option<u64>,
    /// The long-lived key.
    pub key_id: Option<String>,
    /// Aliases it may call; `None`: every one.
    pub models: Option<Vec<String>>,
    /// The session's own cap.
    pub session_budget_nanousd: Option<u64>,
    /// Seconds since 1970 at which it ends.
    pub expires_at: Option<i64>,
    /// The oldest snapshot it may be served from.
    pub minimum_snapshot: u64,
}

impl Principal {
    /// Which one of a kind of scope it belongs to; `None` for kinds that the call decides, or that it is none of.
    #[must_use]
    pub fn scope_id(&self, kind: ScopeKind) -> Option<&str> {
        match kind {
            ScopeKind::Project => Some(&self.project),
            ScopeKind::Team => self.team.as_deref(),
            ScopeKind::User => self.user.as_deref(),
            ScopeKind::Agent => self.agent_id.as_deref(),
            ScopeKind::Deployment => self.deployment_id.as_deref(),
            ScopeKind::Session => self.session_id.as_deref(),
            ScopeKind::Model | ScopeKind::Provider => None,
        }
    }

    /// True if it may call this alias.
    #[must_use]
    pub fn may_call(&self, alias: &str) -> bool {
        self.models
            .as_ref()
            .is_none_or(|models| models.iter().any(|model| model == alias))
    }
}

impl From<SessionClaims> for Principal {
    fn from(claims: SessionClaims) -> Self {
        Self {
            project: claims.project,
            session_id: Some(claims.session_id),
            deployment_id: claims.deployment_id,
            user: claims.user,
            team: claims.team,
            agent_id: Some(claims.agent_id),
            agent_name: Some(claims.agent_name),
            agent_version: Some(claims.agent_version),
            key_id: None,
            models: Some(claims.models),
            session_budget_nanousd: claims.budget_nanousd,
            expires_at: Some(claims.expires_at),
            minimum_snapshot: claims.minimum_snapshot,
        }
    }
}

impl From<&Key> for Principal {
    fn from(key: &Key) -> Self {
        Self {
            project: key.project.clone(),
            user: key.user.clone(),
            team: key.team.clone(),
            agent_id: key.agent_id.clone(),
            agent_name: key.agent_name.clone(),
            key_id: Some(key.key_id.clone()),
            models: key.models.clone(),
            expires_at: key.expires_at.map(crate::Moment::seconds),
            ..Self::default()
        }
    }
}

/// A snapshot ready to serve from. Never changes; a new one takes its place.
#[derive(Debug)]
pub struct Compiled {
    /// As it was sent.
    pub snapshot: Snapshot,
    keys: HashMap<[u8; 32], Arc<Principal>>,
    signers: HashMap<String, Vec<u8>>,
    revoked: HashSet<String>,
    models: HashMap<String, usize>,
    providers: HashMap<String, ProviderIndex>,
    budgets: ByScope,
    rate_limits: ByScope,
}

impl Compiled {
    /// Read and check the JSON of a snapshot.
    ///
    /// # Errors
    /// `NewerFormat` before anything else is looked at, `Unreadable`, or `Inconsistent` with the place.
    pub fn from_json(text: &[u8]) -> Result<Self, SnapshotProblem> {
        #[derive(serde::Deserialize)]
        struct Format {
            format: u64,
        }
        let unreadable = |problem: serde_json::Error| SnapshotProblem::Unreadable(problem.to_string());
        let format: Format = serde_json::from_slice(text).map_err(unreadable)?;
        if format.format > SNAPSHOT_FORMAT {
            return Err(SnapshotProblem::NewerFormat(format.format));
        }
        Self::new(serde_json::from_slice(text).map_err(unreadable)?)
    }

    /// Check a snapshot and index it.
    ///
    /// # Errors
    /// `Inconsistent` with the place.
    pub fn new(snapshot: Snapshot) -> Result<Self, SnapshotProblem> {
        let providers = index_by("provider", &snapshot.providers, |provider| &provider.name)?;
        for provider in &snapshot.providers {
            provider.check()?;
        }
        let models = index_by("model", &snapshot.models, |model| &model.name)?;
        for model in &snapshot.models {
            check_model(model, &providers)?;
        }
        for budget in &snapshot.budgets {
            let to = budget.downgrade_to.as_ref();
            if let Some(alias) = to.filter(|alias| !models.contains_key(*alias)) {
                return Err(inconsistent(format!(
                    "budget '{}' downgrades to model '{alias}', and there is none",
                    budget.budget_id
                )));
            }
        }
        if let Some(ceiling) = &snapshot.unknown_price.ceiling {
            check_price("unknown_price.ceiling", ceiling)?;
        }
        let compiled = Self {
            keys: index_keys(&snapshot.keys)?,
            signers: index_signers(&snapshot)?,
            revoked: snapshot
                .revoked_sessions
                .iter()
                .map(|revoked| revoked.session_id.clone())
                .collect(),
            budgets: ByScope::of(
                snapshot
                    .budgets
                    .iter()
                    .map(|budget| (budget.scope, budget.scope_id.as_str())),
            ),
            rate_limits: ByScope::of(
                snapshot
                    .rate_limits
                    .iter()
                    .map(|limit| (limit.scope, limit.scope_id.as_str())),
            ),
            models,
            providers,
            snapshot,
        };
        Ok(compiled)
    }

    /// Whose key has this SHA-256.
    #[must_use]
    pub fn key(&self, digest: &[u8; 32]) -> Option<&Arc<Principal>> {
        self.keys.get(digest)
    }

    /// The public key that signs session tokens under this id.
    #[must_use]
    pub fn signer(&self, key_id: &str) -> Option<&[u8]> {
        self.signers.get(key_id).map(Vec::as_slice)
    }

    /// True if the session was ended before its tokens.
    #[must_use]
    pub fn is_revoked(&self, session_id: &str) -> bool {
        self.revoked.contains(session_id)
    }

    /// The model under this alias.
    #[must_use]
    pub fn model(&self, alias: &str) -> Option<&Model> {
        self.snapshot.models.get(*self.models.get(alias)?)
    }

    /// Where the provider of this name stands.
    #[must_use]
    pub fn provider_index(&self, name: &str) -> Option<ProviderIndex> {
        self.providers.get(name).copied()
    }

    /// What a target costs; `None` when it must not be called for want of a price.
    #[must_use]
    pub fn price_of<'a>(&'a self, target: &'a Target) -> Option<&'a Arc<Price>> {
        target.price.as_ref().or(self.snapshot.unknown_price.ceiling.as_ref())
    }

    /// The caps on one scope.
    pub fn budgets_of(&self, kind: ScopeKind, id: &str) -> impl Iterator<Item = &Budget> {
        chosen(&self.snapshot.budgets, self.budgets.find(kind, id), |budget| {
            budget.window
        })
    }

    /// The limits of speed on one scope.
    pub fn rate_limits_of(&self, kind: ScopeKind, id: &str) -> impl Iterator<Item = &RateLimit> {
        chosen(&self.snapshot.rate_limits, self.rate_limits.find(kind, id), |limit| {
            limit.window
        })
    }

    /// True if anybody could ever be let in.
    #[must_use]
    pub fn can_authenticate(&self) -> bool {
        !self.keys.is_empty() || !self.signers.is_empty()
    }
}

fn inconsistent(detail: String) -> SnapshotProblem {
    SnapshotProblem::Inconsistent(detail)
}

fn index_by<T>(
    noun: &str,
    items: &[T],
    name: impl Fn(&T) -> &String,
) -> Result<HashMap<String, usize>, SnapshotProblem> {
    let mut index = HashMap::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let name = name(item);
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(inconsistent(format!(
                "{noun} {at} needs a name of 1 to {MAX_NAME_BYTES} bytes"
            )));
        }
        if index.insert(name.clone(), at).is_some() {
            return Err(inconsistent(format!("{noun} '{name}' stands twice")));
        }
    }
    Ok(index)
}

fn check_model(model: &Model, providers: &HashMap<String, ProviderIndex>) -> Result<(), SnapshotProblem> {
    let name = &model.name;
    if model.route.is_empty() {
        return Err(inconsistent(format!("model '{name}' has no route")));
    }
    for target in model.targets() {
        check_target(name, target, providers)?;
    }
    for (at, step) in model.route.iter().enumerate() {
        let place = format!("model '{name}', step {}", at + 1);
        if step.to.is_empty() {
            return Err(inconsistent(format!("{place} has no targets")));
        }
        if let Some(condition) = &step.when
            && let Some(problem) = condition.problem()
        {
            return Err(inconsistent(format!("{place}: when `{}`: {problem}", condition.text())));
        }
        let shares = step.split.iter().chain(&step.shadow);
        if shares.map(|share| share.basis_points).any(|points| points > 10_000) {
            return Err(inconsistent(format!("{place}: a share is at most 10000 basis points")));
        }
    }
    Ok(())
}

fn check_target(
    model: &str,
    target: &Target,
    providers: &HashMap<String, ProviderIndex>,
) -> Result<(), SnapshotProblem> {
    if !providers.contains_key(&target.provider) {
        return Err(inconsistent(format!(
            "model '{model}' names provider '{}', and there is none",
            target.provider
        )));
    }
    if target.model.is_empty() || target.model.len() > MAX_NAME_BYTES {
        return Err(inconsistent(format!(
            "model '{model}': a target's model needs a name of 1 to {MAX_NAME_BYTES} bytes"
        )));
    }
    let place = format!("model '{model}', target '{}/{}'", target.provider, target.model);
    if target.weight == 0 {
        return Err(inconsistent(format!("{place}: a weight is at least 1")));
    }
    target.price.as_ref().map_or(Ok(()), |price| check_price(&place, price))
}

fn check_price(place: &str, price: &Price) -> Result<(), SnapshotProblem> {
    let own = &price.service_tiers;
    let others = [&own.batch, &own.flex, &own.priority, &own.fast];
    for tiers in others.into_iter().flatten().chain([&price.tiers]) {
        if tiers.is_empty() {
            return Err(inconsistent(format!("{place}: a price needs at least one tier")));
        }
        let rises = tiers.is_sorted_by(|lower, upper| lower.above_input_tokens < upper.above_input_tokens);
        if !rises {
            return Err(inconsistent(format!("{place}: price tiers must rise")));
        }
    }
    Ok(())
}

fn index_keys(keys: &[Key]) -> Result<HashMap<[u8; 32], Arc<Principal>>, SnapshotProblem> {
    let mut index = HashMap::with_capacity(keys.len());
    for key in keys {
        let digest = from_hex(&key.sha256)
            .ok_or_else(|| inconsistent(format!("key '{}': sha256 must be 64 hex digits", key.key_id)))?;
        index.insert(digest, Arc::new(Principal::from(key)));
    }
    Ok(index)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn index_signers(snapshot: &Snapshot) -> Result<HashMap<String, Vec<u8>>, SnapshotProblem> {
    let mut signers = HashMap::new();
    for key in &snapshot.session_token_keys {
        let bytes = URL_SAFE_NO_PAD
            .decode(&key.ed25519)
            .ok()
            .filter(|bytes| bytes.len() == 32);
        let bytes = bytes.ok_or_else(|| {
            inconsistent(format!(
                "session token key '{}': ed25519 must be 32 bytes in base64url",
                key.key_id
            ))
        })?;
        signers.insert(key.key_id.clone(), bytes);
    }
    Ok(signers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> serde_json::Value {
        serde_json::json!({
            "format": 1, "version": 3, "compiled_at": "2026-11-23T17:52:28Z",
            "providers": [{"name": "p", "protocol": "anthropic", "base_url": "http://127.0.0.1:1",
                           "credential": {"kind": "none"}}],
            "models": [{"name": "m", "route": [{"to": [{"provider": "p", "model": "x"}]}]}],
            "a_field_of_tomorrow": true,
        })
    }

    fn problem(change: impl FnOnce(&mut serde_json::Value)) -> SnapshotProblem {
        let mut snapshot = minimal();
        change(&mut snapshot);
        Compiled::from_json(snapshot.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn a_snapshot_with_fields_of_tomorrow_is_read() {
        let compiled = Compiled::from_json(minimal().to_string().as_bytes()).unwrap();
        assert_eq!(compiled.snapshot.version, 3);
        assert!(compiled.model("m").is_some());
        assert!(!compiled.can_authenticate());
    }

    #[test]
    fn a_newer_format_is_refused_before_it_is_read() {
        let found = Compiled::from_json(br#"{"format": 2, "everything": "else changed"}"#);
        assert_eq!(found.unwrap_err(), SnapshotProblem::NewerFormat(2));
    }

    #[test]
    fn contradictions_are_named() {
        type Change = fn(&mut serde_json::Value);
        let cases: [(&str, Change); 9] = [
            ("provider 'q'", |s| {
                s["models"][0]["route"][0]["to"][0]["provider"] = "q".into();
            }),
            ("stands twice", |s| {
                let first = s["providers"][0].clone();
                s["providers"].as_array_mut().unwrap().push(first);
            }),
            ("must begin with http", |s| {
                s["providers"][0]["base_url"] = "ftp://x".into();
            }),
            ("without user", |s| s["providers"][0]["base_url"] = "http://a@b/".into()),
            ("64 hex digits", |s| {
                s["keys"] = serde_json::json!([{"key_id": "k", "sha256": "zz", "project": "p"}]);
            }),
            ("model 'm', step 1: when `request.nothing`", |s| {
                s["models"][0]["route"][0]["when"] = "request.nothing".into();
            }),
            ("at most 10000", |s| {
                s["models"][0]["route"][0]["split"] =
                    serde_json::json!({"target": {"provider": "p", "model": "y"}, "basis_points": 10_001});
            }),
            ("weight is at least 1", |s| {
                s["models"][0]["route"][0]["to"][0]["weight"] = 0.into();
            }),
            ("no route", |s| s["models"][0]["route"] = serde_json::json!([])),
        ];
        for (sentence, change) in cases {
            let found = problem(change).to_string();
            assert!(found.contains(sentence), "{found}");
        }
    }

    #[test]
    fn what_names_a_scope_counts_before_what_names_each_window_by_window() {
        let budget = |id: &str, scope_id: &str, window: &str| serde_json::json!({"budget_id": id, "scope": "user", "scope_id": scope_id, "limit_nanousd": 1, "window": window});
        let mut snapshot = minimal();
        snapshot["budgets"] = serde_json::json!([
            budget("each day", "*", "day"),
            budget("ann's day", "ann", "day"),
            budget("each month", "*", "month"),
        ]);
        let compiled = Compiled::from_json(snapshot.to_string().as_bytes()).unwrap();
        let of = |kind, id| {
            let found = compiled.budgets_of(kind, id).map(|budget| budget.budget_id.clone());
            found.collect::<Vec<_>>()
        };
        assert_eq!(of(ScopeKind::User, "ann"), ["ann's day", "each month"]);
        assert_eq!(of(ScopeKind::User, "bob"), ["each day", "each month"]);
        assert!(of(ScopeKind::Team, "ann").is_empty());
    }

    #[test]
    fn negative_prices_are_refused() {
        let found = problem(|s| {
            s["models"][0]["route"][0]["to"][0]["price"] = serde_json::json!({"tiers": [
                {"input_uncached": -1, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0, "output": 0}]});
        });
        assert!(matches!(found, SnapshotProblem::Unreadable(_)));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let mut snapshot = minimal();
        snapshot["providers"][0]["credential"] = serde_json::json!({"kind": "bearer", "secret": "canary-4711"});
        let compiled = Compiled::from_json(snapshot.to_string().as_bytes()).unwrap();
        assert!(!format!("{compiled:?}").contains("canary"));
    }
}
