//! Delivers an event to a customer's server: one signed POST, one deadline. How it came out is
//! recorded with others ([`crate::jobs::attempts`]).

use std::time::{Duration, Instant};

use axum::body::Bytes;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::value::to_raw_value;

use crate::{
    app::webhook_endpoints::seal_context,
    db::webhook_deliveries::{Attempt, Claimed, Next},
    domain::{
        Error, LeaseToken, OrgScope, Result, Timestamp,
        webhook::{
            envelope::{Envelope, event_id},
            schedule,
            signature::SigningSecret,
        },
    },
    jobs::Jobs,
    outbound::{Answer, Failure, Request, header_value},
};

/// How much of a receiver's answer is kept, in bytes.
const MOST_KEPT: usize = 20 * 1024;

/// Attempts one delivery; how it came out is for the caller to record.
pub(in crate::jobs) async fn run(
    jobs: &Jobs,
    scope: OrgScope,
    claimed: &Claimed,
    lease: LeaseToken,
) -> Result<Attempt> {
    let started_at = jobs.app.ambient.now();
    let started = Instant::now();
    let request = request(jobs, scope, claimed, started_at)?;
    let seconds = u64::try_from(claimed.timeout_seconds).unwrap_or(5);
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
    let (response_status, response_body, failure) = match outcome {
        Ok(answer) => (
            Some(i32::from(answer.status)),
            Some(text(&answer.body)),
            None,
        ),
        Err(failure) => (None, None, Some(failure.to_string())),
    };
    Ok(Attempt {
        endpoint_id: claimed.endpoint_id,
        call_id: claimed.call_id,
        sequence: claimed.sequence,
        attempt: claimed.attempt,
        lease,
        started_at,
        finished_at,
        duration_millis: i32::try_from(elapsed.as_millis()).unwrap_or(i32::MAX),
        response_status,
        response_body,
        failure,
        next,
    })
}

fn request(jobs: &Jobs, scope: OrgScope, claimed: &Claimed, now: Timestamp) -> Result<Request> {
    let doing = "write an event";
    let context = seal_context(scope.id(), claimed.endpoint_id);
    let secret = SigningSecret::new(jobs.app.keys.open(&claimed.secret, &context)?);
    let id = event_id(claimed.call_id, claimed.sequence);
    let envelope = Envelope {
        id: id.clone(),
        kind: claimed.kind,
        timestamp: claimed.at,
        organization_id: scope.id(),
        agent_id: claimed.agent_id,
        call_id: claimed.call_id,
        sequence: claimed.sequence,
        data: to_raw_value(&claimed.data).map_err(|error| Error::internal(doing, error))?,
    };
    let body = serde_json::to_vec(&envelope).map_err(|error| Error::internal(doing, error))?;
    let at = now.unix_seconds();
    let signature = secret.sign(&id, at, &body);
    let headers: HeaderMap = [
        ("webhook-id", id.as_str()),
        ("webhook-timestamp", &at.to_string()),
        ("webhook-signature", &signature),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((HeaderName::from_static(name), header_value(value)?)))
    .chain([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    .collect();
    let url = Url::parse(&claimed.url)
        .map_err(|error| Error::internal("read a webhook endpoint's URL", error))?;
    Ok(Request {
        method: Method::POST,
        url,
        headers,
        body: Bytes::from(body),
    })
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
    let age = now.since(claimed.created_at);
    schedule::next(claimed.attempt, age, retry_after, chance)
        .map_or(Next::Dead, |wait| Next::Again(now.plus(wait)))
}

/// An answer's text as PostgreSQL can hold it.
fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace('\0', "\u{fffd}")
}
