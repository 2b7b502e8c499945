//! `GET /api/v1/phone-numbers`.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::view::NumberView;
use crate::{
    app::phone_numbers,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// The numbers.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct NumberList<'a> {
    items: Vec<NumberView<'a>>,
}

/// List phone numbers
///
/// Oldest first, 1,000 at most. A test token sees those of simulated accounts, one that is restricted
/// to agents theirs.
#[utoipa::path(
    get, path = "/api/v1/phone-numbers", tag = "Provider accounts", operation_id = "list_phone_numbers",
    security(("bearer" = ["accounts:read"])),
    responses(
        (status = 200, description = "Oldest first", body = NumberList<'static>),
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
    let identity = incoming.identify(state, Scope::AccountsRead).await?;
    let by = identity.by();
    let rows = phone_numbers::list(&state.app, by, &identity.caller, None).await?;
    let items = rows.iter().map(NumberView::from).collect();
    Ok(Answer::json(StatusCode::OK, &NumberList { items }))
}
