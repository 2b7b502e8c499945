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

/// Organisations with deliveries due to endpoints other than `busy`, at most `limit`, those first
/// whose oldest is due for longest. One look into the index for each endpoint, however many wait.
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
            "/* db::webhook_deliveries::organizations_with_due */ SELECT e.organization_id
            FROM webhook_endpoints e
            CROSS JOIN LATERAL (
                SELECT due_at FROM webhook_deliveries
                WHERE organization_id = e.organization_id AND endpoint_id = e.id
                    AND state = 'pending' AND due_at <= $1
                ORDER BY due_at LIMIT 1
            ) oldest
            WHERE e.id <> ALL ($3)
            GROUP BY e.organization_id ORDER BY min(oldest.due_at) LIMIT $2",
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

/// Takes due deliveries of one organisation to endpoints other than `busy`, of each the oldest
/// first, each for as long as its endpoint may take and the margin more. What waits for a busy
/// endpoint costs nothing.
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
                    SELECT oldest.endpoint_id, oldest.call_id, oldest.sequence, e.url,
                        e.timeout_seconds, e.secret_sealed, e.secret_key_id
                    FROM webhook_endpoints e
                    CROSS JOIN LATERAL (
                        SELECT endpoint_id, call_id, sequence FROM webhook_deliveries
                        WHERE organization_id = $1 AND endpoint_id = e.id AND state = 'pending'
                            AND due_at <= $2
                        ORDER BY due_at, call_id, sequence LIMIT $5
                        FOR NO KEY UPDATE SKIP LOCKED
                    ) oldest
                    WHERE e.organization_id = $1 AND e.id <> ALL ($6)
                    LIMIT $5
                ), taken AS (
                    UPDATE webhook_deliveries d SET
                        due_at = $3::timestamptz + due.timeout_seconds * interval '1 second',
                        lease = $4, attempt = d.attempt + 1
                    FROM due
                    WHERE d.organization_id = $1 AND d.endpoint_id = due.endpoint_id
                        AND d.call_id = due.call_id AND d.sequence = due.sequence
                    RETURNING d.endpoint_id, d.call_id, d.sequence, d.attempt, d.due_at,
                        d.created_at, due.url, due.timeout_seconds, due.secret_sealed,
                        due.secret_key_id
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

/// An attempt that is over.
#[derive(Debug)]
pub struct Attempt {
    pub endpoint_id: WebhookEndpointId,
    pub call_id: CallId,
    pub sequence: i64,
    pub attempt: i32,
    pub lease: LeaseToken,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
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

impl Next {
    /// The state and, while it is pending, when it is due.
    fn columns(self) -> (&'static str, Option<Timestamp>) {
        match self {
            Self::Delivered => ("delivered", None),
            Self::Again(at) => ("pending", Some(at)),
            Self::Dead | Self::DeadAndDisable => ("dead", None),
        }
    }
}

/// Logs attempts of one organisation and moves their deliveries on, all in one statement; only the
/// lease's holder moves a delivery. Rows are locked in the order of their key, as everywhere where
/// a statement waits for more than one of them, so that none waits for each other.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: whether any was recorded is unknown; those that were not are attempted
/// again when their leases run out.
pub async fn record(db: &Db, scope: OrgScope, attempts: &[Attempt]) -> Result<()> {
    let uuids = |of: fn(&Attempt) -> uuid::Uuid| attempts.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&Attempt) -> i32| attempts.iter().map(of).collect::<Vec<_>>();
    let instants = |of: fn(&Attempt) -> Timestamp| attempts.iter().map(of).collect::<Vec<_>>();
    let texts =
        |of: fn(&Attempt) -> Option<&str>| attempts.iter().map(of).collect::<Vec<Option<&str>>>();
    let sequences: Vec<i64> = attempts.iter().map(|attempt| attempt.sequence).collect();
    let statuses: Vec<Option<i32>> = attempts.iter().map(|a| a.response_status).collect();
    let due: Vec<Option<Timestamp>> = attempts.iter().map(|a| a.next.columns().1).collect();
    db.run(
        "record delivery attempts",
        sqlx::query!(
            "/* db::webhook_deliveries::record */ WITH result AS (
                SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::integer[], $6::uuid[],
                    $7::timestamptz[], $8::timestamptz[], $9::integer[], $10::integer[],
                    $11::text[], $12::text[], $13::text[], $14::timestamptz[])
                AS r(endpoint_id, call_id, sequence, attempt, lease, started_at, finished_at,
                    duration_millis, response_status, response_body, failure, state, due_at)
            ), held AS (
                SELECT d.endpoint_id, d.call_id, d.sequence, r.state, r.due_at, r.finished_at
                FROM result r
                JOIN webhook_deliveries d ON d.organization_id = $1 AND d.endpoint_id = r.endpoint_id
                    AND d.call_id = r.call_id AND d.sequence = r.sequence AND d.lease = r.lease
                ORDER BY d.endpoint_id, d.call_id, d.sequence
                FOR NO KEY UPDATE OF d
            ), moved AS (
                UPDATE webhook_deliveries d SET state = h.state, due_at = h.due_at, lease = NULL,
                    closed_at = CASE WHEN h.due_at IS NULL THEN h.finished_at END
                FROM held h
                WHERE d.organization_id = $1 AND d.endpoint_id = h.endpoint_id
                    AND d.call_id = h.call_id AND d.sequence = h.sequence
            )
            INSERT INTO webhook_attempts (organization_id, endpoint_id, call_id, sequence, attempt,
                started_at, duration_millis, response_status, response_body, failure)
            SELECT $1, endpoint_id, call_id, sequence, attempt, started_at, duration_millis,
                response_status, response_body, failure
            FROM result
            ON CONFLICT DO NOTHING",
            scope.id() as OrganizationId,
            &uuids(|attempt| attempt.endpoint_id.0),
            &uuids(|attempt| attempt.call_id.0),
            &sequences,
            &numbers(|attempt| attempt.attempt),
            &uuids(|attempt| attempt.lease.0),
            &instants(|attempt| attempt.started_at) as &[Timestamp],
            &instants(|attempt| attempt.finished_at) as &[Timestamp],
            &numbers(|attempt| attempt.duration_millis),
            &statuses as &[Option<i32>],
            &texts(|attempt| attempt.response_body.as_deref()) as &[Option<&str>],
            &texts(|attempt| attempt.failure.as_deref()) as &[Option<&str>],
            &texts(|attempt| Some(attempt.next.columns().0)) as &[Option<&str>],
            &due as &[Option<Timestamp>]
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Logs an attempt that was answered with 410 Gone, and gives up its delivery and all others that
/// wait for the same endpoint, which is disabled. First the endpoint's row is locked, as by
/// [`super::webhook_endpoints::delete`], then the deliveries'.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record_gone(db: &Db, scope: OrgScope, attempt: &Attempt) -> Result<()> {
    db.run(
        "record a delivery attempt",
        sqlx::query!(
            "/* db::webhook_deliveries::record_gone */ WITH logged AS (
                INSERT INTO webhook_attempts (organization_id, endpoint_id, call_id, sequence, attempt,
                    started_at, duration_millis, response_status, response_body, failure)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                ON CONFLICT DO NOTHING
            ), disabled AS (
                UPDATE webhook_endpoints SET disabled_at = $11, disabled_reason = 'The receiver answered 410 Gone'
                WHERE organization_id = $1 AND id = $2 AND disabled_at IS NULL
                RETURNING id
            ), given_up AS (
                -- What is under way comes to its own end: touching it here could deadlock.
                UPDATE webhook_deliveries SET state = 'dead', due_at = NULL, closed_at = $11
                WHERE organization_id = $1 AND endpoint_id IN (SELECT id FROM disabled)
                    AND state = 'pending' AND lease IS NULL
                RETURNING 1
            )
            UPDATE webhook_deliveries SET state = 'dead', due_at = NULL, lease = NULL, closed_at = $11
            WHERE organization_id = $1 AND endpoint_id = $2 AND call_id = $3 AND sequence = $4
                AND lease = $12 AND (SELECT count(*) FROM given_up) >= 0",
            scope.id() as OrganizationId,
            attempt.endpoint_id as WebhookEndpointId,
            attempt.call_id as CallId,
            attempt.sequence,
            attempt.attempt,
            attempt.started_at as Timestamp,
            attempt.duration_millis,
            attempt.response_status,
            attempt.response_body,
            attempt.failure,
            attempt.finished_at as Timestamp,
            attempt.lease as LeaseToken
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
