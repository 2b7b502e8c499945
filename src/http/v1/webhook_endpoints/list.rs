//! `GET /api/v1/webhook-endpoints`: the organisation's receivers.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::view::EndpointView;
use crate::{
    db,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// The receivers.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct EndpointList<'a> {
    items: Vec<EndpointView<'a>>,
}

/// List webhook endpoints
#[utoipa::path(
    get, path = "/api/v1/webhook-endpoints", tag = "Webhooks", operation_id = "list_webhook_endpoints",
    security(("bearer" = ["webhooks:write"])),
    responses(
        (status = 200, description = "Oldest first", body = EndpointList<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let rows = db::webhook_endpoints::list(&state.app.db, identity.scope).await?;
    let visible = |agent| match agent {
        Some(agent) => identity.caller.may_act_for(agent),
        None => identity.caller.agent_ids.is_none(),
    };
    let items = rows
        .iter()
        .filter(|row| visible(row.agent_id))
        .map(|row| EndpointView::of(row, None))
        .collect();
    Ok(Answer::json(StatusCode::OK, &EndpointList { items }))
}
