//! The inbox of provider callbacks. One that changes its call is recorded with the change
//! (`db::calls::apply`); the others are recorded here.

use super::{Db, calls::ReceiptRow};
use crate::domain::{CallId, OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp};

/// Records a callback that changed nothing: late, stale or a repetition.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert_stale(
    db: &Db,
    scope: OrgScope,
    call_id: CallId,
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
            call_id as CallId,
            now as Timestamp,
            receipt.body
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}
