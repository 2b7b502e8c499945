//! The operator ends a call of whichever organisation.

use serde_json::json;

use super::end::{self, EndRequest, Ending};
use crate::{
    app::{App, actor::By},
    db::{self, calls::CallRef},
    domain::{CallId, OrganizationId, Result, Timestamp, call::EndReason},
};

/// What a name stands for over all organisations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    One(OrganizationId, CallId),
    /// Several live calls, of one organisation or more: ending one would be a guess.
    Several(Vec<CallId>),
    Nothing,
}

/// Looks a call up by its id or by its provider's, over all organisations. A live call goes before
/// those that are over: providers' accounts may be shared, and their ids used again.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(app: &App, reference: &CallRef) -> Result<Named> {
    let found = db::calls::find_in_any_organization(&app.db, reference).await?;
    let live: Vec<CallId> = found
        .iter()
        .filter(|call| call.live)
        .map(|call| call.id)
        .collect();
    Ok(match (live.as_slice(), found.first()) {
        ([_, _, ..], _) => Named::Several(live),
        (_, Some(first)) => Named::One(first.organization_id, first.id),
        (_, None) => Named::Nothing,
    })
}

/// Records that the operator asked, and the wish to end the call; both are durable when this
/// returns. `named` is what the operator called it. `None`: there is no such call. Safe to repeat.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: ask again.
pub async fn cancel(
    app: &App,
    by: By<'_>,
    call_id: CallId,
    named: &str,
    received_at: Timestamp,
) -> Result<Option<Ending>> {
    // Beside the wish's own entry: one that joins another's wish, or comes too late, leaves none.
    let detail = json!({"named": named});
    let subject = call_id.to_string();
    by.actor
        .record(app, by.scope, "call.cancel", &subject, detail)
        .await?;
    let request = EndRequest {
        reason: EndReason::AdminCancel,
        note: None,
        if_status: Vec::new(),
        received_at,
    };
    end::end(app, by, &CallRef::from(call_id), None, &request).await
}
