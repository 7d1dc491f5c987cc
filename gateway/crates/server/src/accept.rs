//! Listeners, and the worker threads that serve what they accept.
//!
//! Each worker is a thread with a runtime of its own: a connection stays with its worker, and so do the connections to
//! providers, so that no call crosses threads. New connections go to the worker that has the fewest.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::caller::{Dates, Wire, serve};
use crate::cohort::Cohort;
use crate::gateway::{Gateway, Worker};
use crate::leaving::Leaving;
use crate::seat::Seat;
use crate::upstream::Pool;

const REAP_EVERY: Duration = Duration::from_secs(10);

/// An accepted connection, on its way to a worker.
#[derive(Debug)]
enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A worker as the listeners see it.
#[derive(Debug)]
struct Desk {
    accepted: mpsc::UnboundedSender<Accepted>,
    connections: Arc<AtomicUsize>,
}

/// The worker threads.
#[derive(Debug)]
pub(crate) struct Workers {
    desks: Vec<Desk>,
}

/// When the workers stop.
#[derive(Debug, Clone)]
pub(crate) struct Stopping {
    /// Take nothing new, finish what is under way.
    pub(crate) gently: CancellationToken,
    /// Drop what is still under way.
    pub(crate) at_once: CancellationToken,
}

impl Workers {
    /// Start the threads. They end when told to stop.
    pub(crate) fn start(
        gateway: &Arc<Gateway>,
        count: usize,
        stopping: &Stopping,
    ) -> io::Result<(Arc<Self>, Vec<JoinHandle<()>>)> {
        let (mut desks, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (sender, receiver) = mpsc::unbounded_channel();
            let connections = Arc::new(AtomicUsize::new(0));
            desks.push(Desk {
                accepted: sender,
                connections: Arc::clone(&connections),
            });
            let (gateway, stopping) = (Arc::clone(gateway), stopping.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()?;
            let name = format!("airside-worker-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                let seat = Seat::of(number, count);
                runtime.block_on(work(gateway, seat, receiver, connections, stopping));
            })?;
            threads.push(thread);
        }
        Ok((Arc::new(Self { desks }), threads))
    }

    /// Connections that are not over.
    pub(crate) fn connections(&self) -> usize {
        let each = self.desks.iter().map(|desk| desk.connections.load(Ordering::Relaxed));
        each.sum()
    }

    fn give(&self, accepted: Accepted) {
        let freest = self
            .desks
            .iter()
            .min_by_key(|desk| desk.connections.load(Ordering::Relaxed));
        if let Some(desk) = freest {
            desk.connections.fetch_add(1, Ordering::Relaxed);
            // A worker is only gone when the process is ending; the connection then closes.
            let _ = desk.accepted.send(accepted);
        }
    }
}

/// Accept TCP connections until told to stop.
pub(crate) async fn accept_tcp(
    listener: TcpListener,
    workers: Arc<Workers>,
    gateway: Arc<Gateway>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let handed = accepted.and_then(|(stream, _)| {
            stream.set_nodelay(true)?;
            stream.into_std()
        });
        match handed {
            Ok(stream) => workers.give(Accepted::Tcp(stream)),
            Err(error) => accept_failed(&gateway, &error).await,
        }
    }
}

/// Accept unix connections until told to stop.
pub(crate) async fn accept_unix(
    listener: UnixListener,
    workers: Arc<Workers>,
    gateway: Arc<Gateway>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => workers.give(Accepted::Unix(stream)),
            Err(error) => accept_failed(&gateway, &error).await,
        }
    }
}

/// Out of file descriptors, most often: those under way finish and free some.
async fn accept_failed(gateway: &Gateway, error: &io::Error) {
    gateway.log.warn("accept_failed", json!({"detail": error.to_string()}));
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Listen on a unix socket that only this user can connect to. A socket that a dead process left is replaced; one
/// that answers is not.
pub(crate) fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Ok(metadata) = std::fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file of that name that is no socket",
            ));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another process listens there",
            ));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn work(
    gateway: Arc<Gateway>,
    seat: Seat,
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
    connections: Arc<AtomicUsize>,
    stopping: Stopping,
) {
    let tasks = TaskTracker::new();
    let worker = Arc::new(Worker {
        gateway,
        pool: Arc::new(Pool::default()),
        tasks: TaskTracker::new(),
        seat,
        cohort: Cohort::default(),
        leaving: Leaving::default(),
        dates: Dates::default(),
    });
    let mut reap = tokio::time::interval(REAP_EVERY);
    loop {
        let next = tokio::select! {
            () = stopping.gently.cancelled() => break,
            _ = reap.tick() => {
                worker.pool.reap();
                worker.seat.look();
                continue;
            }
            next = accepted.recv() => next,
        };
        let Some(next) = next else { break };
        let (worker, gently) = (Arc::clone(&worker), stopping.gently.clone());
        let count = Counted(Arc::clone(&connections));
        tasks.spawn(async move {
            let _count = count;
            serve_accepted(worker, next, gently).await;
        });
    }
    worker.leaving.tell();
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = stopping.at_once.cancelled() => {}
    }
    // What is still under way is dropped with the runtime, and settles as it is dropped.
}

/// One connection of a worker, for as long as it lasts.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve_accepted(worker: Arc<Worker>, accepted: Accepted, gently: CancellationToken) {
    let wire = match accepted {
        Accepted::Tcp(stream) => TcpStream::from_std(stream).map(Wire::Tcp),
        Accepted::Unix(stream) => UnixStream::from_std(stream).map(Wire::Unix),
    };
    if let Ok(wire) = wire {
        serve(worker, wire, gently).await;
    }
}
