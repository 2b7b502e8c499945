//! Which program is calling: tokens looked up by their digest, remembered for two seconds. People are
//! recognised in `people::access`.
//!
//! Two seconds is how long a revoked token may still work (guarantee: revocation within 2 s). A
//! text whose checksum is wrong costs no look-up; an unknown token is not remembered.

use std::time::Duration;

use moka::future::Cache;

use super::App;
use crate::{
    db,
    domain::{
        Error, ErrorCode, Result, Timestamp,
        token::{Caller, TokenText},
    },
};

const REMEMBERED: Duration = Duration::from_secs(2);
const MOST_REMEMBERED: u64 = 100_000;

/// Callers seen lately, by token digest.
#[derive(Clone)]
pub struct Callers(Cache<[u8; 32], Seen>);

#[derive(Clone)]
struct Seen {
    caller: Caller,
    at: Timestamp,
}

impl Default for Callers {
    fn default() -> Self {
        Self(
            Cache::builder()
                .time_to_live(REMEMBERED)
                .max_capacity(MOST_REMEMBERED)
                .build(),
        )
    }
}

/// Who holds this token.
///
/// # Errors
/// `UNAUTHENTICATED` (unknown, expired, revoked, malformed: all alike), `DATABASE_UNAVAILABLE`.
pub async fn identify(app: &App, token: &str) -> Result<Caller> {
    let token: TokenText = token.parse().map_err(|_| unauthenticated())?;
    let digest = app.pepper.digest(&token);
    let now = app.ambient.now();
    // The cache forgets by the machine's time, which bounds this when the clock is set back.
    if let Some(seen) = app.callers.0.get(&digest).await
        && now.since(seen.at) < REMEMBERED
    {
        return Ok(seen.caller);
    }
    let caller = db::tokens::find_caller(&app.db, &digest, now)
        .await?
        .ok_or_else(unauthenticated)?;
    let seen = Seen {
        caller: caller.clone(),
        at: now,
    };
    app.callers.0.insert(digest, seen).await;
    Ok(caller)
}

/// The one answer to every failed identification.
pub fn unauthenticated() -> Error {
    Error::new(
        ErrorCode::Unauthenticated,
        "Send a valid API token: Authorization: Bearer ohk_live_…",
    )
}
