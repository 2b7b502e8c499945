//! `/api/v1/notices` and `/api/v1/notices/{id}`: seen, changed, tried, deleted.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::view::NoticeView;
use crate::{
    app::{
        notices,
        webhook_endpoints::{self, ChangedEndpoint},
    },
    domain::{Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, parse_json},
        idempotent,
        v1::{
            finish,
            style::{done_in_own_task, in_own_task},
            webhook_endpoints::{caller::Caller, check, deliveries::Queued},
        },
    },
};

const TEST_ROUTE: &str = "POST /api/v1/notices/{id}/test";

/// The notices.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NoticeList)]
pub(in crate::http) struct NoticeList<'a> {
    items: Vec<NoticeView<'a>>,
}

/// What to change; what is left out stays. A chat or a gateway of another address is another notice.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct UpdateNotice {
    description: Option<String>,
    /// Empty: those that the channel tells of by default.
    events: Option<Vec<String>>,
    /// True: events are queued and held back. False: they are delivered.
    paused: Option<bool>,
    /// False: no events are queued. True: they are again, and what waited is delivered.
    enabled: Option<bool>,
}

impl Members for UpdateNotice {
    const MEMBERS: &'static [&'static str] = &["description", "events", "paused", "enabled"];
}

/// List notices
#[utoipa::path(
    get, path = "/api/v1/notices", tag = "Notices", operation_id = "list_notices",
    security(("bearer" = ["webhooks:read"])),
    responses(
        (status = 200, description = "Oldest first of each channel", body = NoticeList<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = async {
        let identity = incoming.identify(&state, Scope::WebhooksRead).await?;
        let rows = notices::list(&state.app, Caller(&identity).by()).await?;
        let items = rows.iter().map(NoticeView::of).collect();
        Ok(Answer::json(StatusCode::OK, &NoticeList { items }))
    }
    .await;
    finish(&incoming, result)
}

/// Get a notice
#[utoipa::path(
    get, path = "/api/v1/notices/{id}", tag = "Notices", operation_id = "get_notice",
    security(("bearer" = ["webhooks:read"])),
    params(("id" = String, Path, description = "The notice's id")),
    responses(
        (status = 200, description = "The notice", body = NoticeView<'static>),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`NOTICE_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = async {
        let identity = incoming.identify(&state, Scope::WebhooksRead).await?;
        let by = Caller(&identity).by();
        let (_, row) = notices::get(&state.app, by, incoming.param("id")).await?;
        Ok(Answer::json(StatusCode::OK, &NoticeView::of(&row)))
    }
    .await;
    finish(&incoming, result)
}

/// Change a notice
///
/// Pauses and enables too; one that was disabled because its bot was blocked is enabled here.
#[utoipa::path(
    patch, path = "/api/v1/notices/{id}", tag = "Notices", operation_id = "update_notice",
    security(("bearer" = ["webhooks:write"])),
    params(("id" = String, Path, description = "The notice's id")),
    request_body(content = UpdateNotice, example = json!({"paused": true})),
    responses(
        (status = 200, description = "The notice afterwards", body = NoticeView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`NOTICE_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn update(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = change(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn change(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: UpdateNotice = parse_json(&incoming.headers, &body)?;
    let by = Caller(&identity).by();
    let (place, row) = notices::get(&state.app, by, incoming.param("id")).await?;
    let description = request.description.as_deref();
    description.map_or(Ok(()), check::description)?;
    let events = request.events.as_deref();
    let events = events.map(|given| notices::events(row.channel, given));
    let changed = ChangedEndpoint {
        events: events.transpose()?,
        description: request.description,
        paused: request.paused,
        enabled: request.enabled,
        ..ChangedEndpoint::default()
    };
    let (app, by_whom, id) = (state.app.clone(), identity.clone(), row.id);
    in_own_task(state, "change a notice", async move {
        let by = by_whom.by();
        let row = webhook_endpoints::update(&app, by, &place, id, &changed).await?;
        Ok(Answer::json(StatusCode::OK, &NoticeView::of(&row)))
    })
    .await
}

/// Delete a notice
///
/// What was still to be told is given up.
#[utoipa::path(
    delete, path = "/api/v1/notices/{id}", tag = "Notices", operation_id = "delete_notice",
    security(("bearer" = ["webhooks:write"])),
    params(("id" = String, Path, description = "The notice's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`NOTICE_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = async {
        let identity = incoming.identify(&state, Scope::WebhooksWrite).await?;
        let by = Caller(&identity).by();
        let (place, row) = notices::get(&state.app, by, incoming.param("id")).await?;
        let (app, by_whom) = (state.app.clone(), identity.clone());
        done_in_own_task(&state, "delete a notice", async move {
            webhook_endpoints::delete(&app, by_whom.by(), &place, row.id).await?;
            Ok(())
        })
        .await
    }
    .await;
    finish(&incoming, result)
}

/// Send a test notice
///
/// A message to the chat; a heartbeat to the gateway. Its delivery shows what was answered.
#[utoipa::path(
    post, path = "/api/v1/notices/{id}/test", tag = "Notices", operation_id = "test_notice",
    security(("bearer" = ["webhooks:write"])),
    params(("id" = String, Path, description = "The notice's id"), ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    responses(
        (status = 202, description = "Queued", body = Queued),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`NOTICE_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
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
    let result = test(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn test(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let key = idempotent::key(incoming, &identity, TEST_ROUTE, &body)?;
    let (task_state, by_whom) = (state.clone(), identity.clone());
    let id = incoming.param("id").to_owned();
    let operation = async move { queue_test(&task_state, &by_whom, &id).await };
    idempotent::carried_out(state, &identity, key, "send a test notice", operation).await
}

async fn queue_test(state: &HttpState, identity: &Identity, id: &str) -> Result<Answer> {
    let by = Caller(identity).by();
    let (place, row) = notices::get(&state.app, by, id).await?;
    let key = webhook_endpoints::send_test(&state.app, by, &place, row.id).await?;
    Ok(Answer::json(StatusCode::ACCEPTED, &Queued::of(key)))
}
