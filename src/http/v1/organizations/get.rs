//! `GET /api/v1/organizations/{organization_id}`.

use axum::{extract::State, http::StatusCode};

use crate::{
    app::people::organization_not_found,
    db,
    domain::{Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::Incoming,
        v1::{
            finish,
            organizations::view::{OrganizationView, named},
        },
    },
};

/// Read the organisation
#[utoipa::path(
    get, path = "/api/v1/organizations/{organization_id}", tag = "Organizations", operation_id = "get_organization",
    security(("bearer" = ["members:read"])),
    params(("organization_id" = String, Path, description = "The organisation's id")),
    responses(
        (status = 200, description = "The organisation", body = OrganizationView),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`ORGANIZATION_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::MembersRead).await?;
    named(incoming, &identity)?;
    let row = db::organizations::find(&state.app.db, identity.scope).await?;
    let row = row.ok_or_else(organization_not_found)?;
    Ok(Answer::json(StatusCode::OK, &OrganizationView::of(row)))
}
