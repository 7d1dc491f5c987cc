//! How a gateway comes to serve: on its own, or in the place of one that serves already.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{Workers, accept_tcp, accept_unix, bind_unix};
use crate::gateway::Gateway;
use crate::options::{Options, Source};
use crate::place::{NotHeld, Place, make_private, serve_from};
use crate::run::{StartFault, fault};
use crate::takeover::{Doors, Offer, Succession, ask, socket_in, wait_for_successor};

const BACKLOG: u32 = 1024;
/// How long a new gateway waits for its configuration before it leaves the old one as it is.
const CONFIGURED_WITHIN: Duration = Duration::from_secs(20);
/// How long the old one may take to give up the directory once it was told to.
const FREED_WITHIN: Duration = Duration::from_secs(10);

/// As what a gateway starts.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Nobody else serves from the directory.
    Alone(fs::File),
    /// Another serves, and offers its listeners.
    Successor(Offer),
}

/// Enter the directory.
pub(crate) fn enter(options: &Options) -> Result<(Place, Standing), StartFault> {
    let data = &options.data;
    let what = format!("--data {}", data.display());
    make_private(data).map_err(fault(&what))?;
    let standing = match serve_from(data) {
        Ok(serving) => Standing::Alone(serving),
        Err(NotHeld::Taken) if options.take_over => {
            let offer = ask(data);
            Standing::Successor(offer.map_err(fault(
                "--take-over: the gateway that serves did not let itself be asked",
            ))?)
        }
        Err(not_held) => return Err(not_entered(not_held, &what)),
    };
    let place = Place::take(data).map_err(|not_held| not_entered(not_held, &what))?;
    Ok((place, standing))
}

fn not_entered(why: NotHeld, what: &str) -> StartFault {
    match why {
        NotHeld::Taken => StartFault::new(format!(
            "{what} is in use by another gateway: give each its own directory, or start this one with --take-over"
        )),
        NotHeld::Disk(error) => fault(what)(error),
    }
}

impl Standing {
    /// Be the one that serves from now on. The listeners are accepting already, so nobody is refused meanwhile.
    pub(crate) fn serve(self, data: &Path) -> Result<fs::File, StartFault> {
        let offer = match self {
            Self::Alone(serving) => return Ok(serving),
            Self::Successor(offer) => offer,
        };
        offer
            .accept()
            .map_err(fault("--take-over: the old gateway did not let go"))?;
        let deadline = std::time::Instant::now() + FREED_WITHIN;
        loop {
            match serve_from(data) {
                Ok(serving) => return Ok(serving),
                Err(NotHeld::Taken) if std::time::Instant::now() < deadline => std::thread::yield_now(),
                Err(not_held) => return Err(not_entered(not_held, &format!("--data {}", data.display()))),
            }
        }
    }
}

/// A successor serves only when it could serve any call.
pub(crate) fn await_configuration(runtime: &Runtime, options: &Options, gateway: &Gateway) -> Result<(), StartFault> {
    let mut versions = gateway.versions();
    let first = versions.wait_for(|version| *version > 0);
    let came = runtime.block_on(async { tokio::time::timeout(CONFIGURED_WITHIN, first).await.is_ok() });
    let Some(active) = gateway.active().filter(|_| came) else {
        let sentence = "--take-over: no configuration came, so the old gateway goes on".to_owned();
        return Err(StartFault::new(sentence));
    };
    let snapshot = &active.compiled.snapshot;
    if matches!(options.source, Source::File(_))
        && (!snapshot.budgets.is_empty() || !snapshot.session_token_keys.is_empty())
    {
        let sentence = "--take-over: this snapshot file has budgets, and while two gateways serve nobody could hold \
                        them together; stop the old gateway first, or use a control plane";
        return Err(StartFault::new(sentence.to_owned()));
    }
    Ok(())
}

/// The doors of the old gateway, as far as this one wants them.
pub(crate) fn inherited(options: &Options, offer: &Offer) -> Result<Doors, StartFault> {
    let mut doors = offer.doors.again().map_err(fault("--take-over"))?;
    let address = doors.tcp.local_addr().map_err(fault("--take-over"))?;
    if options.listen.port() != 0 && options.listen != address {
        let sentence = format!(
            "--listen {}: the gateway that is taken over from serves on {address}",
            options.listen
        );
        return Err(StartFault::new(sentence));
    }
    match (&options.socket, &doors.unix) {
        (None, _) => doors.unix = None,
        (Some(_), None) => doors.unix = bind_socket(options)?,
        (Some(_), Some(_)) => {}
    }
    Ok(doors)
}

/// Doors of its own.
pub(crate) fn bind(options: &Options) -> Result<Doors, StartFault> {
    Ok(Doors {
        tcp: bind_tcp(options.listen).map_err(|error| not_bound(options.listen, &error))?,
        unix: bind_socket(options)?,
    })
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn not_bound(address: SocketAddr, error: &io::Error) -> StartFault {
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
}

fn bind_socket(options: &Options) -> Result<Option<std::os::unix::net::UnixListener>, StartFault> {
    let Some(path) = &options.socket else {
        return Ok(None);
    };
    let bound = bind_unix(path).and_then(UnixListener::into_std);
    bound.map(Some).map_err(fault(&format!("--socket {}", path.display())))
}

/// Accept connections until told to stop.
pub(crate) fn listen(
    doors: Doors,
    workers: &Arc<Workers>,
    gateway: &Arc<Gateway>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> io::Result<()> {
    doors.tcp.set_nonblocking(true)?;
    let tcp = TcpListener::from_std(doors.tcp)?;
    tasks.spawn(accept_tcp(tcp, Arc::clone(workers), Arc::clone(gateway), stop.clone()));
    if let Some(unix) = doors.unix {
        unix.set_nonblocking(true)?;
        let unix = UnixListener::from_std(unix)?;
        tasks.spawn(accept_unix(
            unix,
            Arc::clone(workers),
            Arc::clone(gateway),
            stop.clone(),
        ));
    }
    Ok(())
}

/// Offer the doors to a successor; what comes out of it tells when there is one.
pub(crate) fn offer(
    data: &Path,
    gateway: &Arc<Gateway>,
    doors: Doors,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> oneshot::Receiver<Succession> {
    let (sender, receiver) = oneshot::channel();
    let path = socket_in(data);
    match bind_unix(&path) {
        Ok(listener) => {
            let (gateway, stop) = (Arc::clone(gateway), stop.clone());
            tasks.spawn(async move {
                if let Some(succession) = wait_for_successor(gateway, listener, doors, stop).await {
                    // Nobody waits for it any more when the gateway stops already.
                    let _ = sender.send(succession);
                }
            });
        }
        // It serves all the same; only a successor will find it closed.
        Err(error) => {
            let fields = json!({"path": path.display().to_string(), "detail": error.to_string()});
            gateway.log.warn("take_over_not_offered", fields);
        }
    }
    receiver
}
