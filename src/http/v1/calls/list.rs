//! `GET /api/v1/calls`: the calls of the organisation, newest first.

use axum::{extract::State, http::StatusCode};
use serde::ser::Error as _;

use super::filter;
use crate::{
    db::{self, call_list::Start},
    domain::{
        CallId, Error, Result, Timestamp,
        call::CallView,
        page::Cursor,
        position::{EventCursor, Position},
        token::Scope,
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Query},
        v1::finish,
    },
};

/// About as long as a call is in an answer.
const BYTES_OF_CALL: usize = 1024;

/// What stands before the calls.
const OPENING: &[u8] = b"{\"items\":[";

/// A page of calls.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CallList {
    // The calls as text, after `OPENING`. Not a doc comment: the document shows those.
    #[schema(value_type = Vec<CallView<'static>>)]
    items: Vec<u8>,
    has_more: bool,
    /// Send it as `cursor`, with the same filter, for the next page.
    next_cursor: Option<String>,
    /// When the list was read.
    as_of: Timestamp,
    /// Send it as `after` to `GET /api/v1/stream` for all that happens after the list was read. Of a
    /// list with several pages, take the first one's.
    #[schema(value_type = String, example = "1a2b3-692f1a04")]
    stream_cursor: EventCursor,
    /// Only with `include=total` or `skip`.
    total: Option<i64>,
}

/// List calls
///
/// Newest first. `status=ongoing` stands for every status that is not terminal.
#[utoipa::path(
    get, path = "/api/v1/calls", tag = "Calls", operation_id = "list_calls",
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
        ("limit" = Option<i64>, Query, description = "1–1000, default 100", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, same filter"),
        ("skip" = Option<i64>, Query, description = "Instead of a cursor: leave out so many", minimum = 0),
        ("include" = Option<String>, Query, description = "`total`: count all that the filter lets through"),
    ),
    responses(
        (status = 200, description = "A page", body = CallList),
        (status = 400, description = "`CURSOR_INVALID`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsRead).await?;
    let query = Query::of(&incoming.uri);
    let filter = filter::filter(&query, filter::OF_LIST, &identity)?;
    let page = filter::page(&query, &filter)?;
    let as_of = state.app.ambient.now();
    let (db, scope) = (&state.app.db, identity.scope);
    let read = db::call_list::list(db, scope, &filter, page.start, page.limit + 1).await?;
    let (mut calls, horizon) = (read.calls, read.horizon);
    let total = if page.with_total {
        Some(db::call_list::count(db, scope, &filter).await?)
    } else {
        None
    };
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = calls.len() > limit;
    calls.truncate(limit);
    let mut items = Items::of(calls.len());
    for call in &calls {
        items.push(&call.view()?).map_err(unwritten)?;
    }
    let last = items
        .last
        .filter(|_| has_more && !matches!(page.start, Start::Skip(_)));
    let next_cursor = last.map(|(created_at, id)| {
        let filter = filter::checksum(&filter);
        Cursor {
            created_at,
            id,
            filter,
        }
        .encode()
    });
    let shown = CallList {
        items: items.written,
        has_more,
        next_cursor,
        as_of,
        stream_cursor: EventCursor {
            position: Position::before(horizon),
            given_at: as_of,
        },
        total,
    };
    let body = shown.written().map_err(unwritten)?;
    Ok(Answer::written_json(StatusCode::OK, body))
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::internal("write a list of calls", error)
}

/// The calls of a page, each written as soon as it is read: a view is too large to be kept.
struct Items {
    written: Vec<u8>,
    /// The newest of the next page comes after it.
    last: Option<(Timestamp, CallId)>,
}

impl Items {
    /// Room for so many calls and what stands around them.
    fn of(calls: usize) -> Self {
        let mut written = Vec::with_capacity((calls + 1) * BYTES_OF_CALL);
        written.extend_from_slice(OPENING);
        Self {
            written,
            last: None,
        }
    }

    fn push(&mut self, call: &CallView<'_>) -> serde_json::Result<()> {
        if self.last.is_some() {
            self.written.push(b',');
        }
        self.last = Some((call.created_at, call.id));
        call.write(&mut self.written)
    }
}

impl CallList {
    fn written(self) -> serde_json::Result<String> {
        let mut written = self.items;
        written.extend_from_slice(b"],\"has_more\":");
        serde_json::to_writer(&mut written, &self.has_more)?;
        written.extend_from_slice(b",\"next_cursor\":");
        serde_json::to_writer(&mut written, &self.next_cursor)?;
        written.extend_from_slice(b",\"as_of\":");
        serde_json::to_writer(&mut written, &self.as_of)?;
        // Of hexadecimal digits and hyphens: nothing to escape.
        written
            .extend_from_slice(format!(",\"stream_cursor\":\"{}\"", self.stream_cursor).as_bytes());
        if let Some(total) = self.total {
            written.extend_from_slice(b",\"total\":");
            serde_json::to_writer(&mut written, &total)?;
        }
        written.push(b'}');
        String::from_utf8(written).map_err(serde_json::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(next_cursor: Option<&str>, total: Option<i64>) -> String {
        let list = CallList {
            items: Items::of(0).written,
            has_more: next_cursor.is_some(),
            next_cursor: next_cursor.map(str::to_owned),
            as_of: Timestamp::from_unix_millis(0),
            stream_cursor: EventCursor {
                position: Position::before(0x1a2b),
                given_at: Timestamp::from_unix_millis(16_000),
            },
            total,
        };
        list.written().unwrap()
    }

    #[test]
    fn an_empty_page_is_a_whole_object_with_its_members_in_order() {
        assert_eq!(
            list(None, None),
            r#"{"items":[],"has_more":false,"next_cursor":null,"as_of":"1970-01-01T00:00:00.000Z","stream_cursor":"1a2b-10"}"#
        );
    }

    #[test]
    fn the_cursor_and_the_total_are_shown_when_there_are_any() {
        let list: serde_json::Value =
            serde_json::from_str(&list(Some("Y3Vyc29y"), Some(7))).unwrap();
        assert_eq!(
            list,
            json!({
                "items": [], "has_more": true, "next_cursor": "Y3Vyc29y",
                "as_of": "1970-01-01T00:00:00.000Z", "stream_cursor": "1a2b-10",
                "total": 7,
            })
        );
    }
}
