//! `POST /api/v1/agents/{id}/publish` and `/unpublish`: whether an agent takes new calls.

use axum::{extract::State, http::StatusCode};

use super::{not_found, view::AgentView};
use crate::{
    app::agents::manage::{self, AgentChange},
    domain::{AgentId, Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES},
        idempotent,
        v1::finish,
    },
};

/// Publish an agent
///
/// It takes new calls from now on, in both directions. Safe to repeat.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/publish", tag = "Agents", operation_id = "publish_agent",
    security(("bearer" = ["agents:write"])),
    params(
        ("id" = String, Path, description = "The agent's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "The agent afterwards", body = AgentView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn publish(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let route = "POST /api/v1/agents/{id}/publish";
    let result = run(&state, &mut incoming, route, true).await;
    finish(&incoming, result)
}

/// Unpublish an agent
///
/// New calls are refused from now on; those that live go on. Safe to repeat.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/unpublish", tag = "Agents", operation_id = "unpublish_agent",
    security(("bearer" = ["agents:write"])),
    params(
        ("id" = String, Path, description = "The agent's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "The agent afterwards", body = AgentView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn unpublish(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let route = "POST /api/v1/agents/{id}/unpublish";
    let result = run(&state, &mut incoming, route, false).await;
    finish(&incoming, result)
}

async fn run(
    state: &HttpState,
    incoming: &mut Incoming,
    route: &'static str,
    published: bool,
) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AgentsWrite).await?;
    // There is nothing to say; how large it is matters.
    let body = incoming.body(MOST_BYTES).await?;
    let id: AgentId = incoming.param("id").parse().map_err(|_| not_found())?;
    let key = idempotent::key(incoming, &identity, route, &body)?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let change = AgentChange {
            published: Some(published),
            ..AgentChange::default()
        };
        let row = manage::update(&app, by, id, &change).await?;
        let row = row.ok_or_else(not_found)?;
        Ok(Answer::json(StatusCode::OK, &AgentView::from(&row)))
    };
    idempotent::carried_out(state, &identity, key, "publish an agent", operation).await
}
