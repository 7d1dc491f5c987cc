//! The snapshot as the control plane sends it. Mirrors `airside/dataplanes/snapshot.py`, which describes every field;
//! unknown fields are ignored here.

use std::sync::Arc;

use airside_protocols::ServiceTier;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::provider::Provider;
use crate::time::Moment;
use crate::zone::Zone;

/// The newest format this gateway can read.
pub const SNAPSHOT_FORMAT: u64 = 1;

/// Prices in nano-dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceTier {
    /// The tier holds for calls whose total input is above this.
    #[serde(default)]
    pub above_input_tokens: u64,
    /// For input no cache had.
    pub input_uncached: u64,
    /// For input read from a cache.
    pub cache_read: u64,
    /// For input written to the five-minute cache.
    pub cache_write_5m: u64,
    /// For input written to the one-hour cache.
    pub cache_write_1h: u64,
    /// For output.
    pub output: u64,
}

/// Tiers for calls that are served more or less urgently than usual; `None` where the usual ones hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceTierPrices {
    /// Some time within a day.
    pub batch: Option<Vec<PriceTier>>,
    /// When there is room.
    pub flex: Option<Vec<PriceTier>>,
    /// Before others.
    pub priority: Option<Vec<PriceTier>>,
    /// With more machines at once.
    pub fast: Option<Vec<PriceTier>>,
}

impl ServiceTierPrices {
    /// The tiers of this service tier, if it has its own.
    #[must_use]
    pub fn of(&self, tier: ServiceTier) -> Option<&[PriceTier]> {
        match tier {
            ServiceTier::Standard => None,
            ServiceTier::Batch => self.batch.as_deref(),
            ServiceTier::Flex => self.flex.as_deref(),
            ServiceTier::Priority => self.priority.as_deref(),
            ServiceTier::Fast => self.fast.as_deref(),
        }
    }
}

/// Fees for tools that a provider runs by itself, in nano-dollars per thousand uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolFees {
    /// For searches of the web.
    pub web_search: u64,
    /// For searches of stored files.
    pub file_search: u64,
}

/// What one model costs at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// By context size, lowest first; at least one.
    pub tiers: Vec<PriceTier>,
    /// For calls of another service tier.
    #[serde(default)]
    pub service_tiers: ServiceTierPrices,
    /// A call that names no service tier may be served as this one all the same, by the account's own setting.
    #[serde(default)]
    pub unasked_service_tier: Option<ServiceTier>,
    /// For the provider's own tools.
    #[serde(default)]
    pub tool_fees: ToolFees,
}

impl Price {
    /// A price that is the same for every service tier, and asks no fees.
    #[must_use]
    pub fn plain(tiers: Vec<PriceTier>) -> Self {
        Self {
            tiers,
            service_tiers: ServiceTierPrices::default(),
            unasked_service_tier: None,
            tool_fees: ToolFees::default(),
        }
    }
}

/// What a model can be given. `None`: nobody said, and it is taken to be able.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Pictures.
    pub images: Option<bool>,
    /// Documents and other files.
    pub documents: Option<bool>,
    /// Tools to call.
    pub tools: Option<bool>,
    /// A wish to think before it answers.
    pub thinking: Option<bool>,
    /// A schema that its answer must follow. Bedrock's `Converse` is told of one only where somebody said so.
    pub structured_output: Option<bool>,
}

/// One model at one provider.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// Name of the provider.
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
    /// `None`: `UnknownPrice` decides.
    #[serde(default)]
    pub price: Option<Arc<Price>>,
    /// Reserved for the answer when the request names no limit.
    #[serde(default = "default_output")]
    pub max_output_tokens: u64,
    /// The model's context window: no call can take more input, so no hold is larger.
    #[serde(default)]
    pub max_input_tokens: Option<u64>,
    /// Its share among the targets of a weighted step.
    #[serde(default = "default_weight")]
    pub weight: u32,
    /// What it can be given.
    #[serde(default)]
    pub capabilities: Capabilities,
}

impl Target {
    /// False for a model of which somebody said that it cannot think.
    #[must_use]
    pub fn can_think(&self) -> bool {
        self.capabilities.thinking != Some(false)
    }
}

const fn default_output() -> u64 {
    32_000
}

const fn default_weight() -> u32 {
    1
}

/// In which order the targets of a step are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As they stand.
    #[default]
    Ordered,
    /// By chance, as their weights have it.
    Weighted,
    /// The one this call costs least at first.
    Cheapest,
    /// The one that lately began to answer soonest first.
    Fastest,
}

impl Strategy {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Weighted => "weighted",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
        }
    }
}

/// A target for a share of the calls only.
#[derive(Debug, Clone, Deserialize)]
pub struct Share {
    /// The target.
    pub target: Target,
    /// Hundredths of a per cent: 10,000 is every call.
    pub basis_points: u32,
}

/// One rule of a route.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// The calls it is for; `None`: all.
    #[serde(default)]
    pub when: Option<Condition>,
    /// The targets to try.
    pub to: Vec<Target>,
    /// In which order.
    #[serde(default)]
    pub strategy: Strategy,
    /// A new target that a share of the sessions tries first.
    #[serde(default)]
    pub split: Option<Share>,
    /// A target that gets a copy of a share of the calls, and whose answer nobody sees.
    #[serde(default)]
    pub shadow: Option<Share>,
}

impl Step {
    /// Every target this step can lead to.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        let shares = self.split.iter().chain(&self.shadow);
        self.to.iter().chain(shares.map(|share| &share.target))
    }
}

/// An alias and its route.
#[derive(Debug, Clone, Deserialize)]
pub struct Model {
    /// What agents call it.
    pub name: String,
    /// The first step that applies counts.
    pub route: Vec<Step>,
}

impl Model {
    /// True if any step asks about the call.
    #[must_use]
    pub fn has_conditions(&self) -> bool {
        self.route.iter().any(|step| step.when.is_some())
    }

    /// True if the route depends on how long the input is.
    #[must_use]
    pub fn asks_about_size(&self) -> bool {
        self.route.iter().any(|step| {
            step.when.is_some()
                || step.strategy == Strategy::Cheapest
                || step.targets().any(|target| target.max_input_tokens.is_some())
        })
    }

    /// True if the route depends on tools, thinking or schemas.
    #[must_use]
    pub fn asks_about_wishes(&self) -> bool {
        let is_unable = |target: &Target| {
            let able = target.capabilities;
            [able.tools, able.thinking, able.structured_output].contains(&Some(false))
        };
        self.has_conditions() || self.targets().any(is_unable)
    }

    /// Every target a call of it can reach.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.route.iter().flat_map(Step::targets)
    }
}

/// A long-lived key, known by its SHA-256 only.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    /// Its id.
    pub key_id: String,
    /// SHA-256 of the key, in lower-case hex.
    pub sha256: String,
    /// Whose it is.
    pub project: String,
    /// The agent it is for, if any.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// That agent's name.
    #[serde(default)]
    pub agent_name: Option<String>,
    /// The person it was given to.
    #[serde(default)]
    pub user: Option<String>,
    /// The team.
    #[serde(default)]
    pub team: Option<String>,
    /// Aliases it may call; `None`: every one.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// From then on it is refused.
    #[serde(default)]
    pub expires_at: Option<Moment>,
}

/// The public half of a key that signs session tokens.
#[derive(Debug, Clone, Deserialize)]
pub struct SessionTokenKey {
    /// Its id.
    pub key_id: String,
    /// 32 bytes, base64url without padding.
    pub ed25519: String,
}

/// A session whose tokens are refused.
#[derive(Debug, Clone, Deserialize)]
pub struct RevokedSession {
    /// Its id.
    pub session_id: String,
    /// When its last token expires by itself.
    pub until: Moment,
}

/// How often a limit starts afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetWindow {
    /// Each minute.
    Minute,
    /// Each hour.
    Hour,
    /// Each day.
    Day,
    /// Each week, from Monday.
    Week,
    /// Each month.
    Month,
    /// Never.
    Total,
}

impl BudgetWindow {
    /// As budgets spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

/// Whose spending or calls a limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// Everything of a project.
    Project,
    /// Of a team.
    Team,
    /// Of a person.
    User,
    /// Of an agent.
    Agent,
    /// Of a deployment.
    Deployment,
    /// Of a session.
    Session,
    /// Of a model, as agents name it.
    Model,
    /// Of a provider.
    Provider,
}

impl ScopeKind {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Provider as usize + 1;

    /// As scopes are spelled.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Team => "team",
            Self::User => "user",
            Self::Agent => "agent",
            Self::Deployment => "deployment",
            Self::Session => "session",
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }
}

/// What happens to a caller whom a budget cannot cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// Its session waits until there is room.
    #[default]
    Park,
    /// The call is refused, that is all.
    Refuse,
    /// The call goes to `Budget::downgrade_to`, if that is covered.
    Downgrade,
}

/// A hard cap.
#[derive(Debug, Clone, Deserialize)]
pub struct Budget {
    /// Its id.
    pub budget_id: String,
    /// What it limits.
    pub scope: ScopeKind,
    /// Which one of those; `*` for each by itself.
    pub scope_id: String,
    /// How much.
    pub limit_nanousd: u64,
    /// How often anew.
    pub window: BudgetWindow,
    /// Where its days, weeks and months begin, for a gateway that reckons them itself.
    #[serde(default)]
    pub timezone: Zone,
    /// Callers are warned from here on.
    #[serde(default)]
    pub warn_at_nanousd: Option<u64>,
    /// And then.
    #[serde(default)]
    pub on_limit: OnLimit,
    /// The alias that serves instead, under `OnLimit::Downgrade`.
    #[serde(default)]
    pub downgrade_to: Option<String>,
}

/// How fast something may be called. What is `None` is not limited.
#[derive(Debug, Clone, Deserialize)]
pub struct RateLimit {
    /// What it limits.
    pub scope: ScopeKind,
    /// Which one of those; `*` for each by itself.
    pub scope_id: String,
    /// Per minute, hour or day.
    pub window: BudgetWindow,
    /// Calls per window.
    #[serde(default)]
    pub requests: Option<u64>,
    /// Input and output tokens per window.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Calls at once.
    #[serde(default)]
    pub concurrent: Option<u64>,
}

/// Refuse a target without a price, or bill it at a flat ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPricePolicy {
    /// It is not called.
    Refuse,
    /// It is called and billed at `ceiling`.
    Ceiling,
}

/// What to do with a target nobody has priced.
#[derive(Debug, Clone, Deserialize)]
pub struct UnknownPrice {
    /// The choice.
    pub policy: UnknownPricePolicy,
    /// The price under `Ceiling`.
    #[serde(default)]
    pub ceiling: Option<Arc<Price>>,
}

impl Default for UnknownPrice {
    fn default() -> Self {
        Self {
            policy: UnknownPricePolicy::Refuse,
            ceiling: None,
        }
    }
}

/// Bounds that hold for every caller.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Of a request body.
    pub max_body_bytes: u64,
    /// Longest wait for the first content.
    pub startup_hold_ms: u64,
    /// Most bytes held back until then.
    pub startup_hold_bytes: u64,
    /// A Retry-After up to this is waited out when no other target is left.
    pub short_retry_after_ms: u64,
    /// Calls at once, and sockets at once.
    pub max_concurrent_calls: u64,
    /// How long a WebSocket may stay open.
    pub websocket_lifetime_ms: u64,
    /// Requests after the first one of a call that a session may have in `retry_window_ms`.
    pub session_retries: u64,
    /// In which time they come back.
    pub retry_window_ms: u64,
    /// Copies for shadow targets at once; more are not sent.
    pub max_shadow_calls: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            startup_hold_ms: 20_000,
            startup_hold_bytes: 64 << 10,
            short_retry_after_ms: 2_000,
            max_concurrent_calls: 4_096,
            websocket_lifetime_ms: 3_600_000,
            session_retries: 20,
            retry_window_ms: 600_000,
            max_shadow_calls: 16,
        }
    }
}

/// What is kept of the bodies of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyPolicy {
    /// Nothing.
    #[default]
    Off,
    /// All but what has the shape of a secret.
    Redacted,
    /// All but the gateway's own secrets.
    Full,
}

/// How a project wants the bodies of its calls recorded.
#[derive(Debug, Clone, Deserialize)]
pub struct Recording {
    /// The project.
    pub project: String,
    /// What is kept.
    #[serde(default)]
    pub bodies: BodyPolicy,
    /// For how long.
    #[serde(default = "default_retention_days")]
    pub retention_days: u64,
    /// The most of a request or an answer that is kept.
    #[serde(default = "default_recorded_bytes")]
    pub max_bytes: u64,
    /// A call whose bodies there is no room for is refused.
    #[serde(default)]
    pub audited: bool,
    /// Addresses of e-mail are taken out too.
    #[serde(default)]
    pub emails: bool,
    /// What else is taken out.
    #[serde(default)]
    pub patterns: Vec<String>,
}

const fn default_retention_days() -> u64 {
    30
}

const fn default_recorded_bytes() -> u64 {
    1 << 20
}

/// Everything the gateway needs to serve without asking anybody.
#[derive(Debug, Clone, Deserialize)]
pub struct Snapshot {
    /// The format it is written in.
    pub format: u64,
    /// Rises with each change.
    pub version: u64,
    /// When it was made.
    pub compiled_at: Moment,
    /// Who signs session tokens.
    #[serde(default)]
    pub session_token_keys: Vec<SessionTokenKey>,
    /// Long-lived keys.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Sessions that are over before their tokens are.
    #[serde(default)]
    pub revoked_sessions: Vec<RevokedSession>,
    /// Where calls can go.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// What can be called.
    #[serde(default)]
    pub models: Vec<Model>,
    /// For targets without a price.
    #[serde(default)]
    pub unknown_price: UnknownPrice,
    /// Hard caps.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// Limits of speed.
    #[serde(default)]
    pub rate_limits: Vec<RateLimit>,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
    /// Projects that want bodies recorded.
    #[serde(default)]
    pub recordings: Vec<Recording>,
}
