//! `GET /api/v1/members`: who belongs to the organisation.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    db,
    domain::{Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::Incoming,
        v1::{finish, members::view::MemberView},
    },
};

/// Who belongs to the organisation.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct MemberList {
    items: Vec<MemberView>,
}

/// List members
#[utoipa::path(
    get, path = "/api/v1/members", tag = "Organizations", operation_id = "list_members",
    security(("bearer" = ["members:read"])),
    responses(
        (status = 200, description = "Who came first is first", body = MemberList),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::MembersRead).await?;
    let rows = db::members::list(&state.app.db, identity.scope).await?;
    let items = rows.into_iter().map(MemberView::of).collect();
    Ok(Answer::json(StatusCode::OK, &MemberList { items }))
}
