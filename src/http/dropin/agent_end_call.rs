//! `POST /api/v1/agents/{agent_id}/end-call`.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::style::{AgentError, finish_agent};
use crate::{
    app::calls::{
        end::{self, EndRequest},
        wait,
    },
    db::{admission, calls::CallRef},
    domain::{
        AgentId, CallId, Error, Result, Timestamp,
        call::{Call, EndProgress, EndReason},
        token::Scope,
    },
    http::{
        HttpState,
        answer::Answer,
        extract::{Identity, Incoming, MOST_BYTES, parse_json_lenient},
        idempotent,
    },
};

const ROUTE: &str = "POST /api/v1/agents/{agent_id}/end-call";

/// Which call to hang up.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct EndCallRequest {
    /// The `id` that the call was answered with, or the provider's id.
    #[schema(example = "a1b2c3d4-e5f6-4890-abcd-ef1234567890")]
    call_sid: String,
}

/// The call was hung up.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct EndCallAnswer {
    success: bool,
    data: EndedCall,
}

/// The call's end.
#[derive(Serialize, utoipa::ToSchema)]
struct EndedCall {
    id: CallId,
    /// `completed`, or `ending` while the hang-up is still being retried.
    #[schema(value_type = String, example = "completed")]
    status: &'static str,
    /// The moment at which the wish to end was accepted.
    ended_at: Option<Timestamp>,
    ended_reason: Option<EndReason>,
}

/// Hang up a call of an agent
///
/// Propagation is asynchronous: the call turns `completed` shortly after this answers.
#[utoipa::path(
    post, path = "/api/v1/agents/{agent_id}/end-call", tag = "Drop-in", operation_id = "agent_end_call",
    security(("bearer" = ["calls:end"])),
    params(
        ("agent_id" = String, Path, description = "The agent that owns the call"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    request_body(content = EndCallRequest, example = json!({"call_sid": "a1b2c3d4-e5f6-4890-abcd-ef1234567890"})),
    responses(
        (status = 200, description = "Hung up, or accepted", body = EndCallAnswer, example = json!({"success": true, "data": {"id": "a1b2c3d4-e5f6-4890-abcd-ef1234567890", "status": "completed", "ended_at": "2026-11-21T09:35:42.000Z", "ended_reason": "ended_by_api"}})),
        (status = 400, description = "Not JSON", body = AgentError),
        (status = 401, description = "No valid token", body = AgentError),
        (status = 403, description = "The token lacks the scope", body = AgentError),
        (status = 404, description = "No such call of this agent", body = AgentError, example = json!({"success": false, "message": "Call not found for this agent"})),
        (status = 409, description = "The call is over", body = AgentError, example = json!({"success": false, "message": "Call is not active", "code": "CALL_NOT_ACTIVE"})),
        (status = 413, description = "The body is too large", body = AgentError),
        (status = 415, description = "The body is not JSON", body = AgentError),
        (status = 422, description = "`call_sid` is missing", body = AgentError),
        (status = 502, description = "The provider refuses for good", body = AgentError, example = json!({"success": false, "message": "Failed to end call via twilio", "code": "PROVIDER_ERROR"})),
        (status = 503, description = "The database does not answer", body = AgentError),
    )
)]
pub(in crate::http) async fn end_call(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish_agent(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsEnd).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: EndCallRequest = parse_json_lenient(&incoming.headers, &body)?;
    let key = idempotent::end_key(incoming, &identity, ROUTE, &body)?;
    let agent_id = incoming.param("agent_id").parse::<AgentId>().ok();
    let named = agent_id.zip(CallRef::parse(&request.call_sid));
    let received_at = incoming.context.received_at;
    let task_state = state.clone();
    let task = state
        .app
        .ambient
        .tasks
        .spawn(admission::carried(async move {
            idempotent::once_since(&task_state, &identity, key, |held_since| {
                let received_at = held_since.map_or(received_at, |since| since.min(received_at));
                carry_out(&task_state, &identity, named, received_at)
            })
            .await
        }));
    task.await
        .map_err(|error| Error::internal("end a call", error))?
}

async fn carry_out(
    state: &HttpState,
    identity: &Identity,
    named: Option<(AgentId, CallRef)>,
    received_at: Timestamp,
) -> Result<Answer> {
    let not_found =
        || AgentError::answer(StatusCode::NOT_FOUND, "Call not found for this agent", None);
    let Some((agent_id, reference)) = named else {
        return Ok(not_found());
    };
    let by = identity.by();
    let request = EndRequest {
        reason: EndReason::EndedByApi,
        note: None,
        if_status: Vec::new(),
        received_at,
    };
    let ending = end::end(&state.app, by, &reference, Some(agent_id), &request).await?;
    let Some(ending) = ending else {
        return Ok(not_found());
    };
    if ending.was_over {
        let (message, code) = ("Call is not active", Some("CALL_NOT_ACTIVE"));
        return Ok(AgentError::answer(StatusCode::CONFLICT, message, code));
    }
    let bound = state.waits.agent_end;
    let (call, progress) = wait::for_end(&state.app, identity.scope, ending, bound, |progress| {
        progress != EndProgress::Pending
    })
    .await;
    Ok(match progress {
        EndProgress::Final | EndProgress::Accepted => ended(&call, "completed"),
        EndProgress::Pending | EndProgress::Retrying { .. } => ended(&call, "ending"),
        EndProgress::Refused => {
            let message = format!("Failed to end call via {}", call.provider.as_str());
            AgentError::answer(StatusCode::BAD_GATEWAY, &message, Some("PROVIDER_ERROR"))
        }
    })
}

fn ended(call: &Call, status: &'static str) -> Answer {
    let wish = call.wish.as_ref();
    let data = EndedCall {
        id: call.id,
        status,
        ended_at: wish.map(|wish| wish.requested_at).or(call.ended_at),
        ended_reason: wish.map(|wish| wish.reason).or(call.ended_reason),
    };
    Answer::json(
        StatusCode::OK,
        &EndCallAnswer {
            success: true,
            data,
        },
    )
}
