//! Opening a connection: name, TCP, TLS, and which HTTP is spoken on it.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use airside_providers::Endpoint;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;

use super::body::OutBody;
use super::http1::Http1;
use super::pool::Http2;

/// Window sizes that let a fast provider fill the pipe; one stream holds at most this much unread.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A fresh connection.
#[derive(Debug)]
pub(crate) enum Connection {
    Http1(Box<Http1>),
    Http2(Http2),
}

/// Opens connections. The system's certificates are read when the first TLS connection is made.
pub(crate) struct Connector {
    extra_roots: Vec<CertificateDer<'static>>,
    tls: OnceLock<Result<TlsConnector, String>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// A connector that also trusts the certificates of this PEM file.
    pub(crate) fn new(ca_file: Option<&Path>) -> io::Result<Self> {
        let mut extra_roots = Vec::new();
        if let Some(path) = ca_file {
            let text = fs::read(path)?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                extra_roots.push(certificate.map_err(|error| io::Error::other(format!("bad certificate: {error}")))?);
            }
            if extra_roots.is_empty() {
                return Err(io::Error::other("it holds no certificate"));
            }
        }
        Ok(Self {
            extra_roots,
            tls: OnceLock::new(),
        })
    }

    /// Open a connection and make it ready for a request.
    pub(crate) async fn connect(&self, endpoint: &Endpoint, tasks: &TaskTracker) -> io::Result<Connection> {
        let tcp = connect_tcp(&endpoint.host, endpoint.port).await?;
        tcp.set_nodelay(true)?;
        if !endpoint.is_tls {
            return Ok(http1(Wire::Plain(tcp)));
        }
        let connector = self
            .tls
            .get_or_init(|| self.tls_connector())
            .as_ref()
            .map_err(|problem| io::Error::other(problem.as_str()))?;
        let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
        let tls = connector.connect(name, tcp).await?;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            return http2(tls, tasks).await;
        }
        Ok(http1(Wire::Tls(Box::new(tls))))
    }

    fn tls_connector(&self) -> Result<TlsConnector, String> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        roots.add_parsable_certificates(self.extra_roots.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn http1(wire: Wire) -> Connection {
    Connection::Http1(Box::new(Http1::new(wire)))
}

async fn http2(tls: TlsStream<TcpStream>, tasks: &TaskTracker) -> io::Result<Connection> {
    let mut builder = http2::Builder::new(Tracked(tasks.clone()));
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(std::time::Duration::from_secs(20))
        .max_header_list_size(256 << 10);
    let (sender, driver) = builder
        .handshake::<_, OutBody>(TokioIo::new(tls))
        .await
        .map_err(io::Error::other)?;
    // A shared connection outlives each call on it, so it is driven by a task of its own; its end is seen by the
    // senders, and its error by the calls under way.
    tasks.spawn(async move {
        let _ = driver.await;
    });
    Ok(Connection::Http2(sender))
}

/// Puts HTTP/2's own tasks where shutdown sees them.
#[derive(Debug, Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// Bytes to and from a provider.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, into),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }
}
