//! Journals of gateways that are gone: what they could not deliver is delivered for them, under their ids.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use airside_journal::{Spool, SpoolOptions};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::client::ControlClient;
use super::delivery::{MOST_BYTES, MOST_RECORDS, send_batch};
use super::desk::give_back_all_of;
use super::local::LocalBooks;
use crate::background::in_background;
use crate::gateway::Gateway;
use crate::place::{JOURNAL, Place};

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where and how to look.
#[derive(Debug)]
pub(crate) struct Leftovers {
    pub(crate) data: PathBuf,
    pub(crate) own: Arc<Place>,
    pub(crate) spool: SpoolOptions,
    /// `None` for a gateway that keeps its own books.
    pub(crate) client: Option<Arc<ControlClient>>,
}

impl Leftovers {
    /// Look for journals whose gateways are gone, and deliver them, until told to stop.
    pub(crate) async fn collect(self, gateway: Arc<Gateway>, stop: CancellationToken) {
        let mut done = HashSet::new();
        while !stop.is_cancelled() {
            for place in self.own.abandoned(&self.data) {
                if done.contains(&place.directory) {
                    continue;
                }
                let directory = place.directory.clone();
                match self.deliver(&gateway, place).await {
                    Ok(0) => {
                        done.insert(directory);
                    }
                    Ok(records) => {
                        let fields = json!({"directory": directory.display().to_string(), "records": records});
                        gateway.log.info("leftover_journal_delivered", fields);
                        done.insert(directory);
                    }
                    Err(detail) => {
                        let fields = json!({"directory": directory.display().to_string(), "detail": detail});
                        gateway.log.warn("leftover_journal_not_delivered", fields);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Deliver one journal, and give back what its gateway was granted and did not spend; how many records there were.
    async fn deliver(&self, gateway: &Gateway, place: Place) -> Result<u64, String> {
        let id = place.identity(&*gateway.clock).map_err(|error| error.to_string())?;
        let (directory, options) = (place.directory.join(JOURNAL), self.spool);
        let opened = in_background(move || Spool::open(&directory, options)).await;
        let (spool, _) = opened
            .map_err(|error| error.to_string())?
            .map_err(|fault| fault.to_string())?;
        let books = match self.client {
            Some(_) => None,
            None => {
                Some(LocalBooks::open(&place.directory, spool.state().sequence).map_err(|error| error.to_string())?)
            }
        };
        let mut records = 0;
        loop {
            let mut batch = spool
                .next_batch(MOST_RECORDS, MOST_BYTES)
                .map_err(|fault| fault.to_string())?;
            if batch.last == 0 {
                if let Some(client) = &self.client {
                    give_back_all_of(gateway, client, &id, spool.state().sequence).await?;
                }
                return Ok(records);
            }
            match (&self.client, &books) {
                (Some(client), _) => {
                    let through = send_batch(gateway, client, &id, &batch).await?;
                    if through < batch.last {
                        return Err(format!("record {} was sent and only {through} is stored", batch.last));
                    }
                }
                (None, Some(books)) => {
                    let kept = books.take_over(&mut batch).and_then(|()| books.keep());
                    kept.map_err(|error| error.to_string())?;
                }
                (None, None) => return Ok(records),
            }
            records += batch.each().count() as u64;
            spool.acknowledge(batch.last).map_err(|fault| fault.to_string())?;
        }
    }
}
