//! `PATCH /api/v1/organizations/{organization_id}`.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use crate::{
    app::{organizations, people::register::check_name},
    domain::{Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json},
        v1::{
            finish,
            organizations::view::{OrganizationView, named},
            style::in_own_task,
        },
    },
};

/// What is to change.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct UpdateOrganization {
    /// 1 to 200 characters.
    #[schema(example = "Example Ltd")]
    name: String,
}

impl Members for UpdateOrganization {
    const MEMBERS: &'static [&'static str] = &["name"];
}

/// Rename the organisation
#[utoipa::path(
    patch, path = "/api/v1/organizations/{organization_id}", tag = "Organizations", operation_id = "update_organization",
    security(("bearer" = ["organization:write"])),
    params(("organization_id" = String, Path, description = "The organisation's id")),
    request_body(content = UpdateOrganization, example = json!({"name": "Example Ltd"})),
    responses(
        (status = 200, description = "The organisation", body = OrganizationView),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`ORGANIZATION_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn update(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::OrganizationWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: UpdateOrganization = parse_json(&incoming.headers, &body)?;
    check_name("/name", &request.name)?;
    named(incoming, &identity)?;
    let app = state.app.clone();
    in_own_task(state, "rename an organisation", async move {
        let by = identity.by();
        let row = organizations::rename(&app, by, &request.name).await?;
        Ok(Answer::json(StatusCode::OK, &OrganizationView::of(row)))
    })
    .await
}
