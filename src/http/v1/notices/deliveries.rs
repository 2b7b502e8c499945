//! `/api/v1/notices/{id}/deliveries`: what was told, and what was answered.

use axum::extract::State;

use crate::{
    app::notices,
    db::delivery_log::DeliveryState,
    domain::token::Scope,
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::Incoming,
        v1::{
            finish,
            webhook_endpoints::{
                caller::Caller,
                deliveries::{self, DeliveryList},
                delivery::{self, DeliveryDetail},
            },
        },
    },
};

/// List a notice's deliveries
///
/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/notices/{id}/deliveries", tag = "Notices", operation_id = "list_notice_deliveries",
    security(("bearer" = ["webhooks:read"])),
    params(
        ("id" = String, Path, description = "The notice's id"),
        ("state" = Option<DeliveryState>, Query, description = "How it stands"),
        ("type" = Option<String>, Query, description = "A type of event"),
        ("call_id" = Option<uuid::Uuid>, Query, description = "Events of this call"),
        ("created_after" = Option<String>, Query, description = "RFC 3339"),
        ("created_before" = Option<String>, Query, description = "RFC 3339"),
        ("limit" = Option<i64>, Query, description = "1–1000, default 100", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, same filter"),
    ),
    responses(
        (status = 200, description = "A page", body = DeliveryList),
        (status = 400, description = "`CURSOR_INVALID`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`NOTICE_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = async {
        let identity = incoming.identify(&state, Scope::WebhooksRead).await?;
        let asked = deliveries::Asked::read(&incoming)?;
        let by = Caller(&identity).by();
        let (_, row) = notices::get(&state.app, by, incoming.param("id")).await?;
        deliveries::answer(&state, by.scope, row.id, asked).await
    }
    .await;
    finish(&incoming, result)
}

/// Get a notice's delivery
///
/// With the answer of each attempt. `body` is the event that was told of.
#[utoipa::path(
    get, path = "/api/v1/notices/{id}/deliveries/{event_id}", tag = "Notices", operation_id = "get_notice_delivery",
    security(("bearer" = ["webhooks:read"])),
    params(("id" = String, Path, description = "The notice's id"), ("event_id" = String, Path, description = "The event's id, `evt_…`")),
    responses(
        (status = 200, description = "The delivery", body = DeliveryDetail),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`NOTICE_NOT_FOUND`, `WEBHOOK_DELIVERY_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = async {
        let identity = incoming.identify(&state, Scope::WebhooksRead).await?;
        let by = Caller(&identity).by();
        let (_, row) = notices::get(&state.app, by, incoming.param("id")).await?;
        delivery::answer(&state, by.scope, row.id, incoming.param("event_id")).await
    }
    .await;
    finish(&incoming, result)
}
