//! `POST /api/v1/calls/{call_sid}/terminate`.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use time::Duration;

use super::style::{DetailError, finish_detail};
use crate::{
    app::calls::{
        end::{self, EndRequest},
        wait,
    },
    db::{admission, calls::CallRef},
    domain::{
        Error, ErrorCode, Result, Timestamp,
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

const ROUTE: &str = "POST /api/v1/calls/{call_sid}/terminate";

/// The call was terminated.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct TerminateAnswer {
    success: bool,
    #[schema(example = "Call terminated successfully via twilio")]
    message: String,
}

/// Terminate a call
///
/// Ends an ongoing call at whichever provider carries it. Takes no body.
#[utoipa::path(
    post, path = "/api/v1/calls/{call_sid}/terminate", tag = "Drop-in", operation_id = "terminate_call",
    security(("bearer" = ["calls:end"])),
    params(
        ("call_sid" = String, Path, description = "The provider's id or ours"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "Terminated", body = TerminateAnswer),
        (status = 400, description = "The call is not ongoing", body = DetailError, example = json!({"detail": "Cannot terminate call - current status is 'completed'"})),
        (status = 401, description = "No valid token", body = DetailError),
        (status = 403, description = "The token lacks the scope, or the account is not verified", body = DetailError),
        (status = 404, description = "No such call of the organisation", body = DetailError, example = json!({"detail": "Call not found or you don't have permission to terminate it"})),
        (status = 409, description = "A request with the same Idempotency-Key is running", body = DetailError),
        (status = 413, description = "The body is too large", body = DetailError),
        (status = 422, description = "The Idempotency-Key was used for another request", body = DetailError),
        (status = 500, description = "The provider failed; with `\"code\":\"HANGUP_RETRYING\"` the hang-up goes on", body = DetailError, example = json!({"detail": "Failed to terminate call via twilio"})),
        (status = 503, description = "The database does not answer", body = DetailError),
    )
)]
pub(in crate::http) async fn terminate(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish_detail(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsEnd).await?;
    if !identity.caller.verified {
        return Err(Error::new(
            ErrorCode::AccountNotVerified,
            "Verify your account before you terminate calls",
        ));
    }
    // Clients send {} or nothing; what it says does not matter, how large it is does.
    let body = incoming.body(MOST_BYTES).await?;
    let key = idempotent::end_key(incoming, &identity, ROUTE, &body)?;
    let reference = CallRef::parse(incoming.param("call_sid"));
    let received_at = incoming.context.received_at;
    let task_state = state.clone();
    let task = state
        .app
        .ambient
        .tasks
        .spawn(admission::carried(async move {
            idempotent::once_since(&task_state, &identity, key, |held_since| {
                let received_at = held_since.map_or(received_at, |since| since.min(received_at));
                carry_out(&task_state, &identity, reference, received_at)
            })
            .await
        }));
    task.await
        .map_err(|error| Error::internal("terminate a call", error))?
}

async fn carry_out(
    state: &HttpState,
    identity: &Identity,
    reference: Option<CallRef>,
    received_at: Timestamp,
) -> Result<Answer> {
    let not_found = || {
        let detail = "Call not found or you don't have permission to terminate it";
        DetailError::answer(StatusCode::NOT_FOUND, detail, None)
    };
    let Some(reference) = reference else {
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
    let Some(ending) = ending else {
        return Ok(not_found());
    };
    if ending.was_over {
        let status = ending.call.status.as_str();
        let detail = format!("Cannot terminate call - current status is '{status}'");
        return Ok(DetailError::answer(StatusCode::BAD_REQUEST, &detail, None));
    }
    let bound = state.waits.end;
    let (call, progress) = wait::for_end(&state.app, identity.scope, ending, bound, |progress| {
        progress != EndProgress::Pending
    })
    .await;
    Ok(answer(&call, progress, state.app.ambient.now()))
}

fn answer(call: &Call, progress: EndProgress, now: Timestamp) -> Answer {
    let provider = call.provider.as_str();
    let failed = format!("Failed to terminate call via {provider}");
    let retrying = |wait: Duration| {
        let code = Some("HANGUP_RETRYING");
        DetailError::answer(StatusCode::INTERNAL_SERVER_ERROR, &failed, code)
            .retry_after(Some(wait))
    };
    match progress {
        EndProgress::Final | EndProgress::Accepted => {
            let message = format!("Call terminated successfully via {provider}");
            Answer::json(
                StatusCode::OK,
                &TerminateAnswer {
                    success: true,
                    message,
                },
            )
        }
        EndProgress::Pending => retrying(Duration::seconds(1)),
        EndProgress::Retrying { at } => {
            retrying(at.map_or(Duration::seconds(1), |at| at.since(now)))
        }
        EndProgress::Refused => {
            DetailError::answer(StatusCode::INTERNAL_SERVER_ERROR, &failed, None)
        }
    }
}
