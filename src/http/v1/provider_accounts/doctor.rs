//! `GET /api/v1/provider-accounts/{id}/doctor`: what is wrong with an account, and what to do.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::{not_found, probe, view};
use crate::{
    app::provider_accounts::{self, manage},
    db::provider_accounts::managed::{self, ManagedAccount},
    domain::{
        ErrorCode, ProviderAccountId, Result,
        diagnosis::{Check, Findings, Probe, diagnose, is_healthy},
        token::Scope,
    },
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// What was found.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct Diagnosis {
    provider_account_id: ProviderAccountId,
    /// Whether no check failed.
    healthy: bool,
    /// In the order in which to mend what is wrong.
    checks: Vec<Check>,
}

/// Examine a provider account
///
/// Tries the credentials at the provider, with a request that changes nothing, and looks at all that
/// calls need. Waits four seconds for the provider at most.
#[utoipa::path(
    get, path = "/api/v1/provider-accounts/{id}/doctor", tag = "Provider accounts", operation_id = "examine_provider_account",
    security(("bearer" = ["accounts:read"])),
    params(("id" = String, Path, description = "The account's id")),
    responses(
        (status = 200, description = "What was found, also when something is wrong", body = Diagnosis),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`PROVIDER_ACCOUNT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn doctor(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AccountsRead).await?;
    let id: ProviderAccountId = incoming.param("id").parse().map_err(|_| not_found())?;
    let by = identity.by();
    let found = manage::find(&state.app, by, &identity.caller, id).await?;
    let account = found.ok_or_else(not_found)?;
    let usage = managed::usage(&state.app.db, identity.scope, id).await?;
    let callback_url = view::callback_url(&account, &state.public_url);
    let circuits = state.app.circuits.open_accounts();
    let checks = diagnose(&Findings {
        provider: account.provider.title(),
        probe: tried(state, &account).await?,
        circuit_open: circuits.iter().any(|(_, open)| *open == id),
        callback_url: &callback_url,
        last_callback_at: account.last_callback_at,
        has_had_calls: usage.has_had_calls,
        numbers: usage.numbers,
        numbers_in_use: usage.numbers_in_use,
    });
    let diagnosis = Diagnosis {
        provider_account_id: id,
        healthy: is_healthy(&checks),
        checks,
    };
    Ok(Answer::json(StatusCode::OK, &diagnosis))
}

async fn tried(state: &HttpState, account: &ManagedAccount) -> Result<Probe> {
    let open = match provider_accounts::open(&state.app, account.id).await {
        Ok(open) => open.ok_or_else(not_found)?,
        // The key is missing, or the row is damaged.
        Err(error) if error.code == ErrorCode::Internal => return Ok(Probe::NotOpened),
        Err(error) => return Err(error),
    };
    match probe::account(&open) {
        Ok(account) => Ok(probe::probe(state, &account).await),
        Err(_unreadable) => Ok(Probe::NotOpened),
    }
}
