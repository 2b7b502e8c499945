//! `GET /api/v1/agents/{id}`.

use axum::{extract::State, http::StatusCode};

use super::{not_found, view::AgentView};
use crate::{
    app::agents::manage,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// Read an agent
#[utoipa::path(
    get, path = "/api/v1/agents/{id}", tag = "Agents", operation_id = "get_agent",
    security(("bearer" = ["agents:read"])),
    params(("id" = String, Path, description = "The agent's id")),
    responses(
        (status = 200, description = "The agent", body = AgentView<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AgentsRead).await?;
    let id = incoming.param("id").parse().map_err(|_| not_found())?;
    let by = identity.by();
    let row = manage::find(&state.app, by, id).await?;
    let row = row.ok_or_else(not_found)?;
    Ok(Answer::json(StatusCode::OK, &AgentView::from(&row)))
}
