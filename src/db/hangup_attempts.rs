//! Requests to hang up and what providers answered. Written with the change they led to; by
//! [`insert`] when the call was over already.

use super::{Db, calls::AttemptRow};
use crate::domain::{CallId, OrgScope, OrganizationId, Result, Timestamp};

/// A recorded attempt.
#[derive(Debug)]
pub struct Attempt {
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub outcome: String,
    pub provider_status: Option<i32>,
    pub provider_code: Option<String>,
    pub provider_message: Option<String>,
}

/// Records an attempt whose call was over before its answer was recorded.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(db: &Db, scope: OrgScope, call_id: CallId, attempt: &AttemptRow) -> Result<()> {
    db.run(
        "record a late hang-up answer",
        sqlx::query!(
            "/* db::hangup_attempts::insert */ INSERT INTO hangup_attempts (organization_id,
                call_id, id, started_at, finished_at, outcome, provider_status, provider_code,
                provider_message)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            scope.id() as OrganizationId,
            call_id as CallId,
            attempt.id,
            attempt.started_at as Timestamp,
            attempt.finished_at as Timestamp,
            attempt.outcome,
            attempt.provider_status,
            attempt.provider_code,
            attempt.provider_message
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// The attempts of a call, oldest first, at most 100.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope, call_id: CallId) -> Result<Vec<Attempt>> {
    db.run(
        "list hang-up attempts",
        sqlx::query_as!(
            Attempt,
            "/* db::hangup_attempts::list */ SELECT started_at, finished_at, outcome,
                provider_status, provider_code, provider_message
            FROM hangup_attempts WHERE organization_id = $1 AND call_id = $2
            ORDER BY started_at LIMIT 100",
            scope.id() as OrganizationId,
            call_id as CallId
        )
        .fetch_all(&db.pool),
    )
    .await
}
