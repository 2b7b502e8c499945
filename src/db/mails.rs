//! The queue of mails. Most rows are written with what they tell of; a mail is claimed under a lease
//! like a job, and its row goes when the mail server has taken it.

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{LeaseToken, MailId, Result, Timestamp},
};

/// A mail to send, sealed.
#[derive(Clone, Debug)]
pub struct NewMail {
    pub id: MailId,
    pub sealed: Sealed,
}

/// A mail that this node may send.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub id: MailId,
    pub sealed: Sealed,
    pub created_at: Timestamp,
    /// From 1.
    pub attempt: i32,
}

/// Stores a mail, due at once.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(db: &Db, mail: &NewMail, now: Timestamp) -> Result<()> {
    db.run(
        "store a mail",
        sqlx::query!(
            "/* db::mails::insert */ INSERT INTO mails (id, mail_sealed, mail_key_id, created_at, due_at)
            VALUES ($1, $2, $3, $4, $4)",
            mail.id as MailId,
            mail.sealed.bytes,
            mail.sealed.key_id,
            now as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Takes due mails, the oldest first, until `until`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn claim(
    db: &Db,
    lease: LeaseToken,
    now: Timestamp,
    until: Timestamp,
    most: i64,
) -> Result<Vec<Claimed>> {
    let rows = db
        .run(
            "claim mails",
            sqlx::query!(
                "/* db::mails::claim */ UPDATE mails SET due_at = $2, lease = $3, attempt = attempt + 1
                WHERE id IN (
                    SELECT id FROM mails WHERE due_at <= $1 ORDER BY due_at LIMIT $4
                    FOR UPDATE SKIP LOCKED
                )
                RETURNING id, mail_sealed, mail_key_id, created_at, attempt",
                now as Timestamp,
                until as Timestamp,
                lease as LeaseToken,
                most
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claimed {
            id: row.id,
            sealed: Sealed {
                bytes: row.mail_sealed,
                key_id: row.mail_key_id,
            },
            created_at: row.created_at,
            attempt: row.attempt,
        })
        .collect())
}

/// Forgets a mail that was sent or is given up. Nothing happens when the lease was lost.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn finish(db: &Db, id: MailId, lease: LeaseToken) -> Result<()> {
    db.run(
        "finish a mail",
        sqlx::query!(
            "/* db::mails::finish */ DELETE FROM mails WHERE id = $1 AND lease = $2",
            id as MailId,
            lease as LeaseToken
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Gives a mail back, to be taken again at `due_at`. Nothing happens when the lease was lost.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn send_again(db: &Db, id: MailId, lease: LeaseToken, due_at: Timestamp) -> Result<()> {
    db.run(
        "reschedule a mail",
        sqlx::query!(
            "/* db::mails::send_again */ UPDATE mails SET due_at = $3, lease = NULL
            WHERE id = $1 AND lease = $2",
            id as MailId,
            lease as LeaseToken,
            due_at as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}
