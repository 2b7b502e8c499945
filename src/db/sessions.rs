//! Sessions of people, and the refresh tokens by which they go on.

use super::Db;
use crate::domain::{
    OrganizationId, PersonId, Result, SessionId, Timestamp,
    membership::{Membership, Standing},
    role::Role,
};

/// A session to begin, with its first refresh token's digest.
#[derive(Debug)]
pub struct NewSession<'a> {
    pub id: SessionId,
    pub person_id: PersonId,
    pub preferred_organization: Option<OrganizationId>,
    pub address: Option<&'a str>,
    pub refresh_digest: [u8; 32],
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// The password's hash that was found right: when it was changed meanwhile, no session begins.
    pub password_hash: &'a str,
    /// The password's hash under today's parameters, where that was due.
    pub rehashed: Option<&'a str>,
}

/// Begins a session. False: the password was changed meanwhile.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn begin(db: &Db, new: &NewSession<'_>) -> Result<bool> {
    let begun = db
        .run(
            "begin a session",
            sqlx::query!(
                r#"/* db::sessions::begin */ WITH person AS (
                    UPDATE people SET password_hash = coalesce($9, password_hash)
                    WHERE id = $2 AND password_hash = $8 RETURNING id
                ), session AS (
                    INSERT INTO sessions (id, person_id, preferred_organization, address, created_at,
                        refreshed_at, expires_at)
                    SELECT $1, id, $3, $4, $5, $5, $6 FROM person RETURNING id
                )
                INSERT INTO refresh_tokens (digest, session_id, created_at) SELECT $7, id, $5 FROM session"#,
                new.id as SessionId,
                new.person_id as PersonId,
                new.preferred_organization as Option<OrganizationId>,
                new.address,
                new.created_at as Timestamp,
                new.expires_at as Timestamp,
                new.refresh_digest.as_slice(),
                new.password_hash,
                new.rehashed
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(begun.rows_affected() == 1)
}

/// What became of a refresh token that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was good, and the next one is stored.
    Rotated {
        session_id: SessionId,
        person_id: PersonId,
        preferred_organization: Option<OrganizationId>,
    },
    /// It had been used before: the session has just been ended for it.
    Reused(PersonId),
    /// There is no such token, or its session is over.
    Refused,
}

/// How long a session goes on by a refresh.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    pub digest: [u8; 32],
    pub next: [u8; 32],
    /// Names another organisation from now on.
    pub preferred_organization: Option<OrganizationId>,
    pub now: Timestamp,
    pub idle_until: Timestamp,
    /// The longest that a session may last, in seconds.
    pub longest_seconds: f64,
}

/// Uses a refresh token: once. A second use, also one at the same moment, ends the session.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn refresh(db: &Db, refresh: &Refresh) -> Result<Refreshed> {
    let row = db
        .run(
            "refresh a session",
            sqlx::query!(
                r#"/* db::sessions::refresh */ WITH shown AS (
                    SELECT session_id FROM refresh_tokens WHERE digest = $1
                ), taken AS (
                    UPDATE refresh_tokens SET used_at = $3 WHERE digest = $1 AND used_at IS NULL
                    RETURNING session_id
                ), rotated AS (
                    UPDATE sessions s SET refreshed_at = $3,
                        expires_at = least($4, s.created_at + make_interval(secs => $6)),
                        preferred_organization = coalesce($5, s.preferred_organization)
                    FROM taken
                    WHERE s.id = taken.session_id AND s.ended_at IS NULL AND s.expires_at > $3
                    RETURNING s.id, s.person_id, s.preferred_organization
                ), next AS (
                    INSERT INTO refresh_tokens (digest, session_id, created_at)
                    SELECT $2, id, $3 FROM rotated
                ), reused AS (
                    UPDATE sessions s SET ended_at = $3, ended_reason = 'refresh_token_reused'
                    FROM shown
                    WHERE s.id = shown.session_id AND s.ended_at IS NULL
                        AND NOT EXISTS (SELECT FROM taken)
                    RETURNING s.id, s.person_id
                )
                SELECT id AS "session_id!: SessionId", person_id AS "person_id!: PersonId",
                    preferred_organization AS "preferred_organization: OrganizationId",
                    false AS "reused!" FROM rotated
                UNION ALL SELECT id, person_id, NULL, true FROM reused"#,
                refresh.digest.as_slice(),
                refresh.next.as_slice(),
                refresh.now as Timestamp,
                refresh.idle_until as Timestamp,
                refresh.preferred_organization as Option<OrganizationId>,
                refresh.longest_seconds
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(match row {
        None => Refreshed::Refused,
        Some(row) if row.reused => Refreshed::Reused(row.person_id),
        Some(row) => Refreshed::Rotated {
            session_id: row.session_id,
            person_id: row.person_id,
            preferred_organization: row.preferred_organization,
        },
    })
}

/// Ends the session of a refresh token, used or not. Who it was, if there was one to end.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn end_by_token(
    db: &Db,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<(SessionId, PersonId)>> {
    let row = db
        .run(
            "end a session",
            sqlx::query!(
                "/* db::sessions::end_by_token */ UPDATE sessions SET ended_at = $2, ended_reason = 'logout'
                WHERE id = (SELECT session_id FROM refresh_tokens WHERE digest = $1) AND ended_at IS NULL
                RETURNING id, person_id",
                digest.as_slice(),
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| (row.id, row.person_id)))
}

/// Ends one of a person's sessions. False: the person has no such session that goes on.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn end(db: &Db, person_id: PersonId, id: SessionId, now: Timestamp) -> Result<bool> {
    let done = db
        .run(
            "end a person's session",
            sqlx::query!(
                "/* db::sessions::end */ UPDATE sessions SET ended_at = $3, ended_reason = 'revoked'
                WHERE id = $2 AND person_id = $1 AND ended_at IS NULL AND expires_at > $3",
                person_id as PersonId,
                id as SessionId,
                now as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the sessions of a person whose password was changed, but for `except`, that the statement of
/// the change could not see: it waited for logins that were checking the password before, and what
/// those then committed is newer than its snapshot. No login by that password begins after it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn end_begun_meanwhile(
    db: &Db,
    person_id: PersonId,
    except: Option<SessionId>,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    db.run(
        "end sessions begun meanwhile",
        sqlx::query!(
            "/* db::sessions::end_begun_meanwhile */ UPDATE sessions SET ended_at = $4, ended_reason = $3
            WHERE person_id = $1 AND id IS DISTINCT FROM $2 AND ended_at IS NULL",
            person_id as PersonId,
            except as Option<SessionId>,
            reason,
            now as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// A session as its owner sees it.
#[derive(Clone, Debug)]
pub struct SessionRow {
    pub id: SessionId,
    pub address: Option<String>,
    pub created_at: Timestamp,
    pub refreshed_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A person's sessions that go on, the one used last first, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, person_id: PersonId, now: Timestamp) -> Result<Vec<SessionRow>> {
    db.run(
        "list sessions",
        sqlx::query_as!(
            SessionRow,
            "/* db::sessions::list */ SELECT id, address, created_at, refreshed_at, expires_at FROM sessions
            WHERE person_id = $1 AND ended_at IS NULL AND expires_at > $2
            ORDER BY refreshed_at DESC, id LIMIT 1000",
            person_id as PersonId,
            now as Timestamp
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Who a session's person is and belongs to; `None`: the session is over, or not the person's.
/// Establishes the organisation of a person, as `db::tokens::find_caller` does of a token.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_standing(
    db: &Db,
    id: SessionId,
    person_id: PersonId,
    now: Timestamp,
) -> Result<Option<Standing>> {
    let rows = db
        .run(
            "find a session",
            sqlx::query!(
                r#"/* db::sessions::find_standing */ SELECT p.email_verified_at IS NOT NULL AS "email_verified!",
                    o.organization_id AS "organization_id?", m.role AS "role?: Role",
                    o.verified_at IS NOT NULL AS "organization_verified!"
                FROM sessions s JOIN people p ON p.id = s.person_id
                LEFT JOIN members m ON m.person_id = p.id
                LEFT JOIN organizations o ON o.organization_id = m.organization_id
                WHERE s.id = $1 AND s.person_id = $2 AND s.ended_at IS NULL AND s.expires_at > $3
                ORDER BY o.created_at, o.organization_id LIMIT 1000"#,
                id as SessionId,
                person_id as PersonId,
                now as Timestamp
            )
            .fetch_all(&db.pool),
        )
        .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let email_verified = first.email_verified;
    let memberships = rows
        .iter()
        .filter_map(|row| {
            Some(Membership {
                organization_id: row.organization_id?,
                role: row.role?,
                organization_verified: row.organization_verified,
            })
        })
        .collect();
    Ok(Some(Standing {
        email_verified,
        memberships,
    }))
}

/// Forgets sessions that are over since before `before`, with their tokens, at most 1,000 at once.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn forget_over(db: &Db, before: Timestamp) -> Result<u64> {
    let done = db
        .run(
            "forget sessions",
            sqlx::query!(
                "/* db::sessions::forget_over */ DELETE FROM sessions WHERE id IN (
                    SELECT id FROM sessions WHERE expires_at < $1 LIMIT 1000
                )",
                before as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected())
}
