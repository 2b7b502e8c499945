//! `POST /api/v1/auth/refresh`: goes on with a session.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use crate::{
    app::people::log_in,
    domain::{OrganizationId, Result, secret_text::SecretKind},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Members},
        v1::{
            finish,
            people::{TokensView, read, secret},
            style::in_own_task,
        },
    },
};

/// What the session goes on with.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct RefreshSession {
    #[schema(example = "ohr_…")]
    refresh_token: String,
    /// From now on the access tokens name this organisation.
    organization_id: Option<OrganizationId>,
}

impl Members for RefreshSession {
    const MEMBERS: &'static [&'static str] = &["refresh_token", "organization_id"];
}

/// Refresh a session
///
/// Each refresh token is good once. One that comes a second time ends the session, whoever sends it.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "People", operation_id = "refresh",
    request_body(content = RefreshSession, example = json!({"refresh_token": "ohr_…"})),
    responses(
        (status = 200, description = "Goes on", body = TokensView<'static>, headers(("Cache-Control" = String, description = "`no-store`"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn refresh(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let request: RefreshSession = read(incoming).await?;
    let shown = secret(
        "/refresh_token",
        SecretKind::Refresh,
        &request.refresh_token,
    )?;
    let (app, visitor) = (state.app.clone(), incoming.visitor());
    in_own_task(state, "refresh a session", async move {
        let tokens = log_in::refresh(&app, &visitor, &shown, request.organization_id).await?;
        Ok(Answer::json(StatusCode::OK, &TokensView::of(&tokens)))
    })
    .await
}
