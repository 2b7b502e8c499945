//! Customers' receivers of events.

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{AgentId, OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId},
};

/// A receiver as it is stored.
#[derive(Clone, Debug)]
pub struct EndpointRow {
    pub id: WebhookEndpointId,
    pub agent_id: Option<AgentId>,
    pub url: String,
    pub events: Vec<String>,
    pub timeout_seconds: i32,
    pub secret: Sealed,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
    pub disabled_reason: Option<String>,
}

/// Stores a receiver.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(db: &Db, scope: OrgScope, endpoint: &EndpointRow) -> Result<()> {
    db.run(
        "store a webhook endpoint",
        sqlx::query!(
            "/* db::webhook_endpoints::insert */ INSERT INTO webhook_endpoints (organization_id, id,
                agent_id, url, events, timeout_seconds, secret_sealed, secret_key_id, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            scope.id() as OrganizationId,
            endpoint.id as WebhookEndpointId,
            endpoint.agent_id as Option<AgentId>,
            endpoint.url,
            &endpoint.events,
            endpoint.timeout_seconds,
            endpoint.secret.bytes,
            endpoint.secret.key_id,
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
pub async fn list(db: &Db, scope: OrgScope) -> Result<Vec<EndpointRow>> {
    let rows = db
        .run(
            "list webhook endpoints",
            sqlx::query!(
                "/* db::webhook_endpoints::list */ SELECT id, agent_id, url, events, timeout_seconds,
                    secret_sealed, secret_key_id, created_at, disabled_at, disabled_reason
                FROM webhook_endpoints WHERE organization_id = $1 AND deleted_at IS NULL
                ORDER BY created_at, id LIMIT 1000",
                scope.id() as OrganizationId
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| EndpointRow {
            id: row.id,
            agent_id: row.agent_id,
            url: row.url,
            events: row.events,
            timeout_seconds: row.timeout_seconds,
            secret: Sealed {
                bytes: row.secret_sealed,
                key_id: row.secret_key_id,
            },
            created_at: row.created_at,
            disabled_at: row.disabled_at,
            disabled_reason: row.disabled_reason,
        })
        .collect())
}

/// Deletes a receiver; what was to be delivered to it is given up. False: there is none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn delete(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    visible_agents: Option<&[AgentId]>,
    now: Timestamp,
) -> Result<bool> {
    let visible: Option<Vec<uuid::Uuid>> =
        visible_agents.map(|agents| agents.iter().map(|agent| agent.0).collect());
    let deleted = db
        .run(
            "delete a webhook endpoint",
            sqlx::query_scalar!(
                r#"/* db::webhook_endpoints::delete */ WITH gone AS (
                    UPDATE webhook_endpoints SET deleted_at = $4
                    WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
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
                visible.as_deref(),
                now as Timestamp
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
