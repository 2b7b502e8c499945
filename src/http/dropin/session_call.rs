//! `POST /api/call`.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::Duration;

use super::{
    dial,
    style::{SessionError, finish_session},
};
use crate::{
    app::calls::start::NewCall,
    domain::{
        CallId, Error, Result,
        call::{Call, MAX_METADATA_BYTES},
        phone::{Phone, PhoneProblem},
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

const ROUTE: &str = "POST /api/call";

/// A call to make.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct SessionCallRequest {
    /// E.164.
    #[schema(value_type = String, example = "+15550101")]
    to: Option<String>,
    /// Kept in the call's metadata as `prompt`.
    #[schema(example = "You are making a quick announcement.")]
    prompt: Option<String>,
    /// Kept in the call's metadata as `webhook_url`, and answered. Nothing is sent to it: events go
    /// to webhook endpoints.
    #[schema(example = "https://example.com")]
    webhook_url: Option<String>,
    /// The call's metadata; with the prompt and the URL, 64 KiB as JSON at most.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// The call is being made.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct SessionCallAnswer<'a> {
    success: bool,
    call_id: CallId,
    #[schema(example = "+15550101")]
    to: &'a str,
    /// As it was given.
    webhook_url: Option<&'a str>,
}

/// Make a call, without naming an agent
///
/// The agent is the one that the token is restricted to, or the organisation's only published one;
/// it calls from its own number. In local mode a request from this machine needs no token.
#[utoipa::path(
    post, path = "/api/call", tag = "Drop-in", operation_id = "session_call",
    security(("bearer" = ["calls:create"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters; the same key never dials twice")),
    request_body(content = SessionCallRequest, example = json!({"to": "+15550101", "prompt": "You are making a quick announcement.", "webhook_url": "https://example.com"})),
    responses(
        (status = 200, description = "Being made", body = SessionCallAnswer<'static>, example = json!({"success": true, "call_id": "a1b2c3d4-e5f6-4890-abcd-ef1234567890", "to": "+15550101", "webhook_url": "https://example.com"})),
        (status = 400, description = "`to` is missing, the body is not JSON, or it cannot be told which agent is to call", body = SessionError, example = json!({"success": false, "error": "Missing 'to' phone number"})),
        (status = 401, description = "No valid token", body = SessionError),
        (status = 403, description = "The token lacks the scope", body = SessionError),
        (status = 409, description = "The token's agent is not published, or the same Idempotency-Key is running", body = SessionError),
        (status = 413, description = "The body is too large", body = SessionError),
        (status = 415, description = "The body is not JSON", body = SessionError),
        (status = 422, description = "A member is wrong", body = SessionError),
        (status = 502, description = "The provider did not place the call", body = SessionError, example = json!({"success": false, "error": "Failed to place call via twilio"})),
        (status = 503, description = "The node shuts down, or the database does not answer", body = SessionError),
    )
)]
pub(in crate::http) async fn call(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish_session(&state, &incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming
        .identify_or_local(state, Scope::CallsCreate)
        .await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: SessionCallRequest = parse_json_lenient(&incoming.headers, &body)?;
    let Some(to) = request.to.as_deref().filter(|to| !to.is_empty()) else {
        let missing = "Missing 'to' phone number";
        return Ok(SessionError::answer(StatusCode::BAD_REQUEST, missing, None));
    };
    let to: Phone = to
        .parse()
        .map_err(|problem: PhoneProblem| wrong("/to", "invalid", problem.to_string()))?;
    let webhook_url = request.webhook_url.clone();
    let test = identity.caller.environment == Environment::Test;
    let new = request.checked(to, test)?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let scope = identity.scope;
    let made = move |call: &Call| made(call, webhook_url.as_deref());
    let (answer, call) = place(state, identity, new, key, made).await?;
    let Some(call) = call else {
        return Ok(answer);
    };
    let provider = call.provider;
    if dial::is_refused(state, scope, call).await {
        let error = format!("Failed to place call via {}", provider.as_str());
        return Ok(SessionError::answer(StatusCode::BAD_GATEWAY, &error, None));
    }
    Ok(answer)
}

fn made(call: &Call, webhook_url: Option<&str>) -> Answer {
    Answer::json(
        StatusCode::OK,
        &SessionCallAnswer {
            success: true,
            call_id: call.id,
            to: call.to.reveal(),
            webhook_url,
        },
    )
}

impl SessionCallRequest {
    fn checked(self, to: Phone, test: bool) -> Result<NewCall> {
        let mut metadata = self.metadata.unwrap_or_default();
        keep(&mut metadata, "prompt", self.prompt)?;
        keep(&mut metadata, "webhook_url", self.webhook_url)?;
        let metadata = Value::Object(metadata);
        if metadata.to_string().len() > MAX_METADATA_BYTES {
            return Err(wrong(
                "/metadata",
                "size",
                "must be at most 64 KiB as JSON, with prompt and webhook_url",
            ));
        }
        Ok(NewCall {
            agent_id: None,
            to,
            from: None,
            provider_account_id: None,
            metadata,
            limits: None,
            delay: Duration::ZERO,
            client_reference: None,
            test,
        })
    }
}

/// Keeps a member beside what the client notes itself; neither hides the other.
fn keep(metadata: &mut Map<String, Value>, name: &str, value: Option<String>) -> Result<()> {
    let Some(value) = value.map(Value::String) else {
        return Ok(());
    };
    match metadata.insert(name.to_owned(), value.clone()) {
        Some(other) if other != value => Err(taken(name)),
        _ => Ok(()),
    }
}

fn taken(name: &str) -> Error {
    let message = format!("is where {name} is kept; use another name within metadata");
    wrong(&format!("/metadata/{name}"), "taken", message)
}
