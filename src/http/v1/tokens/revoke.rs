//! `DELETE /api/v1/tokens/{id}`: revokes a token.

use axum::{extract::State, http::StatusCode};

use super::not_found;
use crate::{
    app::tokens,
    domain::{Result, TokenId, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, idempotent, v1::finish},
};

/// Revoke a token
///
/// In force everywhere within two seconds. Safe to repeat; the token can still be read by its id.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "Tokens", operation_id = "revoke_token",
    security(("bearer" = ["tokens:write"])),
    params(("id" = String, Path, description = "The token's id")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`TOKEN_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn revoke(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::TokensWrite).await?;
    let id: TokenId = incoming.param("id").parse().map_err(|_| not_found())?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let revoked = tokens::revoke(&app, by, &by_whom.caller, id).await?;
        let answer = Answer::empty(StatusCode::NO_CONTENT);
        revoked.then_some(answer).ok_or_else(not_found)
    };
    idempotent::carried_out(state, &identity, None, "revoke a token", operation).await
}
