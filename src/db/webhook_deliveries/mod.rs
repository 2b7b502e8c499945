//! The queue of deliveries. Rows are written with the facts they deliver (`apply_change`); claimed
//! in two steps like jobs, in batches.

mod old;
mod record;

pub use old::{deleted_with_waiting, endpoints_with_old, give_up, purge};
pub use record::{Attempt, Next, record, record_gone};

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
                AND e.deleted_at IS NULL AND e.channel = ANY ($4)
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
            sqlx::query_as!(
                Row,
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
                        AND e.deleted_at IS NULL AND coalesce(places.free, $8) > 0
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
    rows.into_iter().map(Row::claimed).collect()
}

/// A row as the claim returns it.
struct Row {
    endpoint_id: WebhookEndpointId,
    call_id: CallId,
    agent_id: Option<AgentId>,
    sequence: i64,
    attempt: i32,
    attempts_before: i32,
    lease_until: Timestamp,
    queued_at: Timestamp,
    kind: String,
    at: Timestamp,
    data: Value,
    channel: Channel,
    url: String,
    settings: Value,
    timeout_seconds: i32,
    secret_sealed: Vec<u8>,
    secret_key_id: String,
    previous_secret_sealed: Option<Vec<u8>>,
    previous_secret_key_id: Option<String>,
    headers_sealed: Option<Vec<u8>>,
    headers_key_id: Option<String>,
}

impl Row {
    fn claimed(self) -> Result<Claimed> {
        let unknown = |error| Error::internal("read an event's type", error);
        Ok(Claimed {
            endpoint_id: self.endpoint_id,
            call_id: self.call_id,
            sequence: self.sequence,
            agent_id: self.agent_id,
            attempt: self.attempt,
            attempts_before: self.attempts_before,
            lease_until: self.lease_until,
            kind: self.kind.parse().map_err(unknown)?,
            at: self.at,
            queued_at: self.queued_at,
            data: self.data,
            receiver: Receiver {
                channel: self.channel,
                url: self.url,
                settings: self.settings,
                timeout_seconds: self.timeout_seconds,
                secret: Sealed {
                    bytes: self.secret_sealed,
                    key_id: self.secret_key_id,
                },
                previous_secret: sealed(self.previous_secret_sealed, self.previous_secret_key_id),
                headers: sealed(self.headers_sealed, self.headers_key_id),
            },
        })
    }
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
                            AND e.deleted_at IS NULL
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
