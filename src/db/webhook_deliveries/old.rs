//! Deliveries that are over for so long that nobody asks for them any more, and those that wait for
//! receivers that were deleted.

use crate::{
    db::Db,
    domain::{OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId},
};

/// Receivers with deliveries that were over `before` then, at most `limit`. One look into the index for
/// each receiver.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn endpoints_with_old(
    db: &Db,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<(OrganizationId, WebhookEndpointId)>> {
    let rows = db
        .run(
            "find old deliveries",
            sqlx::query!(
                r#"/* db::webhook_deliveries::endpoints_with_old */ SELECT e.organization_id, e.id
                FROM webhook_endpoints e
                CROSS JOIN LATERAL (
                    SELECT d.created_at FROM webhook_deliveries d
                    WHERE d.organization_id = e.organization_id AND d.endpoint_id = e.id
                        AND d.state <> 'pending' AND d.created_at < $1 AND d.closed_at < $1
                    ORDER BY d.created_at LIMIT 1
                ) oldest
                LIMIT $2"#,
                before as Timestamp,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id, row.id))
        .collect())
}

/// Removes deliveries to a receiver that were over `before` then, at most `most`, the oldest first; how
/// many. What waits stays, and so does what was sent again since.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn purge(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    before: Timestamp,
    most: i32,
) -> Result<i64> {
    db.run(
        "remove old deliveries",
        sqlx::query_scalar!(
            r#"/* db::webhook_deliveries::purge */ SELECT purge_deliveries($1, $2, $3, $4) AS "gone!""#,
            scope.id() as OrganizationId,
            endpoint_id as WebhookEndpointId,
            before as Timestamp,
            most
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// Deleted receivers that deliveries wait for, at most `limit`: there were more than their deletion gave
/// up.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn deleted_with_waiting(
    db: &Db,
    limit: i64,
) -> Result<Vec<(OrganizationId, WebhookEndpointId)>> {
    let rows = db
        .run(
            "find what waits for deleted webhook endpoints",
            sqlx::query!(
                r#"/* db::webhook_deliveries::deleted_with_waiting */ SELECT e.organization_id, e.id
                FROM webhook_endpoints e
                WHERE e.deleted_at IS NOT NULL AND EXISTS (
                    SELECT FROM webhook_deliveries d
                    WHERE d.organization_id = e.organization_id AND d.endpoint_id = e.id
                        AND d.state = 'pending'
                )
                LIMIT $1"#,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id, row.id))
        .collect())
}

/// Gives up what waits for a receiver, at most `most`; how many. For receivers that were deleted.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn give_up(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    now: Timestamp,
    most: i64,
) -> Result<i64> {
    db.run(
        "give up what waits for a webhook endpoint",
        sqlx::query_scalar!(
            r#"/* db::webhook_deliveries::give_up */ WITH waiting AS (
                SELECT ctid FROM webhook_deliveries
                WHERE organization_id = $1 AND endpoint_id = $2 AND state = 'pending'
                ORDER BY due_at, call_id, sequence LIMIT $4
                FOR NO KEY UPDATE SKIP LOCKED
            ), given_up AS (
                UPDATE webhook_deliveries
                SET state = 'dead', due_at = NULL, lease = NULL, closed_at = $3
                WHERE organization_id = $1 AND endpoint_id = $2
                    AND ctid = ANY (ARRAY(SELECT ctid FROM waiting))
                RETURNING 1
            )
            SELECT count(*) AS "count!" FROM given_up"#,
            scope.id() as OrganizationId,
            endpoint_id as WebhookEndpointId,
            now as Timestamp,
            most
        )
        .fetch_one(&db.pool),
    )
    .await
}
