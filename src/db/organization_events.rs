//! Events that hang on no call, and their deliveries: both are written by one function.

use serde_json::Value;
use uuid::Uuid;

use super::Db;
use crate::domain::{OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId};

/// An event to record.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// The same id again is the same event, which is recorded once.
    pub id: Uuid,
    pub kind: &'a str,
    pub at: Timestamp,
    pub data: &'a Value,
    /// The only receiver; `None`: all that want it.
    pub endpoint_id: Option<WebhookEndpointId>,
}

/// Records an event and queues it. False: it is recorded already.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record(db: &Db, scope: OrgScope, event: &NewEvent<'_>) -> Result<bool> {
    db.run(
        "record an event of an organisation",
        sqlx::query_scalar!(
            r#"/* db::organization_events::record */
            SELECT record_organization_event($1, $2, $3, $4, $5, $6) AS "recorded!""#,
            scope.id() as OrganizationId,
            event.id,
            event.kind,
            event.at as Timestamp,
            event.data,
            event.endpoint_id as Option<WebhookEndpointId>
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// Organisations with events that happened `before` then, at most `limit`. One look into the index for
/// each organisation.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn organizations_with_old(
    db: &Db,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<OrganizationId>> {
    db.run(
        "find old events of organisations",
        sqlx::query_scalar!(
            "/* db::organization_events::organizations_with_old */ SELECT o.organization_id
            FROM organizations o
            CROSS JOIN LATERAL (
                SELECT e.at FROM organization_events e WHERE e.organization_id = o.organization_id
                ORDER BY e.position LIMIT 1
            ) oldest
            WHERE oldest.at < $1
            LIMIT $2",
            before as Timestamp,
            limit
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Removes events that happened `before` then and of which no delivery is left, at most `most`, the
/// oldest first; how many.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn purge(db: &Db, scope: OrgScope, before: Timestamp, most: i32) -> Result<i64> {
    db.run(
        "remove old events of an organisation",
        sqlx::query_scalar!(
            r#"/* db::organization_events::purge */
            SELECT purge_organization_events($1, $2, $3) AS "gone!""#,
            scope.id() as OrganizationId,
            before as Timestamp,
            most
        )
        .fetch_one(&db.pool),
    )
    .await
}
