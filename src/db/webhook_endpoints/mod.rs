//! Customers' receivers of events, over whichever channel. Changes: [`change`].

mod change;

pub use change::{
    Change, Concerned, Disabling, concerned, disable_failing, rotate_secret, set_settings, update,
};

use serde_json::Value;

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{
        AgentId, OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId,
        webhook::endpoint::Channel,
    },
};

/// Deliveries that are given up by one statement, which may not take long.
pub const MOST_GIVEN_UP: i64 = 10_000;

/// A receiver as it is stored.
#[derive(Clone, Debug)]
pub struct EndpointRow {
    pub id: WebhookEndpointId,
    pub channel: Channel,
    pub agent_id: Option<AgentId>,
    pub url: String,
    /// What its channel needs beside URL and secret; an object.
    pub settings: Value,
    pub events: Vec<String>,
    pub timeout_seconds: i32,
    pub description: String,
    pub ordered: bool,
    pub secret: Sealed,
    /// Headers of the receiver's own, a JSON object.
    pub headers: Option<Sealed>,
    /// Until when the secret before signs too.
    pub previous_secret_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub paused_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
    pub disabled_reason: Option<String>,
    /// The first failed attempt since one succeeded.
    pub failing_since: Option<Timestamp>,
}

/// Which receivers, beside the organisation's scope: of one channel, and of these agents alone.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a> {
    pub channel: Channel,
    /// `None`: of every agent, and those of none in particular.
    pub agents: Option<&'a [AgentId]>,
}

impl Visible<'_> {
    fn agents(&self) -> Option<Vec<uuid::Uuid>> {
        self.agents
            .map(|agents| agents.iter().map(|agent| agent.0).collect())
    }
}

/// A row as statements return it.
struct Stored {
    id: WebhookEndpointId,
    channel: Channel,
    agent_id: Option<AgentId>,
    url: String,
    settings: Value,
    events: Vec<String>,
    timeout_seconds: i32,
    description: String,
    ordered: bool,
    secret_sealed: Vec<u8>,
    secret_key_id: String,
    headers_sealed: Option<Vec<u8>>,
    headers_key_id: Option<String>,
    previous_secret_until: Option<Timestamp>,
    created_at: Timestamp,
    paused_at: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    disabled_reason: Option<String>,
    failing_since: Option<Timestamp>,
}

impl From<Stored> for EndpointRow {
    fn from(row: Stored) -> Self {
        let headers = row.headers_sealed.zip(row.headers_key_id);
        Self {
            id: row.id,
            channel: row.channel,
            agent_id: row.agent_id,
            url: row.url,
            settings: row.settings,
            events: row.events,
            timeout_seconds: row.timeout_seconds,
            description: row.description,
            ordered: row.ordered,
            secret: Sealed {
                bytes: row.secret_sealed,
                key_id: row.secret_key_id,
            },
            headers: headers.map(|(bytes, key_id)| Sealed { bytes, key_id }),
            previous_secret_until: row.previous_secret_until,
            created_at: row.created_at,
            paused_at: row.paused_at,
            disabled_at: row.disabled_at,
            disabled_reason: row.disabled_reason,
            failing_since: row.failing_since,
        }
    }
}

/// Stores a receiver.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(db: &Db, scope: OrgScope, endpoint: &EndpointRow) -> Result<()> {
    let headers = endpoint.headers.as_ref();
    db.run(
        "store a webhook endpoint",
        sqlx::query!(
            "/* db::webhook_endpoints::insert */ INSERT INTO webhook_endpoints (organization_id, id,
                channel, agent_id, url, settings, events, timeout_seconds, description, ordered,
                secret_sealed, secret_key_id, headers_sealed, headers_key_id, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            scope.id() as OrganizationId,
            endpoint.id as WebhookEndpointId,
            endpoint.channel as Channel,
            endpoint.agent_id as Option<AgentId>,
            endpoint.url,
            endpoint.settings,
            &endpoint.events,
            endpoint.timeout_seconds,
            endpoint.description,
            endpoint.ordered,
            endpoint.secret.bytes,
            endpoint.secret.key_id,
            headers.map(|sealed| sealed.bytes.as_slice()),
            headers.map(|sealed| sealed.key_id.as_str()),
            endpoint.created_at as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// The organisation's receivers, oldest first, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope, visible: Visible<'_>) -> Result<Vec<EndpointRow>> {
    let agents = visible.agents();
    let rows = db
        .run(
            "list webhook endpoints",
            sqlx::query_as!(
                Stored,
                "/* db::webhook_endpoints::list */ SELECT id, channel, agent_id, url, settings, events,
                    timeout_seconds, description, ordered, secret_sealed, secret_key_id,
                    headers_sealed, headers_key_id, previous_secret_until, created_at, paused_at,
                    disabled_at, disabled_reason, failing_since
                FROM webhook_endpoints
                WHERE organization_id = $1 AND deleted_at IS NULL AND channel = $2
                    AND ($3::uuid[] IS NULL OR agent_id = ANY ($3))
                ORDER BY created_at, id LIMIT 1000",
                scope.id() as OrganizationId,
                visible.channel as Channel,
                agents.as_deref()
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows.into_iter().map(EndpointRow::from).collect())
}

/// One receiver; `None`: there is none that may be seen.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    visible: Visible<'_>,
) -> Result<Option<EndpointRow>> {
    let agents = visible.agents();
    let row = db
        .run(
            "find a webhook endpoint",
            sqlx::query_as!(
                Stored,
                "/* db::webhook_endpoints::find */ SELECT id, channel, agent_id, url, settings, events,
                    timeout_seconds, description, ordered, secret_sealed, secret_key_id,
                    headers_sealed, headers_key_id, previous_secret_until, created_at, paused_at,
                    disabled_at, disabled_reason, failing_since
                FROM webhook_endpoints
                WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL AND channel = $3
                    AND ($4::uuid[] IS NULL OR agent_id = ANY ($4))",
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                visible.channel as Channel,
                agents.as_deref()
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(EndpointRow::from))
}

/// Deletes a receiver, to which nothing is sent any more; what was to be delivered to it is given up,
/// [`MOST_GIVEN_UP`] at once and the rest later (`webhook_deliveries::give_up`). False: there is none
/// that may be seen.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn delete(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    visible: Visible<'_>,
    now: Timestamp,
) -> Result<bool> {
    let agents = visible.agents();
    let deleted = db
        .run(
            "delete a webhook endpoint",
            sqlx::query_scalar!(
                r#"/* db::webhook_endpoints::delete */ WITH gone AS (
                    UPDATE webhook_endpoints SET deleted_at = $4
                    WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL AND channel = $5
                        AND ($3::uuid[] IS NULL OR agent_id = ANY ($3))
                    RETURNING id
                ), waiting AS (
                    -- Waiting for one that is just being recorded could deadlock.
                    SELECT ctid FROM webhook_deliveries
                    WHERE organization_id = $1 AND endpoint_id = $2 AND state = 'pending'
                        AND EXISTS (SELECT FROM gone)
                    ORDER BY due_at, call_id, sequence LIMIT $6
                    FOR NO KEY UPDATE SKIP LOCKED
                ), given_up AS (
                    UPDATE webhook_deliveries SET state = 'dead', due_at = NULL, lease = NULL, closed_at = $4
                    WHERE organization_id = $1 AND endpoint_id = $2
                        AND ctid = ANY (ARRAY(SELECT ctid FROM waiting))
                )
                SELECT count(*) AS "deleted!" FROM gone"#,
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                agents.as_deref(),
                now as Timestamp,
                visible.channel as Channel,
                MOST_GIVEN_UP
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(deleted == 1)
}

/// Points a receiver at another URL: `onhook dev`, whose built-in receiver has a new port at each
/// start.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn set_url(db: &Db, scope: OrgScope, id: WebhookEndpointId, url: &str) -> Result<()> {
    db.run(
        "point a webhook endpoint at its URL",
        sqlx::query!(
            "/* db::webhook_endpoints::set_url */ UPDATE webhook_endpoints SET url = $3
            WHERE organization_id = $1 AND id = $2",
            scope.id() as OrganizationId,
            id as WebhookEndpointId,
            url
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}
