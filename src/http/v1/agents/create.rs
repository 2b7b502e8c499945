//! `POST /api/v1/agents`: makes an agent.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::{
    settings::{NewAnswer, NewLimits},
    view::AgentView,
};
use crate::{
    app::agents::manage::{self, AgentChange},
    domain::{Result, agent::Answer, call::Limits, token::Scope},
    http::{
        HttpState,
        answer::Answer as HttpAnswer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, object, parse_json},
        idempotent,
        v1::{checked_name, finish},
    },
};

const ROUTE: &str = "POST /api/v1/agents";

/// An agent to make.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct CreateAgent {
    /// 1 to 200 characters.
    #[schema(example = "Reminders")]
    name: String,
    /// What the callee hears. Left out: a sentence that says who carries the call.
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Answer>)]
    answer: Option<NewAnswer>,
    /// Of its calls, where they name none.
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Limits>)]
    limits: Option<NewLimits>,
    /// How the only numbers that it may call begin, 500 prefixes at most. Null or left out: any.
    #[schema(example = json!(["+49", "+1212"]))]
    allowed_destinations: Option<Vec<String>>,
}

impl Members for CreateAgent {
    const MEMBERS: &'static [&'static str] = &["name", "answer", "limits", "allowed_destinations"];
}

/// Make an agent
///
/// It takes no calls before it is published.
#[utoipa::path(
    post, path = "/api/v1/agents", tag = "Agents", operation_id = "create_agent",
    security(("bearer" = ["agents:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = CreateAgent, example = json!({"name": "Reminders", "answer": {"mode": "say", "text": "Hello. This is a reminder."}, "allowed_destinations": ["+49"]})),
    responses(
        (status = 201, description = "Made", body = AgentView<'static>, headers(("Location" = String, description = "The agent"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`, `TOKEN_RESTRICTED`", body = Problem, content_type = "application/problem+json"),
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
) -> HttpAnswer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<HttpAnswer> {
    let identity = incoming.identify(state, Scope::AgentsWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: CreateAgent = parse_json(&incoming.headers, &body)?;
    let limits = request.limits.unwrap_or_default();
    let name = checked_name(request.name)?;
    let change = AgentChange {
        answer: request.answer.map(Answer::from),
        max_duration_seconds: limits.max_duration_seconds,
        ring_timeout_seconds: limits.ring_timeout_seconds,
        allowed_destinations: Some(request.allowed_destinations),
        ..AgentChange::default()
    };
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let row = manage::create(&app, by, &name, &change).await?;
        let answer = HttpAnswer::json(StatusCode::CREATED, &AgentView::from(&row));
        Ok(answer.at(format!("/api/v1/agents/{}", row.id)))
    };
    idempotent::carried_out(state, &identity, key, "make an agent", operation).await
}
