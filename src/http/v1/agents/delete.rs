//! `DELETE /api/v1/agents/{id}`.

use axum::{extract::State, http::StatusCode};

use super::not_found;
use crate::{
    app::agents::manage,
    domain::{AgentId, Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, idempotent, v1::finish},
};

/// Delete an agent
///
/// Refused while it has live calls. Its calls stay in the lists; its numbers are nobody's.
#[utoipa::path(
    delete, path = "/api/v1/agents/{id}", tag = "Agents", operation_id = "delete_agent",
    security(("bearer" = ["agents:write"])),
    params(("id" = String, Path, description = "The agent's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`AGENT_IN_USE`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AgentsWrite).await?;
    let id: AgentId = incoming.param("id").parse().map_err(|_| not_found())?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let deleted = manage::delete(&app, by, id).await?;
        let answer = Answer::empty(StatusCode::NO_CONTENT);
        deleted.then_some(answer).ok_or_else(not_found)
    };
    idempotent::carried_out(state, &identity, None, "delete an agent", operation).await
}
