//! `POST /api/v1/provider-accounts/{id}/rotate`: replaces an account's credentials, which are tried
//! first.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{connect::written, not_found, probe, view::AccountView};
use crate::{
    app::provider_accounts::{OpenAccount, manage},
    db::provider_accounts::managed::ManagedAccount,
    domain::{OrgScope, ProviderAccountId, Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json},
        idempotent,
        v1::finish,
    },
};

const ROUTE: &str = "POST /api/v1/provider-accounts/{id}/rotate";

/// New credentials.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct RotateCredentials {
    /// All of them, in the provider's own form.
    #[schema(value_type = Object, example = json!({"auth_token": "…"}))]
    credentials: Map<String, Value>,
    /// Where the account's API is from now on. Left out: where it was. It cannot be changed without
    /// credentials: nobody sends stored ones to a host of his own.
    api_base_url: Option<String>,
}

impl Members for RotateCredentials {
    const MEMBERS: &'static [&'static str] = &["credentials", "api_base_url"];
}

/// Rotate a provider account's credentials
///
/// The new ones are tried at the provider, with a request that changes nothing, before they replace
/// the old ones. Every node uses them within five seconds.
#[utoipa::path(
    post, path = "/api/v1/provider-accounts/{id}/rotate", tag = "Provider accounts", operation_id = "rotate_provider_account",
    security(("bearer" = ["accounts:write"])),
    params(
        ("id" = String, Path, description = "The account's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    request_body(content = RotateCredentials, example = json!({"credentials": {"auth_token": "…"}})),
    responses(
        (status = 200, description = "The account afterwards", body = AccountView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`, `ACCOUNT_NOT_VERIFIED`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`PROVIDER_ACCOUNT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "`PROVIDER_ERROR`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`, `PROVIDER_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn rotate(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AccountsWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: RotateCredentials = parse_json(&incoming.headers, &body)?;
    let id: ProviderAccountId = incoming.param("id").parse().map_err(|_| not_found())?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let (task_state, by_whom) = (state.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let (app, state) = (&task_state.app, &task_state);
        let base = request.api_base_url.as_deref();
        let planned = manage::plan_rotation(app, by, &by_whom.caller, id, base).await?;
        let mut planned = planned.ok_or_else(not_found)?;
        let credentials = written(&request.credentials)?;
        let account = probe::account(&opened(by.scope, &planned, &credentials))?;
        probe::must_be_accepted(state, &account).await?;
        if !manage::rotate(app, by, &planned, &credentials).await? {
            return Err(not_found());
        }
        planned.rotated_at = Some(app.ambient.now());
        let view = AccountView::of(&planned, &state.public_url);
        Ok(Answer::json(StatusCode::OK, &view))
    };
    let doing = "rotate a provider account's credentials";
    idempotent::carried_out(state, &identity, key, doing, operation).await
}

/// The account with these credentials.
fn opened(scope: OrgScope, account: &ManagedAccount, credentials: &[u8]) -> OpenAccount {
    OpenAccount::with_credentials(
        scope,
        (account.id, account.provider),
        account.external_id.clone(),
        account.api_base_url.clone(),
        credentials.to_vec(),
    )
}
