//! `GET /api/v1/provider-accounts`.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::view::AccountView;
use crate::{
    app::provider_accounts::manage,
    domain::{Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// The accounts.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AccountList<'a> {
    items: Vec<AccountView<'a>>,
}

/// List provider accounts
///
/// The connected ones, oldest first, 1,000 at most; never their credentials. A test token sees the
/// simulated ones, one that is restricted to agents none.
#[utoipa::path(
    get, path = "/api/v1/provider-accounts", tag = "Provider accounts", operation_id = "list_provider_accounts",
    security(("bearer" = ["accounts:read"])),
    responses(
        (status = 200, description = "Oldest first", body = AccountList<'static>),
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
    let rows = manage::list(&state.app, by, &identity.caller, None).await?;
    let view = |row| AccountView::of(row, &state.public_url);
    let items = rows.iter().map(view).collect();
    Ok(Answer::json(StatusCode::OK, &AccountList { items }))
}
