//! Who did what. What is done to a call is recorded with the change (`db::calls`); the rest here.

use super::{Db, calls::AuditRow};
use crate::domain::{AuditEntryId, OrgScope, OrganizationId, PersonId, Result, Timestamp};

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
