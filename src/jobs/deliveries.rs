//! Takes due deliveries and attempts them. An endpoint that hangs fills its own few places and is
//! passed over until one is free: nobody else waits for it ([`super::endpoints`]).

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, SemaphorePermit},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    endpoints::{FIRST_PLACES, Place},
    kinds,
    worker::{ORGANIZATIONS_PER_ROUND, Worker, finished, log_failure},
};
use crate::{
    app::webhook_endpoints,
    db::webhook_deliveries::{self, Claimed, Next},
    domain::{
        LeaseToken, OrgScope, OrganizationId, Result, WebhookEndpointId, webhook::endpoint::Channel,
    },
};

/// Deliveries taken from one organisation in one round.
const PER_ORGANIZATION: i64 = 256;

/// How long a delivery may be kept beyond its endpoint's timeout: to wait for its turn, and, of
/// that, to record how it came out.
const MARGIN: time::Duration = time::Duration::seconds(10);
const RECORD: time::Duration = time::Duration::seconds(3);

/// How long a delivery waits for its turn: what is left of the margin.
const PATIENCE: Duration = Duration::from_secs(7);

/// A delivery's places: of its organisation's, if it needs one, and of the node's.
type Permits<'a> = (Option<OwnedSemaphorePermit>, Option<SemaphorePermit<'a>>);

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
        let (busy, most) = (self.endpoints.full(now), ORGANIZATIONS_PER_ROUND);
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
        let now = ambient.now();
        let free = self.endpoints.free(organization_id, now);
        let scope = OrgScope::assume(organization_id);
        let lease = LeaseToken(ambient.entropy.uuid());
        let claim = webhook_deliveries::Claim {
            now,
            lease,
            margin: MARGIN,
            most: PER_ORGANIZATION,
            per_endpoint: FIRST_PLACES,
            free: free.clone(),
            only: None,
        };
        let claimed = webhook_deliveries::claim(db, scope, claim).await?;
        if i64::try_from(claimed.len()).is_ok_and(|count| count == PER_ORGANIZATION) {
            // There may be more.
            db.wake().wake_deliveries(organization_id);
        }
        let free: HashMap<WebhookEndpointId, i32> = free.into_iter().collect();
        let mut taken: HashMap<WebhookEndpointId, i32> = HashMap::new();
        for delivery in &claimed {
            *taken.entry(delivery.endpoint_id).or_default() += 1;
        }
        let has_more = |id: WebhookEndpointId| {
            let places = free.get(&id).copied().unwrap_or(FIRST_PLACES);
            taken.get(&id).is_some_and(|taken| *taken >= places)
        };
        let batches = by_call(claimed).into_iter();
        Ok(batches
            .map(|((endpoint_id, _), deliveries)| {
                let (more, wake) = (has_more(endpoint_id), db.wake());
                let place = self
                    .endpoints
                    .take(organization_id, endpoint_id, more, wake, now);
                Batch {
                    scope,
                    lease,
                    deliveries,
                    place,
                }
            })
            .collect())
    }

    /// Attempts the deliveries of a batch, in order. What comes too late, because others were slow,
    /// is given back: another node could take it while it is under way; and so is what comes after a
    /// failure that made the endpoint one to be left alone. Returns when all of it is recorded.
    async fn deliver(&self, batch: Batch) {
        let (scope, lease) = (batch.scope, batch.lease);
        let (mut recorded, mut left_alone) = (Vec::new(), false);
        for delivery in &batch.deliveries {
            let permits = if left_alone {
                None
            } else {
                let permits = self.permits(scope, delivery);
                tokio::time::timeout(PATIENCE, permits).await.ok()
            };
            let now = self.jobs.app.ambient.now();
            let takes = time::Duration::seconds(delivery.receiver.timeout_seconds.into()) + RECORD;
            let in_time = now.plus(takes) <= delivery.lease_until;
            let done = if permits.is_some() && in_time {
                self.attempt(scope, delivery, lease, &mut recorded).await
            } else {
                webhook_deliveries::release(&self.jobs.app.db, scope, delivery, lease, now).await
            };
            drop(permits);
            log_failure("deliver a webhook", done);
            left_alone = self.endpoints.is_open(delivery.endpoint_id);
        }
        drop(batch.place);
        for recorded in recorded {
            recorded.cancelled().await;
        }
    }

    /// Waits for a place of the node, and of the organisation where the receiver may take long.
    async fn permits(&self, scope: OrgScope, delivery: &Claimed) -> Permits<'_> {
        if !self.endpoints.may_take_long(delivery.endpoint_id) {
            return (None, self.jobs.deliveries.acquire().await.ok());
        }
        let own = self.endpoints.long_places(scope.id());
        // In this order: who waits for its own organisation's keeps nobody else's.
        let own = own.acquire_owned().await.ok();
        (own, self.jobs.slow_deliveries.acquire().await.ok())
    }

    async fn attempt(
        &self,
        scope: OrgScope,
        delivery: &Claimed,
        lease: LeaseToken,
        recorded: &mut Vec<CancellationToken>,
    ) -> Result<()> {
        let started = Instant::now();
        let (channel, jobs) = (delivery.receiver.channel, &self.jobs);
        let attempt = match channel {
            Channel::Telegram => kinds::deliver_telegram::run(jobs, scope, delivery, lease).await?,
            Channel::Webhook | Channel::Gateway => {
                kinds::deliver_webhook::run(jobs, scope, delivery, lease).await?
            }
        };
        let app = &self.jobs.app;
        let delivered = attempt.next == Next::Delivered;
        let (took, now) = (started.elapsed(), app.ambient.now());
        self.endpoints
            .saw(delivery.endpoint_id, delivered, took, now);
        if attempt.next == Next::DeadAndDisable {
            webhook_endpoints::record_gone(app, scope, &attempt, gone(channel)).await
        } else {
            recorded.push(self.attempts.record(app, scope, attempt));
            Ok(())
        }
    }
}

/// What the owner of a receiver reads that says that it is gone.
fn gone(channel: Channel) -> &'static str {
    match channel {
        Channel::Webhook | Channel::Gateway => "The receiver answered 410 Gone",
        Channel::Telegram => "The bot was blocked, or put out of the chat",
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
