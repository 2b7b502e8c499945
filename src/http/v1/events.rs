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
        Error, OrgScope, Result,
        token::{Environment, Scope},
        webhook::{
            endpoint::event_problem,
            envelope::{Envelope, event_id},
            position::{self, EventPosition},
        },
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Query, wrong},
    },
};

/// How long events can be asked for.
const KEPT: time::Duration = time::Duration::days(30);

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
    let since = state.app.ambient.now().plus(-KEPT);
    let after = query.one("after")?;
    let after = after.map(EventPosition::decode).transpose()?;
    if after.is_some_and(|after| after.recorded_at < since) {
        return Err(position::invalid());
    }
    let filter = Filter {
        agents: identity.caller.agent_ids.clone(),
        test_only: identity.caller.environment == Environment::Test,
        types,
    };
    let (db, scope) = (&state.app.db, identity.scope);
    let mut rows = db::events::after(db, scope, after, &filter, since, limit + 1).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_after = rows.last().map(|row| row.position).or(after);
    let items = rows.iter().map(|row| envelope(scope, row));
    let shown = EventPage {
        items: items.collect::<Result<_>>()?,
        has_more,
        next_after: next_after.map(EventPosition::encode),
    };
    Ok(Answer::json(StatusCode::OK, &shown))
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
