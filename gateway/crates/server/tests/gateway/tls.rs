//! Providers behind TLS, over HTTP/1.1 and HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper::{Request, Response, Version, body::Bytes, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::json;

use crate::place::{Place, price, snapshot};
use crate::provider::{MESSAGE, Provider, json};

const REQUEST: &str = r#"{"model":"m","max_tokens":5,"messages":[]}"#;

struct Secured {
    url: String,
    ca: String,
    versions: Arc<std::sync::Mutex<Vec<Version>>>,
    connections: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

fn certificate() -> (String, rustls::ServerConfig) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = builder
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (made.cert.pem(), config)
}

/// A provider that answers every call over TLS in the protocol it offers.
fn secured(alpn: &[u8]) -> Secured {
    let (ca, mut config) = certificate();
    config.alpn_protocols = vec![alpn.to_vec()];
    let is_h2 = alpn == b"h2";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (versions, connections) = (
        Arc::<std::sync::Mutex<Vec<Version>>>::default(),
        Arc::new(AtomicUsize::new(0)),
    );
    let (seen, opened) = (Arc::clone(&versions), Arc::clone(&connections));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    runtime.handle().block_on(async {
        tokio_util::task::TaskTracker::new().spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                opened.fetch_add(1, Ordering::Relaxed);
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                tokio_util::task::TaskTracker::new().spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(move |request| reply(request, Arc::clone(&seen)));
                    let _ = if is_h2 {
                        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(tls), service)
                            .await
                    } else {
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(tls), service)
                            .await
                    };
                });
            }
        });
    });
    Secured {
        url,
        ca,
        versions,
        connections,
        _runtime: runtime,
    }
}

async fn reply(
    request: Request<Incoming>,
    seen: Arc<std::sync::Mutex<Vec<Version>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    seen.lock().unwrap().push(request.version());
    assert_eq!(request.headers()["x-api-key"], "sk-a");
    let body = request.into_body().collect().await?.to_bytes();
    assert!(body.ends_with(br#""max_tokens":5,"messages":[]}"#));
    Ok(Response::builder()
        .header("content-type", "application/json")
        .body(Full::from(MESSAGE))
        .unwrap())
}

fn place_for(provider: &Secured) -> Place {
    let nowhere = Provider::always(json(500, "", "{}"));
    let mut one = snapshot("anthropic", &[&nowhere]);
    one["providers"][0]["base_url"] = provider.url.clone().into();
    one["models"][0]["route"][0]["to"] =
        json!([{"provider": "a", "model": "x", "price": price(), "max_output_tokens": 9}]);
    let mut place = Place::new(&one);
    let ca_file = place.directory.join("ca.pem");
    std::fs::write(&ca_file, &provider.ca).unwrap();
    place.restart(Some(ca_file));
    place
}

#[test]
fn calls_share_one_http2_connection_per_worker() {
    let provider = secured(b"h2");
    let place = place_for(&provider);
    let mut caller = place.caller();
    for _ in 0..8 {
        assert_eq!(caller.post("/v1/messages", REQUEST).text(), MESSAGE);
    }
    assert!(
        provider
            .versions
            .lock()
            .unwrap()
            .iter()
            .all(|version| *version == Version::HTTP_2)
    );
    assert_eq!(provider.connections.load(Ordering::Relaxed), 1);
}

#[test]
fn http1_over_tls_is_kept_too() {
    let provider = secured(b"http/1.1");
    let place = place_for(&provider);
    let mut caller = place.caller();
    for _ in 0..8 {
        assert_eq!(caller.post("/v1/messages", REQUEST).text(), MESSAGE);
    }
    assert_eq!(provider.connections.load(Ordering::Relaxed), 1);
}

#[test]
fn a_certificate_nobody_vouches_for_is_never_trusted() {
    let provider = secured(b"h2");
    let mut place = place_for(&provider);
    place.restart(None);
    let reply = place.post("/v1/messages", REQUEST);
    assert_eq!(
        (reply.status, reply.json()["error"]["code"].clone()),
        (502, json!("provider_unreachable"))
    );
    assert!(provider.versions.lock().unwrap().is_empty());
}
