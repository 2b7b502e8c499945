//! Which program is calling: tokens looked up by their digest, remembered for a second. People are
//! recognised in `people::access`.
//!
//! A revoked token works for two more seconds at most: a look-up may take most of one, and what it
//! found is remembered for another. The node that revokes it forgets it at once. A text whose
//! checksum is wrong costs no look-up; an unknown token is not remembered.
//!
//! When a token was used is noted in memory here and written for many uses at once ([`record_uses`]):
//! a request that reads writes nothing.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::future::Cache;

use super::App;
use crate::{
    db::{
        self,
        tokens::{Holder, Use},
    },
    domain::{
        Error, ErrorCode, OrganizationId, Result, Timestamp, TokenId,
        token::{Caller, TokenText},
    },
};

const REMEMBERED: Duration = Duration::from_secs(1);
const MOST_REMEMBERED: u64 = 100_000;

/// Tokens whose use is noted and not yet written; of more, the use is not noted.
const MOST_USES: usize = 100_000;

/// Callers seen lately, by token digest, and when each was seen last.
#[derive(Clone)]
pub struct Callers {
    known: Cache<[u8; 32], Seen>,
    uses: Arc<Mutex<BTreeMap<(OrganizationId, TokenId), Timestamp>>>,
}

#[derive(Clone)]
struct Seen {
    holder: Arc<Holder>,
    at: Timestamp,
}

impl Default for Callers {
    fn default() -> Self {
        Self {
            known: Cache::builder()
                .time_to_live(REMEMBERED)
                .max_capacity(MOST_REMEMBERED)
                .build(),
            uses: Arc::default(),
        }
    }
}

impl Callers {
    /// A token with this digest is looked up again before it is taken.
    pub(super) async fn forget(&self, digest: &[u8]) {
        if let Ok(digest) = <[u8; 32]>::try_from(digest) {
            self.known.invalidate(&digest).await;
        }
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<(OrganizationId, TokenId), Timestamp>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self, caller: &Caller, at: Timestamp) {
        let Some(token_id) = caller.token_id() else {
            return;
        };
        let mut uses = self.uses();
        let full = uses.len() >= MOST_USES;
        match uses.entry((caller.organization_id, token_id)) {
            Entry::Occupied(mut known) => {
                let latest = at.max(*known.get());
                known.insert(latest);
            }
            Entry::Vacant(new) if !full => {
                new.insert(at);
            }
            Entry::Vacant(_) => {}
        }
    }
}

/// Who holds this token, which came from `address`.
///
/// # Errors
/// `UNAUTHENTICATED` (unknown, expired, revoked, malformed, from another network than the token's:
/// all alike), `DATABASE_UNAVAILABLE`.
pub async fn identify(app: &App, token: &str, address: Option<IpAddr>) -> Result<Caller> {
    let token: TokenText = token.parse().map_err(|_| unauthenticated())?;
    let digest = app.pepper.digest(&token);
    let now = app.ambient.now();
    // The cache forgets by the machine's time, which bounds this when the clock is set back.
    let seen = app.callers.known.get(&digest).await;
    let holder = if let Some(seen) = seen.filter(|seen| now.since(seen.at) < REMEMBERED) {
        seen.holder
    } else {
        let found = db::tokens::find_caller(&app.db, &digest, now).await?;
        let holder = Arc::new(found.ok_or_else(unauthenticated)?);
        let seen = Seen {
            holder: Arc::clone(&holder),
            at: now,
        };
        app.callers.known.insert(digest, seen).await;
        holder
    };
    let sources = holder.sources.as_ref();
    if sources.is_some_and(|sources| !address.is_some_and(|address| sources.allow(address))) {
        return Err(unauthenticated());
    }
    app.callers.used(&holder.caller, now);
    Ok(holder.caller.clone())
}

/// Writes when tokens were last used; how many were. What cannot be written now is kept for the next
/// time.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record_uses(app: &App) -> Result<usize> {
    /// Rows that one statement changes at most.
    const AT_ONCE: usize = 1000;

    let taken = std::mem::take(&mut *app.callers.uses());
    let uses: Vec<Use> = taken
        .into_iter()
        .map(|((organization_id, token_id), at)| Use {
            organization_id,
            token_id,
            at,
        })
        .collect();
    let mut written = 0;
    for part in uses.chunks(AT_ONCE) {
        if let Err(error) = db::tokens::record_uses(&app.db, part).await {
            let mut kept = app.callers.uses();
            for one in uses.iter().skip(written) {
                let key = (one.organization_id, one.token_id);
                let latest = kept.get(&key).map_or(one.at, |later| one.at.max(*later));
                kept.insert(key, latest);
            }
            return Err(error);
        }
        written += part.len();
    }
    Ok(written)
}

/// The one answer to every failed identification.
pub fn unauthenticated() -> Error {
    Error::new(
        ErrorCode::Unauthenticated,
        "Send a valid API token: Authorization: Bearer ohk_live_…",
    )
}
