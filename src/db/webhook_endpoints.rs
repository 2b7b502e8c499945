//! Customers' receivers of events, over whichever channel.

use serde_json::Value;

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{
        AgentId, OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId,
        webhook::endpoint::Channel,
    },
};

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

/// What is changed of a receiver; `None`: it stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub url: Option<String>,
    pub settings: Option<Value>,
    pub events: Option<Vec<String>>,
    pub timeout_seconds: Option<i32>,
    pub description: Option<String>,
    pub ordered: Option<bool>,
    /// `Some(None)`: no headers any more.
    pub headers: Option<Option<Sealed>>,
    pub paused: Option<bool>,
    /// False: disabled by its owner.
    pub enabled: Option<bool>,
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

/// Changes a receiver and returns it; `None`: there is none that may be seen. Enabling makes what
/// waited for it due.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn update(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    visible: Visible<'_>,
    change: &Change,
    now: Timestamp,
) -> Result<Option<EndpointRow>> {
    let agents = visible.agents();
    let headers = change.headers.as_ref().and_then(Option::as_ref);
    let row = db
        .run(
            "change a webhook endpoint",
            sqlx::query_as!(
                Stored,
                "/* db::webhook_endpoints::update */ UPDATE webhook_endpoints SET
                    url = coalesce($5, url), settings = coalesce($6, settings),
                    events = coalesce($7::text[], events),
                    timeout_seconds = coalesce($8, timeout_seconds),
                    description = coalesce($9, description), ordered = coalesce($10, ordered),
                    headers_sealed = CASE WHEN $11::boolean THEN $12::bytea ELSE headers_sealed END,
                    headers_key_id = CASE WHEN $11::boolean THEN $13::text ELSE headers_key_id END,
                    paused_at = CASE $14::boolean
                        WHEN true THEN coalesce(paused_at, $16) WHEN false THEN NULL ELSE paused_at
                    END,
                    disabled_at = CASE $15::boolean
                        WHEN true THEN NULL WHEN false THEN coalesce(disabled_at, $16) ELSE disabled_at
                    END,
                    disabled_reason = CASE $15::boolean
                        WHEN true THEN NULL
                        WHEN false THEN coalesce(disabled_reason, 'Disabled by its owner')
                        ELSE disabled_reason
                    END,
                    failing_since = CASE WHEN $15::boolean THEN NULL ELSE failing_since END,
                    wants_since = CASE
                        WHEN $7::text[] IS NOT NULL OR $15::boolean THEN $16 ELSE wants_since
                    END
                WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL AND channel = $3
                    AND ($4::uuid[] IS NULL OR agent_id = ANY ($4))
                RETURNING id, channel, agent_id, url, settings, events, timeout_seconds, description,
                    ordered, secret_sealed, secret_key_id, headers_sealed, headers_key_id,
                    previous_secret_until, created_at, paused_at, disabled_at, disabled_reason,
                    failing_since",
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                visible.channel as Channel,
                agents.as_deref() as Option<&[uuid::Uuid]>,
                change.url,
                change.settings,
                change.events.as_deref(),
                change.timeout_seconds,
                change.description,
                change.ordered,
                change.headers.is_some(),
                headers.map(|sealed| sealed.bytes.as_slice()),
                headers.map(|sealed| sealed.key_id.as_str()),
                change.paused,
                change.enabled,
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(EndpointRow::from))
}

/// Gives a receiver a new secret; the one before signs beside it until `overlap_until`. False:
/// there is none that may be seen.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn rotate_secret(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    visible: Visible<'_>,
    secret: &Sealed,
    overlap_until: Timestamp,
) -> Result<bool> {
    let agents = visible.agents();
    let done = db
        .run(
            "rotate a webhook endpoint's secret",
            sqlx::query!(
                "/* db::webhook_endpoints::rotate_secret */ UPDATE webhook_endpoints SET
                    previous_secret_sealed = secret_sealed, previous_secret_key_id = secret_key_id,
                    previous_secret_until = $7, secret_sealed = $5, secret_key_id = $6
                WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL AND channel = $3
                    AND ($4::uuid[] IS NULL OR agent_id = ANY ($4))",
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                visible.channel as Channel,
                agents.as_deref() as Option<&[uuid::Uuid]>,
                secret.bytes,
                secret.key_id,
                overlap_until as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Disables a receiver that has failed since `failing_before` or earlier, and tells the others of
/// the organisation by the event `event_id` of `data`. False: it is not so any more.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn disable_failing(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    disabling: Disabling<'_>,
) -> Result<bool> {
    let disabled = db
        .run(
            "disable a webhook endpoint",
            sqlx::query_scalar!(
                r#"/* db::webhook_endpoints::disable_failing */ WITH disabled AS (
                    UPDATE webhook_endpoints SET disabled_at = $4, disabled_reason = $5
                    WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
                        AND disabled_at IS NULL AND failing_since <= $3
                    RETURNING id
                )
                SELECT record_organization_event($1, $6, $7, $4, $8, NULL) AS "told!" FROM disabled"#,
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                disabling.failing_before as Timestamp,
                disabling.now as Timestamp,
                disabling.reason,
                disabling.event_id,
                disabling.event_type,
                disabling.data
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(disabled.is_some())
}

/// Why a receiver is disabled, and how the others are told.
#[derive(Clone, Copy, Debug)]
pub struct Disabling<'a> {
    pub failing_before: Timestamp,
    pub now: Timestamp,
    pub reason: &'a str,
    pub event_id: uuid::Uuid,
    pub event_type: &'a str,
    pub data: &'a Value,
}

/// Deletes a receiver; what was to be delivered to it is given up. False: there is none that may be
/// seen.
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
                ), held AS (
                    -- In the order of db::webhook_deliveries::record: the two may meet.
                    SELECT endpoint_id, call_id, sequence FROM webhook_deliveries
                    WHERE organization_id = $1 AND endpoint_id IN (SELECT id FROM gone) AND state = 'pending'
                    ORDER BY endpoint_id, call_id, sequence
                    FOR NO KEY UPDATE
                ), given_up AS (
                    UPDATE webhook_deliveries d SET state = 'dead', due_at = NULL, lease = NULL, closed_at = $4
                    FROM held h
                    WHERE d.organization_id = $1 AND d.endpoint_id = h.endpoint_id
                        AND d.call_id = h.call_id AND d.sequence = h.sequence
                )
                SELECT count(*) AS "deleted!" FROM gone"#,
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                agents.as_deref(),
                now as Timestamp,
                visible.channel as Channel
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
