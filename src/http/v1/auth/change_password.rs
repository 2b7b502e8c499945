//! `POST /api/v1/auth/password/change`: by a person who shows the present one.

use axum::extract::State;
use serde::Deserialize;

use crate::{
    app::people::password,
    domain::{Result, password::Password},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Members, PersonIdentity},
        v1::{finish, people::read, style::done_in_own_task},
    },
};

/// The present password and the new one.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct ChangePassword {
    /// The present one.
    #[schema(format = Password)]
    password: String,
    /// 12 characters at least, 256 bytes at most.
    #[schema(format = Password)]
    new_password: String,
}

impl Members for ChangePassword {
    const MEMBERS: &'static [&'static str] = &["password", "new_password"];
}

/// Change the password
///
/// Your other sessions are ended.
#[utoipa::path(
    post, path = "/api/v1/auth/password/change", tag = "People", operation_id = "change_password",
    security(("person" = [])),
    request_body(content = ChangePassword, example = json!({"password": "correct horse battery", "new_password": "staple battery horse"})),
    responses(
        (status = 204, description = "Changed"),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`, `LOGIN_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`RATE_LIMITED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`OVERLOADED`, `DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn change_password(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let PersonIdentity { person, visitor } = incoming.person(state).await?;
    let request: ChangePassword = read(incoming).await?;
    let present = Password::shown(request.password);
    let app = state.app.clone();
    done_in_own_task(state, "change a password", async move {
        password::change(&app, &visitor, &person, present, request.new_password).await
    })
    .await
}
