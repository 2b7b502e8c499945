//! Facts of calls, as published. Written by `db::calls` only.

use serde_json::Value;

use super::Db;
use crate::domain::{CallId, OrgScope, OrganizationId, Result, Timestamp, call::FactType};

/// A fact as it is read back.
#[derive(Debug)]
pub struct FactRow {
    pub sequence: i64,
    pub kind: FactType,
    pub at: Timestamp,
    pub data: Value,
}

/// The facts of a call with a number above `after`, in order, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope, call_id: CallId, after: i64) -> Result<Vec<FactRow>> {
    db.run(
        "list a call's facts",
        sqlx::query_as!(
            FactRow,
            "/* db::call_facts::list */ SELECT sequence, type AS kind, at, data FROM call_facts
            WHERE organization_id = $1 AND call_id = $2 AND sequence > $3
            ORDER BY sequence LIMIT 1000",
            scope.id() as OrganizationId,
            call_id as CallId,
            after
        )
        .fetch_all(&db.pool),
    )
    .await
}
