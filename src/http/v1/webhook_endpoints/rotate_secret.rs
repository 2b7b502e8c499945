//! `POST /api/v1/webhook-endpoints/{id}/rotate-secret`.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::{
    caller::{self, Caller},
    view::EndpointView,
};
use crate::{
    app::webhook_endpoints,
    domain::{
        Result, WebhookEndpointId,
        token::Scope,
        webhook::endpoint::{DEFAULT_OVERLAP_SECONDS, MAX_OVERLAP_SECONDS},
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, parse_json, wrong},
        idempotent,
        v1::finish,
    },
};

const ROUTE: &str = "POST /api/v1/webhook-endpoints/{id}/rotate-secret";

/// How to rotate.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct RotateSecret {
    /// How long the previous secret signs too, 0 to 604,800; default 86,400, a day.
    overlap_seconds: Option<i64>,
}

impl Members for RotateSecret {
    const MEMBERS: &'static [&'static str] = &["overlap_seconds"];
}

/// Rotate a webhook endpoint's secret
///
/// The new secret is shown once, here. Until the overlap is over, deliveries carry the signatures of
/// both secrets.
#[utoipa::path(
    post, path = "/api/v1/webhook-endpoints/{id}/rotate-secret", tag = "Webhooks", operation_id = "rotate_webhook_secret",
    security(("bearer" = ["webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint's id"), ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = RotateSecret, example = json!({"overlap_seconds": 3600})),
    responses(
        (status = 200, description = "The endpoint with its new secret", body = EndpointView<'static>, headers(("Cache-Control" = String, description = "`no-store`"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn rotate_secret(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: RotateSecret = parse_json(&incoming.headers, &body)?;
    let overlap = request.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
    if !(0..=MAX_OVERLAP_SECONDS).contains(&overlap) {
        let message = "must be from 0 to 604800";
        return Err(wrong("/overlap_seconds", "range", message));
    }
    let id = caller::id(incoming.param("id"))?;
    let key = idempotent::secret_key(incoming, &identity, ROUTE, &body)?;
    let (task_state, by_whom) = (state.clone(), identity.clone());
    let overlap = time::Duration::seconds(overlap);
    let operation = async move { carry_out(&task_state, &by_whom, id, overlap).await };
    let doing = "rotate a webhook endpoint's secret";
    idempotent::carried_out(state, &identity, key, doing, operation).await
}

async fn carry_out(
    state: &HttpState,
    identity: &Identity,
    id: WebhookEndpointId,
    overlap: time::Duration,
) -> Result<Answer> {
    let (by, place) = (Caller(identity).by(), Caller(identity).place());
    let (row, secret) =
        webhook_endpoints::rotate_secret(&state.app, by, &place, id, overlap).await?;
    let headers = webhook_endpoints::header_names(&state.app, by.scope, &row)?;
    Ok(Answer::json(
        StatusCode::OK,
        &EndpointView::of(&row, headers, Some(secret.reveal())),
    ))
}
