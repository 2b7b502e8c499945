//! The inbox of provider callbacks. One that changes its call is recorded with the change
//! (`db::calls::apply`); the others are recorded here.

use sqlx::types::Json;

use super::{Db, calls::ReceiptRow};
use crate::domain::{
    CallId, OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp, provider::Observation,
};

/// Records a callback that changed nothing: late, stale or a repetition.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert_stale(
    db: &Db,
    scope: OrgScope,
    call_id: Option<CallId>,
    receipt: &ReceiptRow,
    now: Timestamp,
) -> Result<()> {
    db.run(
        "record a callback that changed nothing",
        sqlx::query!(
            "/* db::callback_receipts::insert_stale */ INSERT INTO callback_receipts
                (organization_id, provider_account_id, receipt_key, call_id, state, received_at, body)
            VALUES ($1, $2, $3, $4, 'stale', $5, $6)
            ON CONFLICT (organization_id, provider_account_id, receipt_key) DO NOTHING",
            scope.id() as OrganizationId,
            receipt.provider_account_id as ProviderAccountId,
            receipt.receipt_key,
            call_id as Option<CallId>,
            now as Timestamp,
            receipt.body
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Keeps a callback about a call that is not known yet.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn park(
    db: &Db,
    scope: OrgScope,
    receipt: &ReceiptRow,
    observation: &Observation,
    now: Timestamp,
) -> Result<()> {
    db.run(
        "park a callback",
        sqlx::query!(
            "/* db::callback_receipts::park */ INSERT INTO callback_receipts
                (organization_id, provider_account_id, receipt_key, state, received_at, body,
                provider_call_id, observation)
            VALUES ($1, $2, $3, 'parked', $4, $5, $6, $7)
            ON CONFLICT (organization_id, provider_account_id, receipt_key) DO NOTHING",
            scope.id() as OrganizationId,
            receipt.provider_account_id as ProviderAccountId,
            receipt.receipt_key,
            now as Timestamp,
            receipt.body,
            observation.provider_call_id,
            Json(observation) as _
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// A callback that waits for its call.
#[derive(Debug)]
pub struct Parked {
    pub receipt: ReceiptRow,
    pub observation: Observation,
}

/// The callbacks that wait for a call, in the order in which they arrived.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn parked(
    db: &Db,
    scope: OrgScope,
    account_id: ProviderAccountId,
    provider_call_id: &str,
) -> Result<Vec<Parked>> {
    let rows = db
        .run(
            "find parked callbacks",
            sqlx::query!(
                r#"/* db::callback_receipts::parked */ SELECT receipt_key, body,
                    observation AS "observation!: Json<Observation>"
                FROM callback_receipts
                WHERE organization_id = $1 AND provider_account_id = $2 AND provider_call_id = $3
                    AND state = 'parked'
                ORDER BY received_at"#,
                scope.id() as OrganizationId,
                account_id as ProviderAccountId,
                provider_call_id
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Parked {
            receipt: ReceiptRow {
                provider_account_id: account_id,
                receipt_key: row.receipt_key,
                body: row.body,
            },
            observation: row.observation.0,
        })
        .collect())
}

/// Takes a parked callback, which changed nothing, out of waiting.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn settle(db: &Db, scope: OrgScope, call_id: CallId, receipt: &ReceiptRow) -> Result<()> {
    db.run(
        "settle a parked callback",
        sqlx::query!(
            "/* db::callback_receipts::settle */ UPDATE callback_receipts
            SET state = 'stale', call_id = $4
            WHERE organization_id = $1 AND provider_account_id = $2 AND receipt_key = $3
                AND state = 'parked'",
            scope.id() as OrganizationId,
            receipt.provider_account_id as ProviderAccountId,
            receipt.receipt_key,
            call_id as CallId
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Calls that are known by now and have callbacks waiting, over all organisations, at most `limit`;
/// callbacks that waited since before `forget` are taken out of waiting.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn calls_with_parked(
    db: &Db,
    forget: Timestamp,
    limit: i64,
) -> Result<Vec<(OrganizationId, CallId)>> {
    db.run(
        "forget parked callbacks",
        sqlx::query!(
            "/* db::callback_receipts::forget */ UPDATE callback_receipts SET state = 'stale'
            WHERE state = 'parked' AND received_at < $1",
            forget as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    let rows = db
        .run(
            "find calls with parked callbacks",
            sqlx::query!(
                r#"/* db::callback_receipts::calls_with_parked */
                SELECT DISTINCT c.organization_id AS "organization_id: OrganizationId", c.id AS "id: CallId"
                FROM callback_receipts r
                JOIN calls c ON c.organization_id = r.organization_id
                    AND c.provider_account_id = r.provider_account_id
                    AND c.provider_call_id = r.provider_call_id
                WHERE r.state = 'parked'
                LIMIT $1"#,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id, row.id))
        .collect())
}
