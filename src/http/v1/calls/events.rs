//! `GET /api/v1/calls/{id}/events`: what happened to a call, in order.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::visible;
use crate::{
    db::{self, call_facts::FactRow},
    domain::{
        CallId, Error, Result, Timestamp, call::FactType, token::Scope, webhook::envelope::event_id,
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Query},
        v1::finish,
    },
};

/// The events of a call.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct EventList {
    items: Vec<EventView>,
}

/// One event: the same id and data as in webhooks.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CallEvent)]
pub(in crate::http) struct EventView {
    #[schema(example = "evt_a1b2c3d4e5f64890abcdef1234567890_5")]
    id: String,
    #[serde(rename = "type")]
    kind: FactType,
    timestamp: Timestamp,
    /// Dense from 1.
    sequence: i64,
    #[schema(value_type = Object)]
    data: Value,
}

/// List a call's events
#[utoipa::path(
    get, path = "/api/v1/calls/{id}/events", tag = "Calls", operation_id = "list_call_events",
    security(("bearer" = ["calls:read"])),
    params(
        ("id" = String, Path, description = "Our id or the provider's"),
        ("after" = Option<i64>, Query, description = "Only events with a higher sequence", minimum = 0),
    ),
    responses(
        (status = 200, description = "In order", body = EventList),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`CALL_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn events(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsRead).await?;
    let query = Query::of(&incoming.uri);
    query.only(&["after"])?;
    let must = "must be a whole number from 0";
    let after = query.parsed::<i64>("after", must)?.unwrap_or(0);
    if after < 0 {
        return Err(Error::field("after", "range", must));
    }
    let call = visible(state, &identity, incoming.param("id")).await?;
    let facts = db::call_facts::list(&state.app.db, identity.scope, call.id, after).await?;
    let items = facts.into_iter().map(|fact| view(call.id, fact)).collect();
    Ok(Answer::json(StatusCode::OK, &EventList { items }))
}

fn view(call_id: CallId, fact: FactRow) -> EventView {
    EventView {
        id: event_id(call_id, fact.sequence),
        kind: fact.kind,
        timestamp: fact.at,
        sequence: fact.sequence,
        data: fact.data,
    }
}
