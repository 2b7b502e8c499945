//! `POST /api/v1/webhook-endpoints`: creates a receiver of events.

use std::str::FromStr;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::view::EndpointView;
use crate::{
    app::{
        actor::By,
        webhook_endpoints::{self, NewEndpoint},
    },
    db::admission,
    domain::{
        AgentId, Error, Result,
        call::FactType,
        token::Scope,
        webhook::endpoint::{DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS, MIN_TIMEOUT_SECONDS},
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, parse_json, wrong},
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
    /// Only these types; left out or empty: all.
    #[serde(default)]
    #[schema(example = json!(["event_phone_call_ended"]))]
    events: Vec<String>,
    /// Only this agent's calls.
    agent_id: Option<AgentId>,
    /// Seconds, 5 to 120, default 15.
    timeout_seconds: Option<i32>,
}

impl Members for CreateWebhookEndpoint {
    const MEMBERS: &'static [&'static str] = &["url", "events", "agent_id", "timeout_seconds"];
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
        (status = 201, description = "Created", body = EndpointView<'static>),
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
    let new = request.checked()?;
    let key = idempotent::secret_key(incoming, &identity, ROUTE, &body)?;
    let task_state = state.clone();
    let task = state
        .app
        .ambient
        .tasks
        .spawn(admission::carried(async move {
            let operation = carry_out(&task_state, &identity, &new);
            idempotent::once(&task_state, &identity, key, operation).await
        }));
    task.await
        .map_err(|error| Error::internal("create a webhook endpoint", error))?
}

async fn carry_out(state: &HttpState, identity: &Identity, new: &NewEndpoint) -> Result<Answer> {
    let by = By {
        scope: identity.scope,
        actor: &identity.actor,
    };
    let (row, secret) = webhook_endpoints::create(&state.app, by, new).await?;
    Ok(Answer::json(
        StatusCode::CREATED,
        &EndpointView::of(&row, Some(secret.reveal())),
    ))
}

impl CreateWebhookEndpoint {
    fn checked(self) -> Result<NewEndpoint> {
        for (index, name) in self.events.iter().enumerate() {
            if FactType::from_str(name).is_err() {
                return Err(wrong(
                    &format!("/events/{index}"),
                    "unknown",
                    "is not an event type of ours; see the list of events in the documentation",
                ));
            }
        }
        let timeout_seconds = self.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        if !(MIN_TIMEOUT_SECONDS..=MAX_TIMEOUT_SECONDS).contains(&timeout_seconds) {
            return Err(wrong("/timeout_seconds", "range", "must be from 5 to 120"));
        }
        Ok(NewEndpoint {
            url: self.url,
            events: self.events,
            agent_id: self.agent_id,
            timeout_seconds,
        })
    }
}
