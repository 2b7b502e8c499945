//! People and what mails prove of them.

mod register;

use time::Duration;

use super::{Db, mails::NewMail};
use crate::domain::{PersonId, Result, SessionId, Timestamp, person::EmailAddress};

pub use register::{
    InvitedRegistration, NewMember, Registration, create_member, register, register_invited,
};

/// A person as the account is looked up by its address.
#[derive(Clone, Debug)]
pub struct PersonRow {
    pub id: PersonId,
    pub email: String,
    pub name: String,
    pub password_hash: String,
    pub email_verified: bool,
}

/// The account with this address.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_by_email(db: &Db, email: &EmailAddress) -> Result<Option<PersonRow>> {
    db.run(
        "find a person by address",
        sqlx::query_as!(
            PersonRow,
            r#"/* db::people::find_by_email */ SELECT id, email, name, password_hash,
                email_verified_at IS NOT NULL AS "email_verified!"
            FROM people WHERE email_key = $1"#,
            email.key()
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// The account with this id.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(db: &Db, id: PersonId) -> Result<Option<PersonRow>> {
    db.run(
        "find a person",
        sqlx::query_as!(
            PersonRow,
            r#"/* db::people::find */ SELECT id, email, name, password_hash,
                email_verified_at IS NOT NULL AS "email_verified!"
            FROM people WHERE id = $1"#,
            id as PersonId
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// Confirms an address by what was mailed to it, and with it the organisations that its person owns.
/// Whose it is; `None`: the link is unknown, used or too old.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn verify_email(db: &Db, digest: &[u8; 32], now: Timestamp) -> Result<Option<PersonId>> {
    db.run(
        "confirm an address",
        sqlx::query_scalar!(
            r#"/* db::people::verify_email */ WITH link AS (
                UPDATE mail_links SET used_at = $2
                WHERE digest = $1 AND purpose = 'verify_email' AND used_at IS NULL AND expires_at > $2
                RETURNING person_id
            ), person AS (
                UPDATE people p SET email_verified_at = coalesce(p.email_verified_at, $2)
                FROM link WHERE p.id = link.person_id RETURNING p.id
            ), verified AS (
                UPDATE organizations o SET verified_at = $2 FROM members m JOIN person ON person.id = m.person_id
                WHERE m.role = 'owner' AND o.organization_id = m.organization_id AND o.verified_at IS NULL
            )
            SELECT id AS "id: PersonId" FROM person"#,
            digest.as_slice(),
            now as Timestamp
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// A mail with a link for an account.
#[derive(Debug)]
pub struct LinkMail {
    pub digest: [u8; 32],
    pub mail: NewMail,
    pub now: Timestamp,
    pub good_for: Duration,
}

/// Mails the link that sets a new password, if the address has an account.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn offer_reset(db: &Db, email: &EmailAddress, new: &LinkMail) -> Result<()> {
    db.run(
        "offer a new password",
        sqlx::query!(
            "/* db::people::offer_reset */ WITH person AS (
                SELECT id FROM people WHERE email_key = $1
            ), link AS (
                INSERT INTO mail_links (digest, person_id, purpose, created_at, expires_at)
                SELECT $2, id, 'reset_password', $3::timestamptz, $4 FROM person
            )
            INSERT INTO mails (id, mail_sealed, mail_key_id, created_at, due_at)
            SELECT $5, $6, $7, $3, $3 FROM person",
            email.key(),
            new.digest.as_slice(),
            new.now as Timestamp,
            new.now.plus(new.good_for) as Timestamp,
            new.mail.id.0,
            new.mail.sealed.bytes,
            new.mail.sealed.key_id
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Whether a link that sets a password is good: asked before the new one is hashed.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_by_reset_link(
    db: &Db,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<PersonRow>> {
    db.run(
        "find a person by link",
        sqlx::query_as!(
            PersonRow,
            r#"/* db::people::find_by_reset_link */ SELECT p.id, p.email, p.name, p.password_hash,
                p.email_verified_at IS NOT NULL AS "email_verified!"
            FROM mail_links l JOIN people p ON p.id = l.person_id
            WHERE l.digest = $1 AND l.purpose = 'reset_password' AND l.used_at IS NULL AND l.expires_at > $2"#,
            digest.as_slice(),
            now as Timestamp
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// Sets a password by what was mailed, ends every session, makes every other link useless, and
/// confirms the address. Whose it is; `None`: the link is unknown, used or too old.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn reset_password(
    db: &Db,
    digest: &[u8; 32],
    password_hash: &str,
    notice: &NewMail,
    now: Timestamp,
) -> Result<Option<PersonId>> {
    db.run(
        "set a password by link",
        sqlx::query_scalar!(
            r#"/* db::people::reset_password */ WITH link AS (
                UPDATE mail_links SET used_at = $2
                WHERE digest = $1 AND purpose = 'reset_password' AND used_at IS NULL AND expires_at > $2
                RETURNING person_id
            ), person AS (
                UPDATE people p SET password_hash = $3, email_verified_at = coalesce(p.email_verified_at, $2)
                FROM link WHERE p.id = link.person_id RETURNING p.id
            ), verified AS (
                UPDATE organizations o SET verified_at = $2 FROM members m JOIN person ON person.id = m.person_id
                WHERE m.role = 'owner' AND o.organization_id = m.organization_id AND o.verified_at IS NULL
            ), ended AS (
                UPDATE sessions s SET ended_at = $2, ended_reason = 'password_changed' FROM person
                WHERE s.person_id = person.id AND s.ended_at IS NULL
            ), undone AS (
                UPDATE mail_links l SET used_at = $2 FROM person
                WHERE l.person_id = person.id AND l.used_at IS NULL AND l.digest <> $1
            ), mail AS (
                INSERT INTO mails (id, mail_sealed, mail_key_id, created_at, due_at)
                SELECT $4::uuid, $5::bytea, $6::text, $2, $2 FROM person
            )
            SELECT id AS "id: PersonId" FROM person"#,
            digest.as_slice(),
            now as Timestamp,
            password_hash,
            notice.id.0,
            notice.sealed.bytes,
            notice.sealed.key_id
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// A password that its owner changes.
#[derive(Debug)]
pub struct PasswordChange<'a> {
    pub person_id: PersonId,
    /// The session that goes on.
    pub session_id: SessionId,
    pub before: &'a str,
    pub after: &'a str,
    pub notice: &'a NewMail,
    pub now: Timestamp,
}

/// Changes a password, if it is still the one that was shown, and ends the other sessions.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn change_password(db: &Db, change: &PasswordChange<'_>) -> Result<bool> {
    let changed = db
        .run(
            "change a password",
            sqlx::query_scalar!(
                r#"/* db::people::change_password */ WITH person AS (
                    UPDATE people SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING id
                ), ended AS (
                    UPDATE sessions s SET ended_at = $5, ended_reason = 'password_changed' FROM person
                    WHERE s.person_id = person.id AND s.id <> $4 AND s.ended_at IS NULL
                ), undone AS (
                    UPDATE mail_links l SET used_at = $5 FROM person
                    WHERE l.person_id = person.id AND l.purpose = 'reset_password' AND l.used_at IS NULL
                ), mail AS (
                    INSERT INTO mails (id, mail_sealed, mail_key_id, created_at, due_at)
                    SELECT $6::uuid, $7::bytea, $8::text, $5, $5 FROM person
                )
                SELECT count(*) AS "changed!" FROM person"#,
                change.person_id as PersonId,
                change.before,
                change.after,
                change.session_id as SessionId,
                change.now as Timestamp,
                change.notice.id.0,
                change.notice.sealed.bytes,
                change.notice.sealed.key_id
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(changed == 1)
}

/// Forgets links that are over since before `before`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn forget_links(db: &Db, before: Timestamp) -> Result<u64> {
    let done = db
        .run(
            "forget links",
            sqlx::query!(
                "/* db::people::forget_links */ DELETE FROM mail_links WHERE expires_at < $1",
                before as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected())
}
