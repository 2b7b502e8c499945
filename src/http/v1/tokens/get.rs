//! `GET /api/v1/tokens/{id}`.

use axum::{extract::State, http::StatusCode};

use super::{not_found, view::TokenView};
use crate::{
    app::tokens,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// Read a token
///
/// Whatever has become of it; never its text.
#[utoipa::path(
    get, path = "/api/v1/tokens/{id}", tag = "Tokens", operation_id = "get_token",
    security(("bearer" = ["tokens:read"])),
    params(("id" = String, Path, description = "The token's id")),
    responses(
        (status = 200, description = "The token", body = TokenView<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`TOKEN_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::TokensRead).await?;
    let id = incoming.param("id").parse().map_err(|_| not_found())?;
    let by = identity.by();
    let row = tokens::find(&state.app, by, &identity.caller, id).await?;
    let row = row.ok_or_else(not_found)?;
    Ok(Answer::json(StatusCode::OK, &TokenView::of(&row, None)))
}
