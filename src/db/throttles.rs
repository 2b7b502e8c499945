//! How much was tried lately without an account.

use time::Duration;

use super::Db;
use crate::domain::{Result, Timestamp, throttle::Rate};

/// Counts a try under each key, and says how long to wait: `None` when it may go on.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn try_once(
    db: &Db,
    tries: &[([u8; 32], Rate)],
    now: Timestamp,
) -> Result<Option<Duration>> {
    let keys: Vec<Vec<u8>> = tries.iter().map(|(key, _)| key.to_vec()).collect();
    let bursts: Vec<i32> = tries.iter().map(|(_, rate)| rate.burst).collect();
    let intervals: Vec<i64> = tries
        .iter()
        .map(|(_, rate)| i64::try_from(rate.interval.whole_milliseconds()).unwrap_or(i64::MAX))
        .collect();
    let wait = db
        .run(
            "count a try",
            sqlx::query_scalar!(
                r#"/* db::throttles::try_once */ SELECT try_throttled($1, $2, $3, $4) AS "wait!""#,
                &keys,
                &bursts,
                &intervals,
                now as Timestamp
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok((wait > 0).then(|| Duration::milliseconds(wait)))
}

/// Forgets what was counted under these keys.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn forget(db: &Db, keys: &[[u8; 32]]) -> Result<()> {
    let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
    db.run(
        "forget tries",
        sqlx::query!(
            "/* db::throttles::forget */ DELETE FROM throttles WHERE key = ANY ($1)",
            &keys
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Forgets counts that are as good as none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn forget_spent(db: &Db, now: Timestamp) -> Result<u64> {
    let done = db
        .run(
            "forget old tries",
            sqlx::query!(
                "/* db::throttles::forget_spent */ DELETE FROM throttles WHERE spent_until < $1",
                now as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected())
}
