//! `DELETE /api/v1/provider-accounts/{id}`: disconnects an account.

use axum::{extract::State, http::StatusCode};

use super::not_found;
use crate::{
    app::provider_accounts::manage,
    domain::{ProviderAccountId, Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, idempotent, v1::finish},
};

/// Disconnect a provider account
///
/// Refused while calls live on it. Its credentials are forgotten; its calls stay in the lists.
#[utoipa::path(
    delete, path = "/api/v1/provider-accounts/{id}", tag = "Provider accounts", operation_id = "disconnect_provider_account",
    security(("bearer" = ["accounts:write"])),
    params(("id" = String, Path, description = "The account's id")),
    responses(
        (status = 204, description = "Disconnected"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`PROVIDER_ACCOUNT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`PROVIDER_ACCOUNT_IN_USE`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn disconnect(
    State(state): State<HttpState>,
    incoming: Incoming,
) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AccountsWrite).await?;
    let id: ProviderAccountId = incoming.param("id").parse().map_err(|_| not_found())?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let done = manage::disconnect(&app, by, &by_whom.caller, id).await?;
        let answer = Answer::empty(StatusCode::NO_CONTENT);
        done.then_some(answer).ok_or_else(not_found)
    };
    let doing = "disconnect a provider account";
    idempotent::carried_out(state, &identity, None, doing, operation).await
}
