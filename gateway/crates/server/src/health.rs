//! Whether the gateway can serve, and what it counted.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http::Response;
use serde_json::json;

use crate::call::AnswerStream;
use crate::gateway::Gateway;
use crate::metrics::Text;
use crate::reply;

/// 200 when calls can be served, else 503; the reasons either way.
pub(crate) fn readiness(gateway: &Gateway) -> Response<AnswerStream> {
    let version = gateway.active().map(|active| active.compiled.snapshot.version);
    let refused = gateway
        .notes
        .refused_snapshot
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let spool = gateway.spool.state();
    let mut reasons = Vec::new();
    if version.is_none() {
        reasons.push("no snapshot yet".to_owned());
    }
    match gateway.spool.prepare() {
        // There is room again, whatever became of the last record.
        Ok(()) => gateway.notes.journal_failed.store(false, Ordering::Relaxed),
        Err(fault) => {
            if gateway.notes.journal_failed.load(Ordering::Relaxed) {
                reasons.push("the last journal record could not be written".to_owned());
            }
            reasons.push(fault.to_string());
        }
    }
    if gateway.is_draining() {
        reasons.push("stopping".to_owned());
    }
    let is_ready = reasons.is_empty();
    let answer = json!({
        "ready": is_ready, "reasons": reasons, "gateway_id": gateway.id, "snapshot_version": version,
        "snapshot_refused": refused,
        "journal": {"sequence": spool.sequence, "acknowledged": spool.acknowledged, "bytes": spool.bytes,
                    "unfinished": spool.unfinished},
    });
    reply::json(if is_ready { 200 } else { 503 }, answer.to_string().into_bytes())
}

/// Prometheus text.
pub(crate) fn metrics(gateway: &Gateway) -> String {
    let mut out = Text::default();
    gateway.metrics.write(&mut out);
    let (spool, active) = (gateway.spool.state(), gateway.active());
    out.begin("provider_cooling");
    let now = Instant::now();
    for provider in active.iter().flat_map(|active| &active.providers) {
        let is_cooling = u64::from(gateway.health.is_resting(&provider.name, now));
        out.sample(
            "provider_cooling",
            "",
            &[("provider", &provider.name)],
            None,
            is_cooling,
        );
    }
    let version = active.as_ref().map_or(0, |active| active.compiled.snapshot.version);
    for (name, value) in [
        ("spans_exported_total", gateway.spans.exported.load(Ordering::Relaxed)),
        ("spans_dropped_total", gateway.spans.dropped.load(Ordering::Relaxed)),
        ("bodies_kept_total", gateway.recorder.kept.load(Ordering::Relaxed)),
        ("bodies_dropped_total", gateway.recorder.dropped.load(Ordering::Relaxed)),
        ("bodies_bytes", gateway.recorder.store.bytes()),
        ("leased_scopes", gateway.ledger.known_scopes().len() as u64),
        ("snapshot_version", version),
        ("journal_sequence", spool.sequence),
        ("journal_acknowledged", spool.acknowledged),
        ("journal_bytes", spool.bytes),
        ("journal_unfinished", spool.unfinished as u64),
    ] {
        out.single(name, value);
    }
    out.finish()
}
