//! Asterisk's REST interface (ARI) and its events, as version 22.10 was seen to speak.
//!
//! An application is registered while somebody holds its websocket. A channel that is placed for
//! one that is not dies unseen, although the answer is a success; so it is there. Endpoints are
//! `PJSIP/{number}@trunk`; others are not configured.
//!
//! Not imitated: bridges, playbacks, recordings and other media; several applications of one
//! account; an application that outlives its websocket because channels are in it.

mod channel;
mod event;
mod listeners;
mod originate;

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

pub(in crate::simulator) use listeners::Listeners;

use super::SIP;
use crate::{
    domain::Timestamp,
    simulator::{
        call::{CopyKind, Record, Report, State},
        exchange::HangUp,
        fault::Operation,
        listener::{Asked, Handled, Reply},
        script::OverAnswer,
        switchboard::Switchboard,
    },
};

const USER: &str = "onhook";

/// Stands where other accounts have an address for reports.
pub(super) const EVENTS: &str = "ari:events";

pub(super) fn credentials(app: &str, secret: &str) -> Value {
    json!({
        "bridge": "asterisk",
        "app": app,
        "username": USER,
        "password": password(secret),
        "endpoint": "PJSIP/{to}@trunk",
    })
}

fn password(secret: &str) -> String {
    super::derived("enter", secret)
}

/// As Asterisk names a channel by itself: the time and a count.
pub(super) fn channel_id(random: [u8; 16], now: Timestamp) -> String {
    let count = u128::from_le_bytes(random) % 1_000_000;
    format!("{}.{count}", now.unix_seconds())
}

/// What a request is about.
enum Resource<'a> {
    Events,
    Application(&'a str),
    Subscription(&'a str),
    Channels,
    Channel(&'a str),
    Answer(&'a str),
}

pub(super) async fn respond(board: &Arc<Switchboard>, asked: &Asked, path: &str) -> Handled {
    let Some(app) = account(board, asked) else {
        return Handled::Answer(message(401, "Authentication required"));
    };
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let Some(resource) = route(&path) else {
        return Handled::Answer(message(404, "Resource not found"));
    };
    match (&asked.method, resource) {
        (&Method::GET, Resource::Events) => listen(board, &app, &asked.query).await,
        (&Method::GET, Resource::Application(name)) => {
            Handled::Answer(application(board, &app, name))
        }
        (&Method::POST, Resource::Subscription(name)) => {
            Handled::Answer(subscribe(board, &app, name, &asked.query))
        }
        (&Method::GET, Resource::Channels) => channels(board, &app).await,
        (&Method::POST, Resource::Channels) => {
            originate::originate(board, &app, &asked.query).await
        }
        (&Method::GET, Resource::Channel(id)) => fetch(board, &app, id).await,
        (&Method::DELETE, Resource::Channel(id)) => hang_up(board, &app, id, &asked.query).await,
        (&Method::POST, Resource::Answer(id)) => Handled::Answer(pick_up(board, &app, id)),
        _ => Handled::Answer(message(405, "Invalid method")),
    }
}

fn route(path: &str) -> Option<Resource<'_>> {
    let segments: Vec<&str> = path.strip_prefix("/ari/")?.split('/').collect();
    match segments.as_slice() {
        ["events"] => Some(Resource::Events),
        ["applications", name] => Some(Resource::Application(name)),
        ["applications", name, "subscription"] => Some(Resource::Subscription(name)),
        ["channels"] => Some(Resource::Channels),
        ["channels", id] => Some(Resource::Channel(id)),
        ["channels", id, "answer"] => Some(Resource::Answer(id)),
        _ => None,
    }
}

/// The account whose user and password a request brings, in its header or its query.
fn account(board: &Arc<Switchboard>, asked: &Asked) -> Option<String> {
    let in_header = || {
        let encoded = asked.header("authorization")?.strip_prefix("Basic ")?;
        String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()
    };
    let given = in_header().or_else(|| parameter(&asked.query, "api_key"))?;
    let password = given.strip_prefix(USER)?.strip_prefix(':')?;
    board.with(|exchange| {
        let account = exchange.account_with(SIP, |secret| self::password(secret) == password);
        account.map(str::to_owned)
    })
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let found = parameters.find(|(key, _)| key == name)?;
    Some(found.1.into_owned()).filter(|value| !value.is_empty())
}

async fn listen(board: &Arc<Switchboard>, app: &str, query: &str) -> Handled {
    let handled = guarded(board, Operation::Socket, || match parameter(query, "app") {
        Some(wanted) if wanted == app => Reply::empty(101),
        Some(_) => message(404, "Application not found"),
        None => message(400, "Missing parameter 'app'"),
    })
    .await;
    if matches!(&handled, Handled::Answer(reply) if reply.status == 101) {
        return handled.with_socket(listeners::session(board, app));
    }
    handled
}

fn application(board: &Arc<Switchboard>, app: &str, name: &str) -> Reply {
    if name != app || !board.ari.is_registered(app) {
        return message(404, "Application not found");
    }
    Reply::json(200, &shown_application(board, app))
}

fn shown_application(board: &Arc<Switchboard>, app: &str) -> Value {
    let told_of = |call: &&Record| !call.state.is_over();
    let ids: Vec<String> = board.with(|exchange| {
        let calls = exchange.newest_first(app).filter(told_of);
        calls.map(|call| call.id.clone()).collect()
    });
    json!({
        "name": app,
        "channel_ids": ids,
        "bridge_ids": [],
        "endpoint_ids": [],
        "device_names": [],
        "events_allowed": [],
        "events_disallowed": [],
    })
}

fn subscribe(board: &Arc<Switchboard>, app: &str, name: &str, query: &str) -> Reply {
    if name != app || !board.ari.is_registered(app) {
        return message(404, "Application not found");
    }
    let source = parameter(query, "eventSource").unwrap_or_default();
    let Some(id) = source.strip_prefix("channel:") else {
        return message(400, "Invalid event source scheme");
    };
    let lives = |call: &Record| !call.state.is_over();
    if !board.with(|exchange| exchange.find(app, id).is_some_and(lives)) {
        return message(422, "Event source does not exist");
    }
    board.ari.subscribe(id);
    Reply::json(200, &shown_application(board, app))
}

async fn channels(board: &Arc<Switchboard>, app: &str) -> Handled {
    board.count(Operation::List);
    guarded(board, Operation::List, || {
        let lives = |call: &&Record| !call.state.is_over();
        let shown: Vec<Value> = board.with(|exchange| {
            let calls = exchange.newest_first(app).filter(lives);
            calls.map(channel::shown).collect()
        });
        Reply::json(200, &shown)
    })
    .await
}

async fn fetch(board: &Arc<Switchboard>, app: &str, id: &str) -> Handled {
    board.count(Operation::Fetch);
    guarded(board, Operation::Fetch, || {
        let lives = |call: &&Record| !call.state.is_over();
        board
            .with(|exchange| {
                let call = exchange.find(app, id).filter(lives)?;
                Some(Reply::json(200, &channel::shown(call)))
            })
            .unwrap_or_else(channel_not_found)
    })
    .await
}

async fn hang_up(board: &Arc<Switchboard>, app: &str, id: &str, query: &str) -> Handled {
    let reason = parameter(query, "reason");
    let code = parameter(query, "reason_code");
    if reason.is_some() && code.is_some() {
        let text = "The reason and reason_code can't both be specified";
        return Handled::Answer(message(400, text));
    }
    let code = code.unwrap_or_else(|| "16".to_owned());
    if code.parse::<u8>().is_err() {
        let text = "Invalid reason for hangup reason provided";
        return Handled::Answer(message(400, text));
    }
    board.count(Operation::Hangup);
    let under_way = board.hang_up_under_way();
    board.with(|exchange| exchange.hear_hang_up(app, id));
    let handled = guarded(board, Operation::Hangup, || {
        let now = board.now();
        let declined = code == "21";
        let ended = board.with(|exchange| {
            exchange.command(app, id, |line, effects| {
                let rings_here = line.record.inbound && line.record.state == State::Ringing;
                if declined && rings_here {
                    line.end(State::Failed, Some(603), now, effects);
                }
                declined && rings_here
            })
        });
        if ended == Some(true) {
            return Reply::empty(204);
        }
        match board.with(|exchange| exchange.hang_up(app, id, false, now)) {
            HangUp::Accepted(_) | HangUp::Over(_, OverAnswer::Record) => Reply::empty(204),
            HangUp::Over(..) | HangUp::NoSuchCall => channel_not_found(),
        }
    })
    .await;
    drop(under_way);
    handled
}

fn pick_up(board: &Arc<Switchboard>, app: &str, id: &str) -> Reply {
    let now = board.now();
    let done = board.with(|exchange| {
        exchange.command(app, id, |line, effects| match line.record.state {
            State::Ringing if line.record.inbound => {
                line.answer(now, effects);
                Some(Reply::empty(204))
            }
            State::InProgress => Some(Reply::empty(204)),
            State::Queued | State::Ringing => {
                Some(message(409, "Channel not in Stasis application"))
            }
            _ => None,
        })
    });
    done.flatten().unwrap_or_else(channel_not_found)
}

/// Tells `report` to whoever holds the application's websocket. Nobody can forge that; who does
/// not listen never hears of it.
pub(super) fn tell(board: &Switchboard, report: &Report, copy: CopyKind) -> Vec<Option<u16>> {
    if matches!(copy, CopyKind::Forged | CopyKind::Dropped) {
        return Vec::new();
    }
    let subscribed = !report.call.inbound || board.ari.is_subscribed(&report.call.id);
    let events = event::events(report, subscribed);
    let app = &report.call.account;
    let heard = events.into_iter().all(|event| board.ari.say(app, &event));
    // The status of the connection that it went over.
    vec![heard.then_some(101)]
}

fn channel_not_found() -> Reply {
    message(404, "Channel not found")
}

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "message": text }))
}

async fn guarded(
    board: &Arc<Switchboard>,
    operation: Operation,
    act: impl FnOnce() -> Reply + Send,
) -> Handled {
    board
        .under_fault(SIP, operation, act, with_usual_body)
        .await
}

/// Gives `reply`, which has no body, the one that goes with its status.
fn with_usual_body(reply: Reply) -> Reply {
    if reply.status < 400 {
        return reply;
    }
    let text = match reply.status {
        401 => "Authentication required",
        403 => "Write access denied",
        // Not that the channel is gone, which would have to be true.
        404 => "Resource not found",
        _ => "Allocation failed for want of threads",
    };
    let mut with_body = message(reply.status, text);
    with_body.headers.extend(reply.headers);
    with_body
}
