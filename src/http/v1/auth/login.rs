//! `POST /api/v1/auth/login`: begins a session.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use crate::{
    app::people::log_in::{self, Credentials},
    domain::{OrganizationId, Result, password::Password},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Members},
        v1::{
            finish,
            people::{TokensView, email, read},
        },
    },
};

/// Who logs in.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct Login {
    /// ASCII, at most 254 characters.
    #[schema(example = "person@example.com")]
    email: String,
    /// As it was chosen.
    #[schema(format = Password)]
    password: String,
    /// The organisation that the access tokens name; left out: the only one, or the one that each
    /// request names in `X-Organization-Id`.
    organization_id: Option<OrganizationId>,
}

impl Members for Login {
    const MEMBERS: &'static [&'static str] = &["email", "password", "organization_id"];
}

/// Log in
///
/// Ten tries of an account from one address, then one a minute. The access token is good for 15 minutes; the refresh token is good once.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "People", operation_id = "login",
    request_body(content = Login, example = json!({"email": "person@example.com", "password": "correct horse battery"})),
    responses(
        (status = 200, description = "Logged in", body = TokensView<'static>, headers(("Cache-Control" = String, description = "`no-store`"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`LOGIN_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`RATE_LIMITED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`OVERLOADED`, `DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn login(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let request: Login = read(incoming).await?;
    let shown = Credentials {
        email: email("/email", &request.email)?,
        password: Password::shown(request.password),
        organization_id: request.organization_id,
    };
    // A client that goes away leaves its place in the queue to others.
    let tokens = log_in::log_in(&state.app, &incoming.visitor(), &shown).await?;
    Ok(Answer::json(StatusCode::OK, &TokensView::of(&tokens)))
}
