//! Tells a Telegram chat of an event: one request to the Bot API, one deadline.
//!
//! The bot's token is a part of the URL, so the URL is in no log, no error and no record of an attempt.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{
    app::webhook_endpoints::seal_context,
    db::{
        self,
        webhook_deliveries::{Attempt, Claimed, Next},
    },
    domain::{
        Error, LeaseToken, OrgScope, Result, Timestamp,
        notice::{
            EventTold,
            telegram::{self, Settings, Verdict},
        },
        webhook::{
            event::{EventType, OrganizationEvent},
            schedule,
        },
    },
    jobs::Jobs,
    outbound::{Answer, Failure, Request},
};

/// How much of an answer is read and kept, in bytes.
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
    let settings = Settings::deserialize(&claimed.receiver.settings)
        .map_err(|error| Error::internal("read a notice's settings", error))?;
    let mut attempt = Attempt {
        endpoint_id: claimed.endpoint_id,
        call_id: claimed.call_id,
        sequence: claimed.sequence,
        attempt: claimed.attempt,
        lease,
        started_at,
        finished_at: started_at,
        duration_millis: 0,
        request_url: format!("{}/bot…/sendMessage", claimed.receiver.url),
        request_headers: json!({"content-type": "application/json"}),
        response_status: None,
        response_headers: None,
        response_body: None,
        failure: None,
        next: Next::Delivered,
    };
    let Some(body) = body(claimed, &settings) else {
        attempt.failure = Some("There is nothing to tell of this event".to_owned());
        return Ok(attempt);
    };
    let request = request(jobs, scope, claimed, &body)?;
    let seconds = u64::try_from(claimed.receiver.timeout_seconds).unwrap_or(15);
    let within = Duration::from_secs(seconds);
    let outcome = jobs.webhooks.send(request, within, MOST_KEPT).await;
    let elapsed = started.elapsed();
    attempt.finished_at = jobs.app.ambient.now();
    attempt.duration_millis = i32::try_from(elapsed.as_millis()).unwrap_or(i32::MAX);
    attempt.next = next(jobs, scope, claimed, &settings, &outcome).await?;
    let came_out = if attempt.next == Next::Delivered {
        "delivered"
    } else {
        "failed"
    };
    jobs.metrics.delivery(came_out, elapsed);
    match outcome {
        Ok(answer) => {
            attempt.response_status = Some(i32::from(answer.status));
            let text = String::from_utf8_lossy(&answer.body).replace('\0', "\u{fffd}");
            attempt.response_body = Some(text);
        }
        Err(failure) => attempt.failure = Some(failure.to_string()),
    }
    Ok(attempt)
}

fn body(claimed: &Claimed, settings: &Settings) -> Option<Value> {
    match claimed.kind {
        EventType::Call(kind) => {
            telegram::message(settings, kind, &EventTold::read(&claimed.data)?)
        }
        EventType::Organization(OrganizationEvent::Test) => Some(telegram::test_message(settings)),
        EventType::Organization(_) => None,
    }
}

fn request(jobs: &Jobs, scope: OrgScope, claimed: &Claimed, body: &Value) -> Result<Request> {
    let doing = "ask the Bot API";
    let context = seal_context(scope.id(), claimed.endpoint_id);
    let token = jobs.app.keys.open(&claimed.receiver.secret, &context)?;
    // Neither cause may quote the token.
    let token =
        String::from_utf8(token).map_err(|_| Error::internal(doing, "the token is no text"))?;
    let url = format!("{}/bot{token}/sendMessage", claimed.receiver.url);
    let url = Url::parse(&url).map_err(|_| Error::internal(doing, "the address is none"))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Request {
        method: Method::POST,
        url,
        headers,
        body: Bytes::from(body.to_string()),
    })
}

/// What becomes of the delivery. A group that got another number is told there from now on.
async fn next(
    jobs: &Jobs,
    scope: OrgScope,
    claimed: &Claimed,
    settings: &Settings,
    outcome: &Result<Answer, Failure>,
) -> Result<Next> {
    let now = jobs.app.ambient.now();
    let verdict = match outcome {
        Ok(answer) => telegram::verdict(answer.status, &answer.body),
        Err(_) => Verdict::Again(None),
    };
    Ok(match verdict {
        Verdict::Delivered => Next::Delivered,
        Verdict::Never => Next::Dead,
        Verdict::Blocked => Next::DeadAndDisable,
        Verdict::Moved(chat_id) => {
            let moved = Settings {
                chat_id,
                ..settings.clone()
            };
            let (db, id) = (&jobs.app.db, claimed.endpoint_id);
            db::webhook_endpoints::set_settings(db, scope, id, &json!(moved)).await?;
            Next::Again(now)
        }
        Verdict::Again(after) => again(claimed, after, now, jobs.app.ambient.entropy.unit()),
    })
}

/// A chat that takes no more for now says for how long: then it is asked, and not by the schedule,
/// whose second step is minutes.
fn again(claimed: &Claimed, after: Option<time::Duration>, now: Timestamp, chance: f64) -> Next {
    let age = now.since(claimed.queued_at);
    let attempt = claimed.attempt - claimed.attempts_before;
    let attempt = if after.is_some() { 1 } else { attempt };
    schedule::next(attempt, age, after, chance).map_or(Next::Dead, |wait| {
        Next::Again(now.plus(after.unwrap_or(wait).max(time::Duration::SECOND)))
    })
}
