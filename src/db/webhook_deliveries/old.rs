//! Deliveries that are over for so long that nobody asks for them any more.

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
