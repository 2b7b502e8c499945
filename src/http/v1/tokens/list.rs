//! `GET /api/v1/tokens`: the tokens in force.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::view::TokenView;
use crate::{
    app::tokens,
    db,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// The tokens.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct TokenList<'a> {
    items: Vec<TokenView<'a>>,
}

/// List tokens
///
/// Those in force, newest first, 1,000 at most; never their text. A test token sees test tokens, one
/// that is restricted to agents those that are restricted to no others.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "Tokens", operation_id = "list_tokens",
    security(("bearer" = ["tokens:read"])),
    responses(
        (status = 200, description = "Newest first", body = TokenList<'static>),
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
    let identity = incoming.identify(state, Scope::TokensRead).await?;
    let now = state.app.ambient.now();
    let rows = db::tokens::list(&state.app.db, identity.scope, now).await?;
    let items = rows
        .iter()
        .filter(|row| tokens::may_see(&identity.caller, row))
        .map(|row| TokenView::of(row, None))
        .collect();
    Ok(Answer::json(StatusCode::OK, &TokenList { items }))
}
