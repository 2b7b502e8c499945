//! `POST /api/v1/admin/cancel/{call_id}`: the operator's, over all organisations.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::style::{AdminError, finish_admin};
use crate::{
    app::calls::cancel::{self, Named},
    db::{admission, calls::CallRef},
    domain::{CallId, Error, Result, Timestamp},
    http::{
        HttpState,
        answer::Answer,
        callbacks,
        extract::{Identity, Incoming, MOST_BYTES},
        idempotent,
    },
};

const ROUTE: &str = "POST /api/v1/admin/cancel/{call_id}";

/// The call is being ended.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AdminCancelAnswer {
    ok: bool,
    #[schema(example = "Call call_abc123 canceled")]
    message: String,
}

/// Cancel a call of any organisation
///
/// For the operator: `X-Admin-Token` is the node's `ADMIN_TOKEN`; where that is not set, there is no
/// such route. The wish to end is durable when this answers, and the hang-up goes on in the
/// background until there is evidence.
#[utoipa::path(
    post, path = "/api/v1/admin/cancel/{call_id}", tag = "Drop-in", operation_id = "admin_cancel",
    security(("admin" = [])),
    params(
        ("call_id" = String, Path, description = "The provider's id or ours"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "Canceled", body = AdminCancelAnswer),
        (status = 400, description = "The Idempotency-Key is malformed", body = AdminError),
        (status = 401, description = "No valid admin token", body = AdminError, example = json!({"ok": false, "error": "Send the admin token: X-Admin-Token"})),
        (status = 404, description = "No such call, or it is over", body = AdminError, example = json!({"ok": false, "error": "Call not found or already ended"})),
        (status = 409, description = "Several active calls have this id, or a request with the same Idempotency-Key is running", body = AdminError),
        (status = 413, description = "The body is too large", body = AdminError),
        (status = 422, description = "The Idempotency-Key was used for another request", body = AdminError),
        (status = 503, description = "The database does not answer", body = AdminError),
    )
)]
pub(in crate::http) async fn cancel(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    if state.admin_token.is_none() {
        return callbacks::nowhere(incoming).await;
    }
    let result = run(&state, &mut incoming).await;
    finish_admin(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let admin = incoming.admin(state)?;
    // Clients send {} or nothing; what it says does not matter, how large it is does.
    let body = incoming.body(MOST_BYTES).await?;
    let named = incoming.param("call_id").to_owned();
    let Some(reference) = CallRef::parse(&named) else {
        return Ok(not_found());
    };
    let (organization_id, call_id) = match cancel::find(&state.app, &reference).await? {
        Named::One(organization_id, call_id) => (organization_id, call_id),
        Named::Several(ids) => return Ok(several(&ids)),
        Named::Nothing => return Ok(not_found()),
    };
    let identity = admin.identity_in(organization_id);
    let key = idempotent::end_key(incoming, &identity, ROUTE, &body)?;
    let received_at = incoming.context.received_at;
    let task_state = state.clone();
    let task = state
        .app
        .ambient
        .tasks
        .spawn(admission::carried(async move {
            idempotent::once_since(&task_state, &identity, key, |held_since| {
                let received_at = held_since.map_or(received_at, |since| since.min(received_at));
                carry_out(&task_state, &identity, call_id, &named, received_at)
            })
            .await
        }));
    task.await
        .map_err(|error| Error::internal("cancel a call", error))?
}

async fn carry_out(
    state: &HttpState,
    identity: &Identity,
    call_id: CallId,
    named: &str,
    received_at: Timestamp,
) -> Result<Answer> {
    let by = identity.by();
    let ending = cancel::cancel(&state.app, by, call_id, named, received_at).await?;
    if ending.is_none_or(|ending| ending.was_over) {
        return Ok(not_found());
    }
    let message = format!("Call {named} canceled");
    Ok(Answer::json(
        StatusCode::OK,
        &AdminCancelAnswer { ok: true, message },
    ))
}

fn not_found() -> Answer {
    AdminError::answer(StatusCode::NOT_FOUND, "Call not found or already ended")
}

fn several(ids: &[CallId]) -> Answer {
    let ids: Vec<String> = ids.iter().map(CallId::to_string).collect();
    let error = format!(
        "Several active calls have this id; cancel each by its own: {}",
        ids.join(", ")
    );
    AdminError::answer(StatusCode::CONFLICT, &error)
}
