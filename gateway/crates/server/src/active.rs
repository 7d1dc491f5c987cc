//! The snapshot in force, with what each call would otherwise have to derive from it.

use std::collections::HashMap;
use std::sync::Arc;

use airside_providers::{Endpoint, Vendor, vendor_of};
use airside_snapshot::{Compiled, Provider, SnapshotProblem, Timeouts};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::credentials::{ActiveKey, Wallet};
use crate::known::Known;
use crate::recorder::ActiveRecording;

/// One provider, ready to be called.
#[derive(Debug)]
pub(crate) struct ActiveProvider {
    pub(crate) name: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) vendor: Box<dyn Vendor>,
    pub(crate) origin: Arc<str>,
    pub(crate) host: HeaderValue,
    /// At least one, in the snapshot's order.
    pub(crate) keys: Vec<ActiveKey>,
    /// The shares of these.
    pub(crate) weights: Vec<u32>,
    pub(crate) headers: HeaderMap,
    pub(crate) timeouts: Timeouts,
}

/// A compiled snapshot and its providers, in the snapshot's order.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) compiled: Compiled,
    pub(crate) providers: Vec<ActiveProvider>,
    /// Keys of this snapshot that were shown already.
    pub(crate) known_keys: Known,
    recordings: HashMap<String, Arc<ActiveRecording>>,
}

impl Active {
    /// Make a snapshot ready to serve from.
    pub(crate) fn new(
        compiled: Compiled,
        environment: impl Fn(&str) -> Option<String>,
        wallet: &Wallet,
    ) -> Result<Self, SnapshotProblem> {
        let providers = compiled
            .snapshot
            .providers
            .iter()
            .map(|provider| ActiveProvider::new(provider, &environment, wallet))
            .collect::<Result<_, _>>()?;
        let wanted = compiled.snapshot.recordings.iter();
        let wanted = wanted.filter_map(|one| Some((one.project.clone(), Arc::new(ActiveRecording::new(one)?))));
        Ok(Self {
            known_keys: Known::default(),
            recordings: wanted.collect(),
            compiled,
            providers,
        })
    }

    /// How a project wants its bodies recorded; `None` where it wants none.
    pub(crate) fn recording(&self, project: &str) -> Option<&Arc<ActiveRecording>> {
        self.recordings.get(project)
    }

    /// The secrets of all providers, as they are now.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let keys = self.providers.iter().flat_map(|provider| &provider.keys);
        keys.filter_map(ActiveKey::secret).collect()
    }
}

impl ActiveProvider {
    fn new(
        provider: &Provider,
        environment: &impl Fn(&str) -> Option<String>,
        wallet: &Wallet,
    ) -> Result<Self, SnapshotProblem> {
        let name = &provider.name;
        let inconsistent = |detail: String| SnapshotProblem::Inconsistent(format!("provider '{name}': {detail}"));
        let endpoint = Endpoint::parse(&provider.base_url).map_err(|problem| inconsistent(problem.to_string()))?;
        let mut headers = HeaderMap::new();
        for (header, value) in &provider.headers {
            let parsed = HeaderName::from_bytes(header.as_bytes())
                .ok()
                .zip(HeaderValue::from_str(value).ok());
            let (header, value) = parsed.ok_or_else(|| inconsistent(format!("'{header}' is no header")))?;
            headers.append(header, value);
        }
        let scheme = if endpoint.is_tls { "https" } else { "http" };
        let host = HeaderValue::from_str(&endpoint.authority).map_err(|_| inconsistent("bad host".into()))?;
        let keys = provider.keys();
        Ok(Self {
            name: name.as_str().into(),
            origin: format!("{scheme}://{}:{}", endpoint.host, endpoint.port).into(),
            host,
            vendor: vendor_of(provider).map_err(inconsistent)?,
            weights: keys.iter().map(|key| key.weight).collect(),
            keys: keys.iter().map(|key| wallet.key(key, environment)).collect(),
            endpoint,
            headers,
            timeouts: provider.timeouts,
        })
    }
}
