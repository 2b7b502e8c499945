//! `/api/v1/agents/{agent_id}/webhooks`: the receivers of one agent's events, the same as under
//! `/api/v1/webhook-endpoints`, for clients that look for them at the agent.

use axum::extract::State;

use super::{
    caller::Caller,
    create::{self, CreateWebhookEndpoint},
    delete, get,
    list::{self, EndpointList},
    update::{self, UpdateWebhookEndpoint},
    view::EndpointView,
};
use crate::{
    app::webhook_endpoints::Place,
    domain::{AgentId, Error, ErrorCode, Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, parse_json},
        v1::finish,
    },
};

const CREATE_ROUTE: &str = "POST /api/v1/agents/{agent_id}/webhooks";

/// List an agent's webhooks
#[utoipa::path(
    get, path = "/api/v1/agents/{agent_id}/webhooks", tag = "Webhooks", operation_id = "list_agent_webhooks",
    security(("bearer" = ["webhooks:read"])),
    params(("agent_id" = String, Path, description = "The agent's id")),
    responses(
        (status = 200, description = "Oldest first", body = EndpointList<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list_of_agent(
    State(state): State<HttpState>,
    incoming: Incoming,
) -> Answer {
    let result = async {
        let (identity, place) = asked(&state, &incoming, Scope::WebhooksRead).await?;
        list::answer(&state, Caller(&identity), &place).await
    }
    .await;
    finish(&incoming, result)
}

/// Create an agent's webhook
///
/// `secret` is shown once, here.
#[utoipa::path(
    post, path = "/api/v1/agents/{agent_id}/webhooks", tag = "Webhooks", operation_id = "create_agent_webhook",
    security(("bearer" = ["webhooks:write"])),
    params(("agent_id" = String, Path, description = "The agent's id"), ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
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
pub(in crate::http) async fn create_of_agent(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = create_run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn create_run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: CreateWebhookEndpoint = parse_json(&incoming.headers, &body)?;
    let mut new = request.checked()?;
    let agent_id = agent_id(incoming)?;
    if new.agent_id.is_some_and(|asked| asked != agent_id) {
        let message = "must be left out, or the agent of the path";
        return Err(Error::field("/agent_id", "mismatch", message));
    }
    new.agent_id = Some(agent_id);
    create::answer(state, incoming, identity, new, CREATE_ROUTE, &body).await
}

/// Get an agent's webhook
#[utoipa::path(
    get, path = "/api/v1/agents/{agent_id}/webhooks/{webhook_id}", tag = "Webhooks", operation_id = "get_agent_webhook",
    security(("bearer" = ["webhooks:read"])),
    params(("agent_id" = String, Path, description = "The agent's id"), ("webhook_id" = String, Path, description = "The endpoint's id")),
    responses(
        (status = 200, description = "The endpoint", body = EndpointView<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`, `WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get_of_agent(
    State(state): State<HttpState>,
    incoming: Incoming,
) -> Answer {
    let result = async {
        let (identity, place) = asked(&state, &incoming, Scope::WebhooksRead).await?;
        let id = incoming.param("webhook_id");
        get::answer(&state, Caller(&identity), &place, id).await
    }
    .await;
    finish(&incoming, result)
}

/// Change an agent's webhook
#[utoipa::path(
    patch, path = "/api/v1/agents/{agent_id}/webhooks/{webhook_id}", tag = "Webhooks", operation_id = "update_agent_webhook",
    security(("bearer" = ["webhooks:write"])),
    params(("agent_id" = String, Path, description = "The agent's id"), ("webhook_id" = String, Path, description = "The endpoint's id")),
    request_body(content = UpdateWebhookEndpoint, example = json!({"paused": true})),
    responses(
        (status = 200, description = "The endpoint afterwards", body = EndpointView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`, `WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn update_of_agent(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = update_run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn update_run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let changed = update::read(incoming).await?;
    let place = place(state, incoming, &identity).await?;
    let id = incoming.param("webhook_id");
    update::answer(state, Caller(&identity), &place, id, &changed).await
}

/// Delete an agent's webhook
#[utoipa::path(
    delete, path = "/api/v1/agents/{agent_id}/webhooks/{webhook_id}", tag = "Webhooks", operation_id = "delete_agent_webhook",
    security(("bearer" = ["webhooks:write"])),
    params(("agent_id" = String, Path, description = "The agent's id"), ("webhook_id" = String, Path, description = "The endpoint's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`, `WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete_of_agent(
    State(state): State<HttpState>,
    incoming: Incoming,
) -> Answer {
    let result = async {
        let (identity, place) = asked(&state, &incoming, Scope::WebhooksWrite).await?;
        let id = incoming.param("webhook_id");
        delete::answer(&state, Caller(&identity), &place, id).await
    }
    .await;
    finish(&incoming, result)
}

fn agent_id(incoming: &Incoming) -> Result<AgentId> {
    let not_found = |_| Error::new(ErrorCode::AgentNotFound, "There is no such agent");
    incoming.param("agent_id").parse().map_err(not_found)
}

/// Who asks, and for which receivers.
async fn asked(state: &HttpState, incoming: &Incoming, scope: Scope) -> Result<(Identity, Place)> {
    let identity = incoming.identify(state, scope).await?;
    let place = place(state, incoming, &identity).await?;
    Ok((identity, place))
}

async fn place(state: &HttpState, incoming: &Incoming, identity: &Identity) -> Result<Place> {
    let agent_id = agent_id(incoming)?;
    Place::of_agent(&state.app, identity.by(), agent_id).await
}
