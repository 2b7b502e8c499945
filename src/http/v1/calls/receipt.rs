//! `GET /api/v1/calls/{id}/end`: the termination receipt.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::visible;
use crate::{
    db::{self, hangup_attempts::Attempt},
    domain::{Error, ErrorCode, Result, Timestamp, call::CallEndView, token::Scope},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// Who asked for the end, each attempt, what the provider answered, what confirmed it.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct Receipt<'a> {
    #[serde(flatten)]
    end: CallEndView<'a>,
    attempts: Vec<AttemptView>,
}

/// One request to hang up.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = HangupAttempt)]
pub(in crate::http) struct AttemptView {
    started_at: Timestamp,
    finished_at: Timestamp,
    /// `ended`, `accepted`, `already_over`, `not_found`, `retry` or `refused`.
    outcome: String,
    /// The provider's HTTP status; null: no answer arrived.
    provider_status: Option<i32>,
    provider_code: Option<String>,
    provider_message: Option<String>,
}

/// Get the receipt of a call's end
#[utoipa::path(
    get, path = "/api/v1/calls/{id}/end", tag = "Calls", operation_id = "get_call_end",
    security(("bearer" = ["calls:read"])),
    params(("id" = String, Path, description = "Our id or the provider's")),
    responses(
        (status = 200, description = "The receipt", body = Receipt<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`CALL_NOT_FOUND`; also when nobody asked for the end of a live call", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn receipt(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsRead).await?;
    let call = visible(state, &identity, incoming.param("id")).await?;
    if call.is_live() && call.wish.is_none() {
        return Err(Error::new(
            ErrorCode::CallNotFound,
            "The call is live and nobody asked for its end: there is no receipt yet",
        ));
    }
    let attempts = db::hangup_attempts::list(&state.app.db, identity.scope, call.id).await?;
    let body = Receipt {
        end: call.end_receipt(false),
        attempts: attempts.into_iter().map(AttemptView::from).collect(),
    };
    Ok(Answer::json(StatusCode::OK, &body))
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            outcome: attempt.outcome,
            provider_status: attempt.provider_status,
            provider_code: attempt.provider_code,
            provider_message: attempt.provider_message,
        }
    }
}
