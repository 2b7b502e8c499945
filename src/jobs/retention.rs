//! Removes what nobody asks for any more: deliveries that are over for a month, and events about no
//! call whose deliveries are gone. A call and all that tells of its life stay. And gives up what waits
//! for receivers that were deleted, where it was too much for one statement.
//!
//! Every node that delivers does it, in batches of which each is a statement of its own and locks
//! nothing that somebody waits for.

use std::time::Duration;

use super::worker::{Worker, log_failure};
use crate::{
    db::{organization_events, webhook_deliveries},
    domain::{OrgScope, Result, position::KEPT_FOR},
};

/// Events about no call are kept for longer: their deliveries are gone by then, and who replays the last
/// 30 days meets none that is being removed.
const EVENTS_KEPT: time::Duration = time::Duration::days(31);

/// Rows that one statement removes.
const PER_STATEMENT: i32 = 500;

/// Receivers, and organisations, whose oldest are removed in one round.
const PER_ROUND: i64 = 16;

/// Between rounds, while there is more, and when there was nothing.
const PAUSE: Duration = Duration::from_millis(500);
const IDLE_PAUSE: Duration = Duration::from_mins(10);

impl Worker {
    /// Removes a bounded number of rows that are old enough, and gives up a bounded number that wait for
    /// nobody; how many.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn remove_old(&self) -> Result<i64> {
        let (db, ambient) = (&self.jobs.app.db, &self.jobs.app.ambient);
        let before = ambient.now().plus(-KEPT_FOR);
        let mut removed = 0;
        let deleted = webhook_deliveries::deleted_with_waiting(db, PER_ROUND).await?;
        for (organization_id, endpoint_id) in deleted {
            if ambient.tasks.is_stopping() {
                return Ok(removed);
            }
            let (scope, now) = (OrgScope::assume(organization_id), ambient.now());
            let most = i64::from(PER_STATEMENT);
            removed += webhook_deliveries::give_up(db, scope, endpoint_id, now, most).await?;
        }
        let old = webhook_deliveries::endpoints_with_old(db, before, PER_ROUND).await?;
        for (organization_id, endpoint_id) in old {
            if ambient.tasks.is_stopping() {
                return Ok(removed);
            }
            let scope = OrgScope::assume(organization_id);
            removed +=
                webhook_deliveries::purge(db, scope, endpoint_id, before, PER_STATEMENT).await?;
        }
        let before = ambient.now().plus(-EVENTS_KEPT);
        let old = organization_events::organizations_with_old(db, before, PER_ROUND).await?;
        for organization_id in old {
            if ambient.tasks.is_stopping() {
                return Ok(removed);
            }
            let scope = OrgScope::assume(organization_id);
            removed += organization_events::purge(db, scope, before, PER_STATEMENT).await?;
        }
        Ok(removed)
    }

    /// Removes what is old until the tasks stop.
    pub(super) async fn keep_removing(&self) {
        loop {
            let removed = self.remove_old().await;
            let pause = if matches!(removed, Ok(0) | Err(_)) {
                IDLE_PAUSE
            } else {
                PAUSE
            };
            log_failure("remove old deliveries", removed);
            if self.paused(pause).await {
                return;
            }
        }
    }
}
