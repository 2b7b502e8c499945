//! `GET /api/v1/webhook-endpoints/{id}/deliveries`: what was sent, and what became of it.

use axum::{extract::State, http::StatusCode};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;

use super::caller::{self, Caller};
use crate::{
    app::webhook_endpoints,
    db::{
        self,
        delivery_log::{After, DeliveryKey, DeliveryRow, DeliveryState, Filter},
    },
    domain::{
        AgentId, CallId, Error, ErrorCode, OrgScope, Result, Timestamp, WebhookEndpointId,
        page::{DEFAULT_LIMIT, MAX_LIMIT},
        token::Scope,
        webhook::envelope::{event_id, read_event_id},
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Query, wrong},
        v1::finish,
    },
};

/// A page of deliveries.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookDeliveryList)]
pub(in crate::http) struct DeliveryList {
    items: Vec<DeliveryView>,
    has_more: bool,
    /// Send it as `cursor`, with the same filter, for the next page.
    next_cursor: Option<String>,
}

/// A delivery.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookDelivery)]
pub(in crate::http) struct DeliveryView {
    /// The event's id, which is the delivery's within its endpoint.
    #[schema(example = "evt_a1b2c3d4e5f64890abcdef1234567890_5")]
    id: String,
    #[serde(rename = "type")]
    #[schema(example = "event_phone_call_ended")]
    kind: &'static str,
    timestamp: Timestamp,
    /// Null: the event is about no call.
    call_id: Option<CallId>,
    agent_id: Option<AgentId>,
    sequence: i64,
    state: DeliveryState,
    /// How many were made or are under way.
    attempts: i32,
    created_at: Timestamp,
    /// While it is pending: when the next attempt is made, or the one under way is given up.
    next_attempt_at: Option<Timestamp>,
    /// When it was delivered or given up.
    closed_at: Option<Timestamp>,
    /// When it was last asked to be sent again.
    resent_at: Option<Timestamp>,
}

impl DeliveryView {
    pub(super) fn of(row: &DeliveryRow) -> Self {
        let key = row.key;
        Self {
            id: event_id(key.call_id, key.sequence),
            kind: row.kind.as_str(),
            timestamp: row.at,
            call_id: (key.sequence > 0).then_some(key.call_id),
            agent_id: row.agent_id,
            sequence: key.sequence,
            state: row.state,
            attempts: row.attempts,
            created_at: row.created_at,
            next_attempt_at: row.due_at,
            closed_at: row.closed_at,
            resent_at: row.requeued_at,
        }
    }
}

/// A delivery that will be attempted.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = QueuedDelivery)]
pub(in crate::http) struct Queued {
    /// The event's id: look at `GET …/deliveries/{event_id}` for what becomes of it.
    #[schema(example = "evt_a1b2c3d4e5f64890abcdef1234567890_5")]
    event_id: String,
}

impl Queued {
    pub(in crate::http::v1) fn of(key: DeliveryKey) -> Self {
        Self {
            event_id: event_id(key.call_id, key.sequence),
        }
    }
}

/// A delivery's key as it stands in a path; `None`: it is none of ours.
pub(super) fn key(text: &str) -> Option<DeliveryKey> {
    let (call_id, sequence) = read_event_id(text)?;
    Some(DeliveryKey { call_id, sequence })
}

const KNOWN: [&str; 7] = [
    "state",
    "type",
    "call_id",
    "created_after",
    "created_before",
    "limit",
    "cursor",
];

/// List deliveries
///
/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/webhook-endpoints/{id}/deliveries", tag = "Webhooks", operation_id = "list_webhook_deliveries",
    security(("bearer" = ["webhooks:read"])),
    params(
        ("id" = String, Path, description = "The endpoint's id"),
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
        (status = 404, description = "`WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn deliveries(
    State(state): State<HttpState>,
    incoming: Incoming,
) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksRead).await?;
    let asked = Asked::read(incoming)?;
    let (place, scope) = (Caller(&identity).place(), identity.scope);
    let id = caller::id(incoming.param("id"))?;
    webhook_endpoints::get(&state.app, scope, &place, id).await?;
    answer(state, scope, id, asked).await
}

/// Which page of a receiver's deliveries.
pub(in crate::http::v1) struct Asked {
    filter: Filter,
    limit: i64,
    after: Option<After>,
}

impl Asked {
    /// # Errors
    /// `VALIDATION_FAILED`, `CURSOR_INVALID`.
    pub(in crate::http::v1) fn read(incoming: &Incoming) -> Result<Self> {
        let query = Query::of(&incoming.uri);
        query.only(&KNOWN)?;
        Ok(Self {
            filter: filter(&query)?,
            limit: limit(&query)?,
            after: query.one("cursor")?.map(read_cursor).transpose()?,
        })
    }
}

pub(in crate::http::v1) async fn answer(
    state: &HttpState,
    scope: OrgScope,
    id: WebhookEndpointId,
    asked: Asked,
) -> Result<Answer> {
    let Asked {
        filter,
        limit,
        after,
    } = asked;
    let (db, one_more) = (&state.app.db, limit + 1);
    let mut rows = db::delivery_log::list(db, scope, id, &filter, after, one_more).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| has_more).map(cursor);
    let shown = DeliveryList {
        items: rows.iter().map(DeliveryView::of).collect(),
        has_more,
        next_cursor,
    };
    Ok(Answer::json(StatusCode::OK, &shown))
}

/// 1 to 1,000, 100 when it is left out.
///
/// # Errors
/// `VALIDATION_FAILED`.
pub(in crate::http::v1) fn limit(query: &Query) -> Result<i64> {
    let must = "must be from 1 to 1000";
    let limit = query.parsed::<i64>("limit", must)?.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(wrong("limit", "range", must))
}

fn filter(query: &Query) -> Result<Filter> {
    let instant = "must be a time as RFC 3339 has it, for example 2026-11-21T09:30:00Z";
    Ok(Filter {
        state: query.parsed("state", "must be pending, delivered or dead")?,
        kind: query.parsed("type", "must be a type of event of ours")?,
        call_id: query.parsed("call_id", "must be a UUID")?,
        created_after: query.parsed("created_after", instant)?,
        created_before: query.parsed("created_before", instant)?,
    })
}

fn cursor(row: &DeliveryRow) -> String {
    let (at, id) = (row.created_at.unix_millis(), row.key);
    let text = format!("{at}.{}", event_id(id.call_id, id.sequence));
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

fn read_cursor(text: &str) -> Result<After> {
    let read = || {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (at, id) = text.split_once('.')?;
        let millis: i64 = at.parse().ok()?;
        // An instant that we never gave may be none of the database's.
        (0..=253_402_300_799_999).contains(&millis).then_some(())?;
        Some(After {
            created_at: Timestamp::from_unix_millis(millis),
            key: key(id)?,
        })
    };
    read().ok_or_else(|| {
        Error::new(
            ErrorCode::CursorInvalid,
            "The cursor does not belong to this list; start again without it",
        )
    })
}
