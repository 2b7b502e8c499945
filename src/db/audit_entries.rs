//! Who did what. What is done to a call is recorded with the change (`db::calls`), what is done to the
//! rest by the SQL function `record_act` within the change; what changes no row, here. And the list.

use serde::Serialize;
use serde_json::Value;

use super::{Db, calls::AuditRow};
use crate::domain::{
    AuditEntryId, OrgScope, OrganizationId, PersonId, Result, Timestamp, page::Cursor,
};

/// An act that is recorded by the statement of the change, as the SQL function `record_act` reads it.
#[derive(Clone, Debug, Serialize)]
pub struct Act {
    #[serde(flatten)]
    pub entry: AuditRow,
    pub subject: String,
    pub at: Timestamp,
}

/// Records an act.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(
    db: &Db,
    scope: OrgScope,
    entry: &AuditRow,
    subject: &str,
    at: Timestamp,
) -> Result<()> {
    db.run(
        "record an act",
        sqlx::query!(
            "/* db::audit_entries::insert */ INSERT INTO audit_entries (organization_id, id, at,
                actor, action, subject, address, request_id, detail)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            scope.id() as OrganizationId,
            entry.id as AuditEntryId,
            at as Timestamp,
            entry.actor,
            entry.action,
            subject,
            entry.address,
            entry.request_id,
            entry.detail
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Records what a person did to the own account, in every organisation that the person belongs to:
/// each learns of it, and the same entry has the same id in all. Nothing for a member of none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert_of_person(
    db: &Db,
    person_id: PersonId,
    entry: &AuditRow,
    at: Timestamp,
) -> Result<()> {
    db.run(
        "record an act of a person",
        sqlx::query!(
            "/* db::audit_entries::insert_of_person */ INSERT INTO audit_entries (organization_id,
                id, at, actor, action, subject, address, request_id, detail)
            SELECT organization_id, $2, $3, $4, $5, $6, $7, $8, $9 FROM members WHERE person_id = $1",
            person_id as PersonId,
            entry.id as AuditEntryId,
            at as Timestamp,
            entry.actor,
            entry.action,
            person_id.to_string(),
            entry.address,
            entry.request_id,
            entry.detail
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: AuditEntryId,
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub detail: Value,
}

/// Which entries. Everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub subject: Option<String>,
    /// At the earliest.
    pub after: Option<Timestamp>,
    /// Before this instant.
    pub before: Option<Timestamp>,
}

/// At most `limit` entries, newest first. One statement, an index scan that begins at the cursor.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(
    db: &Db,
    scope: OrgScope,
    filter: &Filter,
    after: Option<Cursor<AuditEntryId>>,
    limit: i64,
) -> Result<Vec<Entry>> {
    db.run(
        "list audit entries",
        sqlx::query_as!(
            Entry,
            "/* db::audit_entries::list */ SELECT id, at, actor, action, subject, address,
                request_id, detail
            FROM audit_entries
            WHERE organization_id = $1
                AND ($2::text IS NULL OR actor = $2)
                AND ($3::text IS NULL OR action = $3)
                AND ($4::text IS NULL OR subject = $4)
                AND at >= coalesce($5::timestamptz, '-infinity') AND at < coalesce($6::timestamptz, 'infinity')
                AND (at, id) < (
                    coalesce($7::timestamptz, 'infinity'),
                    coalesce($8::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
                )
            ORDER BY at DESC, id DESC LIMIT $9",
            scope.id() as OrganizationId,
            filter.actor.as_deref(),
            filter.action.as_deref(),
            filter.subject.as_deref(),
            filter.after as Option<Timestamp>,
            filter.before as Option<Timestamp>,
            after.map(|cursor| cursor.created_at) as Option<Timestamp>,
            after.map(|cursor| cursor.id) as Option<AuditEntryId>,
            limit
        )
        .fetch_all(&db.pool),
    )
    .await
}
