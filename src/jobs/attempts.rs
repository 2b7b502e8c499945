//! Records how attempts to deliver came out: those of one organisation that are over within a few
//! milliseconds of each other in one statement. A process that dies before it attempts them again,
//! as it does when it dies within an attempt.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::worker::log_failure;
use crate::{
    app::{App, webhook_endpoints},
    db::webhook_deliveries::{self, Attempt},
    domain::{OrgScope, OrganizationId, webhook::endpoint::DISABLE_AFTER},
};

/// How long an attempt waits for others to be recorded with it.
const GATHER: Duration = Duration::from_millis(5);

/// Attempts in one statement: each may bring 20 kB of an answer.
const MOST: usize = 256;

/// Attempts that are not recorded yet, by organisation.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<OrganizationId, Gathering>>);

#[derive(Default)]
struct Gathering {
    attempts: Vec<Attempt>,
    /// Cancelled when they are recorded, or could not be.
    done: CancellationToken,
}

impl Attempts {
    /// Hands an attempt over. What is returned is cancelled when it was recorded, or could not be:
    /// then it is repeated when its lease runs out.
    pub(super) fn record(
        self: &Arc<Self>,
        app: &App,
        scope: OrgScope,
        attempt: Attempt,
    ) -> CancellationToken {
        let mut gatherings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gathering = gatherings.entry(scope.id()).or_default();
        gathering.attempts.push(attempt);
        if gathering.attempts.len() == 1 {
            let (attempts, of) = (Arc::clone(self), app.clone());
            drop(app.ambient.tasks.spawn(async move {
                // Also while the node stops: what was attempted is recorded, a few milliseconds later.
                tokio::time::sleep(GATHER).await;
                attempts.write(&of, scope).await;
            }));
        }
        gathering.done.clone()
    }

    async fn write(&self, app: &App, scope: OrgScope) {
        let gathering = self.take(scope.id());
        for attempts in gathering.attempts.chunks(MOST) {
            let done = webhook_deliveries::record(&app.db, scope, attempts, DISABLE_AFTER).await;
            for id in done.as_deref().unwrap_or_default() {
                let done = webhook_endpoints::disable_failing(app, scope, *id).await;
                log_failure("disable a webhook endpoint", done);
            }
            log_failure("record deliveries", done);
        }
        gathering.done.cancel();
    }

    fn take(&self, organization_id: OrganizationId) -> Gathering {
        let mut gatherings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gatherings.remove(&organization_id).unwrap_or_default()
    }
}
