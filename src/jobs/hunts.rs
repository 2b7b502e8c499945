//! Claims the accounts whose live calls are to be compared, so that over all nodes each one is
//! compared about once a minute and never by two at once.

use std::{sync::Arc, time::Duration};

use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};

use super::{
    kinds,
    worker::{Worker, finished, log_failure},
};
use crate::{
    db,
    domain::{OrganizationId, ProviderAccountId, Result},
};

/// From one list of an account to when it is due again: with the loop's pause less than a minute.
const AGAIN_AFTER: time::Duration = time::Duration::seconds(45);

/// Spread over this much, so that accounts do not march in step.
const SPREAD: time::Duration = time::Duration::seconds(5);

/// One account's round ends by then: before the next one.
const ROUND_WITHIN: Duration = Duration::from_secs(40);

type Claimed = (OwnedSemaphorePermit, OrganizationId, ProviderAccountId);

impl Worker {
    /// Compares every account that is due now, as many as this node has room for, and waits until
    /// they are done. Returns how many.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn hunt_orphans(&self) -> Result<usize> {
        let mut running = JoinSet::new();
        for claimed in self.claim_lists().await? {
            let worker = self.clone();
            running.spawn(async move { worker.hunt(claimed).await });
        }
        Ok(finished(running).await)
    }

    /// As [`Worker::hunt_orphans`], without waiting: a provider that hangs keeps no other waiting.
    pub(super) async fn start_hunts(&self) -> Result<usize> {
        let claimed = self.claim_lists().await?;
        let count = claimed.len();
        for claimed in claimed {
            let worker = self.clone();
            let tasks = &self.jobs.app.ambient.tasks;
            drop(tasks.spawn(async move { worker.hunt(claimed).await }));
        }
        Ok(count)
    }

    async fn claim_lists(&self) -> Result<Vec<Claimed>> {
        let mut room = Vec::new();
        while let Ok(permit) = Arc::clone(&self.jobs.hunts).try_acquire_owned() {
            room.push(permit);
        }
        if room.is_empty() {
            return Ok(Vec::new());
        }
        let (db, ambient) = (&self.jobs.app.db, &self.jobs.app.ambient);
        let now = ambient.now();
        let next = now.plus(AGAIN_AFTER + SPREAD * ambient.entropy.unit());
        let most = i64::try_from(room.len()).unwrap_or(i64::MAX);
        let due = db::provider_accounts::claim_lists(db, now, next, most).await?;
        let claimed = room.into_iter().zip(due);
        Ok(claimed
            .map(|(permit, (organization_id, id))| (permit, organization_id, id))
            .collect())
    }

    async fn hunt(&self, (_permit, organization_id, account_id): Claimed) {
        let round = kinds::hunt_orphans::run(&self.jobs, organization_id, account_id);
        match tokio::time::timeout(ROUND_WITHIN, round).await {
            Ok(done) => log_failure("compare an account's live calls", done),
            Err(_elapsed) => tracing::warn!(
                org.id = %organization_id, provider_account.id = %account_id,
                "comparing an account's live calls took too long; it goes on in the next round"
            ),
        }
    }
}
