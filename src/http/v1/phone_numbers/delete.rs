//! `DELETE /api/v1/phone-numbers/{id}`: removes a number.

use axum::{extract::State, http::StatusCode};

use super::not_found;
use crate::{
    app::phone_numbers,
    domain::{PhoneNumberId, Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, idempotent, v1::finish},
};

/// Remove a phone number
///
/// Here, not at the provider. Calls that live on it go on.
#[utoipa::path(
    delete, path = "/api/v1/phone-numbers/{id}", tag = "Provider accounts", operation_id = "delete_phone_number",
    security(("bearer" = ["accounts:write"])),
    params(("id" = String, Path, description = "The number's id")),
    responses(
        (status = 204, description = "Removed"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`PHONE_NUMBER_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AccountsWrite).await?;
    let id: PhoneNumberId = incoming.param("id").parse().map_err(|_| not_found())?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let removed = phone_numbers::delete(&app, by, &by_whom.caller, id).await?;
        let answer = Answer::empty(StatusCode::NO_CONTENT);
        removed.then_some(answer).ok_or_else(not_found)
    };
    idempotent::carried_out(state, &identity, None, "remove a phone number", operation).await
}
