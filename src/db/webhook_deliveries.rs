//! The queue of deliveries. Rows are written with the facts they deliver (`apply_change`); claimed
//! in two steps like jobs, in batches.

use serde_json::Value;
use time::Duration;

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{
        AgentId, CallId, LeaseToken, OrgScope, OrganizationId, Result, Timestamp,
        WebhookEndpointId, call::FactType,
    },
};

/// A delivery that this node may attempt, with all that it needs.
#[derive(Debug)]
pub struct Claimed {
    pub endpoint_id: WebhookEndpointId,
    pub call_id: CallId,
    pub agent_id: AgentId,
    pub sequence: i64,
    pub attempt: i32,
    /// When another node may take it.
    pub lease_until: Timestamp,
    pub kind: FactType,
    pub at: Timestamp,
    pub created_at: Timestamp,
    pub data: Value,
    pub url: String,
    pub timeout_seconds: i32,
    pub secret: Sealed,
}

/// Organisations with deliveries due to endpoints other than `busy`, at most `limit`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn organizations_with_due(
    db: &Db,
    now: Timestamp,
    busy: &[WebhookEndpointId],
    limit: i64,
) -> Result<Vec<OrganizationId>> {
    db.run(
        "find due deliveries",
        sqlx::query_scalar!(
            "/* db::webhook_deliveries::organizations_with_due */ SELECT DISTINCT organization_id
            FROM (
                SELECT organization_id FROM webhook_deliveries
                WHERE state = 'pending' AND due_at <= $1 AND endpoint_id <> ALL ($3)
                ORDER BY due_at LIMIT 1000
            ) due
            LIMIT $2",
            now as Timestamp,
            limit,
            &uuids(busy)
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// How deliveries are taken.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub now: Timestamp,
    pub lease: LeaseToken,
    /// How much longer than its endpoint's timeout a delivery is kept.
    pub margin: Duration,
    pub most: i64,
}

/// Takes due deliveries of one organisation to endpoints other than `busy`, oldest first, each for
/// as long as its endpoint may take and the margin more.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn claim(
    db: &Db,
    scope: OrgScope,
    claim: Claim,
    busy: &[WebhookEndpointId],
) -> Result<Vec<Claimed>> {
    let rows = db
        .run(
            "claim deliveries",
            sqlx::query!(
                r#"/* db::webhook_deliveries::claim */ WITH due AS (
                    SELECT endpoint_id, call_id, sequence FROM webhook_deliveries
                    WHERE organization_id = $1 AND state = 'pending' AND due_at <= $2
                        AND endpoint_id <> ALL ($6)
                    ORDER BY due_at, call_id, sequence LIMIT $5 FOR UPDATE SKIP LOCKED
                ), taken AS (
                    UPDATE webhook_deliveries d SET
                        due_at = $3::timestamptz + e.timeout_seconds * interval '1 second',
                        lease = $4, attempt = d.attempt + 1
                    FROM due
                    JOIN webhook_endpoints e ON e.organization_id = $1 AND e.id = due.endpoint_id
                    WHERE d.organization_id = $1 AND d.endpoint_id = due.endpoint_id
                        AND d.call_id = due.call_id AND d.sequence = due.sequence
                    RETURNING d.endpoint_id, d.call_id, d.sequence, d.attempt, d.due_at,
                        d.created_at, e.url, e.timeout_seconds, e.secret_sealed, e.secret_key_id
                )
                SELECT t.endpoint_id AS "endpoint_id: WebhookEndpointId",
                    t.call_id AS "call_id: CallId", c.agent_id, t.sequence, t.attempt,
                    t.due_at AS "lease_until!: Timestamp", t.created_at AS "created_at: Timestamp",
                    f.type AS kind, f.at, f.data, t.url, t.timeout_seconds, t.secret_sealed,
                    t.secret_key_id
                FROM taken t
                JOIN call_facts f ON f.organization_id = $1 AND f.call_id = t.call_id AND f.sequence = t.sequence
                JOIN calls c ON c.organization_id = $1 AND c.id = t.call_id
                ORDER BY t.call_id, t.sequence"#,
                scope.id() as OrganizationId,
                claim.now as Timestamp,
                claim.now.plus(claim.margin) as Timestamp,
                claim.lease as LeaseToken,
                claim.most,
                &uuids(busy)
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claimed {
            endpoint_id: row.endpoint_id,
            call_id: row.call_id,
            agent_id: row.agent_id,
            sequence: row.sequence,
            attempt: row.attempt,
            lease_until: row.lease_until,
            kind: row.kind,
            at: row.at,
            created_at: row.created_at,
            data: row.data,
            url: row.url,
            timeout_seconds: row.timeout_seconds,
            secret: Sealed {
                bytes: row.secret_sealed,
                key_id: row.secret_key_id,
            },
        })
        .collect())
}

fn uuids(endpoints: &[WebhookEndpointId]) -> Vec<uuid::Uuid> {
    endpoints.iter().map(|endpoint| endpoint.0).collect()
}

/// Gives a delivery back that was taken and not attempted. Nothing happens when the lease was lost.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn release(
    db: &Db,
    scope: OrgScope,
    claimed: &Claimed,
    lease: LeaseToken,
    now: Timestamp,
) -> Result<()> {
    db.run(
        "release a delivery",
        sqlx::query!(
            "/* db::webhook_deliveries::release */ UPDATE webhook_deliveries
            SET due_at = $6, lease = NULL, attempt = attempt - 1
            WHERE organization_id = $1 AND endpoint_id = $2 AND call_id = $3 AND sequence = $4
                AND lease = $5",
            scope.id() as OrganizationId,
            claimed.endpoint_id as WebhookEndpointId,
            claimed.call_id as CallId,
            claimed.sequence,
            lease as LeaseToken,
            now as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// What came of an attempt.
#[derive(Debug)]
pub struct AttemptResult {
    pub started_at: Timestamp,
    pub duration_millis: i32,
    pub response_status: Option<i32>,
    pub response_body: Option<String>,
    pub failure: Option<String>,
    pub next: Next,
}

/// What becomes of the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Delivered,
    Again(Timestamp),
    /// Given up; the endpoint stays.
    Dead,
    /// Given up with all that waits for the same endpoint, which said that it is gone (410).
    DeadAndDisable,
}

/// Logs an attempt and moves its delivery on, in one statement; only the lease's holder moves it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record(
    db: &Db,
    scope: OrgScope,
    claimed: &Claimed,
    lease: LeaseToken,
    result: &AttemptResult,
    now: Timestamp,
) -> Result<()> {
    let (state, due_at) = match result.next {
        Next::Delivered => ("delivered", None),
        Next::Again(at) => ("pending", Some(at)),
        Next::Dead | Next::DeadAndDisable => ("dead", None),
    };
    let closed_at = due_at.is_none().then_some(now);
    db.run(
        "record a delivery attempt",
        sqlx::query!(
            "/* db::webhook_deliveries::record */ WITH logged AS (
                INSERT INTO webhook_attempts (organization_id, endpoint_id, call_id, sequence, attempt,
                    started_at, duration_millis, response_status, response_body, failure)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                ON CONFLICT DO NOTHING
            ), disabled AS (
                UPDATE webhook_endpoints SET disabled_at = $15, disabled_reason = 'The receiver answered 410 Gone'
                WHERE organization_id = $1 AND id = $2 AND $11 AND disabled_at IS NULL
                RETURNING id
            ), given_up AS (
                -- What is under way comes to its own end: touching it here could deadlock.
                UPDATE webhook_deliveries SET state = 'dead', due_at = NULL, closed_at = $15
                WHERE organization_id = $1 AND endpoint_id IN (SELECT id FROM disabled)
                    AND state = 'pending' AND lease IS NULL
            )
            UPDATE webhook_deliveries SET state = $12, due_at = $13, lease = NULL, closed_at = $14
            WHERE organization_id = $1 AND endpoint_id = $2 AND call_id = $3 AND sequence = $4
                AND lease = $16",
            scope.id() as OrganizationId,
            claimed.endpoint_id as WebhookEndpointId,
            claimed.call_id as CallId,
            claimed.sequence,
            claimed.attempt,
            result.started_at as Timestamp,
            result.duration_millis,
            result.response_status,
            result.response_body,
            result.failure,
            result.next == Next::DeadAndDisable,
            state,
            due_at as Option<Timestamp>,
            closed_at as Option<Timestamp>,
            now as Timestamp,
            lease as LeaseToken
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// How many deliveries are pending and when the oldest due one was due.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn lag(db: &Db, now: Timestamp) -> Result<(i64, Option<Timestamp>)> {
    let row = db
        .run(
            "measure the deliveries' queue",
            sqlx::query!(
                r#"/* db::webhook_deliveries::lag */ SELECT count(*) AS "pending!",
                    min(due_at) FILTER (WHERE due_at <= $1) AS "oldest_due: Timestamp"
                FROM webhook_deliveries WHERE state = 'pending'"#,
                now as Timestamp
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok((row.pending, row.oldest_due))
}
