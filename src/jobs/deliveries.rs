//! Takes due deliveries and attempts them. An endpoint that hangs fills its own few places and is
//! passed over until one is free: nobody else waits for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    kinds,
    worker::{ORGANIZATIONS_PER_ROUND, Worker, finished, log_failure},
};
use crate::{
    db::{
        Wake,
        webhook_deliveries::{self, Claimed, Next},
    },
    domain::{LeaseToken, OrgScope, OrganizationId, Result, WebhookEndpointId},
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
        for organization_id in self.organizations_with_due().await? {
            for batch in self.claim_deliveries(organization_id).await? {
                let worker = self.clone();
                running.spawn(async move { worker.deliver(batch).await });
            }
        }
        Ok(finished(running).await)
    }

    /// Names every organisation with due deliveries to those who start them; how many.
    pub(super) async fn name_due_deliveries(&self) -> Result<usize> {
        let organizations = self.organizations_with_due().await?;
        for organization_id in &organizations {
            self.jobs.app.db.wake().wake_deliveries(*organization_id);
        }
        Ok(organizations.len())
    }

    async fn organizations_with_due(&self) -> Result<Vec<OrganizationId>> {
        let (db, now) = (&self.jobs.app.db, self.jobs.app.ambient.now());
        let (busy, most) = (self.endpoints.full(), ORGANIZATIONS_PER_ROUND);
        webhook_deliveries::organizations_with_due(db, now, &busy, most).await
    }

    /// Attempts what is due in one organisation, a bounded number, without waiting.
    pub(super) async fn start_deliveries(&self, organization_id: OrganizationId) -> Result<()> {
        for batch in self.claim_deliveries(organization_id).await? {
            let worker = self.clone();
            let tasks = &self.jobs.app.ambient.tasks;
            drop(tasks.spawn(async move { worker.deliver(batch).await }));
        }
        Ok(())
    }

    async fn claim_deliveries(&self, organization_id: OrganizationId) -> Result<Vec<Batch>> {
        let (db, ambient) = (&self.jobs.app.db, &self.jobs.app.ambient);
        let busy = self.endpoints.full();
        let scope = OrgScope::assume(organization_id);
        let lease = LeaseToken(ambient.entropy.uuid());
        let claim = webhook_deliveries::Claim {
            now: ambient.now(),
            lease,
            margin: MARGIN,
            most: PER_ORGANIZATION,
        };
        let claimed = webhook_deliveries::claim(db, scope, claim, &busy).await?;
        if i64::try_from(claimed.len()).is_ok_and(|count| count == PER_ORGANIZATION) {
            // There may be more.
            db.wake().wake_deliveries(organization_id);
        }
        let batches = by_call(claimed).into_iter();
        Ok(batches
            .map(|((endpoint_id, _), deliveries)| Batch {
                scope,
                lease,
                deliveries,
                place: self.endpoints.take(organization_id, endpoint_id, db.wake()),
            })
            .collect())
    }

    /// Attempts the deliveries of a batch, in order. What comes too late, because others were slow,
    /// is given back: another node could take it while it is under way. Returns when all of it is
    /// recorded.
    async fn deliver(&self, batch: Batch) {
        let (scope, lease) = (batch.scope, batch.lease);
        let mut recorded = Vec::new();
        for delivery in &batch.deliveries {
            let Ok(_permit) = self.jobs.deliveries.acquire().await else {
                return;
            };
            let now = self.jobs.app.ambient.now();
            let takes = time::Duration::seconds(delivery.timeout_seconds.into()) + RECORD;
            let done = if now.plus(takes) <= delivery.lease_until {
                self.attempt(scope, delivery, lease, &mut recorded).await
            } else {
                webhook_deliveries::release(&self.jobs.app.db, scope, delivery, lease, now).await
            };
            log_failure("deliver a webhook", done);
        }
        drop(batch.place);
        for recorded in recorded {
            recorded.cancelled().await;
        }
    }

    async fn attempt(
        &self,
        scope: OrgScope,
        delivery: &Claimed,
        lease: LeaseToken,
        recorded: &mut Vec<CancellationToken>,
    ) -> Result<()> {
        let attempt = kinds::deliver_webhook::run(&self.jobs, scope, delivery, lease).await?;
        let app = &self.jobs.app;
        if attempt.next == Next::DeadAndDisable {
            webhook_deliveries::record_gone(&app.db, scope, &attempt).await
        } else {
            recorded.push(self.attempts.record(app, scope, attempt));
            Ok(())
        }
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
    organization_id: OrganizationId,
    endpoint_id: WebhookEndpointId,
    endpoints: Arc<BusyEndpoints>,
    wake: Wake,
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

    fn take(
        self: &Arc<Self>,
        organization_id: OrganizationId,
        endpoint_id: WebhookEndpointId,
        wake: &Wake,
    ) -> Place {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(endpoint_id).or_default() += 1;
        Place {
            organization_id,
            endpoint_id,
            endpoints: Arc::clone(self),
            wake: wake.clone(),
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
        let Some(count) = counts.get_mut(&self.endpoint_id) else {
            return;
        };
        if *count == PLACES_PER_ENDPOINT {
            // What was passed over while the endpoint was busy has become possible.
            self.wake.wake_deliveries(self.organization_id);
        }
        *count -= 1;
        if *count == 0 {
            counts.remove(&self.endpoint_id);
        }
    }
}
