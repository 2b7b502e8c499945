//! `POST /api/v1/invitations/accept`: by a person who has an account.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use crate::{
    app::invitations,
    domain::{OrganizationId, Result, role::Role, secret_text::SecretKind},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Members, PersonIdentity, established},
        v1::{
            finish,
            people::{read, secret},
            style::in_own_task,
        },
    },
};

/// Where you are a member now, and as what.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct Accepted {
    organization_id: OrganizationId,
    role: Role,
}

/// What the mail carried.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct AcceptInvitation {
    #[schema(example = "ohl_…")]
    token: String,
}

impl Members for AcceptInvitation {
    const MEMBERS: &'static [&'static str] = &["token"];
}

/// Accept an invitation
///
/// For the address of your account alone, and once. Who has no account registers with it.
#[utoipa::path(
    post, path = "/api/v1/invitations/accept", tag = "Organizations", operation_id = "accept_invitation",
    security(("person" = [])),
    request_body(content = AcceptInvitation, example = json!({"token": "ohl_…"})),
    responses(
        (status = 200, description = "You are a member", body = Accepted),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`INVITATION_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn accept(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let PersonIdentity { person, visitor } = incoming.person(state).await?;
    let request: AcceptInvitation = read(incoming).await?;
    let token = secret("/token", SecretKind::Link, &request.token)?;
    let app = state.app.clone();
    in_own_task(state, "accept an invitation", async move {
        let accepted = invitations::accept(&app, &visitor, &person, &token, established).await?;
        let (organization_id, role) = accepted;
        let accepted = Accepted {
            organization_id,
            role,
        };
        Ok(Answer::json(StatusCode::OK, &accepted))
    })
    .await
}
