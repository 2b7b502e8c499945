//! `GET /api/v1/agents`.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::view::AgentView;
use crate::{
    db::agents::managed,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// The agents.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AgentList<'a> {
    items: Vec<AgentView<'a>>,
}

/// List agents
///
/// Oldest first, 1,000 at most; only those that the token may act for.
#[utoipa::path(
    get, path = "/api/v1/agents", tag = "Agents", operation_id = "list_agents",
    security(("bearer" = ["agents:read"])),
    responses(
        (status = 200, description = "Oldest first", body = AgentList<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AgentsRead).await?;
    let only = identity.caller.agent_ids.as_deref();
    let rows = managed::list(&state.app.db, identity.scope, only).await?;
    let items = rows.iter().map(AgentView::from).collect();
    Ok(Answer::json(StatusCode::OK, &AgentList { items }))
}
