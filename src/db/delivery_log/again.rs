//! Deliveries are queued anew: one, those of a time, or what was given up.

use super::DeliveryKey;
use crate::{
    db::Db,
    domain::{CallId, OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId},
};

/// Queues a delivery anew, with a schedule that begins now. What is under way stays so. False:
/// there is no such delivery.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn resend(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    key: DeliveryKey,
    now: Timestamp,
) -> Result<bool> {
    let found = db
        .run(
            "send a delivery again",
            sqlx::query_scalar!(
                r#"/* db::delivery_log::resend */ WITH queued AS (
                    UPDATE webhook_deliveries SET state = 'pending', due_at = $5, closed_at = NULL,
                        requeued_at = $5, attempts_before = attempt
                    WHERE organization_id = $1 AND endpoint_id = $2 AND call_id = $3 AND sequence = $4
                        AND lease IS NULL
                )
                SELECT count(*) AS "found!" FROM webhook_deliveries
                WHERE organization_id = $1 AND endpoint_id = $2 AND call_id = $3 AND sequence = $4"#,
                scope.id() as OrganizationId,
                endpoint_id as WebhookEndpointId,
                key.call_id as CallId,
                key.sequence,
                now as Timestamp
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(found == 1)
}

/// Makes due what waits for an endpoint by its schedule, at most `most`, the soonest first. What is
/// under way stays so.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn make_due(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    now: Timestamp,
    most: i32,
) -> Result<()> {
    db.run(
        "make what waits due",
        sqlx::query!(
            "/* db::delivery_log::make_due */ WITH waiting AS (
                -- Waiting for one that is just being recorded could deadlock.
                SELECT ctid FROM webhook_deliveries
                WHERE organization_id = $1 AND endpoint_id = $2 AND state = 'pending'
                    AND due_at > $3 AND lease IS NULL
                ORDER BY due_at, call_id, sequence LIMIT $4
                FOR NO KEY UPDATE SKIP LOCKED
            )
            UPDATE webhook_deliveries SET due_at = $3
            WHERE organization_id = $1 AND endpoint_id = $2
                AND ctid = ANY (ARRAY(SELECT ctid FROM waiting))",
            scope.id() as OrganizationId,
            endpoint_id as WebhookEndpointId,
            now as Timestamp,
            i64::from(most)
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// A time in the log of events: from, and before.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// What was queued anew, and from when on there may be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    pub count: i64,
    pub continue_from: Option<Timestamp>,
}

/// Queues anew every event of a time that the endpoint wants, delivered or not and also those that
/// were never queued for it; at most `most`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn replay(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    range: Range,
    now: Timestamp,
    most: i32,
) -> Result<Replayed> {
    db.run(
        "replay deliveries",
        sqlx::query_as!(
            Replayed,
            r#"/* db::delivery_log::replay */ SELECT replayed AS "count!",
                last_at AS "continue_from: Timestamp"
            FROM replay_deliveries($1, $2, $3, $4, $5, $6)"#,
            scope.id() as OrganizationId,
            endpoint_id as WebhookEndpointId,
            range.from as Timestamp,
            range.to as Timestamp,
            now as Timestamp,
            most
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// Queues anew what was given up, of events queued in that time; at most `most`, the oldest first.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn replay_failed(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    range: Range,
    now: Timestamp,
    most: i32,
) -> Result<Replayed> {
    db.run(
        "replay failed deliveries",
        sqlx::query_as!(
            Replayed,
            r#"/* db::delivery_log::replay_failed */ WITH dead AS (
                SELECT call_id, sequence, created_at FROM webhook_deliveries
                WHERE organization_id = $1 AND endpoint_id = $2 AND state = 'dead'
                    AND created_at >= $3 AND created_at < $4
                ORDER BY created_at, call_id, sequence LIMIT $6
            ), held AS (
                -- In the order of db::webhook_deliveries::record: the two may meet.
                SELECT d.call_id, d.sequence FROM webhook_deliveries d
                JOIN dead ON dead.call_id = d.call_id AND dead.sequence = d.sequence
                WHERE d.organization_id = $1 AND d.endpoint_id = $2 AND d.state = 'dead'
                ORDER BY d.call_id, d.sequence
                FOR NO KEY UPDATE OF d
            ), queued AS (
                UPDATE webhook_deliveries d SET state = 'pending', due_at = $5, closed_at = NULL,
                    requeued_at = $5, attempts_before = d.attempt
                FROM held
                WHERE d.organization_id = $1 AND d.endpoint_id = $2
                    AND d.call_id = held.call_id AND d.sequence = held.sequence
                RETURNING 1
            )
            SELECT (SELECT count(*) FROM queued) AS "count!",
                (SELECT max(created_at) FROM dead HAVING count(*) = $6) AS "continue_from: Timestamp""#,
            scope.id() as OrganizationId,
            endpoint_id as WebhookEndpointId,
            range.from as Timestamp,
            range.to as Timestamp,
            now as Timestamp,
            i64::from(most)
        )
        .fetch_one(&db.pool),
    )
    .await
}
