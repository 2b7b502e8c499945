//! `PATCH /api/v1/webhook-endpoints/{id}`: changes, pauses, enables or disables a receiver.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::{
    caller::{self, Caller},
    check,
    view::EndpointView,
};
use crate::{
    app::webhook_endpoints::{self, ChangedEndpoint, Place},
    domain::{Result, token::Scope, webhook::headers::Headers},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json},
        v1::{finish, style::in_own_task},
    },
};

/// What to change; what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct UpdateWebhookEndpoint {
    url: Option<String>,
    description: Option<String>,
    /// Empty: every type.
    events: Option<Vec<String>>,
    /// Seconds, 5 to 120.
    timeout_seconds: Option<i32>,
    ordered: Option<bool>,
    /// In place of all its headers; empty: none.
    headers: Option<Headers>,
    /// True: events are queued and held back. False: they are delivered.
    paused: Option<bool>,
    /// False: no events are queued. True: they are again, and what waited is delivered.
    enabled: Option<bool>,
}

impl Members for UpdateWebhookEndpoint {
    const MEMBERS: &'static [&'static str] = &[
        "url",
        "description",
        "events",
        "timeout_seconds",
        "ordered",
        "headers",
        "paused",
        "enabled",
    ];
}

/// Change a webhook endpoint
///
/// An endpoint that was disabled is enabled here too.
#[utoipa::path(
    patch, path = "/api/v1/webhook-endpoints/{id}", tag = "Webhooks", operation_id = "update_webhook_endpoint",
    security(("bearer" = ["webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint's id")),
    request_body(content = UpdateWebhookEndpoint, example = json!({"paused": true})),
    responses(
        (status = 200, description = "The endpoint afterwards", body = EndpointView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
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
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let changed = read(incoming).await?;
    let caller = Caller(&identity);
    let id = incoming.param("id");
    answer(state, caller, &caller.place(), id, changed).await
}

/// The change that a request asks for.
pub(in crate::http::v1) async fn read(incoming: &mut Incoming) -> Result<ChangedEndpoint> {
    let body = incoming.body(MOST_BYTES).await?;
    let request: UpdateWebhookEndpoint = parse_json(&incoming.headers, &body)?;
    request.checked()
}

pub(in crate::http::v1) async fn answer(
    state: &HttpState,
    caller: Caller<'_>,
    place: &Place,
    id: &str,
    changed: ChangedEndpoint,
) -> Result<Answer> {
    let id = caller::id(id)?;
    let (app, by_whom, place) = (state.app.clone(), caller.0.clone(), place.clone());
    in_own_task(state, "change a webhook endpoint", async move {
        let by = by_whom.by();
        let row = webhook_endpoints::update(&app, by, &place, id, &changed).await?;
        let headers = webhook_endpoints::header_names(&app, by.scope, &row)?;
        Ok(Answer::json(
            StatusCode::OK,
            &EndpointView::of(&row, headers, None),
        ))
    })
    .await
}

impl UpdateWebhookEndpoint {
    fn checked(self) -> Result<ChangedEndpoint> {
        self.events.as_deref().map_or(Ok(()), check::events)?;
        let description = self.description.as_deref();
        description.map_or(Ok(()), check::description)?;
        self.timeout_seconds.map_or(Ok(()), check::timeout)?;
        Ok(ChangedEndpoint {
            url: self.url,
            events: self.events,
            timeout_seconds: self.timeout_seconds,
            description: self.description,
            ordered: self.ordered,
            headers: self.headers,
            paused: self.paused,
            enabled: self.enabled,
        })
    }
}
