//! Records the wish to end a call, and the intention to hang up.

use serde_json::json;

use super::{Applied, change};
use crate::{
    app::{App, actor::By},
    db::{self, CallWatch, calls::CallRef},
    domain::{
        AgentId, AuditEntryId, Error, ErrorCode, Result, Timestamp,
        call::{Call, CallStatus, EndReason, Input, Unchanged},
    },
};

/// A wish to end a call.
#[derive(Clone, Debug)]
pub struct EndRequest {
    pub reason: EndReason,
    pub note: Option<String>,
    /// Only when the call has one of these statuses; empty: whatever it has.
    pub if_status: Vec<CallStatus>,
    /// When the request arrived.
    pub received_at: Timestamp,
}

/// A wish that is durable, or was not needed.
pub struct Ending {
    pub call: Call,
    /// The call was over before the wish came.
    pub was_over: bool,
    /// Hang-up attempts that were recorded before this wish.
    pub attempts_before: i32,
    /// The call's changes since before the wish was written.
    pub watch: CallWatch,
}

/// Records the wish to end the call that `reference` names. The wish is durable when this returns;
/// a call that is over, and one that is being ended, answer with what they are. Safe to repeat.
///
/// `None`: the caller sees no such call (also: of another organisation, of an agent that the token
/// may not act for, of another agent than `agent_id`).
///
/// # Errors
/// `CALL_STATUS_MISMATCH`, `DATABASE_UNAVAILABLE` (whether it was written is unknown: ask again).
pub async fn end(
    app: &App,
    by: By<'_>,
    reference: &CallRef,
    agent_id: Option<AgentId>,
    request: &EndRequest,
) -> Result<Option<Ending>> {
    let Some(call) = db::calls::find(&app.db, by.scope, reference).await? else {
        return Ok(None);
    };
    let visible =
        by.actor.may_see(&call) && agent_id.is_none_or(|agent_id| agent_id == call.agent_id);
    if !visible {
        return Ok(None);
    }
    if !request.if_status.is_empty() && !request.if_status.contains(&call.status) {
        return Err(Error::new(
            ErrorCode::CallStatusMismatch,
            format!(
                "The call is {}, which if_status does not name; it was not ended",
                call.status.as_str()
            ),
        ));
    }
    let watch = app.db.wake().watch(call.id);
    let initiator = by.actor.name();
    let input = Input::End {
        reason: request.reason,
        initiator: &initiator,
        note: request.note.as_deref(),
    };
    let before = call.status;
    let applied = change(app, by.scope, call, &input, |change, effects| {
        let detail = json!({
            "reason": request.reason, "note": request.note,
            "before": {"status": before, "end": null},
            "after": {"status": change.call.status, "end": change.call.wish.as_ref().map(|wish| wish.state)},
        });
        let id = AuditEntryId(app.ambient.ordered_uuid());
        effects.audit = Some(by.actor.audit(id, "call.end", detail));
    })
    .await?;
    let over = matches!(applied, Applied::Unchanged(_, Unchanged::Over));
    let call = applied.call();
    let was_over = over && !ended_meanwhile(app, &call, request.received_at).await;
    let attempts_before = call.wish.as_ref().map_or(0, |wish| wish.attempts);
    Ok(Some(Ending {
        call,
        was_over,
        attempts_before,
        watch,
    }))
}

/// Whether a wish of ours ended the call after this request arrived: concurrent wishes get the same
/// success, whichever was first.
///
/// The end is decided some milliseconds before it is durable and anybody is told. A request of that
/// time may have waited for a connection and read the call afterwards; the node that recorded the
/// end knows that nobody can have asked again after an answer by then.
async fn ended_meanwhile(app: &App, call: &Call, received_at: Timestamp) -> bool {
    let confirmed_at = call.wish.as_ref().and_then(|wish| wish.confirmed_at);
    let Some(confirmed_at) = confirmed_at else {
        return false;
    };
    received_at <= confirmed_at
        || app
            .ends
            .recorded_at(call.id)
            .await
            .is_some_and(|recorded_at| received_at < recorded_at)
}
