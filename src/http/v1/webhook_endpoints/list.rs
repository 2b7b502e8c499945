//! `GET /api/v1/webhook-endpoints`: the organisation's receivers.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::{caller::Caller, view::EndpointView};
use crate::{
    app::webhook_endpoints::{Place, header_names},
    db,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// The receivers.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookEndpointList)]
pub(in crate::http) struct EndpointList<'a> {
    items: Vec<EndpointView<'a>>,
}

/// List webhook endpoints
#[utoipa::path(
    get, path = "/api/v1/webhook-endpoints", tag = "Webhooks", operation_id = "list_webhook_endpoints",
    security(("bearer" = ["webhooks:read"])),
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
    let identity = incoming.identify(state, Scope::WebhooksRead).await?;
    let caller = Caller(&identity);
    answer(state, caller, &caller.place()).await
}

pub(in crate::http::v1) async fn answer(
    state: &HttpState,
    caller: Caller<'_>,
    place: &Place,
) -> Result<Answer> {
    let (app, scope) = (&state.app, caller.by().scope);
    let rows = db::webhook_endpoints::list(&app.db, scope, place.visible()).await?;
    let items = rows
        .iter()
        .map(|row| Ok(EndpointView::of(row, header_names(app, scope, row)?, None)))
        .collect::<Result<_>>()?;
    Ok(Answer::json(StatusCode::OK, &EndpointList { items }))
}
