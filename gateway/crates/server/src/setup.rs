//! What a gateway is made of, and what keeps it supplied.

use std::sync::Arc;

use airside_journal::{BodyStore, Spool, SpoolOptions};
use airside_metering::Ledger;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::control::{
    ControlClient, ControlDesk, Desk, FlushDesk, Leftovers, LocalBooks, deliver, deliver_bodies, follow_control,
    follow_file, keep_locally, last_good, serve_desk, sweep_bodies,
};
use crate::credentials::keep_fresh;
use crate::gateway::{Gateway, Parts};
use crate::log::Log;
use crate::options::{JoinToken, Options, Source};
use crate::place::{JOURNAL, Place};
use crate::recorder::Recorder;
use crate::run::{StartFault, fault};
use crate::spans::{Spans, export};
use crate::upstream::Connector;

/// Put the parts together.
pub(crate) fn assemble(
    options: &Options,
    place: &Place,
    clock: Arc<dyn Clock>,
    log: Log,
) -> Result<Arc<Gateway>, StartFault> {
    let data = &place.directory;
    let id = place.identity(&*clock);
    let place = format!("--data {}", data.display());
    let id = id.map_err(fault(&place))?;
    let opened = Spool::open(&data.join(JOURNAL), SpoolOptions::of_size(options.spool_bytes));
    let (spool, recovered) = opened.map_err(|fault| StartFault::new(format!("{place}: {fault}")))?;
    if recovered.lost > 0 {
        log.warn("calls_were_lost", json!({"count": recovered.lost}));
    }
    let connector = Connector::new(options.ca_file.as_deref()).map_err(fault("--ca-file"))?;
    let (desk, join_token) = match &options.source {
        Source::Control { join_token, .. } => (Desk::Control(ControlDesk::default()), Some(join_token.clone())),
        Source::File(_) => (
            Desk::Own(Arc::new(
                LocalBooks::open(data, spool.state().sequence).map_err(fault(&place))?,
            )),
            None,
        ),
    };
    let store = BodyStore::open(&data.join("bodies"), options.body_bytes).map_err(fault(&place))?;
    let recorder = Recorder::start(store, join_token.as_ref().map(|token| token.0.clone()));
    let recorder = recorder.map_err(fault("cannot start the recorder of bodies"))?;
    Ok(Arc::new(Gateway::new(Parts {
        id,
        clock,
        log,
        ledger: Ledger::new(recovered.carried),
        desk,
        flush: FlushDesk::default(),
        spool,
        recorder,
        spans: if options.collector.is_some() {
            Spans::on()
        } else {
            Spans::off()
        },
        data: data.clone(),
        connector,
        join_token,
    })))
}

/// Start what keeps the gateway supplied with configuration, credentials and leases, and empties its journal.
pub(crate) fn begin_supply(
    options: &Options,
    gateway: &Arc<Gateway>,
    place: &Arc<Place>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), StartFault> {
    tasks.spawn(keep_fresh(Arc::clone(gateway), tasks.clone(), stop.clone()));
    let mut leftovers = Leftovers {
        data: options.data.clone(),
        own: Arc::clone(place),
        spool: SpoolOptions::of_size(options.spool_bytes),
        client: None,
    };
    if let Some((collector, calls)) = options.collector.as_ref().zip(gateway.spans.receiver()) {
        let client = ControlClient::with_headers(&collector.url, collector.headers.clone(), tasks.clone());
        let client = client.map_err(|problem| StartFault::new(format!("--otlp-endpoint: {problem}")))?;
        tasks.spawn(export(Arc::clone(gateway), client, calls, stop.clone()));
    }
    match &options.source {
        Source::Control { url, join_token } => {
            let client = |token: &JoinToken| {
                let client = ControlClient::new(url, token, tasks.clone());
                client
                    .map(Arc::new)
                    .map_err(|problem| StartFault::new(format!("--control: {problem}")))
            };
            last_good(gateway, join_token);
            let (polling, asking, sending) = (client(join_token)?, client(join_token)?, client(join_token)?);
            let begins_after = gateway.spool.state().sequence;
            tasks.spawn(serve_desk(Arc::clone(gateway), asking, begins_after, stop.clone()));
            tasks.spawn(follow_control(
                Arc::clone(gateway),
                polling,
                join_token.clone(),
                stop.clone(),
            ));
            leftovers.client = Some(Arc::clone(&sending));
            tasks.spawn(deliver(Arc::clone(gateway), sending, stop.clone()));
            tasks.spawn(deliver_bodies(Arc::clone(gateway), client(join_token)?, stop.clone()));
        }
        Source::File(path) => {
            let following = follow_file(Arc::clone(gateway), path, stop.clone());
            tasks.spawn(following.map_err(|detail| StartFault::new(format!("--snapshot: {detail}")))?);
            if let Desk::Own(books) = &gateway.desk {
                tasks.spawn(keep_locally(Arc::clone(gateway), Arc::clone(books), stop.clone()));
                tasks.spawn(sweep_bodies(Arc::clone(gateway), stop.clone()));
            }
        }
    }
    tasks.spawn(leftovers.collect(Arc::clone(gateway), stop.clone()));
    Ok(())
}

/// Nobody can be let in by a snapshot file without keys, so there is no reason to be reachable from elsewhere.
pub(crate) fn refuse_open_door(options: &Options, gateway: &Gateway) -> Result<(), StartFault> {
    let can_authenticate = match options.source {
        Source::Control { .. } => true,
        Source::File(_) => gateway
            .active()
            .is_some_and(|active| active.compiled.can_authenticate()),
    };
    if can_authenticate || options.listen.ip().is_loopback() {
        return Ok(());
    }
    Err(StartFault::new(format!(
        "--listen {}: the snapshot has no keys, so nobody could be let in; serve on 127.0.0.1 or add keys",
        options.listen
    )))
}
