//! Putting the gateway together, serving until told to stop, and stopping in order.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{Stopping, Workers};
use crate::clock::{Clock, SystemClock};
use crate::entry::{Standing, await_configuration, bind, enter, inherited, listen, offer};
use crate::gateway::Gateway;
use crate::log::Log;
use crate::options::{BadUsage, Command, Options, environment, parse};
use crate::place::Place;
use crate::setup::{assemble, begin_supply, refuse_open_door};
use crate::takeover::Succession;
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
    pub(crate) fn new(sentence: String) -> Self {
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

/// A fault of the system's, met while doing this.
pub(crate) fn fault(what: &str) -> impl Fn(io::Error) -> StartFault + '_ {
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
        let is_bad_usage = exit_code == 2;
        let hint = is_bad_usage.then_some("`airside gateway --help` lists the options");
        let error = json!({"code": code, "message": sentence, "hint": hint, "bad_input": is_bad_usage});
        let _ = writeln!(out, "{}", json!({ "error": error }));
    }
    exit_code
}

fn serve_until_told(options: Options) -> Result<(), StartFault> {
    // Listened for before anybody can know that the gateway serves: a signal is never met by the default, which ends
    // the process without settling anything.
    let signals = || Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
    let (mut running, (mut terminate, mut interrupt)) = start_with(options, signals)?;
    let told = running.succession.take();
    let succession = running.runtime.block_on(async {
        let succeeded = async {
            match told {
                Some(told) => told.await.ok(),
                None => None,
            }
        };
        tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            Some(succession) = succeeded => Some(succession),
        }
    });
    if let Some(succession) = succession {
        let told_to_stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        running.leave(succession, told_to_stop);
    }
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
    workers: Arc<Workers>,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// Ends the accepting of connections.
    listening: CancellationToken,
    stopping: Stopping,
    /// Ends the tasks that supply the gateway, after the workers have ended.
    supply: CancellationToken,
    tasks: TaskTracker,
    drain: Duration,
    socket: Option<PathBuf>,
    /// Hears of a gateway that takes over.
    succession: Option<oneshot::Receiver<Succession>>,
    /// Held so that no second gateway serves from the same directory.
    serving: Option<fs::File>,
    _place: Arc<Place>,
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
    let (place, standing) = enter(&options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(fault("cannot start a runtime"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log = Log::start(options.log_level, Arc::clone(&clock)).map_err(fault("cannot start the log"))?;
    let place = Arc::new(place);
    let gateway = assemble(&options, &place, clock, log)?;
    let (tasks, supply, listening) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
    let guard = runtime.enter();
    begin_supply(&options, &gateway, &place, &tasks, &supply)?;
    refuse_open_door(&options, &gateway)?;
    let doors = match &standing {
        Standing::Successor(offer) => {
            await_configuration(&runtime, &options, &gateway)?;
            inherited(&options, offer)?
        }
        Standing::Alone(_) => bind(&options)?,
    };
    let address = doors.tcp.local_addr().map_err(fault("cannot tell the address"))?;
    gateway.notes.port.store(address.port(), Ordering::Relaxed);
    let stopping = Stopping {
        gently: CancellationToken::new(),
        at_once: CancellationToken::new(),
    };
    let started = Workers::start(&gateway, options.workers, &stopping);
    let (workers, threads) = started.map_err(fault("cannot start workers"))?;
    let spare = doors.again().map_err(fault("cannot keep the listeners"))?;
    listen(doors, &workers, &gateway, &tasks, &listening).map_err(fault("cannot listen"))?;
    let done = first().map_err(fault("cannot listen for signals"))?;
    let serving = standing.serve(&options.data)?;
    let succession = offer(&options.data, &gateway, spare, &tasks, &listening);
    drop(guard);
    announce(&options, address, &gateway.id)?;
    let running = Running {
        address,
        gateway_id: gateway.id.clone(),
        gateway,
        runtime,
        workers,
        threads,
        listening,
        stopping,
        supply,
        tasks,
        drain: options.drain,
        socket: options.socket,
        succession: Some(succession),
        serving: Some(serving),
        _place: place,
    };
    Ok((running, done))
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
    /// Another gateway serves: accept nothing more, give up what it needs, and wait until the connections that are
    /// left have ended. Each ends with its next answer; one on which nothing is asked is closed by `stop`.
    fn leave(&mut self, succession: Succession, told_to_stop: impl Future<Output = ()>) {
        let calls = self.gateway.in_flight.load(Ordering::Relaxed);
        self.gateway.notes.is_leaving.store(true, Ordering::Release);
        self.listening.cancel();
        // The socket's file is the successor's now.
        self.socket = None;
        self.serving = None;
        succession.let_go();
        self.gateway.log.info(
            "leaving",
            json!({"calls": calls, "connections": self.workers.connections()}),
        );
        let workers = &self.workers;
        let ended = async {
            while workers.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                () = ended => {}
                () = told_to_stop => {}
                () = tokio::time::sleep(self.drain) => {}
            }
        });
    }

    /// Stop: take nothing new, let calls finish within the drain time, settle the rest, deliver what can be delivered.
    pub fn stop(self) {
        self.gateway.notes.is_draining.store(true, Ordering::Release);
        self.gateway.log.info(
            "draining",
            json!({"calls": self.gateway.in_flight.load(Ordering::Relaxed)}),
        );
        self.listening.cancel();
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
