//! The keys of people's access tokens.

use time::Duration;
use uuid::Uuid;

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{Result, Timestamp},
};

/// A key as it is stored.
#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: Uuid,
    pub public: Vec<u8>,
    pub seed: Sealed,
    pub signs_from: Timestamp,
}

/// Every key, newest first.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db) -> Result<Vec<KeyRow>> {
    let rows = db
        .run(
            "list keys of access tokens",
            sqlx::query!(
                "/* db::access_token_keys::list */ SELECT id, public_key, seed_sealed, seed_key_id, signs_from
                FROM access_token_keys ORDER BY signs_from DESC, id"
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| KeyRow {
            id: row.id,
            public: row.public_key,
            seed: Sealed {
                bytes: row.seed_sealed,
                key_id: row.seed_key_id,
            },
            signs_from: row.signs_from,
        })
        .collect())
}

/// Stores a key unless another one was made after `unless_after`, so that nodes that find the same
/// key too old make one between them, or nearly so. Whether it was stored.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(
    db: &Db,
    key: &KeyRow,
    now: Timestamp,
    unless_after: Timestamp,
) -> Result<bool> {
    let done = db
        .run(
            "store a key of access tokens",
            sqlx::query!(
                "/* db::access_token_keys::insert */ INSERT INTO access_token_keys (id, public_key,
                    seed_sealed, seed_key_id, created_at, signs_from)
                SELECT $1, $2, $3, $4, $5, $6
                WHERE NOT EXISTS (SELECT FROM access_token_keys WHERE created_at > $7)",
                key.id,
                key.public,
                key.seed.bytes,
                key.seed.key_id,
                now as Timestamp,
                key.signs_from as Timestamp,
                unless_after as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a seed that was sealed anew in the place of what was read; false when it is another one by now,
/// or the key is forgotten.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn replace_seed(db: &Db, key: &KeyRow, anew: &Sealed) -> Result<bool> {
    let done = db
        .run(
            "seal a key of access tokens anew",
            sqlx::query!(
                "/* db::access_token_keys::replace_seed */ UPDATE access_token_keys
                SET seed_sealed = $2, seed_key_id = $3 WHERE id = $1 AND seed_sealed = $4",
                key.id,
                anew.bytes,
                anew.key_id,
                key.seed.bytes
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets keys that another one has followed for longer than `after`: nothing that they signed is
/// good any more.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn forget_followed(db: &Db, now: Timestamp, after: Duration) -> Result<u64> {
    let done = db
        .run(
            "forget keys of access tokens",
            sqlx::query!(
                "/* db::access_token_keys::forget_followed */ DELETE FROM access_token_keys k
                WHERE EXISTS (
                    SELECT FROM access_token_keys newer
                    WHERE newer.signs_from > k.signs_from AND newer.signs_from < $1
                )",
                now.plus(-after) as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected())
}
