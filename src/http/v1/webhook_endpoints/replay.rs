//! `POST /api/v1/webhook-endpoints/{id}/replay`: sends a time again, or all that was given up.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::caller::{self, Caller};
use crate::{
    app::webhook_endpoints::{self, Again},
    db::delivery_log::Range,
    domain::{Result, Timestamp, WebhookEndpointId, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, parse_json, wrong},
        idempotent,
        v1::finish,
    },
};

const ROUTE: &str = "POST /api/v1/webhook-endpoints/{id}/replay";

/// The longest time that is replayed: events are kept for as long.
const LONGEST: time::Duration = time::Duration::days(31);

/// What to send again.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct ReplayDeliveries {
    /// Events from then on; left out: of the last 30 days.
    from: Option<Timestamp>,
    /// Events before then; left out: until now.
    to: Option<Timestamp>,
    /// Only deliveries that were given up.
    #[serde(default)]
    failed_only: bool,
}

impl Members for ReplayDeliveries {
    const MEMBERS: &'static [&'static str] = &["from", "to", "failed_only"];
}

/// What was queued.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct ReplayedDeliveries {
    /// How many deliveries were queued anew.
    count: i64,
    /// Ask again with this as `from`: there were more than 10,000 events.
    continue_from: Option<Timestamp>,
}

/// Replay deliveries
///
/// Every event of a time that the endpoint asks for, delivered or not, and also those that were not
/// queued for it because it was disabled; or only what was given up. Ids are the same.
#[utoipa::path(
    post, path = "/api/v1/webhook-endpoints/{id}/replay", tag = "Webhooks", operation_id = "replay_webhook_deliveries",
    security(("bearer" = ["webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint's id"), ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = ReplayDeliveries, example = json!({"from": "2026-11-21T09:00:00Z", "to": "2026-11-21T10:00:00Z"})),
    responses(
        (status = 202, description = "Queued", body = ReplayedDeliveries),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`WEBHOOK_ENDPOINT_DISABLED`, `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn replay(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: ReplayDeliveries = parse_json(&incoming.headers, &body)?;
    let now = state.app.ambient.now();
    let to = request.to.unwrap_or(now);
    let from = request
        .from
        .unwrap_or_else(|| to.plus(-time::Duration::days(30)));
    if from >= to {
        return Err(wrong("/to", "range", "must be after `from`"));
    }
    if to.since(from) > LONGEST {
        return Err(wrong(
            "/from",
            "range",
            "must be at most 31 days before `to`",
        ));
    }
    let what = if request.failed_only {
        Again::Failed
    } else {
        Again::Everything
    };
    let id = caller::id(incoming.param("id"))?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let range = Range { from, to };
    let (task_state, by_whom) = (state.clone(), identity.clone());
    let operation = async move { carry_out(&task_state, &by_whom, id, what, range).await };
    idempotent::carried_out(state, &identity, key, "send events again", operation).await
}

async fn carry_out(
    state: &HttpState,
    identity: &Identity,
    id: WebhookEndpointId,
    what: Again,
    range: Range,
) -> Result<Answer> {
    let (by, place) = (Caller(identity).by(), Caller(identity).place());
    let done = webhook_endpoints::replay(&state.app, by, &place, id, what, range).await?;
    let shown = ReplayedDeliveries {
        count: done.count,
        continue_from: done.continue_from,
    };
    Ok(Answer::json(StatusCode::ACCEPTED, &shown))
}
