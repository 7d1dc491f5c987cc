//! The face towards Python: the gateway as a process, and the rules that the control plane shares with it.
//!
//! Nothing here decides anything. Its types are described by hand in `airside_gateway.pyi`.

use std::ffi::OsString;

use airside_metering::cost_of;
use airside_protocols::{Consumption, EventSplitter, Family, StreamReader, TokenUsage};
use airside_providers::UsageTap;
use airside_routing::{Imagined, Known, Unwatched, explain};
use airside_snapshot::{Compiled, Condition, Price, verify_session_token as verify};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The gateway of Airside.
#[pymodule]
mod airside_gateway {
    #[pymodule_export]
    use super::{
        check_condition, check_redaction_pattern, explain_route, main, price_consumption, price_usage, read_usage,
        validate_snapshot, verify_session_token, version,
    };
}

#[global_allocator]
static ALLOCATOR: airside_heap::Heap = airside_heap::Heap;

fn refused(problem: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(problem.to_string())
}

/// Run `airside gateway` with these arguments until SIGTERM or SIGINT; returns the exit code.
#[pyfunction]
fn main(py: Python<'_>, argv: Vec<OsString>) -> i32 {
    py.detach(|| airside_server::main(argv))
}

/// Say what is wrong with a pattern of what is taken out of bodies, if anything is.
#[pyfunction]
fn check_redaction_pattern(pattern: &str) -> PyResult<()> {
    airside_journal::check_pattern(pattern).map_err(refused)
}

/// What this usage costs at this price in the usual service tier, in nano-dollars, rounded up once.
#[pyfunction]
fn price_usage(price_json: &str, usage_json: &str) -> PyResult<u64> {
    let usage: TokenUsage = serde_json::from_str(usage_json).map_err(refused)?;
    Ok(cost_of(&price_of(price_json)?, &Consumption::from(usage)))
}

/// The same with the provider's own tools and a service tier.
#[pyfunction]
fn price_consumption(price_json: &str, consumption_json: &str) -> PyResult<u64> {
    let consumed: Consumption = serde_json::from_str(consumption_json).map_err(refused)?;
    Ok(cost_of(&price_of(price_json)?, &consumed))
}

fn price_of(json: &str) -> PyResult<Price> {
    let price: Price = serde_json::from_str(json).map_err(refused)?;
    if price.tiers.is_empty() {
        return Err(refused("a price needs at least one tier"));
    }
    Ok(price)
}

/// What an answer says it consumed, as JSON; `None` when it says nothing of it. A body that begins with `{` is one
/// document, any other a stream of events.
#[pyfunction]
fn read_usage(family: &str, body: &[u8]) -> PyResult<Option<String>> {
    let family: Family = serde_json::from_value(family.into()).map_err(refused)?;
    let mut tap = UsageTap::default();
    if body.trim_ascii_start().starts_with(b"{") {
        tap.read_answer(family, body);
    } else {
        let mut splitter = EventSplitter::default();
        let events = splitter
            .push(body.to_vec().into())
            .map_err(|_| refused("an event is too long"))?;
        let mut reader = StreamReader::new(family);
        reader.read(&events.unwrap_or_default(), |payload| tap.read_event(family, payload));
    }
    let consumed = tap.usage().map(|usage| Consumption {
        usage,
        tool_uses: tap.tool_uses(),
        service_tier: tap.service_tier().unwrap_or_default(),
    });
    consumed
        .map(|consumed| serde_json::to_string(&consumed).map_err(refused))
        .transpose()
}

/// Raise `ValueError` with the reason unless the gateway would take this snapshot.
#[pyfunction]
fn validate_snapshot(json: &str) -> PyResult<()> {
    Compiled::from_json(json.as_bytes()).map(drop).map_err(refused)
}

/// The claims of a session token as JSON, judged at `now` (seconds since 1970) with the keys of a snapshot.
#[pyfunction]
fn verify_session_token(token: &str, snapshot_json: &str, now: i64) -> PyResult<String> {
    let compiled = Compiled::from_json(snapshot_json.as_bytes()).map_err(refused)?;
    let claims = verify(token, now, |key_id| compiled.signer(key_id)).map_err(refused)?;
    if compiled.is_revoked(&claims.session_id) {
        return Err(refused("the session token is refused: revoked"));
    }
    serde_json::to_string(&claims).map_err(refused)
}

/// Raise `ValueError` with the reason unless this is a condition of a route step.
#[pyfunction]
fn check_condition(text: &str) -> PyResult<()> {
    Condition::new(text)
        .problem()
        .map_or(Ok(()), |problem| Err(refused(problem)))
}

/// What would become of a call, as JSON, by the configuration alone, at `now` (seconds since 1970).
#[pyfunction]
fn explain_route(snapshot_json: &str, request_json: &str, now: i64) -> PyResult<String> {
    let compiled = Compiled::from_json(snapshot_json.as_bytes()).map_err(refused)?;
    let imagined = Imagined::from_json(request_json.as_bytes()).map_err(refused)?;
    let unwatched = Unwatched::of(&compiled);
    explain(&compiled, &imagined, Known::of_nothing(&unwatched, now)).map_err(refused)
}

/// The gateway's version.
#[pyfunction]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
