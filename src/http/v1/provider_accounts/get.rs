//! `GET /api/v1/provider-accounts/{id}`.

use axum::{extract::State, http::StatusCode};

use super::{not_found, view::AccountView};
use crate::{
    app::provider_accounts::manage,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// Read a provider account
#[utoipa::path(
    get, path = "/api/v1/provider-accounts/{id}", tag = "Provider accounts", operation_id = "get_provider_account",
    security(("bearer" = ["accounts:read"])),
    params(("id" = String, Path, description = "The account's id")),
    responses(
        (status = 200, description = "The account", body = AccountView<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`PROVIDER_ACCOUNT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AccountsRead).await?;
    let id = incoming.param("id").parse().map_err(|_| not_found())?;
    let by = identity.by();
    let row = manage::find(&state.app, by, &identity.caller, id).await?;
    let row = row.ok_or_else(not_found)?;
    let view = AccountView::of(&row, &state.public_url);
    Ok(Answer::json(StatusCode::OK, &view))
}
