//! `POST /api/v1/webhook-endpoints/{id}/test`: sends an event, to see one arrive.

use axum::{extract::State, http::StatusCode};

use super::{
    caller::{self, Caller},
    deliveries::Queued,
};
use crate::{
    app::webhook_endpoints,
    domain::{Result, WebhookEndpointId, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES},
        idempotent,
        v1::finish,
    },
};

const ROUTE: &str = "POST /api/v1/webhook-endpoints/{id}/test";

/// Send a test event
///
/// A `webhook.test` is queued for this endpoint alone, whichever types it asks for; its delivery
/// shows what was answered.
#[utoipa::path(
    post, path = "/api/v1/webhook-endpoints/{id}/test", tag = "Webhooks", operation_id = "test_webhook_endpoint",
    security(("bearer" = ["webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint's id"), ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    responses(
        (status = 202, description = "Queued", body = Queued),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`WEBHOOK_ENDPOINT_DISABLED`, `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn send_test(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let id = caller::id(incoming.param("id"))?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let (task_state, by_whom) = (state.clone(), identity.clone());
    let operation = async move { carry_out(&task_state, &by_whom, id).await };
    idempotent::carried_out(state, &identity, key, "send a test event", operation).await
}

async fn carry_out(
    state: &HttpState,
    identity: &Identity,
    id: WebhookEndpointId,
) -> Result<Answer> {
    let (by, place) = (Caller(identity).by(), Caller(identity).place());
    let key = webhook_endpoints::send_test(&state.app, by, &place, id).await?;
    Ok(Answer::json(StatusCode::ACCEPTED, &Queued::of(key)))
}
