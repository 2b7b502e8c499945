//! `POST /api/v1/auth/logout`: ends a session.

use axum::extract::State;
use serde::Deserialize;

use crate::{
    app::people::sessions,
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

/// The session to end.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct Logout {
    #[schema(example = "ohr_…")]
    refresh_token: String,
}

impl Members for Logout {
    const MEMBERS: &'static [&'static str] = &["refresh_token"];
}

/// Log out
///
/// Safe to repeat. Access tokens of the session stop working within two seconds.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "People", operation_id = "logout",
    request_body(content = Logout, example = json!({"refresh_token": "ohr_…"})),
    responses(
        (status = 204, description = "Logged out"),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn logout(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let request: Logout = read(incoming).await?;
    let shown = secret(
        "/refresh_token",
        SecretKind::Refresh,
        &request.refresh_token,
    )?;
    let (app, visitor) = (state.app.clone(), incoming.visitor());
    done_in_own_task(state, "log out", async move {
        sessions::log_out(&app, &visitor, &shown).await
    })
    .await
}
