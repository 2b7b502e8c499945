//! The one statement by which a call changes.

use sqlx::types::Json;

use super::{
    effects::{Effects, EffectsJson},
    row::ChangedRow,
};
use crate::{
    db::Db,
    domain::{
        CallId, OrgScope, OrganizationId, Result, Timestamp,
        call::{CallStatus, Change, DialState, EndReason, EndSide, EndState},
        provider::Source,
    },
};

/// Writes a decided change if the call is still the one it was decided on. One statement, safe to
/// drop at any moment. False: somebody was faster; read and decide again. Whoever waits is woken by
/// the caller ([`crate::db::Wake::changed`]).
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: whether it was written is unknown.
pub async fn apply(db: &Db, scope: OrgScope, change: &Change, effects: &Effects) -> Result<bool> {
    let call = &change.call;
    let row = ChangedRow::from(call);
    db.run(
        "apply a change of a call",
        sqlx::query_scalar!(
            r#"/* db::calls::apply */ SELECT apply_change($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29) AS "applied!""#,
            scope.id() as OrganizationId,
            call.id as CallId,
            call.version - 1,
            row.last_sequence,
            row.status as CallStatus,
            row.provider_call_id,
            row.provider_host,
            row.dial_state as DialState,
            row.dial_started_at as Option<Timestamp>,
            row.ringing_at as Option<Timestamp>,
            row.answered_at as Option<Timestamp>,
            row.ended_at as Option<Timestamp>,
            row.ended_reason as Option<EndReason>,
            row.ended_side as Option<EndSide>,
            row.provider_cause,
            row.heard_at as Timestamp,
            row.wish_state as Option<EndState>,
            row.wish_requested_at as Option<Timestamp>,
            row.wish_reason as Option<EndReason>,
            row.wish_initiator,
            row.wish_note,
            row.wish_attempts,
            row.wish_retry_at as Option<Timestamp>,
            row.wish_confirmed_by as Option<Source>,
            row.wish_confirmed_at as Option<Timestamp>,
            row.billable_millis,
            row.billed_seconds,
            row.amount_micros,
            Json(&EffectsJson::of(change, effects)) as _
        )
        .fetch_one(&db.pool),
    )
    .await
}
