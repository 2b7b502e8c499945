//! `POST /api/v1/agents/{agent_id}/call`.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::Duration;

use super::{
    dial,
    style::{AgentError, agent_not_found, finish_agent},
};
use crate::{
    app::calls::start::NewCall,
    domain::{
        AgentId, CallId, ErrorCode, Result, Timestamp,
        call::{Call, MAX_METADATA_BYTES},
        phone::Phone,
        token::{Environment, Scope},
    },
    http::{
        HttpState,
        answer::Answer,
        extract::{Incoming, MOST_BYTES, parse_json_lenient, wrong},
        idempotent,
        v1::calls::create::place,
    },
};

const ROUTE: &str = "POST /api/v1/agents/{agent_id}/call";

/// A call to make.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct MakeCallRequest {
    /// E.164.
    #[schema(value_type = String, example = "+15550101")]
    to: Phone,
    /// Kept in the call's metadata as `payload`.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// Kept in the call's metadata as `context`.
    #[schema(value_type = Option<Object>)]
    context: Option<Value>,
    /// Dial this many seconds later, at most 604,800.
    delay_seconds: Option<i64>,
    /// Kept in the call's metadata as `is_testing`.
    is_testing: Option<bool>,
}

/// The call is being made.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct MakeCallAnswer<'a> {
    success: bool,
    data: MadeCall<'a>,
}

/// The call.
#[derive(Serialize, utoipa::ToSchema)]
struct MadeCall<'a> {
    id: CallId,
    agent_id: AgentId,
    #[schema(example = "+15550101")]
    to: &'a str,
    #[schema(value_type = String, example = "initiated")]
    status: &'static str,
    created_at: Timestamp,
}

/// Make a call
///
/// The `id` is what `end-call` takes.
#[utoipa::path(
    post, path = "/api/v1/agents/{agent_id}/call", tag = "Drop-in", operation_id = "agent_call",
    security(("bearer" = ["calls:create"])),
    params(
        ("agent_id" = String, Path, description = "The agent that calls"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters; the same key never dials twice"),
    ),
    request_body(content = MakeCallRequest, example = json!({"to": "+15550101"})),
    responses(
        (status = 200, description = "Being made", body = MakeCallAnswer<'static>),
        (status = 400, description = "Not JSON", body = AgentError),
        (status = 401, description = "No valid token", body = AgentError),
        (status = 403, description = "The token lacks the scope", body = AgentError),
        (status = 404, description = "No such agent", body = AgentError, example = json!({"success": false, "message": "Agent not found", "code": "AGENT_NOT_FOUND"})),
        (status = 409, description = "The agent is not published, or the same Idempotency-Key is running", body = AgentError),
        (status = 413, description = "The body is too large", body = AgentError),
        (status = 415, description = "The body is not JSON", body = AgentError),
        (status = 422, description = "A member is missing or wrong", body = AgentError),
        (status = 502, description = "The provider did not place the call", body = AgentError, example = json!({"success": false, "message": "Failed to place call via twilio", "code": "PROVIDER_ERROR"})),
        (status = 503, description = "The node shuts down, or the database does not answer", body = AgentError),
    )
)]
pub(in crate::http) async fn call(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish_agent(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsCreate).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let agent_id: AgentId = incoming
        .param("agent_id")
        .parse()
        .map_err(|_| agent_not_found())?;
    let request: MakeCallRequest = parse_json_lenient(&incoming.headers, &body)?;
    let test = identity.caller.environment == Environment::Test;
    let new = request.checked(agent_id, test)?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let scope = identity.scope;
    let scheduled = new.delay > Duration::ZERO;
    let placed = place(state, identity, new, key, made).await;
    let (answer, call) = placed.map_err(|error| match error.code {
        ErrorCode::AgentNotFound => agent_not_found(),
        _ => error,
    })?;
    let Some(call) = call.filter(|_| !scheduled) else {
        return Ok(answer);
    };
    let provider = call.provider;
    if dial::is_refused(state, scope, call).await {
        let message = format!("Failed to place call via {}", provider.as_str());
        let code = Some("PROVIDER_ERROR");
        return Ok(AgentError::answer(StatusCode::BAD_GATEWAY, &message, code));
    }
    Ok(answer)
}

fn made(call: &Call) -> Answer {
    let data = MadeCall {
        id: call.id,
        agent_id: call.agent_id,
        to: call.to.reveal(),
        status: "initiated",
        created_at: call.created_at,
    };
    Answer::json(
        StatusCode::OK,
        &MakeCallAnswer {
            success: true,
            data,
        },
    )
}

impl MakeCallRequest {
    fn checked(self, agent_id: AgentId, test: bool) -> Result<NewCall> {
        let delay = self.delay_seconds.unwrap_or(0);
        if !(0..=604_800).contains(&delay) {
            return Err(wrong("/delay_seconds", "range", "must be from 0 to 604800"));
        }
        let metadata: Map<String, Value> = [
            ("payload", self.payload),
            ("context", self.context),
            ("is_testing", self.is_testing.map(Value::Bool)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
        let metadata = Value::Object(metadata);
        if metadata.to_string().len() > MAX_METADATA_BYTES {
            return Err(wrong(
                "/payload",
                "size",
                "must be at most 64 KiB as JSON, with context",
            ));
        }
        Ok(NewCall {
            agent_id: Some(agent_id),
            to: self.to,
            from: None,
            provider_account_id: None,
            metadata,
            limits: None,
            delay: Duration::seconds(delay),
            client_reference: None,
            test,
        })
    }
}
