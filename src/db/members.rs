//! Who belongs to an organisation.

use super::Db;
use crate::domain::{OrgScope, OrganizationId, PersonId, Result, Timestamp, role::Role};

/// A member as colleagues see one.
#[derive(Clone, Debug)]
pub struct MemberRow {
    pub person_id: PersonId,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
}

/// The organisation's members, those first who came first, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope) -> Result<Vec<MemberRow>> {
    db.run(
        "list members",
        sqlx::query_as!(
            MemberRow,
            r#"/* db::members::list */ SELECT m.person_id, p.email, p.name, m.role AS "role: Role", m.created_at
            FROM members m JOIN people p ON p.id = m.person_id
            WHERE m.organization_id = $1 ORDER BY m.created_at, m.person_id LIMIT 1000"#,
            scope.id() as OrganizationId
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// One member.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(db: &Db, scope: OrgScope, id: PersonId) -> Result<Option<MemberRow>> {
    db.run(
        "find a member",
        sqlx::query_as!(
            MemberRow,
            r#"/* db::members::find */ SELECT m.person_id, p.email, p.name, m.role AS "role: Role", m.created_at
            FROM members m JOIN people p ON p.id = m.person_id
            WHERE m.organization_id = $1 AND m.person_id = $2"#,
            scope.id() as OrganizationId,
            id as PersonId
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// Whether an address is a member's.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn has_email(db: &Db, scope: OrgScope, email_key: &str) -> Result<bool> {
    db.run(
        "look for a member by address",
        sqlx::query_scalar!(
            r#"/* db::members::has_email */ SELECT EXISTS (
                SELECT FROM members m JOIN people p ON p.id = m.person_id
                WHERE m.organization_id = $1 AND p.email_key = $2
            ) AS "exists!""#,
            scope.id() as OrganizationId,
            email_key
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// Changes a member's role, or removes one (`after` is `None`), if the role is still `before` and
/// an owner is left; with the role go the open invitations that the member made. False: somebody was
/// faster, or no other owner is left.
///
/// Owners are locked in one order before it is counted how many there are, so that two who are made
/// less at the same moment cannot both be the last but one.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn change(
    db: &Db,
    scope: OrgScope,
    id: PersonId,
    before: Role,
    after: Option<Role>,
    now: Timestamp,
) -> Result<bool> {
    let changed = db
        .run(
            "change a member",
            sqlx::query_scalar!(
                r#"/* db::members::change */ WITH owners AS MATERIALIZED (
                    SELECT person_id FROM members WHERE organization_id = $1 AND role = 'owner'
                    ORDER BY person_id FOR UPDATE
                ), allowed AS MATERIALIZED (
                    SELECT $3::text <> 'owner' OR EXISTS (SELECT FROM owners WHERE person_id <> $2)
                        OR $4::text = 'owner' AS yes
                ), changed AS (
                    UPDATE members SET role = $4
                    WHERE organization_id = $1 AND person_id = $2 AND role = $3 AND $4::text IS NOT NULL
                        AND (SELECT yes FROM allowed)
                    RETURNING person_id
                ), removed AS (
                    DELETE FROM members
                    WHERE organization_id = $1 AND person_id = $2 AND role = $3 AND $4::text IS NULL
                        AND (SELECT yes FROM allowed)
                    RETURNING person_id
                ), done AS (
                    SELECT person_id FROM changed UNION ALL SELECT person_id FROM removed
                ), revoked AS (
                    UPDATE invitations SET revoked_at = $5
                    WHERE organization_id = $1 AND invited_by = 'person:' || (SELECT person_id FROM done)
                        AND accepted_at IS NULL AND revoked_at IS NULL
                )
                SELECT count(*) AS "changed!" FROM done"#,
                scope.id() as OrganizationId,
                id as PersonId,
                before.as_str(),
                after.map(Role::as_str),
                now as Timestamp
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(changed == 1)
}
