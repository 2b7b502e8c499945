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
        Error, ErrorCode, Result,
        token::{Caller, TokenText},
    },
};

const REMEMBERED: Duration = Duration::from_secs(2);
const MOST_REMEMBERED: u64 = 100_000;

/// Callers seen lately, by token digest.
#[derive(Clone)]
pub struct Callers(Cache<[u8; 32], Caller>);

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
    if let Some(caller) = app.callers.0.get(&digest).await {
        return Ok(caller);
    }
    let caller = db::tokens::find_caller(&app.db, &digest, app.ambient.now())
        .await?
        .ok_or_else(unauthenticated)?;
    app.callers.0.insert(digest, caller.clone()).await;
    Ok(caller)
}

/// The one answer to every failed identification.
pub fn unauthenticated() -> Error {
    Error::new(
        ErrorCode::Unauthenticated,
        "Send a valid API token: Authorization: Bearer ohk_live_…",
    )
}
