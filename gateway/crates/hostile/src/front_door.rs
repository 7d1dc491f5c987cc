//! The front door of a whole gateway, knocked at with any bytes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airside_server::options::{Options, Source};
use airside_server::{Level, Running};
use serde_json::json;

/// Longer than any answer takes; a connection that goes on is a finding.
const PATIENCE: Duration = Duration::from_secs(20);
/// What anybody may read.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
/// Serves until the process ends.
static GATEWAY: LazyLock<Option<Running>> = LazyLock::new(|| {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        HAS_PANICKED.store(true, Ordering::SeqCst);
        told(panic);
    }));
    start().ok()
});

fn start() -> Result<Running, Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("airside-front-door-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let snapshot = folder.join("snapshot.json");
    let content = json!({"format": 1, "version": 1, "compiled_at": "2026-01-01T00:00:00Z", "keys": [], "providers": [],
        "models": []});
    std::fs::write(&snapshot, content.to_string())?;
    Ok(airside_server::start(options(&folder, snapshot)?)?)
}

fn options(folder: &Path, snapshot: PathBuf) -> Result<Options, std::net::AddrParseError> {
    Ok(Options {
        listen: "127.0.0.1:0".parse()?,
        socket: None,
        data: folder.join("data"),
        source: Source::File(snapshot),
        ca_file: None,
        ready_file: None,
        workers: 1,
        drain: Duration::from_secs(1),
        spool_bytes: 4 << 20,
        body_bytes: 1 << 20,
        take_over: false,
        collector: None,
        log_level: Level::Error,
    })
}

/// Whatever comes in, the gateway answers in HTTP or hangs up, lets nobody in without a key, and goes on.
pub(crate) fn front_door(bytes: &[u8]) {
    let gateway = GATEWAY.as_ref();
    assert!(gateway.is_some(), "the gateway starts");
    let Some(gateway) = gateway else { return };
    let answer = knocked(gateway, bytes);
    assert!(answer.is_some(), "the gateway neither answers nor hangs up");
    let answer = answer.unwrap_or_default();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1."),
        "this is no answer: {}",
        String::from_utf8_lossy(&answer)
    );
    let asks_for_open = OPEN
        .iter()
        .any(|path| memchr::memmem::find(bytes, path.as_bytes()).is_some());
    let let_in = answer.get(8..).is_some_and(|rest| rest.starts_with(b" 2"));
    assert!(asks_for_open || !let_in, "somebody came in without a key");
    assert!(!HAS_PANICKED.load(Ordering::SeqCst), "the gateway panicked");
}

/// All that is answered until the gateway hangs up; `None` where that takes too long.
fn knocked(gateway: &Running, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(gateway.address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // It may hang up before it has read everything: that is an answer, too.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
        _ => Some(answer),
    }
}
