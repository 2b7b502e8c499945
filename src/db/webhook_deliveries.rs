//! The queue of deliveries. Rows are written with the facts they deliver (`apply_change`); claimed
//! in two steps like jobs, in batches.

use serde_json::Value;
use time::Duration;

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{
        AgentId, CallId, Error, LeaseToken, OrgScope, OrganizationId, Result, Timestamp,
        WebhookEndpointId,
        webhook::{endpoint::Channel, event::EventType},
    },
};

/// A delivery that this node may attempt, with all that it needs.
#[derive(Debug)]
pub struct Claimed {
    pub endpoint_id: WebhookEndpointId,
    /// The call; where `sequence` is 0, the organisation's event.
    pub call_id: CallId,
    pub sequence: i64,
    /// `None`: the event is about no call.
    pub agent_id: Option<AgentId>,
    pub attempt: i32,
    /// How many attempts had been made when the schedule last began anew.
    pub attempts_before: i32,
    /// When another node may take it.
    pub lease_until: Timestamp,
    pub kind: EventType,
    pub at: Timestamp,
    /// When the schedule began.
    pub queued_at: Timestamp,
    pub data: Value,
    pub receiver: Receiver,
}

/// What a delivery needs of its endpoint.
#[derive(Debug)]
pub struct Receiver {
    pub channel: Channel,
    pub url: String,
    pub settings: Value,
    pub timeout_seconds: i32,
    pub secret: Sealed,
    /// The secret before, while both sign.
    pub previous_secret: Option<Sealed>,
    pub headers: Option<Sealed>,
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
            WHERE e.id <> ALL ($3) AND e.paused_at IS NULL AND e.disabled_at IS NULL
                AND e.channel = ANY ($4)
            GROUP BY e.organization_id ORDER BY min(oldest.due_at) LIMIT $2",
            now as Timestamp,
            limit,
            &uuids(busy),
            &channels()
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// The channels that any node can send over. What waits for a gateway is taken by the node that holds
/// its websocket; what waits for another channel is left to newer nodes.
const CHANNELS: [Channel; 2] = [Channel::Webhook, Channel::Telegram];

fn channels() -> Vec<String> {
    CHANNELS
        .iter()
        .map(|channel| channel.as_str().to_owned())
        .collect()
}

/// How deliveries are taken.
#[derive(Clone, Debug)]
pub struct Claim {
    pub now: Timestamp,
    pub lease: LeaseToken,
    /// How much longer than its endpoint's timeout a delivery is kept.
    pub margin: Duration,
    pub most: i64,
    /// Of one endpoint, where `free` does not say another number.
    pub per_endpoint: i32,
    pub free: Vec<(WebhookEndpointId, i32)>,
    /// This receiver's alone, whatever its channel; `None`: those of the channels that any node can
    /// send over.
    pub only: Option<WebhookEndpointId>,
}

/// Takes due deliveries of one organisation, of each endpoint the oldest first and no more than it
/// has free places, each for as long as its endpoint may take and the margin more. What waits for a
/// busy endpoint costs nothing. Of an ordered endpoint, an event of a call is taken only when none
/// before it waits.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn claim(db: &Db, scope: OrgScope, claim: Claim) -> Result<Vec<Claimed>> {
    let (endpoints, free): (Vec<uuid::Uuid>, Vec<i32>) =
        claim.free.iter().map(|(id, free)| (id.0, *free)).unzip();
    let rows = db
        .run(
            "claim deliveries",
            sqlx::query!(
                r#"/* db::webhook_deliveries::claim */ WITH due AS (
                    SELECT oldest.endpoint_id, oldest.call_id, oldest.sequence, e.channel, e.url,
                        e.settings, e.timeout_seconds, e.secret_sealed, e.secret_key_id,
                        e.headers_sealed, e.headers_key_id,
                        CASE WHEN e.previous_secret_until > $2 THEN e.previous_secret_sealed END
                            AS previous_secret_sealed, e.previous_secret_key_id
                    FROM webhook_endpoints e
                    LEFT JOIN unnest($6::uuid[], $7::integer[]) AS places (id, free)
                        ON places.id = e.id
                    CROSS JOIN LATERAL (
                        SELECT d.endpoint_id, d.call_id, d.sequence, d.due_at FROM webhook_deliveries d
                        WHERE d.organization_id = $1 AND d.endpoint_id = e.id AND d.state = 'pending'
                            AND d.due_at <= $2
                            AND (NOT e.ordered OR NOT EXISTS (
                                SELECT FROM webhook_deliveries before
                                WHERE before.organization_id = $1 AND before.endpoint_id = e.id
                                    AND before.call_id = d.call_id AND before.sequence < d.sequence
                                    AND before.state = 'pending'
                            ))
                        ORDER BY d.due_at, d.call_id, d.sequence
                        LIMIT coalesce(places.free, $8)
                        FOR NO KEY UPDATE OF d SKIP LOCKED
                    ) oldest
                    WHERE e.organization_id = $1 AND e.paused_at IS NULL AND e.disabled_at IS NULL
                        AND coalesce(places.free, $8) > 0
                        AND CASE WHEN $10::uuid IS NULL THEN e.channel = ANY ($9) ELSE e.id = $10 END
                    ORDER BY oldest.due_at
                    LIMIT $5
                ), taken AS (
                    UPDATE webhook_deliveries d SET
                        due_at = $3::timestamptz + due.timeout_seconds * interval '1 second',
                        lease = $4, attempt = d.attempt + 1
                    FROM due
                    WHERE d.organization_id = $1 AND d.endpoint_id = due.endpoint_id
                        AND d.call_id = due.call_id AND d.sequence = due.sequence
                    RETURNING due.*, d.attempt, d.attempts_before, d.due_at,
                        coalesce(d.requeued_at, d.created_at) AS queued_at
                )
                SELECT t.endpoint_id AS "endpoint_id: WebhookEndpointId",
                    t.call_id AS "call_id: CallId", c.agent_id AS "agent_id?: AgentId", t.sequence,
                    t.attempt, t.attempts_before, t.due_at AS "lease_until!: Timestamp",
                    t.queued_at AS "queued_at!: Timestamp", coalesce(f.type, o.type) AS "kind!",
                    coalesce(f.at, o.at) AS "at!: Timestamp", coalesce(f.data, o.data) AS "data!",
                    t.channel AS "channel: Channel", t.url, t.settings, t.timeout_seconds,
                    t.secret_sealed, t.secret_key_id, t.previous_secret_sealed,
                    t.previous_secret_key_id, t.headers_sealed, t.headers_key_id
                FROM taken t
                LEFT JOIN call_facts f ON f.organization_id = $1 AND f.call_id = t.call_id AND f.sequence = t.sequence
                LEFT JOIN calls c ON c.organization_id = $1 AND c.id = t.call_id
                LEFT JOIN organization_events o ON o.organization_id = $1 AND o.id = t.call_id AND t.sequence = 0
                ORDER BY t.call_id, t.sequence"#,
                scope.id() as OrganizationId,
                claim.now as Timestamp,
                claim.now.plus(claim.margin) as Timestamp,
                claim.lease as LeaseToken,
                claim.most,
                &endpoints,
                &free,
                claim.per_endpoint,
                &channels(),
                claim.only as Option<WebhookEndpointId>
            )
            .fetch_all(&db.pool),
        )
        .await?;
    rows.into_iter()
        .map(|row| {
            let unknown = |error| Error::internal("read an event's type", error);
            Ok(Claimed {
                endpoint_id: row.endpoint_id,
                call_id: row.call_id,
                sequence: row.sequence,
                agent_id: row.agent_id,
                attempt: row.attempt,
                attempts_before: row.attempts_before,
                lease_until: row.lease_until,
                kind: row.kind.parse().map_err(unknown)?,
                at: row.at,
                queued_at: row.queued_at,
                data: row.data,
                receiver: Receiver {
                    channel: row.channel,
                    url: row.url,
                    settings: row.settings,
                    timeout_seconds: row.timeout_seconds,
                    secret: Sealed {
                        bytes: row.secret_sealed,
                        key_id: row.secret_key_id,
                    },
                    previous_secret: sealed(row.previous_secret_sealed, row.previous_secret_key_id),
                    headers: sealed(row.headers_sealed, row.headers_key_id),
                },
            })
        })
        .collect()
}

fn sealed(bytes: Option<Vec<u8>>, key_id: Option<String>) -> Option<Sealed> {
    bytes
        .zip(key_id)
        .map(|(bytes, key_id)| Sealed { bytes, key_id })
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
    let uuids = |of: fn(&Attempt) -> uuid::Uuid| attempts.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&Attempt) -> i32| attempts.iter().map(of).collect::<Vec<_>>();
    let instants = |of: fn(&Attempt) -> Timestamp| attempts.iter().map(of).collect::<Vec<_>>();
    let texts =
        |of: fn(&Attempt) -> Option<&str>| attempts.iter().map(of).collect::<Vec<Option<&str>>>();
    let sequences: Vec<i64> = attempts.iter().map(|attempt| attempt.sequence).collect();
    let statuses: Vec<Option<i32>> = attempts.iter().map(|a| a.response_status).collect();
    let due: Vec<Option<Timestamp>> = attempts.iter().map(|a| a.next.columns().1).collect();
    let sent: Vec<Value> = attempts.iter().map(|a| a.request_headers.clone()).collect();
    let answered: Vec<Option<Value>> = attempts
        .iter()
        .map(|a| a.response_headers.clone())
        .collect();
    let longest = longest.whole_seconds();
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
                FROM webhook_endpoints e
                JOIN outcome o ON o.endpoint_id = e.id
                WHERE e.organization_id = $1 AND o.delivered = (e.failing_since IS NOT NULL)
                ORDER BY e.id
                FOR NO KEY UPDATE OF e
            ), changed AS (
                UPDATE webhook_endpoints e
                SET failing_since = CASE WHEN c.delivered THEN NULL ELSE c.started_at END
                FROM changing c
                WHERE e.organization_id = $1 AND e.id = c.id
                RETURNING 1
            ), held AS (
                SELECT d.endpoint_id, d.call_id, d.sequence, r.state, r.due_at, r.finished_at
                FROM result r
                JOIN webhook_deliveries d ON d.organization_id = $1 AND d.endpoint_id = r.endpoint_id
                    AND d.call_id = r.call_id AND d.sequence = r.sequence AND d.lease = r.lease
                WHERE (SELECT count(*) FROM changed) >= 0
                ORDER BY d.endpoint_id, d.call_id, d.sequence
                FOR NO KEY UPDATE OF d
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
                SELECT $1, endpoint_id, call_id, sequence, attempt, started_at, duration_millis,
                    request_url, request_headers, response_status, response_headers, response_body,
                    failure
                FROM result
                ON CONFLICT DO NOTHING
            )
            SELECT e.id AS "id: WebhookEndpointId"
            FROM webhook_endpoints e
            JOIN outcome o ON o.endpoint_id = e.id
            WHERE e.organization_id = $1 AND NOT o.delivered AND e.disabled_at IS NULL
                AND e.failing_since <= o.finished_at - $18::bigint * interval '1 second'"#,
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
            &due as &[Option<Timestamp>],
            &texts(|attempt| Some(&attempt.request_url)) as &[Option<&str>],
            &sent,
            &answered as &[Option<Value>],
            longest
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Logs an attempt that was answered with what means that there is no receiver any more, and gives up its delivery and all others that
/// wait for the same endpoint, which is disabled. First the endpoint's row is locked, as by
/// [`super::webhook_endpoints::delete`], then the deliveries'.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record_gone(db: &Db, scope: OrgScope, attempt: &Attempt, reason: &str) -> Result<()> {
    db.run(
        "record a delivery attempt",
        sqlx::query!(
            "/* db::webhook_deliveries::record_gone */ WITH logged AS (
                INSERT INTO webhook_attempts (organization_id, endpoint_id, call_id, sequence, attempt,
                    started_at, duration_millis, response_status, response_body, failure, request_url,
                    request_headers, response_headers)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $13, $14, $15)
                ON CONFLICT DO NOTHING
            ), disabled AS (
                UPDATE webhook_endpoints SET disabled_at = $11, disabled_reason = $16
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
            attempt.lease as LeaseToken,
            attempt.request_url,
            attempt.request_headers,
            attempt.response_headers,
            reason
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
                    min(d.due_at) FILTER (
                        WHERE d.due_at <= $1 AND e.paused_at IS NULL AND e.disabled_at IS NULL
                    ) AS "oldest_due: Timestamp"
                FROM webhook_deliveries d
                JOIN webhook_endpoints e ON e.organization_id = d.organization_id AND e.id = d.endpoint_id
                WHERE d.state = 'pending'"#,
                now as Timestamp
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok((row.pending, row.oldest_due))
}
