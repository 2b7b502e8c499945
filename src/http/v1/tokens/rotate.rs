//! `POST /api/v1/tokens/{id}/rotate`: a new token in an old one's place.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use time::Duration;

use super::{not_found, view::TokenView};
use crate::{
    app::tokens::{self, DEFAULT_OVERLAP, MAX_OVERLAP},
    domain::{Result, TokenId, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json, wrong},
        idempotent,
        v1::finish,
    },
};

const ROUTE: &str = "POST /api/v1/tokens/{id}/rotate";

/// How to rotate.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct RotateToken {
    /// Seconds for which the old token works beside the new one, 0 to 2,592,000 (30 days), default
    /// 86,400 (a day).
    overlap_seconds: Option<i64>,
}

impl Members for RotateToken {
    const MEMBERS: &'static [&'static str] = &["overlap_seconds"];
}

/// Rotate a token
///
/// Makes one with the same rights, which is shown once, here. The old one works for the overlap, and
/// never longer than it would have. Whoever rotates a token must have all that it may do.
#[utoipa::path(
    post, path = "/api/v1/tokens/{id}/rotate", tag = "Tokens", operation_id = "rotate_token",
    security(("bearer" = ["tokens:write"])),
    params(
        ("id" = String, Path, description = "The old token's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    request_body(content = RotateToken, example = json!({"overlap_seconds": 3600})),
    responses(
        (status = 201, description = "The new token; `token` is not shown again", body = TokenView<'static>, headers(("Location" = String, description = "The new token"), ("Cache-Control" = String, description = "`no-store`"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`, `ACCOUNT_NOT_VERIFIED`, `GRANT_EXCEEDED`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`TOKEN_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`TOKEN_NOT_IN_FORCE`, `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn rotate(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::TokensWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: RotateToken = parse_json(&incoming.headers, &body)?;
    let overlap = request
        .overlap_seconds
        .map_or(DEFAULT_OVERLAP, Duration::seconds);
    if !(Duration::ZERO..=MAX_OVERLAP).contains(&overlap) {
        let message = "must be from 0 to 2592000";
        return Err(wrong("/overlap_seconds", "range", message));
    }
    let id: TokenId = incoming.param("id").parse().map_err(|_| not_found())?;
    let key = idempotent::secret_key(incoming, &identity, ROUTE, &body)?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let rotated = tokens::rotate(&app, by, &by_whom.caller, id, overlap).await?;
        let (row, text) = rotated.ok_or_else(not_found)?;
        let answer = Answer::json(StatusCode::CREATED, &TokenView::of(&row, Some(&text)));
        Ok(answer.at(format!("/api/v1/tokens/{}", row.id)))
    };
    idempotent::carried_out(state, &identity, key, "rotate a token", operation).await
}
