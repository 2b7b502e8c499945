//! Offers to join an organisation.

use super::{Db, mails::NewMail};
use crate::domain::{
    InvitationId, OrgScope, OrganizationId, PersonId, Result, Timestamp, person::EmailAddress,
    role::Role,
};

/// An invitation as members see it.
#[derive(Clone, Debug)]
pub struct InvitationRow {
    pub id: InvitationId,
    pub email: String,
    pub role: Role,
    pub invited_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// An invitation to write, with its mail.
#[derive(Debug)]
pub struct NewInvitation<'a> {
    pub id: InvitationId,
    pub email: &'a EmailAddress,
    pub role: Role,
    pub token_digest: [u8; 32],
    pub invited_by: &'a str,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub mail: &'a NewMail,
}

/// Writes an invitation and its mail; earlier ones for the address are revoked.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(db: &Db, scope: OrgScope, new: &NewInvitation<'_>) -> Result<()> {
    db.run(
        "invite somebody",
        sqlx::query!(
            "/* db::invitations::insert */ WITH earlier AS (
                UPDATE invitations SET revoked_at = $8
                WHERE organization_id = $1 AND email_key = $4 AND accepted_at IS NULL AND revoked_at IS NULL
            ), mail AS (
                INSERT INTO mails (id, mail_sealed, mail_key_id, created_at, due_at)
                VALUES ($10, $11, $12, $8, $8)
            )
            INSERT INTO invitations (organization_id, id, email, email_key, role, token_digest,
                invited_by, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            scope.id() as OrganizationId,
            new.id as InvitationId,
            new.email.reveal(),
            new.email.key(),
            new.role.as_str(),
            new.token_digest.as_slice(),
            new.invited_by,
            new.created_at as Timestamp,
            new.expires_at as Timestamp,
            new.mail.id.0,
            new.mail.sealed.bytes,
            new.mail.sealed.key_id
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// The organisation's open invitations, the newest first, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope, now: Timestamp) -> Result<Vec<InvitationRow>> {
    db.run(
        "list invitations",
        sqlx::query_as!(
            InvitationRow,
            r#"/* db::invitations::list */ SELECT id, email, role AS "role: Role", invited_by, created_at,
                expires_at
            FROM invitations
            WHERE organization_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2
            ORDER BY created_at DESC, id LIMIT 1000"#,
            scope.id() as OrganizationId,
            now as Timestamp
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Revokes an open invitation to one of these roles. Whose it was; `None`: there is no such one.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn revoke(
    db: &Db,
    scope: OrgScope,
    id: InvitationId,
    now: Timestamp,
) -> Result<Option<Role>> {
    db.run(
        "revoke an invitation",
        sqlx::query_scalar!(
            r#"/* db::invitations::revoke */ UPDATE invitations SET revoked_at = $3
            WHERE organization_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL
                AND expires_at > $3
            RETURNING role AS "role: Role""#,
            scope.id() as OrganizationId,
            id as InvitationId,
            now as Timestamp
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// Whether an invitation is open for this address.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn is_open(
    db: &Db,
    digest: &[u8; 32],
    email: &EmailAddress,
    now: Timestamp,
) -> Result<bool> {
    db.run(
        "look for an invitation",
        sqlx::query_scalar!(
            r#"/* db::invitations::is_open */ SELECT EXISTS (
                SELECT FROM invitations
                WHERE token_digest = $1 AND email_key = $2 AND accepted_at IS NULL
                    AND revoked_at IS NULL AND expires_at > $3
            ) AS "open!""#,
            digest.as_slice(),
            email.key(),
            now as Timestamp
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// Makes a person who has an account a member, by an invitation for the account's address, which it
/// proves. Who is a member already keeps the role. The organisation and the role there; `None`: there is no
/// such invitation that is open.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn accept(
    db: &Db,
    digest: &[u8; 32],
    person_id: PersonId,
    now: Timestamp,
) -> Result<Option<(OrganizationId, Role)>> {
    let row = db
        .run(
            "accept an invitation",
            sqlx::query!(
                r#"/* db::invitations::accept */ WITH invitation AS (
                    UPDATE invitations i SET accepted_at = $3
                    FROM people p
                    WHERE i.token_digest = $1 AND p.id = $2 AND i.email_key = p.email_key
                        AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > $3
                    RETURNING i.organization_id, i.role
                ), proven AS (
                    UPDATE people SET email_verified_at = $3
                    WHERE id = $2 AND email_verified_at IS NULL AND EXISTS (SELECT FROM invitation)
                )
                INSERT INTO members AS m (organization_id, person_id, role, created_at)
                SELECT organization_id, $2, role, $3 FROM invitation
                ON CONFLICT (organization_id, person_id) DO UPDATE SET role = m.role
                RETURNING organization_id, role AS "role: Role""#,
                digest.as_slice(),
                person_id as PersonId,
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| (row.organization_id, row.role)))
}
