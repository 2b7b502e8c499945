//! Delivers an event to a customer's server: one signed POST, one deadline. How it came out is
//! recorded with others ([`crate::jobs::attempts`]).

use std::time::{Duration, Instant};

use axum::body::Bytes;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName},
};
use serde_json::{Map, Value, json, value::to_raw_value};

use crate::{
    app::webhook_endpoints::{headers_context, seal_context},
    crypto::sealed::Sealed,
    db::webhook_deliveries::{Attempt, Claimed, Next},
    domain::{
        Error, LeaseToken, OrgScope, Result, Timestamp,
        webhook::{
            envelope::{Envelope, event_id},
            headers::Headers,
            schedule,
            signature::SigningSecret,
        },
    },
    jobs::Jobs,
    outbound::{Answer, Failure, Request, header_value},
};

/// How much of a receiver's answer is kept, in bytes; and of its headers.
const MOST_KEPT: usize = 20 * 1024;
const MOST_HEADERS_KEPT: usize = 4 * 1024;

/// What the log shows in place of the value of a receiver's own header.
const HIDDEN: &str = "…";

/// Attempts one delivery; how it came out is for the caller to record.
pub(in crate::jobs) async fn run(
    jobs: &Jobs,
    scope: OrgScope,
    claimed: &Claimed,
    lease: LeaseToken,
) -> Result<Attempt> {
    let started_at = jobs.app.ambient.now();
    let started = Instant::now();
    let (request, request_headers) = request(jobs, scope, claimed, started_at)?;
    let seconds = u64::try_from(claimed.receiver.timeout_seconds).unwrap_or(5);
    let outcome = jobs
        .webhooks
        .send(request, Duration::from_secs(seconds), MOST_KEPT)
        .await;
    let elapsed = started.elapsed();
    let finished_at = jobs.app.ambient.now();
    let next = next(
        claimed,
        &outcome,
        finished_at,
        jobs.app.ambient.entropy.unit(),
    );
    jobs.metrics.delivery(
        if next == Next::Delivered {
            "delivered"
        } else {
            "failed"
        },
        elapsed,
    );
    if next == Next::Dead {
        tracing::warn!(
            org.id = %scope.id(), endpoint.id = %claimed.endpoint_id,
            event.id = event_id(claimed.call_id, claimed.sequence), attempts = claimed.attempt,
            "a delivery is given up; its owner can have it sent again"
        );
    }
    let mut attempt = Attempt {
        endpoint_id: claimed.endpoint_id,
        call_id: claimed.call_id,
        sequence: claimed.sequence,
        attempt: claimed.attempt,
        lease,
        started_at,
        finished_at,
        duration_millis: i32::try_from(elapsed.as_millis()).unwrap_or(i32::MAX),
        request_url: claimed.receiver.url.clone(),
        request_headers,
        response_status: None,
        response_headers: None,
        response_body: None,
        failure: None,
        next,
    };
    match outcome {
        Ok(answer) => {
            attempt.response_status = Some(i32::from(answer.status));
            attempt.response_headers = Some(shown(&answer.headers));
            attempt.response_body = Some(text(&answer.body));
        }
        Err(failure) => attempt.failure = Some(failure.to_string()),
    }
    Ok(attempt)
}

/// The request, and its headers as the log shows them.
fn request(
    jobs: &Jobs,
    scope: OrgScope,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<(Request, Value)> {
    let doing = "write an event";
    let id = event_id(claimed.call_id, claimed.sequence);
    let envelope = Envelope {
        id: id.clone(),
        kind: claimed.kind,
        timestamp: claimed.at,
        organization_id: scope.id(),
        agent_id: claimed.agent_id,
        call_id: (claimed.sequence > 0).then_some(claimed.call_id),
        sequence: claimed.sequence,
        data: to_raw_value(&claimed.data).map_err(|error| Error::internal(doing, error))?,
    };
    let body = serde_json::to_vec(&envelope).map_err(|error| Error::internal(doing, error))?;
    let at = now.unix_seconds();
    let signature = signature(jobs, scope, claimed, |secret| secret.sign(&id, at, &body))?;
    let at = at.to_string();
    let ours = [
        (HeaderName::from_static("webhook-id"), id.as_str()),
        (HeaderName::from_static("webhook-timestamp"), &at),
        (HeaderName::from_static("webhook-signature"), &signature),
        (CONTENT_TYPE, "application/json"),
    ];
    let (mut headers, mut log) = (HeaderMap::new(), Map::new());
    for (name, value) in &own_headers(jobs, scope, claimed)? {
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        if let Some((name, mut value)) = name.zip(header_value(value)) {
            value.set_sensitive(true);
            log.insert(name.as_str().to_owned(), json!(HIDDEN));
            headers.insert(name, value);
        }
    }
    for (name, value) in ours {
        log.insert(name.as_str().to_owned(), json!(value));
        headers.extend(header_value(value).map(|value| (name, value)));
    }
    let url = Url::parse(&claimed.receiver.url)
        .map_err(|error| Error::internal("read a webhook endpoint's URL", error))?;
    let request = Request {
        method: Method::POST,
        url,
        headers,
        body: Bytes::from(body),
    };
    Ok((request, Value::Object(log)))
}

/// The signature by the secret, and while it is being rotated also by the one before.
fn signature(
    jobs: &Jobs,
    scope: OrgScope,
    claimed: &Claimed,
    sign: impl Fn(&SigningSecret) -> String,
) -> Result<String> {
    let context = seal_context(scope.id(), claimed.endpoint_id);
    let signed = |sealed: &Sealed| -> Result<String> {
        Ok(sign(&SigningSecret::new(
            jobs.app.keys.open(sealed, &context)?,
        )))
    };
    let newest = signed(&claimed.receiver.secret)?;
    match &claimed.receiver.previous_secret {
        Some(previous) => Ok(format!("{newest} {}", signed(previous)?)),
        None => Ok(newest),
    }
}

/// The headers that the receiver asked for.
fn own_headers(jobs: &Jobs, scope: OrgScope, claimed: &Claimed) -> Result<Headers> {
    let Some(sealed) = &claimed.receiver.headers else {
        return Ok(Headers::new());
    };
    let context = headers_context(scope.id(), claimed.endpoint_id);
    let opened = jobs.app.keys.open(sealed, &context)?;
    serde_json::from_slice(&opened)
        .map_err(|error| Error::internal("read a webhook endpoint's headers", error))
}

/// A receiver's headers for the log, as many as fit.
fn shown(headers: &HeaderMap) -> Value {
    let mut room = MOST_HEADERS_KEPT;
    let mut shown = Map::new();
    for (name, value) in headers {
        let value = text(value.as_bytes());
        let Some(left) = room.checked_sub(name.as_str().len() + value.len()) else {
            break;
        };
        room = left;
        shown.entry(name.as_str()).or_insert(Value::String(value));
    }
    Value::Object(shown)
}

/// What becomes of the delivery: 2xx is success, 410 disables the endpoint, all else is tried again
/// (redirects are not followed) until the schedule gives up.
fn next(claimed: &Claimed, outcome: &Result<Answer, Failure>, now: Timestamp, chance: f64) -> Next {
    let retry_after = match outcome {
        Ok(answer) if (200..300).contains(&answer.status) => return Next::Delivered,
        Ok(answer) if answer.status == 410 => return Next::DeadAndDisable,
        Ok(answer) if matches!(answer.status, 429 | 503) => answer.retry_after(),
        Ok(_) | Err(_) => None,
    };
    let age = now.since(claimed.queued_at);
    let attempt = claimed.attempt - claimed.attempts_before;
    schedule::next(attempt, age, retry_after, chance)
        .map_or(Next::Dead, |wait| Next::Again(now.plus(wait)))
}

/// An answer's text as PostgreSQL can hold it.
fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace('\0', "\u{fffd}")
}
