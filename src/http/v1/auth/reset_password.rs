//! `POST /api/v1/auth/password/reset`: sets a new password by what was mailed.

use axum::extract::State;
use serde::Deserialize;

use crate::{
    app::people::password,
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

/// What the mail carried, and the new password.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct ResetPassword {
    #[schema(example = "ohl_…")]
    token: String,
    /// 12 characters at least, 256 bytes at most.
    #[schema(format = Password)]
    password: String,
}

impl Members for ResetPassword {
    const MEMBERS: &'static [&'static str] = &["token", "password"];
}

/// Set a new password
///
/// Every session is ended.
#[utoipa::path(
    post, path = "/api/v1/auth/password/reset", tag = "People", operation_id = "reset_password",
    request_body(content = ResetPassword, example = json!({"token": "ohl_…", "password": "correct horse battery"})),
    responses(
        (status = 204, description = "Set"),
        (status = 400, description = "`INVALID_REQUEST`, `LINK_INVALID`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`OVERLOADED`, `DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn reset_password(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let request: ResetPassword = read(incoming).await?;
    let token = secret("/token", SecretKind::Link, &request.token)?;
    let (app, visitor) = (state.app.clone(), incoming.visitor());
    done_in_own_task(state, "set a password", async move {
        password::reset(&app, &visitor, &token, request.password).await
    })
    .await
}
