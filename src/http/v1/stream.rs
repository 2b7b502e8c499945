//! `GET /api/v1/stream`: events as they happen, as server-sent events (WHATWG HTML, section 9.2).
//!
//! What a message's `id` says, the client sends back as `Last-Event-ID`, to this node or to another.
//! What is read, and from where, is in `app/stream/`; this file writes it.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::{
    app::stream::{self, Filter, Item, Reader, StreamEvent},
    domain::{
        AgentId, Error, ErrorCode, Result,
        call::FactType,
        position::EventCursor,
        token::{Environment, Scope},
    },
    http::{
        HttpState,
        error::Problem,
        extract::{Incoming, Query},
        v1::finish,
    },
};

/// How often a silent stream shows that it lives, in seconds.
const HEARTBEAT: u64 = 15;
const LONGEST_HEARTBEAT: u64 = 60;
/// The longest that a client may ask a stream to last, in seconds.
const LONGEST: u64 = 3600;
/// After how many milliseconds a client that was cut comes back.
const COME_BACK: &str = "retry: 1000\n\n";

/// Watch events
///
/// Server-sent events. Each message has the event's type as `event`, the envelope of webhooks as
/// `data`, and as `id` the place after it: after a cut, send the last `id` as `Last-Event-ID` (browsers
/// do) to any node, and the stream goes on there, without a gap and without a repetition. To list first
/// and then watch, send the list's `stream_cursor` as `after`: events that the list shows already
/// (`sequence` up to the call's `last_sequence`) may come again.
///
/// Beside events there are the messages `reset` (the place is older than 30 days or of another
/// database: list again, what follows is from now on), `resume` (the stream ends and the client is to
/// come back with its last `id`: it did not keep up, its `timeout` is over, or the node stops) and
/// `closed` (the token is in force no longer). A comment shows that the stream lives.
#[utoipa::path(
    get, path = "/api/v1/stream", tag = "Events", operation_id = "watch_events",
    security(("bearer" = ["calls:read"])),
    params(
        ("agent_id" = Option<Vec<uuid::Uuid>>, Query, description = "Only events of these agents, repeatable"),
        ("type" = Option<Vec<FactType>>, Query, description = "Only events of these types, repeatable", example = json!(["event_phone_call_ended"])),
        ("after" = Option<String>, Query, description = "`stream_cursor` of a list; `Last-Event-ID` counts before it"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last `id` that was received"),
        ("heartbeat" = Option<u64>, Query, description = "Seconds of silence before a comment, 1–60, default 15", minimum = 1, maximum = 60),
        ("timeout" = Option<u64>, Query, description = "Seconds after which the stream ends, 0–3600; 0: when what happened before was sent. Default: never", maximum = 3600),
    ),
    responses(
        (status = 200, description = "Messages without an end", body = String, content_type = "text/event-stream",
            example = "id: 1a2b3-692f1a04-a1b2c3d4e5f64890abcdef1234567890-5\nevent: event_phone_call_ended\ndata: {\"id\":\"evt_a1b2c3d4e5f64890abcdef1234567890_5\",\"type\":\"event_phone_call_ended\"}\n\n"),
        (status = 400, description = "`CURSOR_INVALID`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`RATE_LIMITED`: too many requests, or 256 streams of the organisation on one node; after `Retry-After` seconds", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn watch(State(state): State<HttpState>, incoming: Incoming) -> Response {
    match open(&state, &incoming).await {
        Ok(open) => open.into_response(),
        Err(error) => finish(&incoming, Err(error)).into_response(),
    }
}

async fn open(state: &HttpState, incoming: &Incoming) -> Result<Open> {
    let identity = incoming.identify(state, Scope::CallsRead).await?;
    let query = Query::of(&incoming.uri);
    query.only(&["agent_id", "type", "after", "heartbeat", "timeout"])?;
    let heartbeat = seconds(&query, "heartbeat", 1, LONGEST_HEARTBEAT)?.unwrap_or(HEARTBEAT);
    let timeout = seconds(&query, "timeout", 0, LONGEST)?;
    let filter = Filter {
        visible_agents: identity.caller.agent_ids.clone(),
        test_only: identity.caller.environment == Environment::Test,
        agents: parsed_all::<AgentId>(&query, "agent_id", "must be a UUID")?,
        kinds: parsed_all::<FactType>(&query, "type", "must be a type of event")?,
    };
    let last = incoming.header("last-event-id").filter(|id| !id.is_empty());
    let from = last.or(query.one("after")?).map(cursor).transpose()?;
    let (app, caller) = (&state.app, &identity.caller);
    let reader = stream::read(app, caller, identity.scope, from, filter).await?;
    Ok(Open::new(
        reader,
        state.clone(),
        Duration::from_secs(heartbeat),
        timeout,
    ))
}

fn cursor(text: &str) -> Result<EventCursor> {
    text.parse().map_err(|_| {
        Error::new(
            ErrorCode::CursorInvalid,
            "Send the id of the last message, or stream_cursor of a list, as it was given; or leave it out to watch from now on",
        )
    })
}

fn seconds(query: &Query, name: &str, from: u64, to: u64) -> Result<Option<u64>> {
    let must = format!("must be a whole number of seconds from {from} to {to}");
    let given = query.parsed::<u64>(name, &must)?;
    if given.is_some_and(|seconds| !(from..=to).contains(&seconds)) {
        return Err(Error::field(name, "range", must));
    }
    Ok(given)
}

fn parsed_all<T: std::str::FromStr>(query: &Query, name: &str, must: &str) -> Result<Vec<T>> {
    let invalid = |_| Error::field(name, "invalid", must);
    let values = query.all(name).into_iter();
    values.map(|text| text.parse().map_err(invalid)).collect()
}

/// A stream that is being written.
struct Open {
    reader: Reader,
    state: HttpState,
    heartbeat: Interval,
    /// Ends when what happened before was sent.
    past_only: bool,
    deadline: Option<Instant>,
    waiting: VecDeque<String>,
    over: bool,
}

impl Open {
    fn new(reader: Reader, state: HttpState, heartbeat: Duration, timeout: Option<u64>) -> Self {
        let now = Instant::now();
        let mut beats = tokio::time::interval_at(now + heartbeat, heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting = VecDeque::from([COME_BACK.to_owned()]);
        if let Some(cursor) = reader.cursor() {
            let reset = reader.start().reset;
            // An id without data is remembered and no message.
            let opening = if reset {
                message(Some(&cursor), "reset", "position_gone")
            } else {
                format!("id: {cursor}\n\n")
            };
            waiting.push_back(opening);
        }
        Self {
            reader,
            state,
            heartbeat: beats,
            past_only: timeout == Some(0),
            deadline: timeout.map(|seconds| now + Duration::from_secs(seconds)),
            waiting,
            over: false,
        }
    }

    /// The next piece; `None`: the stream is over.
    async fn next(&mut self) -> Option<String> {
        if let Some(piece) = self.waiting.pop_front() {
            return Some(piece);
        }
        if self.over {
            return None;
        }
        if self.past_only && self.reader.is_live() {
            return Some(self.ended("resume", "timeout"));
        }
        let deadline = self.deadline.filter(|_| !self.past_only);
        tokio::select! {
            biased;
            () = self.state.app.ambient.tasks.stopping() => Some(self.ended("resume", "stopping")),
            () = at(deadline) => Some(self.ended("resume", "timeout")),
            item = self.reader.next() => Some(self.item(item)),
            _ = self.heartbeat.tick() => Some(self.beat()),
        }
    }

    fn item(&mut self, item: Result<Item>) -> String {
        match item {
            Ok(Item::Event(event)) => {
                self.heartbeat.reset();
                written(&event)
            }
            Ok(Item::Past) => self.beat(),
            Ok(Item::Behind) => self.ended("resume", "behind"),
            Ok(Item::Dismissed) => self.ended("closed", "token_revoked"),
            Err(error) => {
                tracing::warn!(%error, "a stream ends early; its client comes back");
                self.ended("resume", "unavailable")
            }
        }
    }

    /// Shows that the stream lives, with the place so far: a filter may let nothing through for
    /// longer than places are kept.
    fn beat(&self) -> String {
        let cursor = self.reader.cursor();
        let id = cursor.map_or_else(String::new, |cursor| format!("id: {cursor}\n"));
        format!(": alive\n{id}\n")
    }

    fn ended(&mut self, kind: &str, reason: &str) -> String {
        self.over = true;
        message(None, kind, reason)
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// An event. Its envelope is one line: JSON has line breaks in no string, and ours none between.
fn written(event: &StreamEvent) -> String {
    let (cursor, kind) = (event.cursor(), event.kind.as_str());
    format!("id: {cursor}\nevent: {kind}\ndata: {}\n\n", event.envelope)
}

/// A message of the stream itself.
fn message(cursor: Option<&EventCursor>, kind: &str, reason: &str) -> String {
    let id = cursor.map_or_else(String::new, |cursor| format!("id: {cursor}\n"));
    format!("{id}event: {kind}\ndata: {}\n\n", json!({"reason": reason}))
}

impl IntoResponse for Open {
    fn into_response(self) -> Response {
        let pieces = futures_util::stream::unfold(self, |mut open| async move {
            let piece = open.next().await?;
            Some((Ok::<_, Infallible>(Bytes::from(piece)), open))
        });
        let mut response = Response::new(Body::from_stream(pieces));
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
            // Proxies that gather answers before they pass them on would keep events back.
            (header::HeaderName::from_static("x-accel-buffering"), "no"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
