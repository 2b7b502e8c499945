//! `POST /api/v1/auth/verify-email`: confirms the address, and the organisations that its person owns.

use axum::extract::State;
use serde::Deserialize;

use crate::{
    app::people::register,
    domain::{Result, secret_text::SecretKind},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Members},
        v1::{
            finish,
            people::{read, secret},
            style::done_in_own_task,
        },
    },
};

/// What the mail carried.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct VerifyEmail {
    #[schema(example = "ohl_…")]
    token: String,
}

impl Members for VerifyEmail {
    const MEMBERS: &'static [&'static str] = &["token"];
}

/// Confirm an address
#[utoipa::path(
    post, path = "/api/v1/auth/verify-email", tag = "People", operation_id = "verify_email",
    request_body(content = VerifyEmail, example = json!({"token": "ohl_…"})),
    responses(
        (status = 204, description = "Confirmed"),
        (status = 400, description = "`INVALID_REQUEST`, `LINK_INVALID`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn verify_email(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let request: VerifyEmail = read(incoming).await?;
    let token = secret("/token", SecretKind::Link, &request.token)?;
    let (app, visitor) = (state.app.clone(), incoming.visitor());
    done_in_own_task(state, "confirm an address", async move {
        register::verify_email(&app, &visitor, &token).await
    })
    .await
}
