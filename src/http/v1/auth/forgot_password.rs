//! `POST /api/v1/auth/password/forgot`: mails a link that sets a new password.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use crate::{
    app::people::password,
    domain::Result,
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Members},
        v1::{
            finish,
            people::{MailSent, email, read},
            style::in_own_task,
        },
    },
};

/// Whose password is forgotten.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct ForgotPassword {
    /// ASCII, at most 254 characters.
    #[schema(example = "person@example.com")]
    email: String,
}

impl Members for ForgotPassword {
    const MEMBERS: &'static [&'static str] = &["email"];
}

/// Ask for a new password
///
/// The answer is the same whether the address has an account or not.
#[utoipa::path(
    post, path = "/api/v1/auth/password/forgot", tag = "People", operation_id = "forgot_password",
    request_body(content = ForgotPassword, example = json!({"email": "person@example.com"})),
    responses(
        (status = 202, description = "A mail tells how to go on", body = MailSent),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`RATE_LIMITED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`MAIL_NOT_CONFIGURED`, `DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn forgot_password(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let request: ForgotPassword = read(incoming).await?;
    let email = email("/email", &request.email)?;
    let (app, visitor) = (state.app.clone(), incoming.visitor());
    in_own_task(state, "offer a new password", async move {
        password::forgot(&app, &visitor, &email).await?;
        Ok(Answer::json(StatusCode::ACCEPTED, &MailSent::perhaps()))
    })
    .await
}
