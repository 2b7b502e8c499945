//! `POST /api/v1/invitations`: invites somebody by mail.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use crate::{
    app::invitations,
    domain::{Result, role::Role, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json},
        idempotent,
        v1::{finish, invitations::view::InvitationView, people::email, style::in_own_task},
    },
};

const ROUTE: &str = "POST /api/v1/invitations";

/// Who is invited, as what.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct CreateInvitation {
    /// ASCII, at most 254 characters.
    #[schema(example = "person@example.com")]
    email: String,
    /// Not above your own.
    role: Role,
}

impl Members for CreateInvitation {
    const MEMBERS: &'static [&'static str] = &["email", "role"];
}

/// Invite somebody
///
/// Good for seven days and once. Earlier invitations of the address are revoked.
#[utoipa::path(
    post, path = "/api/v1/invitations", tag = "Organizations", operation_id = "create_invitation",
    security(("bearer" = ["members:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = CreateInvitation, example = json!({"email": "bob@example.com", "role": "operator"})),
    responses(
        (status = 201, description = "Invited", body = InvitationView),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ACCOUNT_NOT_VERIFIED`, `ROLE_TOO_LOW`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`MEMBER_EXISTS`, `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`RATE_LIMITED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`MAIL_NOT_CONFIGURED`, `DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn create(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::MembersWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: CreateInvitation = parse_json(&incoming.headers, &body)?;
    let email = email("/email", &request.email)?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let state_of_task = state.clone();
    in_own_task(state, "invite somebody", async move {
        let operation = async {
            let by = identity.by();
            let app = &state_of_task.app;
            let made = invitations::create(app, by, &identity.caller, &email, request.role).await?;
            Ok(Answer::json(StatusCode::CREATED, &InvitationView::of(made)))
        };
        idempotent::once(&state_of_task, &identity, key, operation).await
    })
    .await
}
