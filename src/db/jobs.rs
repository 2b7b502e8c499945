//! The queue of intentions. Inserted with the change that asks for them (`db::calls`).
//!
//! A job is claimed in two steps, so that no tenant starves another and the table can be
//! distributed: which organisations have due work, then a few jobs inside one of them.

use super::Db;
use crate::domain::{
    CallId, JobId, LeaseToken, OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp,
    job::{JobKind, LeasedJob},
};

/// Organisations with due jobs of a kind at accounts other than `busy`, at most `limit`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn organizations_with_due(
    db: &Db,
    kind: JobKind,
    now: Timestamp,
    busy: &[ProviderAccountId],
    limit: i64,
) -> Result<Vec<OrganizationId>> {
    db.run(
        "find due jobs",
        sqlx::query_scalar!(
            "/* db::jobs::organizations_with_due */ SELECT DISTINCT organization_id
            FROM (
                SELECT organization_id FROM jobs j
                WHERE due_at <= $1 AND kind = $3
                    AND (cardinality($4::uuid[]) = 0 OR (
                        SELECT provider_account_id FROM calls c
                        WHERE c.organization_id = j.organization_id AND c.id = j.call_id
                    ) <> ALL ($4))
                ORDER BY due_at LIMIT 1000
            ) due
            LIMIT $2",
            now as Timestamp,
            limit,
            kind as JobKind,
            &uuids(busy)
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// What is taken, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub kind: JobKind,
    pub now: Timestamp,
    pub lease: LeaseToken,
    pub until: Timestamp,
    pub most: i64,
}

/// Takes due jobs of one kind and organisation at accounts other than `busy`, oldest first. What
/// waits for a busy account is looked at and left.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn claim(
    db: &Db,
    scope: OrgScope,
    claim: Claim,
    busy: &[ProviderAccountId],
) -> Result<Vec<LeasedJob>> {
    let lease = claim.lease;
    let rows = db
        .run(
            "claim jobs",
            sqlx::query!(
                "/* db::jobs::claim */ UPDATE jobs SET due_at = $3, lease = $4, attempt = attempt + 1
                WHERE organization_id = $1 AND id IN (
                    SELECT id FROM jobs j
                    WHERE organization_id = $1 AND due_at <= $2 AND kind = $6
                        AND (cardinality($7::uuid[]) = 0 OR (
                            SELECT provider_account_id FROM calls c
                            WHERE c.organization_id = $1 AND c.id = j.call_id
                        ) <> ALL ($7))
                    ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED
                )
                RETURNING id, kind, call_id, attempt",
                scope.id() as OrganizationId,
                claim.now as Timestamp,
                claim.until as Timestamp,
                lease as LeaseToken,
                claim.most,
                claim.kind as JobKind,
                &uuids(busy)
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| LeasedJob {
            organization_id: scope.id(),
            id: row.id,
            kind: row.kind,
            call_id: row.call_id,
            attempt: row.attempt,
            lease,
        })
        .collect())
}

/// Ends a job that has nothing left to do. Nothing happens when the lease was lost.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn finish(db: &Db, scope: OrgScope, id: JobId, lease: LeaseToken) -> Result<()> {
    db.run(
        "finish a job",
        sqlx::query!(
            "/* db::jobs::finish */ DELETE FROM jobs
            WHERE organization_id = $1 AND id = $2 AND lease = $3",
            scope.id() as OrganizationId,
            id as JobId,
            lease as LeaseToken
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Gives a job back, to be taken again at `due_at`. Nothing happens when the lease was lost.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn run_again(
    db: &Db,
    scope: OrgScope,
    id: JobId,
    lease: LeaseToken,
    due_at: Timestamp,
) -> Result<()> {
    db.run(
        "reschedule a job",
        sqlx::query!(
            "/* db::jobs::run_again */ UPDATE jobs SET due_at = $4, lease = NULL
            WHERE organization_id = $1 AND id = $2 AND lease = $3",
            scope.id() as OrganizationId,
            id as JobId,
            lease as LeaseToken,
            due_at as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Gives a job back that was taken and not begun: to be taken at `due_at`, and this time does not
/// count as an attempt. Nothing happens when the lease was lost.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn give_back(
    db: &Db,
    scope: OrgScope,
    id: JobId,
    lease: LeaseToken,
    due_at: Timestamp,
) -> Result<()> {
    db.run(
        "give a job back",
        sqlx::query!(
            "/* db::jobs::give_back */ UPDATE jobs
            SET due_at = $4, lease = NULL, attempt = greatest(attempt - 1, 0)
            WHERE organization_id = $1 AND id = $2 AND lease = $3",
            scope.id() as OrganizationId,
            id as JobId,
            lease as LeaseToken,
            due_at as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Starts a hang-up job for a call that has none: the sweep's way. False: there is one.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn enqueue(
    db: &Db,
    scope: OrgScope,
    id: JobId,
    kind: JobKind,
    call_id: CallId,
    due_at: Timestamp,
) -> Result<bool> {
    let done = db
        .run(
            "enqueue a job",
            sqlx::query!(
                "/* db::jobs::enqueue */ INSERT INTO jobs (organization_id, id, kind, call_id, due_at, created_at)
                VALUES ($1, $2, $3, $4, $5, $5)
                ON CONFLICT (organization_id, call_id, kind) DO NOTHING",
                scope.id() as OrganizationId,
                id as JobId,
                kind as JobKind,
                call_id as CallId,
                due_at as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}

/// How late the oldest due job is and how many jobs there are.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn lag(db: &Db, now: Timestamp) -> Result<(i64, Option<Timestamp>)> {
    let row = db
        .run(
            "measure the queue",
            sqlx::query!(
                r#"/* db::jobs::lag */ SELECT count(*) AS "open!",
                    min(due_at) FILTER (WHERE due_at <= $1) AS "oldest_due: Timestamp"
                FROM jobs"#,
                now as Timestamp
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok((row.open, row.oldest_due))
}

fn uuids(ids: &[ProviderAccountId]) -> Vec<uuid::Uuid> {
    ids.iter().map(|id| id.0).collect()
}
