//! `GET /api/v1/webhook-endpoints/{id}`: one receiver.

use axum::{extract::State, http::StatusCode};

use super::{caller::Caller, view::EndpointView};
use crate::{
    app::webhook_endpoints::{self, Place},
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// Get a webhook endpoint
#[utoipa::path(
    get, path = "/api/v1/webhook-endpoints/{id}", tag = "Webhooks", operation_id = "get_webhook_endpoint",
    security(("bearer" = ["webhooks:read"])),
    params(("id" = String, Path, description = "The endpoint's id")),
    responses(
        (status = 200, description = "The endpoint", body = EndpointView<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksRead).await?;
    let caller = Caller(&identity);
    answer(state, caller, &caller.place(), incoming.param("id")).await
}

pub(in crate::http::v1) async fn answer(
    state: &HttpState,
    caller: Caller<'_>,
    place: &Place,
    id: &str,
) -> Result<Answer> {
    let scope = caller.by().scope;
    let row = webhook_endpoints::get(&state.app, scope, place, super::caller::id(id)?).await?;
    let headers = webhook_endpoints::header_names(&state.app, scope, &row)?;
    Ok(Answer::json(
        StatusCode::OK,
        &EndpointView::of(&row, headers, None),
    ))
}
