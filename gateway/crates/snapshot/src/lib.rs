//! The one compiled configuration the gateway runs on: read, checked, and indexed for the path of a call; and the two
//! kinds of keys it lets in.
//!
//! Not for fetching it (the server does) nor for choosing a target (routing does). Start reading at `model.rs`, which
//! mirrors `airside/dataplanes/snapshot.py`, then `compiled.rs`.

mod compiled;
mod condition;
mod keys;
mod model;
mod problem;
mod provider;
mod scopes;
mod time;
mod token;
mod zone;

pub use compiled::{Compiled, Principal, ProviderIndex};
pub use condition::{Condition, Facts, MOST_CONDITION_BYTES, NAMES, NoAnswer, TASKS};
pub use keys::{KEY_PREFIX, KeyShape, key_digest, key_shape};
pub use model::{
    BodyPolicy, Budget, BudgetWindow, Capabilities, Key, Limits, Model, OnLimit, Price, PriceTier, RateLimit,
    Recording, RevokedSession, SNAPSHOT_FORMAT, ScopeKind, ServiceTierPrices, SessionTokenKey, Share, Snapshot, Step,
    Strategy, Target, ToolFees, UnknownPrice, UnknownPricePolicy,
};
pub use problem::SnapshotProblem;
pub use provider::{Credential, CredentialKind, Provider, ProviderKey, SecretSource, Timeouts, Vendor};
pub use time::{DAY_S, Moment, civil_from_days, days_from_civil};
pub use token::{CLOCK_TOLERANCE_S, SessionClaims, TOKEN_PREFIX, TokenProblem, claimed_key, verify_session_token};
pub use zone::Zone;
