//! Holds the websockets to agents' gateways, and sends what is due over them.
//!
//! As with the websockets to providers ([`super::listeners`]), one node holds each under a lease, and
//! another goes on within [`LEASE`] when it dies. Deliveries are taken by the holder alone, and only
//! while the gateway is connected: one that is away costs its deliveries no attempt, they wait in the
//! queue for as long as it takes.

mod conversation;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::worker::{Worker, log_failure};
use crate::{
    db::{self, gateway_leases::Gateway},
    domain::{LeaseToken, Result, Timestamp, backoff},
};
use conversation::Ended;

/// How long a node that stopped renewing keeps a gateway from the others.
const LEASE: time::Duration = time::Duration::seconds(20);
const RENEW_EVERY: time::Duration = time::Duration::seconds(5);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Gateways that a node holds at most, and that it takes at once.
const MOST: usize = 2048;
const MOST_AT_ONCE: usize = 128;

/// A connection that stood for so long was no failure: the next wait is a short one again.
const STOOD: time::Duration = time::Duration::seconds(30);

/// The gateways that this node holds.
#[derive(Default)]
pub(super) struct Gateways {
    held: Mutex<HashMap<Gateway, Hold>>,
    renewed_at: Mutex<Option<Timestamp>>,
}

struct Hold {
    lease: LeaseToken,
    let_go: CancellationToken,
}

impl Gateways {
    fn held(&self) -> MutexGuard<'_, HashMap<Gateway, Hold>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the leases are to be renewed at `now`; they count as renewed then.
    fn is_due(&self, now: Timestamp) -> bool {
        let renewed_at = self.renewed_at.lock();
        let mut renewed_at = renewed_at.unwrap_or_else(PoisonError::into_inner);
        let due = renewed_at.is_none_or(|at| now.since(at) >= RENEW_EVERY);
        if due {
            *renewed_at = Some(now);
        }
        due
    }
}

impl Worker {
    /// Looks every second until the tasks stop.
    pub(super) async fn keep_gateways(&self) {
        loop {
            log_failure("hold the gateways", self.hold_gateways().await);
            if self.paused(LOOK_EVERY).await {
                return;
            }
        }
    }

    /// Renews what is held, takes what nobody holds, and goes on with it in the background. Returns
    /// how many were taken.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn hold_gateways(&self) -> Result<usize> {
        let (db, ambient) = (&self.jobs.app.db, &self.jobs.app.ambient);
        let gateways = &self.jobs.gateways;
        let now = ambient.now();
        if gateways.is_due(now) {
            self.renew_gateways(now).await?;
        }
        let room = MOST.saturating_sub(gateways.held().len());
        let most = i64::try_from(room.min(MOST_AT_ONCE)).unwrap_or(i64::MAX);
        let mut taken = 0;
        for gateway in db::gateway_leases::missing(db, now, most).await? {
            if ambient.tasks.is_stopping() || gateways.held().contains_key(&gateway) {
                continue;
            }
            let lease = LeaseToken(ambient.entropy.uuid());
            let now = ambient.now();
            if !db::gateway_leases::take(db, gateway, lease, now, now.plus(LEASE)).await? {
                continue;
            }
            let let_go = CancellationToken::new();
            let hold = Hold {
                lease,
                let_go: let_go.clone(),
            };
            gateways.held().insert(gateway, hold);
            taken += 1;
            let worker = self.clone();
            let holding = async move { worker.hold_gateway(gateway, lease, let_go).await };
            drop(ambient.tasks.spawn(holding));
        }
        Ok(taken)
    }

    /// Renews the leases of all that is held, and lets go of what was lost or is wanted no more.
    async fn renew_gateways(&self, now: Timestamp) -> Result<()> {
        let gateways = &self.jobs.gateways;
        let held: Vec<_> = {
            let held = gateways.held();
            held.iter()
                .map(|(gateway, hold)| (*gateway, hold.lease))
                .collect()
        };
        if held.is_empty() {
            return Ok(());
        }
        let renewed = db::gateway_leases::renew(&self.jobs.app.db, &held, now.plus(LEASE)).await?;
        for (gateway, hold) in gateways.held().iter() {
            if !renewed.contains(gateway) {
                hold.let_go.cancel();
            }
        }
        Ok(())
    }

    /// Holds one gateway until nobody wants it, the lease is lost, or the tasks stop.
    async fn hold_gateway(&self, gateway: Gateway, lease: LeaseToken, let_go: CancellationToken) {
        let app = &self.jobs.app;
        tokio::select! {
            biased;
            () = app.ambient.tasks.stopping() => {}
            () = let_go.cancelled() => {}
            () = self.keep_connected(gateway) => {}
        }
        // In this order: what was released may be taken again by this node.
        self.jobs.gateways.held().remove(&gateway);
        let released = db::gateway_leases::release(&app.db, gateway, lease).await;
        log_failure("release a gateway", released);
    }

    async fn keep_connected(&self, gateway: Gateway) {
        let ambient = &self.jobs.app.ambient;
        let mut failures = 0_i32;
        loop {
            let began = ambient.now();
            let ended = self.converse(gateway).await;
            let stood = ambient.now().since(began) >= STOOD;
            failures = if stood { 1 } else { failures.saturating_add(1) };
            match ended {
                Ok(Ended::Unwanted) => return,
                Ok(Ended::Broken(why)) => tracing::info!(
                    org.id = %gateway.organization_id, endpoint.id = %gateway.endpoint_id, why,
                    "a gateway is not connected; tried again"
                ),
                Err(error) => log_failure::<()>("talk to a gateway", Err(error)),
            }
            let wait = backoff::after(failures, None, ambient.entropy.unit());
            tokio::time::sleep(wait.unsigned_abs()).await;
        }
    }
}
