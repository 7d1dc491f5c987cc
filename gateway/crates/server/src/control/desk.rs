//! Where calls ask for leases. Several calls that want the same scope make one request; one request carries all scopes
//! that are wanted at the time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use airside_metering::{LeaseRequest, LeaseRequests, LeaseReturn, Leases, Ledger, Window, window_at};
use serde_json::json;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::client::ControlClient;
use super::local::LocalBooks;
use crate::call::{Cap, Share, scope_name};
use crate::gateway::Gateway;

const PATH: &str = "/internal/v1/leases";
/// The longest a call waits for a lease, and a request takes.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the first request waits for the journal of earlier processes to be delivered.
const PATIENCE_AT_START: Duration = Duration::from_millis(500);
/// Budgets whose leases are fetched before anybody needs them.
const MOST_FETCHED_AHEAD: usize = 256;
/// How long "the cap leaves no more" and "ahead of need" are believed before the same is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// A lease that nobody reserved from for so long goes back, and how often that is looked for.
const IDLE_S: i64 = 60;
const LOOK_FOR_IDLE: Duration = Duration::from_secs(15);

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// There is an answer in the books: try again.
    Granted,
    /// No budget limits this scope.
    NoBudget,
    /// There is no more to be had.
    InVain,
    /// Nobody answered.
    Unreachable,
}

#[derive(Debug, Default)]
struct Wanted {
    need_nanousd: u64,
    waiting: Vec<oneshot::Sender<Asked>>,
}

#[derive(Debug, Default)]
struct Orders {
    wanted: HashMap<Arc<str>, Wanted>,
    /// When a scope was last answered, and with what need.
    answered: HashMap<Arc<str>, (Instant, u64)>,
}

/// Where leases come from.
#[derive(Debug)]
pub(crate) enum Desk {
    /// The control plane.
    Control(ControlDesk),
    /// Nobody: limits are taken from the snapshot file, and the whole limit is this gateway's.
    Own(Arc<LocalBooks>),
}

/// The orders that wait for the next request.
#[derive(Debug, Default)]
pub(crate) struct ControlDesk {
    orders: Mutex<Orders>,
    wake: Notify,
}

impl ControlDesk {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Without a control plane: bring the books up to the snapshot's limits and the present windows.
    pub(crate) fn grant_own<'a>(&self, ledger: &Ledger, shares: impl Iterator<Item = &'a Share<'a>>, now_s: i64) {
        let Self::Own(books) = self else { return };
        for share in shares {
            let (window, limit) = match share.cap {
                Cap::Budget(budget) => (window_at(budget.window, &budget.timezone, now_s), budget.limit_nanousd),
                Cap::Session(limit) => (Window::TOTAL, limit),
            };
            let scope = &share.scope;
            ledger.grant_whole(
                scope,
                (window, limit),
                |window| books.settled(ledger, scope, window),
                now_s,
            );
        }
    }

    /// Ask for a lease and wait for the answer. What is `exhausted` is not asked for again at once.
    pub(crate) async fn ask(&self, scope: &Arc<str>, need_nanousd: u64, exhausted: bool) -> Asked {
        let Self::Control(desk) = self else {
            return Asked::InVain;
        };
        let answer = {
            let mut orders = desk.orders();
            let just_answered = orders
                .answered
                .get(scope)
                .is_some_and(|(at, need)| at.elapsed() < ASK_AGAIN && *need >= need_nanousd);
            if exhausted && just_answered {
                return Asked::InVain;
            }
            let (sender, receiver) = oneshot::channel();
            let wanted = orders.wanted.entry(Arc::clone(scope)).or_default();
            // Each of them needs its own: a lease for the largest would serve one, and the others would ask again.
            wanted.need_nanousd = wanted.need_nanousd.saturating_add(need_nanousd);
            wanted.waiting.push(sender);
            receiver
        };
        desk.wake.notify_one();
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(asked)) => asked,
            _ => Asked::Unreachable,
        }
    }

    /// Ask for a lease and go on: it is about to run dry.
    pub(crate) fn renew_ahead(&self, scope: &Arc<str>) {
        let Self::Control(desk) = self else { return };
        {
            let mut orders = desk.orders();
            if orders
                .answered
                .get(scope)
                .is_some_and(|(at, _)| at.elapsed() < ASK_AGAIN)
            {
                return;
            }
            orders.wanted.entry(Arc::clone(scope)).or_default();
        }
        desk.wake.notify_one();
    }
}

/// Carry orders to the control plane until told to stop. With each new snapshot, renew the leases of all scopes that
/// are known or named in it; what nobody has used for a while goes back, and at the end all that is left.
///
/// `begins_after`: the last record that earlier processes of this gateway wrote.
pub(crate) async fn serve_desk(
    gateway: Arc<Gateway>,
    client: Arc<ControlClient>,
    begins_after: u64,
    stop: CancellationToken,
) {
    let Desk::Control(desk) = &gateway.desk else { return };
    let mut errands = Errands {
        gateway: &gateway,
        client: &client,
        desk,
        order: u64::try_from(gateway.clock.now().micros).unwrap_or(0),
        begins_after: Some(begins_after),
    };
    let mut versions = gateway.versions();
    let mut looks = tokio::time::interval(LOOK_FOR_IDLE);
    loop {
        let mut returns = HashMap::new();
        tokio::select! {
            () = stop.cancelled() => break,
            () = desk.wake.notified() => {}
            changed = versions.changed() => {
                if changed.is_err() {
                    break;
                }
                renew_all(&gateway, desk);
            }
            _ = looks.tick() => returns = errands.take_back(gateway.ledger.idle_since(gateway.now_s() - IDLE_S)),
        }
        let wanted = std::mem::take(&mut desk.orders().wanted);
        if !wanted.is_empty() || !returns.is_empty() {
            errands.run(wanted, returns).await;
        }
    }
    let returns = errands.take_back(gateway.ledger.known_scopes());
    if !returns.is_empty() {
        errands.run(HashMap::new(), returns).await;
    }
}

/// Give back whatever a gateway that is gone was granted and did not spend. Its journal is delivered up to `through`,
/// which is its end.
pub(super) async fn give_back_all_of(
    gateway: &Gateway,
    client: &ControlClient,
    gateway_id: &str,
    through: u64,
) -> Result<(), String> {
    let request = LeaseRequests {
        gateway_id: gateway_id.to_owned(),
        order: u64::try_from(gateway.clock.now().micros).unwrap_or(0),
        begins_after: Some(through),
        requests: Vec::new(),
    };
    let body = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
    let answer = client.post(gateway, PATH, body, PATIENCE).await;
    answer.map(drop).map_err(|fault| fault.to_string())
}

fn renew_all(gateway: &Gateway, desk: &ControlDesk) {
    let Some(active) = gateway.active() else { return };
    let mut orders = desk.orders();
    orders.answered.clear();
    for scope in gateway.ledger.known_scopes() {
        orders.wanted.entry(scope).or_default();
    }
    let named = active.compiled.snapshot.budgets.iter();
    let named = named.filter(|budget| budget.scope_id != "*").take(MOST_FETCHED_AHEAD);
    for budget in named {
        let scope = scope_name(budget.scope, &budget.scope_id, budget.window);
        orders.wanted.entry(scope).or_default();
    }
}

type Wishes = HashMap<Arc<str>, Wanted>;
type Returns = HashMap<Arc<str>, Vec<LeaseReturn>>;

/// One way to the control plane and back after the other, never two at once.
struct Errands<'a> {
    gateway: &'a Gateway,
    client: &'a ControlClient,
    desk: &'a ControlDesk,
    /// Of the last request.
    order: u64,
    /// Until the control plane has heard of it.
    begins_after: Option<u64>,
}

impl Errands<'_> {
    fn take_back(&self, scopes: Vec<Arc<str>>) -> Returns {
        let taken = scopes.into_iter().map(|scope| {
            let returns = self.gateway.ledger.give_back(&scope);
            (scope, returns)
        });
        taken.filter(|(_, returns)| !returns.is_empty()).collect()
    }

    async fn run(&mut self, wanted: Wishes, returns: Returns) {
        if let Some(sequence) = self.begins_after {
            // What earlier processes were granted can only go back once it is known what they spent of it.
            if self.gateway.spool.state().acknowledged < sequence {
                self.gateway.flush.wait_for(sequence, PATIENCE_AT_START).await;
            }
        }
        let leases = match self.carry(&wanted, &returns).await {
            // Somebody else used this gateway's id, or its clock went back: go on from where the control plane is.
            Ok(leases) if leases.order > self.order => {
                self.order = leases.order;
                self.carry(&wanted, &returns).await
            }
            other => other,
        };
        let leases = match leases {
            Ok(leases) if leases.order <= self.order => leases,
            Ok(_) => return self.failed(wanted, "the control plane takes this gateway for another"),
            Err(detail) => return self.failed(wanted, &detail),
        };
        self.begins_after = None;
        self.gateway.ledger.grant(&leases, self.gateway.now_s());
        {
            let mut orders = self.desk.orders();
            orders.answered.retain(|_, (at, _)| at.elapsed() < ASK_AGAIN);
            for (scope, wanted) in &wanted {
                orders
                    .answered
                    .insert(Arc::clone(scope), (Instant::now(), wanted.need_nanousd));
            }
        }
        reply_all(wanted, |scope| {
            if leases.unknown_scopes.iter().any(|unknown| unknown == scope) {
                Asked::NoBudget
            } else {
                Asked::Granted
            }
        });
    }

    async fn carry(&mut self, wanted: &Wishes, returns: &Returns) -> Result<Leases, String> {
        self.order += 1;
        let wishes = wanted.iter().map(|(scope, wanted)| LeaseRequest {
            scope: scope.to_string(),
            need_nanousd: wanted.need_nanousd,
            returns: Vec::new(),
        });
        let returns = returns.iter().map(|(scope, returns)| LeaseRequest {
            scope: scope.to_string(),
            need_nanousd: 0,
            returns: returns.clone(),
        });
        let request = LeaseRequests {
            gateway_id: self.gateway.id.clone(),
            order: self.order,
            begins_after: self.begins_after,
            requests: returns.chain(wishes).collect(),
        };
        let body = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
        let answer = self.client.post(self.gateway, PATH, body, PATIENCE).await;
        let text = answer.map_err(|fault| fault.to_string())?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    }

    fn failed(&self, wanted: Wishes, detail: &str) {
        self.gateway
            .log
            .warn("leases_not_had", json!({"scopes": wanted.len(), "detail": detail}));
        reply_all(wanted, |_| Asked::Unreachable);
    }
}

fn reply_all(wanted: Wishes, asked: impl Fn(&str) -> Asked) {
    for (scope, wanted) in wanted {
        for waiting in wanted.waiting {
            // A call that stopped waiting is no loss.
            let _ = waiting.send(asked(&scope));
        }
    }
}
