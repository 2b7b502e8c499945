//! When each account's provider last reported: noted in memory, written for many at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    app::App,
    db::provider_accounts::managed::{self, Heard},
    domain::{OrganizationId, ProviderAccountId, Result, Timestamp},
};

/// Accounts whose reports are noted and not yet written; of more, they are not noted.
const MOST: usize = 10_000;

/// What is noted.
#[derive(Clone, Default)]
pub struct Reports(Arc<Mutex<BTreeMap<(OrganizationId, ProviderAccountId), Timestamp>>>);

impl Reports {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(OrganizationId, ProviderAccountId), Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account's provider has reported.
pub fn note(app: &App, organization_id: OrganizationId, id: ProviderAccountId) {
    let mut reports = app.reports.lock();
    let key = (organization_id, id);
    if reports.len() < MOST || reports.contains_key(&key) {
        reports.insert(key, app.ambient.now());
    }
}

/// Writes what is noted; how many accounts it was about. What cannot be written is given up: the next
/// report tells as much.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record(app: &App) -> Result<usize> {
    let taken = std::mem::take(&mut *app.reports.lock());
    let heard: Vec<Heard> = taken
        .into_iter()
        .map(|((organization_id, id), at)| Heard {
            organization_id,
            id,
            at,
        })
        .collect();
    if !heard.is_empty() {
        managed::record_heard(&app.db, &heard).await?;
    }
    Ok(heard.len())
}
