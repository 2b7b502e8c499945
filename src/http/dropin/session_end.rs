//! `POST /api/calls/{call_id}/end`.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use time::Duration;

use super::style::{SessionError, finish_session};
use crate::{
    app::calls::{
        end::{self, EndRequest},
        wait,
    },
    db::{self, admission, calls::CallRef, hangup_attempts::Attempt},
    domain::{
        Error, Result, Timestamp,
        call::{Call, EndProgress, EndReason},
        token::Scope,
    },
    http::{
        HttpState,
        answer::Answer,
        extract::{Identity, Incoming, MOST_BYTES},
        idempotent,
    },
};

const ROUTE: &str = "POST /api/calls/{call_id}/end";

/// The call was ended.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct SessionEndAnswer {
    success: bool,
    #[schema(example = "Call a1b2c3d4-e5f6-4890-abcd-ef1234567890 ended")]
    message: String,
}

/// End a call
///
/// Takes no body. In local mode a request from this machine needs no token.
#[utoipa::path(
    post, path = "/api/calls/{call_id}/end", tag = "Drop-in", operation_id = "session_end",
    security(("bearer" = ["calls:end"])),
    params(
        ("call_id" = String, Path, description = "The `call_id` of the call, or the provider's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "Ended", body = SessionEndAnswer),
        (status = 400, description = "The Idempotency-Key is malformed", body = SessionError),
        (status = 401, description = "No valid token", body = SessionError),
        (status = 403, description = "The token lacks the scope", body = SessionError),
        (status = 404, description = "No such call of the organisation, or it is over", body = SessionError, example = json!({"success": false, "error": "Call not found"})),
        (status = 409, description = "A request with the same Idempotency-Key is running", body = SessionError),
        (status = 413, description = "The body is too large", body = SessionError),
        (status = 422, description = "The Idempotency-Key was used for another request", body = SessionError),
        (status = 502, description = "The provider failed; with `\"code\":\"HANGUP_RETRYING\"` the hang-up goes on", body = SessionError, example = json!({"success": false, "error": "Twilio API error: Unable to fetch record"})),
        (status = 503, description = "The database does not answer", body = SessionError),
    )
)]
pub(in crate::http) async fn end(State(state): State<HttpState>, mut incoming: Incoming) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish_session(&state, &incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify_or_local(state, Scope::CallsEnd).await?;
    // Clients send {} or nothing; what it says does not matter, how large it is does.
    let body = incoming.body(MOST_BYTES).await?;
    let key = idempotent::end_key(incoming, &identity, ROUTE, &body)?;
    let named = incoming.param("call_id").to_owned();
    let received_at = incoming.context.received_at;
    let task_state = state.clone();
    let task = state
        .app
        .ambient
        .tasks
        .spawn(admission::carried(async move {
            idempotent::once_since(&task_state, &identity, key, |held_since| {
                let received_at = held_since.map_or(received_at, |since| since.min(received_at));
                carry_out(&task_state, &identity, &named, received_at)
            })
            .await
        }));
    task.await
        .map_err(|error| Error::internal("end a session", error))?
}

async fn carry_out(
    state: &HttpState,
    identity: &Identity,
    named: &str,
    received_at: Timestamp,
) -> Result<Answer> {
    let not_found = || SessionError::answer(StatusCode::NOT_FOUND, "Call not found", None);
    let Some(reference) = CallRef::parse(named) else {
        return Ok(not_found());
    };
    let by = identity.by();
    let request = EndRequest {
        reason: EndReason::EndedByApi,
        note: None,
        if_status: Vec::new(),
        received_at,
    };
    let ending = end::end(&state.app, by, &reference, None, &request).await?;
    let Some(ending) = ending.filter(|ending| !ending.was_over) else {
        return Ok(not_found());
    };
    let bound = state.waits.end;
    let (call, progress) = wait::for_end(&state.app, identity.scope, ending, bound, |progress| {
        progress != EndProgress::Pending
    })
    .await;
    let retry_after = match progress {
        EndProgress::Final | EndProgress::Accepted => {
            let message = format!("Call {named} ended");
            return Ok(Answer::json(
                StatusCode::OK,
                &SessionEndAnswer {
                    success: true,
                    message,
                },
            ));
        }
        EndProgress::Refused => None,
        EndProgress::Pending => Some(Duration::seconds(1)),
        EndProgress::Retrying { at } => {
            let now = state.app.ambient.now();
            Some(at.map_or(Duration::seconds(1), |at| at.since(now)))
        }
    };
    let attempts = db::hangup_attempts::list(&state.app.db, identity.scope, call.id).await?;
    let error = provider_failed(&call, attempts.last());
    let code = retry_after.map(|_| "HANGUP_RETRYING");
    Ok(SessionError::answer(StatusCode::BAD_GATEWAY, &error, code).retry_after(retry_after))
}

/// What the provider said, in its own words where it has any.
fn provider_failed(call: &Call, attempt: Option<&Attempt>) -> String {
    let provider = call.provider.title();
    let said = attempt.map_or_else(
        || "no answer yet".to_owned(),
        |attempt| match (&attempt.provider_message, attempt.provider_status) {
            (Some(message), _) => message.clone(),
            (None, Some(status)) => format!("HTTP {status}"),
            (None, None) => "no answer".to_owned(),
        },
    );
    format!("{provider} API error: {said}")
}
