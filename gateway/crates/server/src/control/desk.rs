//! Where calls ask for leases. Several calls that want the same scope make one request; one request carries all scopes
//! that are wanted at the time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use airside_metering::{LeaseRequest, LeaseRequests, Leases, Ledger, Window, window_at};
use airside_snapshot::Principal;
use serde_json::json;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::client::ControlClient;
use super::local::LocalBooks;
use crate::active::Active;
use crate::gateway::Gateway;

const PATH: &str = "/internal/v1/leases";
/// The longest a call waits for a lease, and a request takes.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long "the cap leaves no more" and "ahead of need" are believed before the same is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

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
    pub(crate) fn grant_own(
        &self,
        ledger: &Ledger,
        principal: &Principal,
        active: &Active,
        scopes: &[Arc<str>],
        now_s: i64,
    ) {
        let Self::Own(books) = self else { return };
        for scope in scopes {
            let windows = if scope.starts_with("session:") {
                vec![(Window::TOTAL, principal.session_budget_nanousd.unwrap_or(0))]
            } else {
                let budgets = active
                    .compiled
                    .agent_budgets(principal.agent_id.as_deref().unwrap_or_default());
                budgets
                    .map(|budget| (window_at(budget.window, now_s), budget.limit_nanousd))
                    .collect()
            };
            ledger.grant_whole(scope, &windows, |window| books.settled(ledger, scope, window), now_s);
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
            wanted.need_nanousd = wanted.need_nanousd.max(need_nanousd);
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

/// Carry orders to the control plane until told to stop. With each new snapshot, renew the leases of all its agents.
pub(crate) async fn serve_desk(gateway: Arc<Gateway>, client: Arc<ControlClient>, stop: CancellationToken) {
    let Desk::Control(desk) = &gateway.desk else { return };
    let mut versions = gateway.versions();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = desk.wake.notified() => {}
            changed = versions.changed() => {
                if changed.is_err() {
                    return;
                }
                prefetch(&gateway, desk);
            }
        }
        let wanted = std::mem::take(&mut desk.orders().wanted);
        if !wanted.is_empty() {
            carry(&gateway, &client, desk, wanted).await;
        }
    }
}

fn prefetch(gateway: &Gateway, desk: &ControlDesk) {
    let Some(active) = gateway.active() else { return };
    let mut orders = desk.orders();
    orders.answered.clear();
    for agent in active.compiled.agents_with_budget() {
        orders.wanted.entry(format!("agent:{agent}").into()).or_default();
    }
}

async fn carry(gateway: &Gateway, client: &ControlClient, desk: &ControlDesk, wanted: HashMap<Arc<str>, Wanted>) {
    let requests = wanted.iter().map(|(scope, wanted)| LeaseRequest {
        scope: scope.to_string(),
        need_nanousd: wanted.need_nanousd,
    });
    let request = LeaseRequests {
        gateway_id: gateway.id.clone(),
        requests: requests.collect(),
    };
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let answer = client.post(gateway, PATH, body, PATIENCE).await;
    let leases = match answer {
        Ok(text) => serde_json::from_slice::<Leases>(&text).map_err(|error| error.to_string()),
        Err(fault) => Err(fault.to_string()),
    };
    let leases = match leases {
        Ok(leases) => leases,
        Err(detail) => {
            gateway.log.warn(
                "leases_not_had",
                json!({"scopes": request.requests.len(), "detail": detail}),
            );
            return reply_all(wanted, |_| Asked::Unreachable);
        }
    };
    gateway.ledger.grant(&leases, gateway.now_s());
    {
        let mut orders = desk.orders();
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

fn reply_all(wanted: HashMap<Arc<str>, Wanted>, asked: impl Fn(&str) -> Asked) {
    for (scope, wanted) in wanted {
        for waiting in wanted.waiting {
            // A call that stopped waiting is no loss.
            let _ = waiting.send(asked(&scope));
        }
    }
}
