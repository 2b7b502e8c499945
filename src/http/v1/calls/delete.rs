//! `DELETE /api/v1/calls/{id}`: refused for every live call, which must be ended instead.

use axum::extract::State;

use super::visible;
use crate::{
    domain::{Error, ErrorCode, Result, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// A call is never deleted
///
/// A live call must be ended, with `POST /api/v1/calls/{id}/end`; a call that is over is the record
/// of what happened and what it cost, and stays.
#[utoipa::path(
    delete, path = "/api/v1/calls/{id}", tag = "Calls", operation_id = "delete_call",
    security(("bearer" = ["calls:end"])),
    params(("id" = String, Path, description = "Our id or the provider's")),
    responses(
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`CALL_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`CALL_ACTIVE`: end it with `/end`; `CALL_KEPT`: it is over and its record stays", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsEnd).await?;
    let call = visible(state, &identity, incoming.param("id")).await?;
    if call.is_live() {
        let detail = format!(
            "The call is live; end it with POST /api/v1/calls/{}/end",
            call.id
        );
        return Err(Error::new(ErrorCode::CallActive, detail));
    }
    Err(Error::new(
        ErrorCode::CallKept,
        "The call is over; its record and its bill stay and cannot be deleted",
    ))
}
