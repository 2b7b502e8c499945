//! One connection to a gateway: opened, used for what is due, and what became of each message.
//!
//! A message is a request with an id of its own, one after the other. Where the gateway answers,
//! a message is delivered when its answer came; what was under way when the connection broke is sent
//! again, and the gateway may have it twice. Where it does not answer, a message is delivered when it
//! was written, and what was under way may be lost.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, HeaderMap},
};
use serde::Deserialize as _;
use serde_json::json;

use crate::{
    app::webhook_endpoints::seal_context,
    db::{
        self,
        gateway_leases::Gateway,
        webhook_deliveries::{self, Attempt, Claim, Claimed, Next},
        webhook_endpoints::{EndpointRow, Visible},
    },
    domain::{
        Error, LeaseToken, OrgScope, Result, Timestamp,
        notice::{
            EventTold,
            gateway::{Answered, Message, Settings, http_url},
        },
        webhook::{
            endpoint::Channel,
            event::{EventType, OrganizationEvent},
            schedule,
        },
    },
    jobs::worker::Worker,
    outbound::{
        NotOpened, Request, header_value,
        ws::{Heard, Socket},
    },
};

/// What opening the websocket may take.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// How often a gateway is shown that we are there.
const BEAT_EVERY: Duration = Duration::from_secs(30);
/// How often what is due is looked for. The queue wakes those that send over other channels.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Deliveries that are taken at once.
const PAGE: i32 = 32;
/// How much longer than one message may take a delivery is kept, and of that, to record it.
const MARGIN: time::Duration = time::Duration::seconds(60);
const RECORD: time::Duration = time::Duration::seconds(3);
/// The wait before what was under way when the connection broke is sent again.
const BROKE: time::Duration = time::Duration::seconds(1);
/// How much of an answer is kept.
const MOST_KEPT: usize = 20 * 1024;

/// Why a conversation is over.
pub(super) enum Ended {
    /// There is no such gateway any more, or it is disabled.
    Unwanted,
    /// With why, for the log.
    Broken(String),
}

/// What became of a message.
enum Said {
    /// With the gateway's answer, if it gives any.
    Taken(Option<String>),
    Refused(String),
    Broken(String),
}

struct Conversation {
    socket: Socket,
    settings: Settings,
    scope: OrgScope,
    row: EndpointRow,
    /// The number of the last request.
    last: u64,
    beat_at: tokio::time::Instant,
}

impl Worker {
    /// Connects and sends what is due until the connection breaks.
    pub(super) async fn converse(&self, gateway: Gateway) -> Result<Ended> {
        let scope = OrgScope::assume(gateway.organization_id);
        let visible = Visible {
            channel: Channel::Gateway,
            agents: None,
        };
        let db = &self.jobs.app.db;
        let row = db::webhook_endpoints::find(db, scope, gateway.endpoint_id, visible).await?;
        let Some(row) = row.filter(|row| row.disabled_at.is_none()) else {
            return Ok(Ended::Unwanted);
        };
        let settings = Settings::deserialize(&row.settings)
            .map_err(|error| Error::internal("read a gateway's settings", error))?;
        let opening = self.opening(scope, &row)?;
        let opened = self
            .jobs
            .webhooks
            .open_websocket(opening, OPEN_WITHIN, 1024)
            .await;
        let socket = match opened {
            Ok(socket) => socket,
            Err(NotOpened::Answered(answer)) => {
                return Ok(Ended::Broken(format!("it answered {}", answer.status)));
            }
            Err(NotOpened::Failed(failure)) => return Ok(Ended::Broken(failure.to_string())),
        };
        let mut conversation = Conversation {
            socket,
            settings,
            scope,
            row,
            last: 0,
            beat_at: tokio::time::Instant::now(),
        };
        loop {
            if let Some(why) = self.send_due(&mut conversation).await? {
                return Ok(Ended::Broken(why));
            }
            if let Some(why) = conversation.pause(self.jobs.app.ambient.now()).await {
                return Ok(Ended::Broken(why));
            }
        }
    }

    fn opening(&self, scope: OrgScope, row: &EndpointRow) -> Result<Request> {
        let doing = "connect to a gateway";
        let context = seal_context(scope.id(), row.id);
        let token = self.jobs.app.keys.open(&row.secret, &context)?;
        let mut headers = HeaderMap::new();
        if !token.is_empty() {
            let token = String::from_utf8_lossy(&token);
            if let Some(mut value) = header_value(&format!("Bearer {token}")) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        let url = Url::parse(&http_url(&row.url)).map_err(|error| Error::internal(doing, error))?;
        Ok(Request {
            method: Method::GET,
            url,
            headers,
            body: Bytes::new(),
        })
    }

    /// Sends what is due, in order. What is left when the connection breaks is given back.
    async fn send_due(&self, conversation: &mut Conversation) -> Result<Option<String>> {
        let (app, scope) = (&self.jobs.app, conversation.scope);
        let now = app.ambient.now();
        let lease = LeaseToken(app.ambient.entropy.uuid());
        let claim = Claim {
            now,
            lease,
            margin: MARGIN,
            most: PAGE.into(),
            per_endpoint: PAGE,
            free: Vec::new(),
            only: Some(conversation.row.id),
        };
        let mut claimed = webhook_deliveries::claim(&app.db, scope, claim).await?;
        claimed.sort_by_key(|delivery| (delivery.at, delivery.call_id, delivery.sequence));
        let mut broken = None;
        for delivery in &claimed {
            let now = app.ambient.now();
            let takes = time::Duration::seconds(conversation.row.timeout_seconds.into()) + RECORD;
            if broken.is_some() || now.plus(takes) > delivery.lease_until {
                webhook_deliveries::release(&app.db, scope, delivery, lease, now).await?;
                continue;
            }
            let (attempt, broke) = self.send_one(conversation, delivery, lease).await;
            broken = broke;
            // Recorded before the next one is sent, so that a node that dies repeats one at most.
            self.attempts.record(app, scope, attempt).cancelled().await;
        }
        Ok(broken)
    }

    async fn send_one(
        &self,
        conversation: &mut Conversation,
        delivery: &Claimed,
        lease: LeaseToken,
    ) -> (Attempt, Option<String>) {
        let ambient = &self.jobs.app.ambient;
        let started_at = ambient.now();
        let started = Instant::now();
        let said = match message(delivery, started_at) {
            Some(message) => conversation.say(&message).await,
            None => Said::Taken(None),
        };
        let elapsed = started.elapsed();
        let finished_at = ambient.now();
        let next = next(delivery, &said, finished_at, ambient.entropy.unit());
        let came_out = if next == Next::Delivered {
            "delivered"
        } else {
            "failed"
        };
        self.jobs.metrics.delivery(came_out, elapsed);
        let mut attempt = Attempt {
            endpoint_id: delivery.endpoint_id,
            call_id: delivery.call_id,
            sequence: delivery.sequence,
            attempt: delivery.attempt,
            lease,
            started_at,
            finished_at,
            duration_millis: i32::try_from(elapsed.as_millis()).unwrap_or(i32::MAX),
            request_url: conversation.row.url.clone(),
            request_headers: json!({}),
            response_status: None,
            response_headers: None,
            response_body: None,
            failure: None,
            next,
        };
        let mut broken = None;
        match said {
            Said::Taken(answer) => attempt.response_body = answer,
            Said::Refused(why) => attempt.failure = Some(format!("refused: {why}")),
            Said::Broken(why) => {
                attempt.failure = Some(format!("no answer: {why}"));
                broken = Some(why);
            }
        }
        (attempt, broken)
    }
}

impl Conversation {
    /// Sends a message and waits for its answer, where there is to be one.
    async fn say(&mut self, message: &Message) -> Said {
        let seconds = u64::try_from(self.row.timeout_seconds).unwrap_or(15);
        let within = Duration::from_secs(seconds);
        match tokio::time::timeout(within, self.exchange(message)).await {
            Ok(said) => said,
            Err(_elapsed) => Said::Broken(format!("nothing within {seconds} s")),
        }
    }

    async fn exchange(&mut self, message: &Message) -> Said {
        self.last += 1;
        let id = self.last;
        if let Err(why) = self.socket.send(message.frame(id)).await {
            return Said::Broken(why);
        }
        if !self.settings.answers {
            return Said::Taken(None);
        }
        loop {
            match self.socket.next().await {
                Heard::Text(text) => {
                    // Answers to heartbeats, and whatever else it says, are passed over.
                    let answered = Answered::read(&text).filter(|answered| answered.id == id);
                    if let Some(answered) = answered {
                        let kept = text.chars().take(MOST_KEPT / 4).collect();
                        return answered
                            .refusal
                            .map_or(Said::Taken(Some(kept)), Said::Refused);
                    }
                }
                Heard::Closed { code, reason } => {
                    return Said::Broken(format!("closed: {code:?} {reason}"));
                }
                Heard::Broken(why) => return Said::Broken(why),
            }
        }
    }

    /// Waits until there may be something to send. Why, if the connection is gone.
    async fn pause(&mut self, now: Timestamp) -> Option<String> {
        if tokio::time::Instant::now() >= self.beat_at {
            self.beat_at = tokio::time::Instant::now() + BEAT_EVERY;
            self.last += 1;
            let beat = Message::Heartbeat { timestamp: now }.frame(self.last);
            match tokio::time::timeout(OPEN_WITHIN, self.socket.send(beat)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return Some(why),
                Err(_elapsed) => return Some("the gateway takes nothing".to_owned()),
            }
        }
        match tokio::time::timeout(LOOK_EVERY, self.socket.next()).await {
            Ok(Heard::Closed { code, reason }) => Some(format!("closed: {code:?} {reason}")),
            Ok(Heard::Broken(why)) => Some(why),
            Ok(Heard::Text(_)) | Err(_) => None,
        }
    }
}

/// `None`: there is nothing to tell of the event.
fn message(delivery: &Claimed, now: Timestamp) -> Option<Message> {
    match delivery.kind {
        EventType::Call(kind) => Message::of(kind, EventTold::read(&delivery.data)?, delivery.at),
        EventType::Organization(OrganizationEvent::Test) => {
            Some(Message::Heartbeat { timestamp: now })
        }
        EventType::Organization(_) => None,
    }
}

fn next(delivery: &Claimed, said: &Said, now: Timestamp, chance: f64) -> Next {
    let age = now.since(delivery.queued_at);
    let attempt = delivery.attempt - delivery.attempts_before;
    match said {
        Said::Taken(_) => Next::Delivered,
        // It was not the message's fault: it is not put off for minutes.
        Said::Broken(_) if age < schedule::GIVE_UP_AFTER => Next::Again(now.plus(BROKE)),
        Said::Broken(_) => Next::Dead,
        Said::Refused(_) => schedule::next(attempt, age, None, chance)
            .map_or(Next::Dead, |wait| Next::Again(now.plus(wait))),
    }
}
