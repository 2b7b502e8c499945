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
