//! Takes due deliveries and attempts them. An endpoint that hangs fills its own few places and is
//! passed over until one is free: nobody else waits for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::JoinSet;

use super::{
    kinds,
    worker::{ORGANIZATIONS_PER_ROUND, Worker, finished, log_failure},
};
use crate::{
    db::webhook_deliveries::{self, Claimed},
    domain::{LeaseToken, OrgScope, Result, WebhookEndpointId},
};

/// Deliveries taken from one organisation in one round.
const PER_ORGANIZATION: i64 = 64;

/// Calls whose events are delivered to one endpoint at the same time.
const PLACES_PER_ENDPOINT: usize = 8;

/// How long a delivery may be kept beyond its endpoint's timeout: to wait for its turn, and, of
/// that, to record how it came out.
const MARGIN: time::Duration = time::Duration::seconds(10);
const RECORD: time::Duration = time::Duration::seconds(3);

/// Due events of one call for one endpoint, in order, under one lease.
struct Batch {
    scope: OrgScope,
    lease: LeaseToken,
    deliveries: Vec<Claimed>,
    place: Place,
}

impl Worker {
    /// Attempts every delivery that is due now, a bounded number per organisation, and waits until
    /// they are done. Returns how many batches there were.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn deliver_due(&self) -> Result<usize> {
        let mut running = JoinSet::new();
        for batch in self.claim_deliveries().await? {
            let worker = self.clone();
            running.spawn(async move { worker.deliver(batch).await });
        }
        Ok(finished(running).await)
    }

    /// As [`Worker::deliver_due`], without waiting.
    pub(super) async fn start_deliveries(&self) -> Result<usize> {
        let batches = self.claim_deliveries().await?;
        let count = batches.len();
        for batch in batches {
            let worker = self.clone();
            let tasks = &self.jobs.app.ambient.tasks;
            drop(tasks.spawn(async move { worker.deliver(batch).await }));
        }
        Ok(count)
    }

    async fn claim_deliveries(&self) -> Result<Vec<Batch>> {
        let (db, ambient) = (&self.jobs.app.db, &self.jobs.app.ambient);
        let (now, busy) = (ambient.now(), self.endpoints.full());
        let most = ORGANIZATIONS_PER_ROUND;
        let mut batches = Vec::new();
        for organization_id in
            webhook_deliveries::organizations_with_due(db, now, &busy, most).await?
        {
            let scope = OrgScope::assume(organization_id);
            let lease = LeaseToken(ambient.entropy.uuid());
            let claim = webhook_deliveries::Claim {
                now,
                lease,
                margin: MARGIN,
                most: PER_ORGANIZATION,
            };
            let claimed = webhook_deliveries::claim(db, scope, claim, &busy).await?;
            batches.extend(
                by_call(claimed)
                    .into_iter()
                    .map(|((endpoint_id, _), deliveries)| {
                        let place = self.endpoints.take(endpoint_id);
                        Batch {
                            scope,
                            lease,
                            deliveries,
                            place,
                        }
                    }),
            );
        }
        Ok(batches)
    }

    /// Attempts the deliveries of a batch, in order. What comes too late, because others were slow,
    /// is given back: another node could take it while it is under way.
    async fn deliver(&self, batch: Batch) {
        let (scope, lease) = (batch.scope, batch.lease);
        for delivery in &batch.deliveries {
            let Ok(_permit) = self.jobs.deliveries.acquire().await else {
                return;
            };
            let now = self.jobs.app.ambient.now();
            let takes = time::Duration::seconds(delivery.timeout_seconds.into()) + RECORD;
            let done = if now.plus(takes) <= delivery.lease_until {
                kinds::deliver_webhook::run(&self.jobs, scope, delivery, lease).await
            } else {
                webhook_deliveries::release(&self.jobs.app.db, scope, delivery, lease, now).await
            };
            log_failure("deliver a webhook", done);
        }
        drop(batch.place);
        // What was passed over while the endpoint was busy may have become possible.
        self.jobs.app.db.wake().wake_deliveries();
    }
}

fn by_call(
    claimed: Vec<Claimed>,
) -> BTreeMap<(WebhookEndpointId, crate::domain::CallId), Vec<Claimed>> {
    let mut groups: BTreeMap<_, Vec<Claimed>> = BTreeMap::new();
    for delivery in claimed {
        groups
            .entry((delivery.endpoint_id, delivery.call_id))
            .or_default()
            .push(delivery);
    }
    groups
}

/// How many batches are under way for each endpoint on this node.
#[derive(Default)]
pub(super) struct BusyEndpoints(Mutex<HashMap<WebhookEndpointId, usize>>);

/// One batch's place; given back when dropped.
struct Place {
    endpoint_id: WebhookEndpointId,
    endpoints: Arc<BusyEndpoints>,
}

impl BusyEndpoints {
    /// The endpoints whose places are all taken.
    fn full(&self) -> Vec<WebhookEndpointId> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = counts
            .iter()
            .filter(|(_, count)| **count >= PLACES_PER_ENDPOINT);
        full.map(|(endpoint_id, _)| *endpoint_id).collect()
    }

    fn take(self: &Arc<Self>, endpoint_id: WebhookEndpointId) -> Place {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(endpoint_id).or_default() += 1;
        Place {
            endpoint_id,
            endpoints: Arc::clone(self),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .endpoints
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.endpoint_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.endpoint_id);
            }
        }
    }
}
