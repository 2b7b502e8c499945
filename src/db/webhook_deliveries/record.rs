//! How attempts came out, and what that says of their endpoints.

use serde_json::Value;
use sqlx::types::Json;
use time::Duration;
use uuid::Uuid;

use crate::{
    db::{
        Db,
        webhook_endpoints::{Disabling, MOST_GIVEN_UP},
    },
    domain::{CallId, LeaseToken, OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId},
};

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
    pub request_url: String,
    /// Without the values of the receiver's own headers.
    pub request_headers: Value,
    pub response_status: Option<i32>,
    pub response_headers: Option<Value>,
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

/// Attempts, a column for each of what is written.
struct Columns<'a> {
    endpoint_ids: Vec<Uuid>,
    call_ids: Vec<Uuid>,
    sequences: Vec<i64>,
    attempts: Vec<i32>,
    leases: Vec<Uuid>,
    started_at: Vec<Timestamp>,
    finished_at: Vec<Timestamp>,
    durations: Vec<i32>,
    statuses: Vec<Option<i32>>,
    bodies: Vec<Option<&'a str>>,
    failures: Vec<Option<&'a str>>,
    states: Vec<Option<&'a str>>,
    due: Vec<Option<Timestamp>>,
    urls: Vec<Option<&'a str>>,
    sent: Vec<Value>,
    answered: Vec<Option<Value>>,
}

impl<'a> Columns<'a> {
    fn of(attempts: &'a [Attempt]) -> Self {
        fn column<'a, T>(attempts: &'a [Attempt], of: impl Fn(&'a Attempt) -> T) -> Vec<T> {
            attempts.iter().map(of).collect()
        }
        Self {
            endpoint_ids: column(attempts, |attempt| attempt.endpoint_id.0),
            call_ids: column(attempts, |attempt| attempt.call_id.0),
            sequences: column(attempts, |attempt| attempt.sequence),
            attempts: column(attempts, |attempt| attempt.attempt),
            leases: column(attempts, |attempt| attempt.lease.0),
            started_at: column(attempts, |attempt| attempt.started_at),
            finished_at: column(attempts, |attempt| attempt.finished_at),
            durations: column(attempts, |attempt| attempt.duration_millis),
            statuses: column(attempts, |attempt| attempt.response_status),
            bodies: column(attempts, |attempt| attempt.response_body.as_deref()),
            failures: column(attempts, |attempt| attempt.failure.as_deref()),
            states: column(attempts, |attempt| Some(attempt.next.columns().0)),
            due: column(attempts, |attempt| attempt.next.columns().1),
            urls: column(attempts, |attempt| Some(attempt.request_url.as_str())),
            sent: column(attempts, |attempt| attempt.request_headers.clone()),
            answered: column(attempts, |attempt| attempt.response_headers.clone()),
        }
    }
}

/// Logs attempts of one organisation and moves their deliveries on, all in one statement; only the
/// lease's holder moves a delivery. Where an endpoint begins to fail or ceases to, that is noted.
/// Returns the endpoints that failed again after they had failed for `longest`.
///
/// Endpoints are locked before deliveries, rows in the order of their key, as everywhere where a
/// statement waits for more than one of them, so that none waits for each other.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: whether any was recorded is unknown; those that were not are attempted
/// again when their leases run out.
pub async fn record(
    db: &Db,
    scope: OrgScope,
    attempts: &[Attempt],
    longest: Duration,
) -> Result<Vec<WebhookEndpointId>> {
    let columns = Columns::of(attempts);
    db.run(
        "record delivery attempts",
        sqlx::query_scalar!(
            r#"/* db::webhook_deliveries::record */ WITH result AS (
                SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::integer[], $6::uuid[],
                    $7::timestamptz[], $8::timestamptz[], $9::integer[], $10::integer[],
                    $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::text[],
                    $16::jsonb[], $17::jsonb[])
                AS r(endpoint_id, call_id, sequence, attempt, lease, started_at, finished_at,
                    duration_millis, response_status, response_body, failure, state, due_at,
                    request_url, request_headers, response_headers)
            ), outcome AS (
                SELECT endpoint_id, bool_or(state = 'delivered') AS delivered,
                    min(started_at) AS started_at, max(finished_at) AS finished_at
                FROM result GROUP BY endpoint_id
            ), changing AS (
                SELECT e.id, o.delivered, o.started_at
                FROM webhook_endpoints e JOIN outcome o ON o.endpoint_id = e.id
                WHERE e.organization_id = $1 AND o.delivered = (e.failing_since IS NOT NULL)
                ORDER BY e.id FOR NO KEY UPDATE OF e
            ), changed AS (
                UPDATE webhook_endpoints e
                SET failing_since = CASE WHEN c.delivered THEN NULL ELSE c.started_at END
                FROM changing c WHERE e.organization_id = $1 AND e.id = c.id RETURNING 1
            ), held AS (
                SELECT d.endpoint_id, d.call_id, d.sequence, r.state, r.due_at, r.finished_at
                FROM result r
                JOIN webhook_deliveries d ON d.organization_id = $1 AND d.endpoint_id = r.endpoint_id
                    AND d.call_id = r.call_id AND d.sequence = r.sequence AND d.lease = r.lease
                WHERE (SELECT count(*) FROM changed) >= 0
                ORDER BY d.endpoint_id, d.call_id, d.sequence FOR NO KEY UPDATE OF d
            ), moved AS (
                UPDATE webhook_deliveries d SET state = h.state, due_at = h.due_at, lease = NULL,
                    closed_at = CASE WHEN h.due_at IS NULL THEN h.finished_at END
                FROM held h
                WHERE d.organization_id = $1 AND d.endpoint_id = h.endpoint_id
                    AND d.call_id = h.call_id AND d.sequence = h.sequence
            ), logged AS (
                INSERT INTO webhook_attempts (organization_id, endpoint_id, call_id, sequence, attempt,
                    started_at, duration_millis, request_url, request_headers, response_status,
                    response_headers, response_body, failure)
                SELECT $1, endpoint_id, call_id, sequence, attempt, started_at, duration_millis, request_url,
                    request_headers, response_status, response_headers, response_body, failure
                FROM result ON CONFLICT DO NOTHING
            )
            SELECT e.id AS "id: WebhookEndpointId"
            FROM webhook_endpoints e JOIN outcome o ON o.endpoint_id = e.id
            WHERE e.organization_id = $1 AND NOT o.delivered AND e.disabled_at IS NULL
                AND e.failing_since <= o.finished_at - $18::bigint * interval '1 second'"#,
            scope.id() as OrganizationId,
            &columns.endpoint_ids,
            &columns.call_ids,
            &columns.sequences,
            &columns.attempts,
            &columns.leases,
            &columns.started_at as &[Timestamp],
            &columns.finished_at as &[Timestamp],
            &columns.durations,
            &columns.statuses as &[Option<i32>],
            &columns.bodies as &[Option<&str>],
            &columns.failures as &[Option<&str>],
            &columns.states as &[Option<&str>],
            &columns.due as &[Option<Timestamp>],
            &columns.urls as &[Option<&str>],
            &columns.sent,
            &columns.answered as &[Option<Value>],
            longest.whole_seconds()
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Logs an attempt whose answer means that there is no receiver any more, and gives up its delivery
/// and others that wait for the same endpoint, [`MOST_GIVEN_UP`] at most, which is disabled, which is
/// recorded and told of.
/// First the endpoint's row is locked, as by [`crate::db::webhook_endpoints::delete`], then the
/// deliveries'. False: it was disabled already.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record_gone(
    db: &Db,
    scope: OrgScope,
    attempt: &Attempt,
    disabling: &Disabling<'_>,
) -> Result<bool> {
    let disabled = db
        .run(
            "record a delivery attempt",
            sqlx::query_scalar!(
                r#"/* db::webhook_deliveries::record_gone */ WITH logged AS (
                    INSERT INTO webhook_attempts (organization_id, endpoint_id, call_id, sequence, attempt,
                        started_at, duration_millis, response_status, response_body, failure, request_url,
                        request_headers, response_headers)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $13, $14, $15)
                    ON CONFLICT DO NOTHING
                ), disabled AS (
                    UPDATE webhook_endpoints SET disabled_at = $11, disabled_reason = $16
                    WHERE organization_id = $1 AND id = $2 AND disabled_at IS NULL
                        AND deleted_at IS NULL
                    RETURNING id
                ), waiting AS (
                    -- What is under way comes to its own end: touching it here could deadlock.
                    SELECT ctid FROM webhook_deliveries
                    WHERE organization_id = $1 AND endpoint_id = $2 AND state = 'pending'
                        AND lease IS NULL AND EXISTS (SELECT FROM disabled)
                    ORDER BY due_at, call_id, sequence LIMIT $18
                    FOR NO KEY UPDATE SKIP LOCKED
                ), given_up AS (
                    UPDATE webhook_deliveries SET state = 'dead', due_at = NULL, closed_at = $11
                    WHERE organization_id = $1 AND endpoint_id = $2
                        AND ctid = ANY (ARRAY(SELECT ctid FROM waiting))
                    RETURNING 1
                ), closed AS (
                    UPDATE webhook_deliveries
                    SET state = 'dead', due_at = NULL, lease = NULL, closed_at = $11
                    WHERE organization_id = $1 AND endpoint_id = $2 AND call_id = $3 AND sequence = $4
                        AND lease = $12 AND (SELECT count(*) FROM given_up) >= 0
                )
                SELECT record_disabling($1, $17) AS "told!" FROM disabled"#,
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
                disabling.act.at as Timestamp,
                attempt.lease as LeaseToken,
                attempt.request_url,
                attempt.request_headers,
                attempt.response_headers,
                disabling.reason,
                Json(disabling) as _,
                MOST_GIVEN_UP
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(disabled.is_some())
}
