//! `PATCH /api/v1/members/{person_id}`: another role.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use crate::{
    app::members::{self, Wanted},
    domain::{PersonId, Result, role::Role, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json},
        v1::{finish, members::view::MemberView, style::in_own_task},
    },
};

/// What is to change.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct UpdateMember {
    role: Role,
}

impl Members for UpdateMember {
    const MEMBERS: &'static [&'static str] = &["role"];
}

/// Change a role
///
/// Nobody gives a role above their own, and an organisation always has an owner.
#[utoipa::path(
    patch, path = "/api/v1/members/{person_id}", tag = "Organizations", operation_id = "update_member",
    security(("bearer" = ["members:write"])),
    params(("person_id" = String, Path, description = "The person's id")),
    request_body(content = UpdateMember, example = json!({"role": "operator"})),
    responses(
        (status = 200, description = "The member", body = MemberView),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ROLE_TOO_LOW`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`MEMBER_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`LAST_OWNER`", body = Problem, content_type = "application/problem+json"),
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
    let identity = incoming.identify(state, Scope::MembersWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: UpdateMember = parse_json(&incoming.headers, &body)?;
    let id = incoming.param("person_id").parse();
    let person_id: PersonId = id.map_err(|_| members::not_found())?;
    let app = state.app.clone();
    in_own_task(state, "change a member", async move {
        let by = identity.by();
        let role = Some(request.role);
        let wanted = Wanted { person_id, role };
        let row = members::change(&app, by, &identity.caller, wanted).await?;
        Ok(Answer::json(StatusCode::OK, &MemberView::of(row)))
    })
    .await
}
