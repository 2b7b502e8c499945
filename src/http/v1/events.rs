//! `GET /api/v1/events`: the organisation's events in their order, for whoever asks instead of being
//! told.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{finish, webhook_endpoints::deliveries::limit};
use crate::{
    db::{
        self,
        events::{EventRow, Filter},
    },
    domain::{
        Error, ErrorCode, OrgScope, Result, Timestamp,
        position::{EventCursor, KEPT_FOR, Position},
        token::{Environment, Scope},
        webhook::{
            endpoint::event_problem,
            envelope::{Envelope, event_id},
        },
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Query, wrong},
    },
};

/// A page of events.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EventPage)]
pub(in crate::http) struct EventPage {
    /// As webhooks carry them.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Envelope>,
    has_more: bool,
    /// Send it as `after`, now or later, for what comes next. Null: there was no event yet.
    next_after: Option<String>,
}

/// Pull events
///
/// Every event of the last 30 days, the oldest first, as webhooks carry them. What is behind a
/// position never changes: keep `next_after` when a page is worked off, and nothing is missed.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "Webhooks", operation_id = "pull_events",
    security(("bearer" = ["calls:read"])),
    params(
        ("after" = Option<String>, Query, description = "`next_after` of the page before; left out: from the oldest"),
        ("type" = Option<Vec<String>>, Query, description = "A type of event, repeatable"),
        ("limit" = Option<i64>, Query, description = "1–1000, default 100", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = EventPage),
        (status = 400, description = "`CURSOR_INVALID`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
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
    query.only(&["after", "type", "limit"])?;
    let types: Vec<String> = query.all("type").into_iter().map(str::to_owned).collect();
    if let Some(problem) = types.iter().find_map(|name| event_problem(name)) {
        return Err(wrong("type", "unknown", problem));
    }
    let limit = limit(&query)?;
    let now = state.app.ambient.now();
    let after = query.one("after")?;
    let after = after.map(|text| cursor(text, now)).transpose()?;
    let filter = Filter {
        agents: identity.caller.agent_ids.clone(),
        test_only: identity.caller.environment == Environment::Test,
        types,
    };
    let (db, scope) = (&state.app.db, identity.scope);
    let place = after.map_or(Position::before(0), |after| after.position);
    let since = now.plus(-KEPT_FOR);
    let mut rows = db::events::after(db, scope, place, &filter, since, limit + 1).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| EventCursor {
        position: row.position,
        given_at: row.recorded_at,
    });
    let items = rows.iter().map(|row| envelope(scope, row));
    let shown = EventPage {
        items: items.collect::<Result<_>>()?,
        has_more,
        next_after: last.or(after).map(|cursor| cursor.to_string()),
    };
    Ok(Answer::json(StatusCode::OK, &shown))
}

fn cursor(text: &str, now: Timestamp) -> Result<EventCursor> {
    let cursor = text.parse::<EventCursor>().ok();
    cursor.filter(|cursor| !cursor.is_too_old(now)).ok_or_else(|| {
        Error::new(
            ErrorCode::CursorInvalid,
            "The position is not one that was given here, or is older than events are kept; start \
             again without it",
        )
    })
}

fn envelope(scope: OrgScope, row: &EventRow) -> Result<Envelope> {
    let position = row.position;
    Ok(Envelope {
        id: event_id(position.call_id, position.sequence),
        kind: row.kind,
        timestamp: row.at,
        organization_id: scope.id(),
        agent_id: row.agent_id,
        call_id: (position.sequence > 0).then_some(position.call_id),
        sequence: position.sequence,
        data: to_raw_value(&row.data).map_err(|error| Error::internal("write an event", error))?,
    })
}
