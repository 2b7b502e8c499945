//! Seals the audit log: the newest entries get their links in the chain of their organisation.

use super::worker::Worker;
use crate::{
    db,
    domain::{OrgScope, Result},
};

/// Entries that are sealed in one go.
const MOST_AT_ONCE: i64 = 5000;

impl Worker {
    /// Seals what was written since the last round, on whichever node; how many entries. Safe to
    /// repeat, and on several nodes at once.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`; the next round goes on where this one stopped.
    pub async fn seal_audit(&self) -> Result<usize> {
        let app = &self.jobs.app;
        // One instant for the whole round, however many parts it has: what is sealed later was not
        // there at this one.
        let now = app.ambient.now();
        let mut sealed = 0;
        loop {
            let unsealed = db::audit_seals::unsealed(&app.db, MOST_AT_ONCE).await?;
            let found: usize = unsealed.entries.iter().map(|(_, ids)| ids.len()).sum();
            for (organization_id, ids) in &unsealed.entries {
                let scope = OrgScope::assume(*organization_id);
                db::audit_seals::seal(&app.db, scope, ids, now).await?;
            }
            sealed += found;
            if i64::try_from(found).unwrap_or(i64::MAX) < MOST_AT_ONCE {
                db::audit_seals::record_sealed(&app.db, unsealed.below).await?;
                return Ok(sealed);
            }
        }
    }
}
