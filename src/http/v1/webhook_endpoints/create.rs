//! `POST /api/v1/webhook-endpoints`: creates a receiver of events.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::{check, view::EndpointView};
use crate::{
    app::webhook_endpoints::{self, NewEndpoint},
    domain::{
        AgentId, Result,
        token::Scope,
        webhook::{endpoint::DEFAULT_TIMEOUT_SECONDS, headers::Headers},
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, parse_json},
        idempotent,
        v1::finish,
    },
};

const ROUTE: &str = "POST /api/v1/webhook-endpoints";

/// A receiver to create.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct CreateWebhookEndpoint {
    /// https, without credentials, 2,000 characters at most.
    #[schema(example = "https://example.com/hooks/onhook")]
    url: String,
    /// For people; 500 characters at most.
    #[serde(default)]
    description: String,
    /// Only these types; left out or empty: all.
    #[serde(default)]
    #[schema(example = json!(["event_phone_call_ended"]))]
    events: Vec<String>,
    /// Only this agent's calls.
    agent_id: Option<AgentId>,
    /// Seconds, 5 to 120, default 15.
    timeout_seconds: Option<i32>,
    /// Whether an event of a call waits until its predecessors were delivered or given up.
    #[serde(default)]
    ordered: bool,
    /// Headers to send with each event, 20 at most; kept sealed and shown to nobody.
    #[serde(default)]
    headers: Headers,
}

impl Members for CreateWebhookEndpoint {
    const MEMBERS: &'static [&'static str] = &[
        "url",
        "description",
        "events",
        "agent_id",
        "timeout_seconds",
        "ordered",
        "headers",
    ];
}

/// Create a webhook endpoint
///
/// Events are signed as Standard Webhooks 1.0 has it. `secret` is shown once, here.
#[utoipa::path(
    post, path = "/api/v1/webhook-endpoints", tag = "Webhooks", operation_id = "create_webhook_endpoint",
    security(("bearer" = ["webhooks:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = CreateWebhookEndpoint, example = json!({"url": "https://example.com/hooks/onhook", "events": ["event_phone_call_ended"]})),
    responses(
        (status = 201, description = "Created", body = EndpointView<'static>, headers(("Cache-Control" = String, description = "`no-store`"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn create(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: CreateWebhookEndpoint = parse_json(&incoming.headers, &body)?;
    answer(state, incoming, identity, request.checked()?, ROUTE, &body).await
}

pub(in crate::http::v1) async fn answer(
    state: &HttpState,
    incoming: &Incoming,
    identity: Identity,
    new: NewEndpoint,
    route: &'static str,
    body: &[u8],
) -> Result<Answer> {
    let key = idempotent::secret_key(incoming, &identity, route, body)?;
    let (task_state, by_whom) = (state.clone(), identity.clone());
    let operation = async move { carry_out(&task_state, &by_whom, &new).await };
    let doing = "create a webhook endpoint";
    idempotent::carried_out(state, &identity, key, doing, operation).await
}

async fn carry_out(state: &HttpState, identity: &Identity, new: &NewEndpoint) -> Result<Answer> {
    let by = identity.by();
    let (row, secret) = webhook_endpoints::create(&state.app, by, new).await?;
    let headers = webhook_endpoints::header_names(&state.app, by.scope, &row)?;
    Ok(Answer::json(
        StatusCode::CREATED,
        &EndpointView::of(&row, headers, Some(secret.reveal())),
    ))
}

impl CreateWebhookEndpoint {
    pub(in crate::http::v1) fn checked(self) -> Result<NewEndpoint> {
        check::events(&self.events)?;
        check::description(&self.description)?;
        let timeout_seconds = self.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        check::timeout(timeout_seconds)?;
        Ok(NewEndpoint {
            url: self.url,
            events: self.events,
            agent_id: self.agent_id,
            timeout_seconds,
            description: self.description,
            headers: self.headers,
            ordered: self.ordered,
        })
    }
}
