//! `GET /api/v1/invitations`: those that are open.

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
        v1::{finish, invitations::view::InvitationView},
    },
};

/// Who is invited.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct InvitationList {
    items: Vec<InvitationView>,
}

/// List invitations
#[utoipa::path(
    get, path = "/api/v1/invitations", tag = "Organizations", operation_id = "list_invitations",
    security(("bearer" = ["members:read"])),
    responses(
        (status = 200, description = "Open ones, the newest first", body = InvitationList),
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
    let now = state.app.ambient.now();
    let rows = db::invitations::list(&state.app.db, identity.scope, now).await?;
    let items = rows.into_iter().map(InvitationView::of).collect();
    Ok(Answer::json(StatusCode::OK, &InvitationList { items }))
}
