//! `GET /api/v1/sessions`: where a person is logged in.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    db,
    domain::{Result, SessionId, Timestamp},
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// Where you are logged in.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct SessionList {
    items: Vec<Session>,
}

/// A session that goes on.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct Session {
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    /// Where the login came from.
    address: Option<String>,
    created_at: Timestamp,
    refreshed_at: Timestamp,
    /// When it is over unless it is refreshed.
    expires_at: Timestamp,
}

/// List your sessions
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "People", operation_id = "list_sessions",
    security(("person" = [])),
    responses(
        (status = 200, description = "Used last first", body = SessionList),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let person = incoming.person(state).await?.person;
    let now = state.app.ambient.now();
    let rows = db::sessions::list(&state.app.db, person.person_id, now).await?;
    let items = rows.into_iter().map(|row| Session {
        id: row.id,
        current: row.id == person.session_id,
        address: row.address,
        created_at: row.created_at,
        refreshed_at: row.refreshed_at,
        expires_at: row.expires_at,
    });
    let items = items.collect();
    Ok(Answer::json(StatusCode::OK, &SessionList { items }))
}
