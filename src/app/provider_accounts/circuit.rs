//! Accounts whose providers refuse our credentials: an open circuit.
//!
//! While it is open, calls are not placed through the account, but for one in each
//! [`PROBE_EVERY`], and hang-ups are asked for slowly: a fresh wish at once, one at a time, the
//! repetitions one in each [`PROBE_EVERY`]. It closes with the first request that the provider
//! takes, or when the account's credentials change. Memory of this node only: each node finds out by
//! itself, and a restarted one asks once. Nothing here is evidence about a call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::json;
use time::Duration;

use super::open;
use crate::{
    app::{Actor, App},
    domain::{OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp},
};

/// How often an account with an open circuit is tried.
pub const PROBE_EVERY: Duration = Duration::seconds(30);

/// Open circuits that are kept; further accounts go unprotected.
const MOST: usize = 10_000;

/// The open circuits of this node.
#[derive(Clone, Default)]
pub struct Circuits(Arc<Mutex<HashMap<ProviderAccountId, Open>>>);

struct Open {
    organization_id: OrganizationId,
    /// Which credentials were refused.
    fingerprint: u64,
    dial_at: Timestamp,
    hang_up_at: Timestamp,
    hanging_up: bool,
}

/// What an open circuit lets through.
pub enum Admission {
    /// The circuit is closed.
    Free,
    /// A try; the next hang-up may begin when it is dropped.
    Probe(Probe),
    /// Not before that instant.
    Wait(Timestamp),
}

/// A hang-up under way at an account with an open circuit.
pub struct Probe {
    id: ProviderAccountId,
    circuits: Circuits,
}

impl Circuits {
    /// The accounts whose circuit is open.
    pub fn open_accounts(&self) -> Vec<(OrganizationId, ProviderAccountId)> {
        let open = self.lock();
        open.iter()
            .map(|(id, open)| (open.organization_id, *id))
            .collect()
    }

    /// Whether a call may be placed through the account now.
    pub fn may_dial(&self, id: ProviderAccountId, now: Timestamp) -> bool {
        self.lock().get(&id).is_none_or(|open| open.dial_at <= now)
    }

    /// As [`Circuits::may_dial`], and whoever may takes the try with him.
    pub fn take_dial(&self, id: ProviderAccountId, now: Timestamp) -> bool {
        let mut circuits = self.lock();
        let Some(open) = circuits.get_mut(&id) else {
            return true;
        };
        let may = open.dial_at <= now;
        if may {
            open.dial_at = now.plus(PROBE_EVERY);
        }
        may
    }

    /// Whether a hang-up may be asked for now; a `fresh` one needs no wait but for another's answer.
    pub fn take_hang_up(&self, id: ProviderAccountId, fresh: bool, now: Timestamp) -> Admission {
        let mut circuits = self.lock();
        let Some(open) = circuits.get_mut(&id) else {
            return Admission::Free;
        };
        if open.hanging_up || (!fresh && open.hang_up_at > now) {
            let soon = now.plus(Duration::seconds(1));
            return Admission::Wait(open.hang_up_at.max(soon));
        }
        open.hanging_up = true;
        open.hang_up_at = now.plus(PROBE_EVERY);
        Admission::Probe(Probe {
            id,
            circuits: self.clone(),
        })
    }

    /// True: it was closed.
    fn open(
        &self,
        organization_id: OrganizationId,
        id: ProviderAccountId,
        fingerprint: u64,
        now: Timestamp,
    ) -> bool {
        let mut circuits = self.lock();
        let again_at = now.plus(PROBE_EVERY);
        if let Some(open) = circuits.get_mut(&id) {
            open.fingerprint = fingerprint;
            open.dial_at = open.dial_at.max(again_at);
            return false;
        }
        if circuits.len() >= MOST {
            return false;
        }
        let open = Open {
            organization_id,
            fingerprint,
            dial_at: again_at,
            hang_up_at: again_at,
            hanging_up: false,
        };
        circuits.insert(id, open).is_none()
    }

    fn fingerprint(&self, id: ProviderAccountId) -> Option<u64> {
        self.lock().get(&id).map(|open| open.fingerprint)
    }

    /// True: it was open.
    fn close(&self, id: ProviderAccountId) -> bool {
        self.lock().remove(&id).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderAccountId, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(open) = self.circuits.lock().get_mut(&self.id) {
            open.hanging_up = false;
        }
    }
}

/// Closes the account's circuit if its credentials are not those that were refused.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn follow_credentials(app: &App, scope: OrgScope, id: ProviderAccountId) -> Result<()> {
    let Some(refused) = app.circuits.fingerprint(id) else {
        return Ok(());
    };
    let account = open(app, id).await?;
    if account.is_some_and(|account| account.fingerprint != refused) {
        close(app, scope, id, "credentials_changed").await;
    }
    Ok(())
}

/// The provider refuses the account's credentials.
pub async fn refused(
    app: &App,
    scope: OrgScope,
    id: ProviderAccountId,
    provider_status: Option<u16>,
) {
    let used = app.accounts.remembered(id).await;
    app.accounts.forget(id).await;
    // An account that cannot be read now is found to be refused the next time.
    let Ok(Some(account)) = open(app, id).await else {
        return;
    };
    if used.is_some_and(|used| used.fingerprint != account.fingerprint) {
        // They were changed meanwhile; the present ones have not been tried.
        return;
    }
    let now = app.ambient.now();
    if app.circuits.open(scope.id(), id, account.fingerprint, now) {
        tracing::error!(
            org.id = %scope.id(), account.id = %id, provider = account.provider.as_str(),
            provider.status = provider_status,
            "the provider refuses the account's credentials: no calls are placed through it"
        );
        let detail = json!({
            "provider": account.provider.as_str(), "provider_status": provider_status,
        });
        record(app, scope, id, "provider_account.refused", detail).await;
    }
}

/// The provider takes the account's credentials.
pub async fn accepted(app: &App, scope: OrgScope, id: ProviderAccountId) {
    if app.circuits.fingerprint(id).is_some() {
        close(app, scope, id, "request_accepted").await;
    }
}

async fn close(app: &App, scope: OrgScope, id: ProviderAccountId, because: &'static str) {
    if app.circuits.close(id) {
        tracing::info!(
            org.id = %scope.id(), account.id = %id, because,
            "calls are placed through the account again"
        );
        let detail = json!({"because": because});
        record(app, scope, id, "provider_account.accepted", detail).await;
    }
}

async fn record(
    app: &App,
    scope: OrgScope,
    id: ProviderAccountId,
    action: &'static str,
    detail: serde_json::Value,
) {
    let (actor, subject) = (Actor::System("circuit"), id.to_string());
    let done = actor.record(app, scope, action, &subject, detail).await;
    if let Err(error) = done {
        tracing::error!(
            account.id = %id, action, error.code = error.code.as_str(),
            causes = %error.causes(), "an act could not be recorded"
        );
    }
}
