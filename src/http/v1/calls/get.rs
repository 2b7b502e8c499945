//! `GET /api/v1/calls/{id}`: one call, at once or when it has come to something.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::StatusCode};

use super::visible;
use crate::{
    app::calls::wait,
    domain::{
        Error, Result,
        call::{Call, CallStatus, CallView},
        token::Scope,
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Query},
        v1::finish,
    },
};

/// The longest that a request may wait, in seconds.
const LONGEST_WAIT: u64 = 60;

/// Get a call
///
/// By our id or the provider's. With `wait_for`, answers when the call is `ringing`, `answered` or
/// `ended`, or when `timeout` has passed: look at `status`.
#[utoipa::path(
    get, path = "/api/v1/calls/{id}", tag = "Calls", operation_id = "get_call",
    security(("bearer" = ["calls:read"])),
    params(
        ("id" = String, Path, description = "Our id or the provider's"),
        ("wait_for" = Option<String>, Query, description = "`ringing`, `answered` or `ended`", example = "ended"),
        ("timeout" = Option<u64>, Query, description = "Seconds, 0–60, default 30", maximum = 60),
    ),
    responses(
        (status = 200, description = "The call", body = CallView<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`CALL_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsRead).await?;
    let query = Query::of(&incoming.uri);
    query.only(&["wait_for", "timeout"])?;
    let must = "must be a whole number of seconds from 0 to 60";
    let timeout = query.parsed::<u64>("timeout", must)?.unwrap_or(30);
    if timeout > LONGEST_WAIT {
        return Err(Error::field("timeout", "range", must));
    }
    let until = query.one("wait_for")?.map(milestone).transpose()?;
    let mut call = Arc::new(visible(state, &identity, incoming.param("id")).await?);
    if let Some(reached) = until
        && !reached(&call)
    {
        let mut watch = state.app.db.wake().watch(call.id);
        // Read again: what happened before the watch began is not announced.
        call = Arc::new(visible(state, &identity, incoming.param("id")).await?);
        let bound = Duration::from_secs(timeout);
        call = wait::until(&state.app, identity.scope, call, &mut watch, bound, reached).await;
    }
    Ok(Answer::json(StatusCode::OK, &call.view()))
}

fn milestone(name: &str) -> Result<fn(&Call) -> bool> {
    match name {
        "ringing" => Ok(|call| call.status != CallStatus::Initiating),
        "answered" => Ok(|call| call.answered_at.is_some() || !call.is_live()),
        "ended" => Ok(|call| !call.is_live()),
        _ => Err(Error::field(
            "wait_for",
            "invalid",
            "must be ringing, answered or ended",
        )),
    }
}
