//! `PATCH /api/v1/agents/{id}`: changes an agent's settings.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::{
    not_found,
    settings::{NewAnswer, NewLimits},
    view::AgentView,
};
use crate::{
    app::agents::manage::{self, AgentChange},
    domain::{AgentId, Result, agent::Answer, call::Limits, token::Scope},
    http::{
        HttpState,
        answer::Answer as HttpAnswer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, Nullable, nullable, object, parse_json},
        idempotent,
        v1::{checked_name, finish},
    },
};

/// What is to become of the agent; what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct UpdateAgent {
    /// 1 to 200 characters.
    name: Option<String>,
    /// What the callee hears.
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Answer>)]
    answer: Option<NewAnswer>,
    /// Of its calls, where they name none.
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Limits>)]
    limits: Option<NewLimits>,
    /// How the only numbers that it may call begin, 500 prefixes at most; null: any.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["+49", "+1212"]))]
    allowed_destinations: Option<Nullable<Vec<String>>>,
}

impl Members for UpdateAgent {
    const MEMBERS: &'static [&'static str] = &["name", "answer", "limits", "allowed_destinations"];
}

/// Change an agent
///
/// For calls that begin from now on; calls that live have the limits that they began with.
#[utoipa::path(
    patch, path = "/api/v1/agents/{id}", tag = "Agents", operation_id = "update_agent",
    security(("bearer" = ["agents:write"])),
    params(("id" = String, Path, description = "The agent's id")),
    request_body(content = UpdateAgent, example = json!({"limits": {"max_duration_seconds": 600}, "allowed_destinations": ["+49"]})),
    responses(
        (status = 200, description = "The agent afterwards", body = AgentView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn update(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> HttpAnswer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<HttpAnswer> {
    let identity = incoming.identify(state, Scope::AgentsWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: UpdateAgent = parse_json(&incoming.headers, &body)?;
    let limits = request.limits.unwrap_or_default();
    let change = AgentChange {
        name: request.name.map(checked_name).transpose()?,
        answer: request.answer.map(Answer::from),
        max_duration_seconds: limits.max_duration_seconds,
        ring_timeout_seconds: limits.ring_timeout_seconds,
        allowed_destinations: request.allowed_destinations.map(|given| given.0),
        published: None,
    };
    let id: AgentId = incoming.param("id").parse().map_err(|_| not_found())?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let row = manage::update(&app, by, id, &change).await?;
        let row = row.ok_or_else(not_found)?;
        Ok(HttpAnswer::json(StatusCode::OK, &AgentView::from(&row)))
    };
    idempotent::carried_out(state, &identity, None, "change an agent", operation).await
}
