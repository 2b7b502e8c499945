//! `GET /api/v1/calls/count`: how many calls.

use axum::{extract::State, http::StatusCode};
use serde_json::{Map, Value, json};

use super::filter;
use crate::{
    db,
    domain::{Error, Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Query},
        v1::finish,
    },
};

/// Count calls
///
/// With the list's filters; `group_by=status` adds `by_status`.
#[utoipa::path(
    get, path = "/api/v1/calls/count", tag = "Calls", operation_id = "count_calls",
    security(("bearer" = ["calls:read"])),
    params(
        ("status" = Option<Vec<String>>, Query, description = "A status, repeatable; or `ongoing`", example = json!(["ongoing"])),
        ("agent_id" = Option<uuid::Uuid>, Query, description = "Calls of this agent"),
        ("direction" = Option<crate::domain::call::Direction>, Query, description = "Who called whom"),
        ("provider" = Option<crate::domain::provider::ProviderKind>, Query, description = "Who carries the call"),
        ("to" = Option<String>, Query, description = "E.164, its `+` written `%2B`"),
        ("from" = Option<String>, Query, description = "E.164, its `+` written `%2B`"),
        ("created_after" = Option<String>, Query, description = "RFC 3339"),
        ("created_before" = Option<String>, Query, description = "RFC 3339"),
        ("ended_reason" = Option<crate::domain::call::EndReason>, Query, description = "Why the call ended"),
        ("metadata[key]" = Option<String>, Query, description = "A top-level member of the metadata has this text"),
        ("group_by" = Option<String>, Query, description = "`status`"),
    ),
    responses(
        (status = 200, description = "The count", body = Object, example = json!({"count": 3, "by_status": {"in-progress": 2, "ringing": 1}})),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn count(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsRead).await?;
    let query = Query::of(&incoming.uri);
    let filter = filter::filter(&query, filter::OF_COUNT, &identity)?;
    let (db, scope) = (&state.app.db, identity.scope);
    let body = match query.one("group_by")? {
        None => json!({"count": db::call_list::count(db, scope, &filter).await?}),
        Some("status") => {
            let counts = db::call_list::count_by_status(db, scope, &filter).await?;
            let total: i64 = counts.iter().map(|(_, count)| count).sum();
            let by_status: Map<String, Value> = counts
                .into_iter()
                .map(|(status, count)| (status.as_str().to_owned(), count.into()))
                .collect();
            json!({"count": total, "by_status": by_status})
        }
        Some(_) => return Err(Error::field("group_by", "invalid", "must be status")),
    };
    Ok(Answer::json(StatusCode::OK, &body))
}
