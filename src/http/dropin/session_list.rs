//! `GET /api/calls`: what is going on, whole and without pages.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use super::style::{SessionError, finish_session};
use crate::{
    db::{self, call_list::ActiveCall},
    domain::{
        CallId, Result,
        call::{CallStatus, Direction},
        token::{Environment, Scope},
    },
    http::{HttpState, answer::Answer, extract::Incoming},
};

/// The most calls in one answer: far above what one organisation has at once.
const MOST_CALLS: i64 = 100_000;

/// The active calls.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct SessionList<'a> {
    calls: Vec<Session<'a>>,
    /// How many there are.
    count: usize,
}

/// An active call.
#[derive(Serialize, utoipa::ToSchema)]
struct Session<'a> {
    /// What `POST /api/calls/{call_id}/end` takes.
    call_id: CallId,
    /// The other party's number: the one that was called, or that calls.
    #[schema(example = "+15550101")]
    to_number: &'a str,
    status: CallStatus,
    /// `outbound` or `incoming`.
    #[schema(value_type = String, example = "outbound")]
    direction: &'static str,
}

/// List active calls
///
/// Newest first; a call that is over is not in it. In local mode a request from this machine needs
/// no token.
#[utoipa::path(
    get, path = "/api/calls", tag = "Drop-in", operation_id = "session_list",
    security(("bearer" = ["calls:read"])),
    responses(
        (status = 200, description = "All of them", body = SessionList<'static>, example = json!({"calls": [{"call_id": "a1b2c3d4-e5f6-4890-abcd-ef1234567890", "to_number": "+15550101", "status": "in-progress", "direction": "outbound"}], "count": 1})),
        (status = 401, description = "No valid token", body = SessionError),
        (status = 403, description = "The token lacks the scope", body = SessionError),
        (status = 503, description = "The database does not answer", body = SessionError),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish_session(&state, &incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify_or_local(state, Scope::CallsRead).await?;
    let caller = &identity.caller;
    let test_only = caller.environment == Environment::Test;
    let visible = (caller.agent_ids.as_deref(), test_only);
    let active = db::call_list::active(&state.app.db, identity.scope, visible, MOST_CALLS).await?;
    let calls: Vec<Session<'_>> = active.iter().map(session).collect();
    let count = calls.len();
    let body = SessionList { calls, count };
    Ok(Answer::json(StatusCode::OK, &body))
}

fn session(call: &ActiveCall) -> Session<'_> {
    Session {
        call_id: call.id,
        to_number: call.other_party.reveal(),
        status: call.status,
        direction: match call.direction {
            Direction::Outbound => "outbound",
            Direction::Inbound => "incoming",
        },
    }
}
