//! Putting the gateway together, serving until told to stop, and stopping in order.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use airside_journal::{BodyStore, Spool, SpoolOptions};
use airside_metering::Ledger;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{Stopping, Workers, accept_tcp, accept_unix, bind_unix};
use crate::clock::{Clock, SystemClock};
use crate::control::{
    ControlClient, ControlDesk, Desk, FlushDesk, LocalBooks, deliver, deliver_bodies, follow_control, follow_file,
    keep_locally, last_good, serve_desk,
};
use crate::credentials::keep_fresh;
use crate::gateway::{Gateway, Parts};
use crate::identifiers::Identifiers;
use crate::log::Log;
use crate::options::{BadUsage, Command, JoinToken, Options, Source, environment, parse};
use crate::recorder::Recorder;
use crate::upstream::Connector;
use crate::vault::write_private;

/// How long the last records may take to reach the control plane when the gateway stops.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

/// How long a connection may take to hand over what is left when no call is under way any more.
const LAST_BYTES: Duration = Duration::from_secs(3);

/// Why the gateway did not start: a sentence for people and a code for programs.
#[derive(Debug)]
pub struct StartFault {
    /// Stable.
    pub code: &'static str,
    /// Names what to change.
    pub sentence: String,
}

impl StartFault {
    fn new(sentence: String) -> Self {
        Self {
            code: "gateway_not_started",
            sentence,
        }
    }
}

impl fmt::Display for StartFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.sentence)
    }
}

impl std::error::Error for StartFault {}

fn fault(what: &str) -> impl Fn(io::Error) -> StartFault + '_ {
    move |error| StartFault::new(format!("{what}: {error}"))
}

/// Run the command line: serve until SIGTERM or SIGINT and return the exit code.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    match parse(arguments, environment) {
        Ok(Command::Print(text)) => {
            // Nobody can be told that standard output is gone.
            let _ = io::stdout().write_all(text.as_bytes());
            0
        }
        Ok(Command::Serve(options)) => match serve_until_told(*options) {
            Ok(()) => 0,
            Err(fault) => complain(fault.code, &fault.sentence, 1),
        },
        Err(BadUsage(sentence)) => complain("bad_usage", &sentence, 2),
    }
}

/// Tell people, and whoever started this process and reads its first line instead of the ready line.
fn complain(code: &str, sentence: &str, exit_code: i32) -> i32 {
    let _ = writeln!(io::stderr(), "airside gateway: {sentence}");
    let mut out = io::stdout();
    if !out.is_terminal() {
        let error = json!({"code": code, "message": sentence, "hint": null, "bad_input": exit_code == 2});
        let _ = writeln!(out, "{}", json!({ "error": error }));
    }
    exit_code
}

fn serve_until_told(options: Options) -> Result<(), StartFault> {
    // Listened for before anybody can know that the gateway serves: a signal is never met by the default, which ends
    // the process without settling anything.
    let signals = || Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
    let (running, (mut terminate, mut interrupt)) = start_with(options, signals)?;
    running.runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    running.stop();
    Ok(())
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it serves.
    pub address: SocketAddr,
    /// Its id.
    pub gateway_id: String,
    gateway: Arc<Gateway>,
    runtime: Runtime,
    threads: Vec<std::thread::JoinHandle<()>>,
    stopping: Stopping,
    /// Ends the tasks that supply the gateway, after the workers have ended.
    supply: CancellationToken,
    tasks: TaskTracker,
    drain: Duration,
    socket: Option<PathBuf>,
    /// Held so that no second gateway uses the same directory.
    _lock: fs::File,
}

/// Start a gateway. It serves when this returns.
///
/// # Errors
/// `StartFault` with a sentence that names what to change.
pub fn start(options: Options) -> Result<Running, StartFault> {
    start_with(options, || Ok(())).map(|(running, ())| running)
}

/// Start a gateway, and do something in its runtime before it says that it serves.
fn start_with<T>(options: Options, first: impl FnOnce() -> io::Result<T>) -> Result<(Running, T), StartFault> {
    let lock = own_directory(&options.data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(fault("cannot start a runtime"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log = Log::start(options.log_level, Arc::clone(&clock)).map_err(fault("cannot start the log"))?;
    let gateway = assemble(&options, clock, log)?;
    let tasks = TaskTracker::new();
    let supply = CancellationToken::new();
    let guard = runtime.enter();
    begin_supply(&options, &gateway, &tasks, &supply)?;
    refuse_open_door(&options, &gateway)?;
    let listener = runtime.block_on(bind_tcp(options.listen))?;
    let address = listener.local_addr().map_err(fault("cannot tell the address"))?;
    let stopping = Stopping {
        gently: CancellationToken::new(),
        at_once: CancellationToken::new(),
    };
    let started = Workers::start(&gateway, options.workers, &stopping);
    let (workers, threads) = started.map_err(fault("cannot start workers"))?;
    let stop = stopping.gently.clone();
    tasks.spawn(accept_tcp(
        listener,
        Arc::clone(&workers),
        Arc::clone(&gateway),
        stop.clone(),
    ));
    if let Some(path) = &options.socket {
        let listener =
            bind_unix(path).map_err(|error| StartFault::new(format!("--socket {}: {error}", path.display())))?;
        tasks.spawn(accept_unix(listener, Arc::clone(&workers), Arc::clone(&gateway), stop));
    }
    let done = first().map_err(fault("cannot listen for signals"))?;
    drop(guard);
    announce(&options, address, &gateway.id)?;
    let running = Running {
        address,
        gateway_id: gateway.id.clone(),
        gateway,
        runtime,
        threads,
        stopping,
        supply,
        tasks,
        drain: options.drain,
        socket: options.socket,
        _lock: lock,
    };
    Ok((running, done))
}

/// The directory, made private, and nobody else's.
fn own_directory(data: &Path) -> Result<fs::File, StartFault> {
    let place = data.display();
    let mut builder = fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(fault(&format!("--data {place}")))?;
    let path = data.join("gateway.lock");
    let mut open = fs::OpenOptions::new();
    let lock = open
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(fault(&format!("--data {place}")))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StartFault::new(format!(
            "--data {place} is in use by another gateway: give each its own directory"
        ))),
        Err(fs::TryLockError::Error(error)) => Err(StartFault::new(format!("--data {place}: cannot lock it: {error}"))),
    }
}

/// The id this directory's gateway has, made when it is first used.
fn identify(data: &Path, clock: &dyn Clock) -> io::Result<String> {
    let path = data.join("gateway.id");
    match fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => Ok(id.trim().to_owned()),
        Ok(_) => Err(io::Error::other("gateway.id is empty")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = Identifiers::default().new_id("gw", clock.now());
            write_private(&path, id.as_bytes())?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

fn assemble(options: &Options, clock: Arc<dyn Clock>, log: Log) -> Result<Arc<Gateway>, StartFault> {
    let data = &options.data;
    let place = format!("--data {}", data.display());
    let id = identify(data, &*clock).map_err(fault(&place))?;
    let opened = Spool::open(&data.join("journal"), SpoolOptions::of_size(options.spool_bytes));
    let (spool, recovered) = opened.map_err(|fault| StartFault::new(format!("{place}: {fault}")))?;
    if recovered.lost > 0 {
        log.warn("calls_were_lost", json!({"count": recovered.lost}));
    }
    let connector = Connector::new(options.ca_file.as_deref()).map_err(fault("--ca-file"))?;
    let (desk, join_token) = match &options.source {
        Source::Control { join_token, .. } => (Desk::Control(ControlDesk::default()), Some(join_token.clone())),
        Source::File(_) => (
            Desk::Own(Arc::new(LocalBooks::open(data).map_err(fault(&place))?)),
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
        data: data.clone(),
        connector,
        join_token,
    })))
}

/// Start what keeps the gateway supplied with configuration, credentials and leases, and empties its journal.
fn begin_supply(
    options: &Options,
    gateway: &Arc<Gateway>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), StartFault> {
    tasks.spawn(keep_fresh(Arc::clone(gateway), tasks.clone(), stop.clone()));
    match &options.source {
        Source::Control { url, join_token } => {
            let client = |token: &JoinToken| {
                let client = ControlClient::new(url, token.clone(), tasks.clone());
                client
                    .map(Arc::new)
                    .map_err(|problem| StartFault::new(format!("--control: {problem}")))
            };
            last_good(gateway, join_token);
            let (polling, asking, sending) = (client(join_token)?, client(join_token)?, client(join_token)?);
            tasks.spawn(serve_desk(Arc::clone(gateway), asking, stop.clone()));
            tasks.spawn(follow_control(
                Arc::clone(gateway),
                polling,
                join_token.clone(),
                stop.clone(),
            ));
            tasks.spawn(deliver(Arc::clone(gateway), sending, stop.clone()));
            tasks.spawn(deliver_bodies(Arc::clone(gateway), client(join_token)?, stop.clone()));
        }
        Source::File(path) => {
            let following = follow_file(Arc::clone(gateway), path, stop.clone());
            tasks.spawn(following.map_err(|detail| StartFault::new(format!("--snapshot: {detail}")))?);
            if let Desk::Own(books) = &gateway.desk {
                tasks.spawn(keep_locally(Arc::clone(gateway), Arc::clone(books), stop.clone()));
            }
        }
    }
    Ok(())
}

/// Nobody can be let in by a snapshot file without keys, so there is no reason to be reachable from elsewhere.
fn refuse_open_door(options: &Options, gateway: &Gateway) -> Result<(), StartFault> {
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

async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, StartFault> {
    TcpListener::bind(address).await.map_err(|error| {
        let port = address.port();
        match error.kind() {
            io::ErrorKind::AddrInUse => StartFault {
                code: "port_taken",
                sentence: format!(
                    "port {port} is taken: stop what listens there, or choose another with --listen {}:PORT",
                    address.ip()
                ),
            },
            _ => StartFault::new(format!("--listen {address}: {error}")),
        }
    })
}

/// Say where it serves, in one line of JSON.
fn announce(options: &Options, address: SocketAddr, gateway_id: &str) -> Result<(), StartFault> {
    let ready = json!({
        "url": format!("http://{address}"),
        "socket": options.socket.as_ref().map(|path| path.display().to_string()),
        "pid": std::process::id(),
        "gateway_id": gateway_id,
    });
    let line = format!("{ready}\n");
    if let Some(path) = &options.ready_file {
        write_private(path, line.as_bytes()).map_err(fault("--ready-file"))?;
    }
    let mut out = io::stdout();
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .map_err(fault("standard output"))
}

/// Wait until the workers have nothing more to do. A call is over before its caller has the last bytes of it, so that
/// no call under way is not enough; a connection that only dawdles is not waited for.
async fn drained(gateway: &Gateway, threads: &[std::thread::JoinHandle<()>]) {
    let pause = || tokio::time::sleep(Duration::from_millis(10));
    let at_work = || threads.iter().any(|thread| !thread.is_finished());
    while at_work() && gateway.in_flight.load(Ordering::Relaxed) > 0 {
        pause().await;
    }
    let last_bytes = async {
        while at_work() {
            pause().await;
        }
    };
    let _ = tokio::time::timeout(LAST_BYTES, last_bytes).await;
}

impl Running {
    /// Stop: take nothing new, let calls finish within the drain time, settle the rest, deliver what can be delivered.
    pub fn stop(self) {
        self.gateway.notes.is_draining.store(true, Ordering::Release);
        self.gateway.log.info(
            "draining",
            json!({"calls": self.gateway.in_flight.load(Ordering::Relaxed)}),
        );
        self.stopping.gently.cancel();
        let (gateway, tasks, threads) = (&self.gateway, &self.tasks, &self.threads);
        let drained = drained(gateway, threads);
        self.runtime.block_on(async {
            let _ = tokio::time::timeout(self.drain, drained).await;
        });
        self.stopping.at_once.cancel();
        for thread in self.threads {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
        self.gateway.recorder.finish();
        self.supply.cancel();
        tasks.close();
        self.runtime.block_on(async {
            // Records that do not get through now are delivered after the next start.
            let _ = tokio::time::timeout(LAST_DELIVERY, tasks.wait()).await;
        });
        if let Some(socket) = &self.socket {
            // It may have been removed by hand.
            let _ = fs::remove_file(socket);
        }
        self.gateway.log.info("stopped", json!({}));
        self.gateway.log.finish();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}
