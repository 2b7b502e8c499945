//! `GET /api/v1/organizations`: those that a person belongs to.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    db,
    domain::{Result, role::Role},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::Incoming,
        v1::{finish, organizations::view::OrganizationView},
    },
};

/// Where you belong.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct OrganizationList {
    items: Vec<OwnOrganization>,
}

/// An organisation, and what you are there.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct OwnOrganization {
    #[serde(flatten)]
    organization: OrganizationView,
    role: Role,
}

/// List your organisations
#[utoipa::path(
    get, path = "/api/v1/organizations", tag = "Organizations", operation_id = "list_organizations",
    security(("person" = [])),
    responses(
        (status = 200, description = "The oldest first", body = OrganizationList),
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
    let rows = db::organizations::list_of_person(&state.app.db, person.person_id).await?;
    let items = rows.into_iter().map(|row| OwnOrganization {
        role: row.role,
        organization: OrganizationView {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            verified_at: row.verified_at,
        },
    });
    let items = items.collect();
    Ok(Answer::json(StatusCode::OK, &OrganizationList { items }))
}
