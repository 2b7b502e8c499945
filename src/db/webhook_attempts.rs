//! The partitions of the log of attempts. Attempts are written with the deliveries they were made
//! for (`db::webhook_deliveries`) and read with them (`db::delivery_log`).

use super::Db;
use crate::domain::{Result, Timestamp};

/// What was done to the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub made: i32,
    pub dropped: i32,
}

/// Makes the partitions of today and of the next `ahead_days`, and drops those that are more than
/// `kept_days` old. Safe to repeat, and at the same time on every node: one does it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`, also when somebody reads or writes the log for longer than two seconds.
pub async fn keep_partitions(
    db: &Db,
    now: Timestamp,
    kept_days: i32,
    ahead_days: i32,
) -> Result<Kept> {
    db.run(
        "keep the partitions of delivery attempts",
        sqlx::query_as!(
            Kept,
            r#"/* db::webhook_attempts::keep_partitions */ SELECT made AS "made!", dropped AS "dropped!"
            FROM keep_attempt_partitions($1, $2, $3)"#,
            now as Timestamp,
            kept_days,
            ahead_days
        )
        .fetch_one(&db.pool),
    )
    .await
}
