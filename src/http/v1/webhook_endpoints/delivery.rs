//! `GET /api/v1/webhook-endpoints/{id}/deliveries/{event_id}`: request and answer of each attempt.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::{Value, value::to_raw_value};

use super::{
    caller::{self, Caller},
    deliveries::{self, DeliveryView},
};
use crate::{
    app::webhook_endpoints,
    db::{self, delivery_log::AttemptRow},
    domain::{
        Error, ErrorCode, OrgScope, Result, Timestamp, WebhookEndpointId,
        token::Scope,
        webhook::envelope::{Envelope, event_id},
    },
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

/// A delivery with its attempts.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookDeliveryDetail)]
pub(in crate::http) struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// The body of each attempt's request.
    #[schema(value_type = Object)]
    body: Envelope,
    /// In order; the newest 100, of the last 30 days.
    attempt_log: Vec<AttemptView>,
}

/// One attempt.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookAttempt)]
pub(in crate::http) struct AttemptView {
    attempt: i32,
    started_at: Timestamp,
    duration_ms: i32,
    /// Without the values of the endpoint's own headers.
    request: AttemptRequest,
    /// Null: there was none.
    response: Option<AttemptResponse>,
    /// Why there was no answer.
    failure: Option<String>,
}

/// What was sent.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookAttemptRequest)]
pub(in crate::http) struct AttemptRequest {
    url: Option<String>,
    #[schema(value_type = Option<Object>)]
    headers: Option<Value>,
}

/// What was answered.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookAttemptResponse)]
pub(in crate::http) struct AttemptResponse {
    status: i32,
    #[schema(value_type = Option<Object>)]
    headers: Option<Value>,
    /// The first 20 KiB.
    body: Option<String>,
}

impl From<AttemptRow> for AttemptView {
    fn from(row: AttemptRow) -> Self {
        let (headers, body) = (row.response_headers, row.response_body);
        Self {
            attempt: row.attempt,
            started_at: row.started_at,
            duration_ms: row.duration_millis,
            request: AttemptRequest {
                url: row.request_url,
                headers: row.request_headers,
            },
            response: row.response_status.map(|status| AttemptResponse {
                status,
                headers,
                body,
            }),
            failure: row.failure,
        }
    }
}

/// Get a delivery
///
/// With the request and the answer of each attempt.
#[utoipa::path(
    get, path = "/api/v1/webhook-endpoints/{id}/deliveries/{event_id}", tag = "Webhooks", operation_id = "get_webhook_delivery",
    security(("bearer" = ["webhooks:read"])),
    params(("id" = String, Path, description = "The endpoint's id"), ("event_id" = String, Path, description = "The event's id, `evt_…`")),
    responses(
        (status = 200, description = "The delivery", body = DeliveryDetail),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`WEBHOOK_ENDPOINT_NOT_FOUND`, `WEBHOOK_DELIVERY_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delivery(
    State(state): State<HttpState>,
    incoming: Incoming,
) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksRead).await?;
    let scope = identity.scope;
    let place = Caller(&identity).place();
    let id = caller::id(incoming.param("id"))?;
    webhook_endpoints::get(&state.app, scope, &place, id).await?;
    answer(state, scope, id, incoming.param("event_id")).await
}

pub(in crate::http::v1) async fn answer(
    state: &HttpState,
    scope: OrgScope,
    id: WebhookEndpointId,
    event: &str,
) -> Result<Answer> {
    let db = &state.app.db;
    let not_found = || {
        Error::new(
            ErrorCode::WebhookDeliveryNotFound,
            "There is no such delivery to this webhook endpoint",
        )
    };
    let key = deliveries::key(event).ok_or_else(not_found)?;
    let found = db::delivery_log::find(db, scope, id, key).await?;
    let (row, data) = found.ok_or_else(not_found)?;
    let attempts = db::delivery_log::attempts(db, scope, id, key).await?;
    let body = Envelope {
        id: event_id(key.call_id, key.sequence),
        kind: row.kind,
        timestamp: row.at,
        organization_id: scope.id(),
        agent_id: row.agent_id,
        call_id: (key.sequence > 0).then_some(key.call_id),
        sequence: key.sequence,
        data: to_raw_value(&data).map_err(|error| Error::internal("write an event", error))?,
    };
    let shown = DeliveryDetail {
        delivery: DeliveryView::of(&row),
        body,
        attempt_log: attempts.into_iter().map(AttemptView::from).collect(),
    };
    Ok(Answer::json(StatusCode::OK, &shown))
}
