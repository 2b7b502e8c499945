//! `Idempotency-Key` headers and the answers given. A key is written with the operation itself
//! where that is one statement (`db::calls::create`), else by [`begin`] and [`finish`].

use serde::Serialize;

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{OrgScope, OrganizationId, Result, Timestamp, TokenId},
};

/// A key to store, with its answer when that is known already.
#[derive(Clone, Debug, Serialize)]
pub struct NewKey {
    pub route: &'static str,
    pub key: String,
    /// `None`: the request came without one.
    pub token_id: Option<TokenId>,
    /// SHA-256 of the request, hexadecimal.
    pub request_hash: String,
    pub status: Option<i16>,
    /// The sealed answer, hexadecimal.
    pub answer_sealed: Option<String>,
    pub answer_key_id: Option<String>,
}

/// A stored key.
#[derive(Debug)]
pub struct StoredKey {
    pub request_hash: Vec<u8>,
    /// `None`: the operation is running, or died.
    pub answer: Option<(i16, Sealed)>,
    pub created_at: Timestamp,
}

/// Finds a key.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(db: &Db, scope: OrgScope, route: &str, key: &str) -> Result<Option<StoredKey>> {
    let row = db
        .run(
            "find an idempotency key",
            sqlx::query!(
                "/* db::idempotency::find */ SELECT request_hash, status, answer_sealed,
                    answer_key_id, created_at
                FROM idempotency_keys WHERE organization_id = $1 AND route = $2 AND key = $3",
                scope.id() as OrganizationId,
                route,
                key
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| {
        let sealed = row.answer_sealed.zip(row.answer_key_id);
        let sealed = sealed.map(|(bytes, key_id)| Sealed { bytes, key_id });
        StoredKey {
            request_hash: row.request_hash,
            answer: row.status.zip(sealed),
            created_at: row.created_at,
        }
    }))
}

/// How a key is taken: by a first request, or over from an operation that died before `dead_before`.
#[derive(Clone, Copy, Debug)]
pub struct Begin {
    pub now: Timestamp,
    pub dead_before: Timestamp,
    /// Whoever takes the key over holds it anew; otherwise it stays as old as it is, and the next
    /// one may take it over at once.
    pub anew: bool,
}

/// Stores a key without an answer, or takes over one whose operation died, and returns since when
/// it is held. `None`: another request holds it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn begin(
    db: &Db,
    scope: OrgScope,
    key: &NewKey,
    begin: Begin,
) -> Result<Option<Timestamp>> {
    db.run(
        "begin an idempotent operation",
        sqlx::query_scalar!(
            r#"/* db::idempotency::begin */ INSERT INTO idempotency_keys AS k (organization_id,
                route, key, token_id, request_hash, created_at)
            VALUES ($1, $2, $3, $4, decode($5, 'hex'), $6)
            ON CONFLICT (organization_id, route, key) DO UPDATE
            SET created_at = CASE WHEN $8 THEN excluded.created_at ELSE k.created_at END
            WHERE k.status IS NULL AND k.created_at < $7 AND k.request_hash = excluded.request_hash
            RETURNING created_at AS "created_at: Timestamp""#,
            scope.id() as OrganizationId,
            key.route,
            key.key,
            key.token_id as Option<TokenId>,
            key.request_hash,
            begin.now as Timestamp,
            begin.dead_before as Timestamp,
            begin.anew
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// Stores the answer to a key.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn finish(
    db: &Db,
    scope: OrgScope,
    route: &str,
    key: &str,
    status: i16,
    answer: &Sealed,
) -> Result<()> {
    db.run(
        "keep an idempotent answer",
        sqlx::query!(
            "/* db::idempotency::finish */ UPDATE idempotency_keys
            SET status = $4, answer_sealed = $5, answer_key_id = $6
            WHERE organization_id = $1 AND route = $2 AND key = $3",
            scope.id() as OrganizationId,
            route,
            key,
            status,
            answer.bytes,
            answer.key_id
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Forgets a key whose operation failed in a way that should be tried again.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn forget(db: &Db, scope: OrgScope, route: &str, key: &str) -> Result<()> {
    db.run(
        "forget an idempotency key",
        sqlx::query!(
            "/* db::idempotency::forget */ DELETE FROM idempotency_keys
            WHERE organization_id = $1 AND route = $2 AND key = $3 AND status IS NULL",
            scope.id() as OrganizationId,
            route,
            key
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Forgets keys older than `before`, and those without an answer older than `dead_before`, whose
/// operation died: the operation itself is safe to repeat. Returns how many.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn purge(db: &Db, before: Timestamp, dead_before: Timestamp) -> Result<u64> {
    let done = db
        .run(
            "forget old idempotency keys",
            sqlx::query!(
                "/* db::idempotency::purge */ DELETE FROM idempotency_keys
                WHERE created_at < $1 OR (status IS NULL AND created_at < $2)",
                before as Timestamp,
                dead_before as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected())
}
