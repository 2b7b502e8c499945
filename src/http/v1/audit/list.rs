//! `GET /api/v1/audit`: who did what, by page or whole as JSON lines.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Serialize;

use crate::{
    db::audit_entries::{self, Entry, Filter},
    domain::{
        AuditEntryId, Error, ErrorCode, OrgScope, Result, Timestamp,
        page::{self, Cursor},
        token::Scope,
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, Query},
        v1::finish,
    },
};

const KNOWN: &[&str] = &[
    "actor", "action", "subject", "after", "before", "limit", "cursor",
];

/// JSON lines: one JSON value a line (<https://github.com/ndjson/ndjson-spec>).
const JSON_LINES: &str = "application/x-ndjson";

/// Entries that an export reads at once.
const READ_AT_ONCE: i64 = 500;

/// One act.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub(in crate::http) struct EntryView<'a> {
    id: AuditEntryId,
    at: Timestamp,
    /// Who: `token:<id>`, `local`, `admin`, `system:<what>`.
    #[schema(example = "token:0f0e0d0c-0b0a-4908-8706-050403020100")]
    actor: &'a str,
    /// What: a noun and a verb.
    #[schema(example = "call.end")]
    action: &'a str,
    /// The id of what it was done to.
    subject: &'a str,
    /// From where; null: not over HTTP.
    #[schema(example = "203.0.113.7")]
    address: Option<&'a str>,
    request_id: Option<&'a str>,
    /// `before` and `after`, as far as it changed, and what else there is to say; never a secret.
    #[schema(value_type = Object)]
    detail: &'a serde_json::Value,
}

impl<'a> From<&'a Entry> for EntryView<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor: &entry.actor,
            action: &entry.action,
            subject: &entry.subject,
            address: entry.address.as_deref(),
            request_id: entry.request_id.as_deref(),
            detail: &entry.detail,
        }
    }
}

/// A page of acts.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AuditList<'a> {
    items: Vec<EntryView<'a>>,
    has_more: bool,
    /// Send it as `cursor`, with the same filter, for the next page.
    next_cursor: Option<String>,
}

/// List the audit log
///
/// Newest first. With `Accept: application/x-ndjson`, everything that the filter lets through, an
/// entry a line; `limit` does not go with that.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "Audit", operation_id = "list_audit",
    security(("bearer" = ["audit:read"])),
    params(
        ("actor" = Option<String>, Query, description = "Who, whole", example = "token:0f0e0d0c-0b0a-4908-8706-050403020100"),
        ("action" = Option<String>, Query, description = "What, whole", example = "call.end"),
        ("subject" = Option<String>, Query, description = "The id of what it was done to"),
        ("after" = Option<String>, Query, description = "RFC 3339: at the earliest"),
        ("before" = Option<String>, Query, description = "RFC 3339: before this instant"),
        ("limit" = Option<i64>, Query, description = "1–1000, default 100", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, same filter"),
    ),
    responses(
        (status = 200, description = "A page, or everything as JSON lines", content(
            (AuditList<'static> = "application/json"),
            (String = "application/x-ndjson"),
        )),
        (status = 400, description = "`INVALID_REQUEST`, `CURSOR_INVALID`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`, `TOKEN_RESTRICTED`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(State(state): State<HttpState>, incoming: Incoming) -> Response {
    let answered = run(&state, &incoming).await;
    answered.unwrap_or_else(|error| finish(&incoming, Err(error)).into_response())
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Response> {
    let identity = incoming.identify(state, Scope::AuditRead).await?;
    whole(&identity)?;
    let query = Query::of(&incoming.uri);
    query.only(KNOWN)?;
    let filter = filter(&query)?;
    let checksum = crc32fast::hash(format!("{filter:?}").as_bytes());
    let cursor = query.one("cursor")?;
    let after = cursor
        .map(|text| Cursor::decode(text, checksum))
        .transpose()?;
    let must = "must be a whole number from 1 to 1000";
    let limit = query.parsed::<i64>("limit", must)?;
    if limit.is_some_and(|limit| !(1..=page::MAX_LIMIT).contains(&limit)) {
        return Err(Error::field("limit", "range", must));
    }
    let accepted = incoming.header("accept").unwrap_or_default();
    if accepted.contains(JSON_LINES) {
        if limit.is_some() {
            let message = "must be left out: an export is everything that the filter lets through";
            return Err(Error::field("limit", "conflict", message));
        }
        return export(state.clone(), identity.scope, filter, after).await;
    }
    let limit = limit.unwrap_or(page::DEFAULT_LIMIT);
    let (db, scope) = (&state.app.db, identity.scope);
    let mut entries = audit_entries::list(db, scope, &filter, after, limit + 1).await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = entries.len() > wanted;
    entries.truncate(wanted);
    let end = entries.last().filter(|_| has_more);
    let shown = AuditList {
        has_more,
        next_cursor: end.map(|entry| place(entry, checksum).encode()),
        items: entries.iter().map(EntryView::from).collect(),
    };
    Ok(Answer::json(StatusCode::OK, &shown).into_response())
}

/// # Errors
/// `TOKEN_RESTRICTED`: the log is about the whole organisation.
fn whole(identity: &Identity) -> Result<()> {
    if identity.caller.agent_ids.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::TokenRestricted,
        "The token is restricted to some agents, and the audit log is about the whole organisation; use another",
    ))
}

fn filter(query: &Query) -> Result<Filter> {
    let time = "must be an RFC 3339 time, for example 2026-11-21T09:30:00Z";
    let text = |name| query.one(name).map(|value| value.map(str::to_owned));
    Ok(Filter {
        actor: text("actor")?,
        action: text("action")?,
        subject: text("subject")?,
        after: query.parsed::<Timestamp>("after", time)?,
        before: query.parsed::<Timestamp>("before", time)?,
    })
}

fn place(entry: &Entry, filter: u32) -> Cursor<AuditEntryId> {
    Cursor {
        created_at: entry.at,
        id: entry.id,
        filter,
    }
}

/// Everything after `after`, read piece by piece while it is sent: between two pieces nothing is held.
/// What cannot be read any more breaks the answer off.
async fn export(
    state: HttpState,
    scope: OrgScope,
    filter: Filter,
    after: Option<Cursor<AuditEntryId>>,
) -> Result<Response> {
    // What fails at once is answered as any request's failure.
    let first = audit_entries::list(&state.app.db, scope, &filter, after, READ_AT_ONCE).await?;
    let pieces = stream::try_unfold(Some(first), move |read| {
        let (state, filter) = (state.clone(), filter.clone());
        async move {
            let Some(entries) = read else { return Ok(None) };
            let next = match entries.last() {
                None => None,
                Some(last) => {
                    let after = Some(place(last, 0));
                    let db = &state.app.db;
                    let read = audit_entries::list(db, scope, &filter, after, READ_AT_ONCE).await;
                    Some(read?).filter(|next| !next.is_empty())
                }
            };
            Ok::<_, Error>(Some((lines(&entries), next)))
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let kind = HeaderValue::from_static(JSON_LINES);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn lines(entries: &[Entry]) -> Vec<u8> {
    let mut lines = Vec::new();
    for entry in entries {
        // Strings, numbers and JSON values: writing them to memory cannot fail.
        let written = serde_json::to_string(&EntryView::from(entry)).unwrap_or_default();
        lines.extend_from_slice(written.as_bytes());
        lines.push(b'\n');
    }
    lines
}
